// The place on a node where results stand: a widget that no file keeps and no panel lists.

import { onSave } from "./unison_saved.js"

const WIDGET = "unison_results"
const PROGRESS_TEXT = "$$node-text-preview"
const MAX_HEIGHT = 320
const MARGIN = 6
const BORDER = 2
// Below a row of pictures: the padding of its box.
const GAP = 6

/** Heights of nodes without their result and with it: node -> {before, after}; after is null until it is known. */
const grown = new WeakMap()

/** Put `content` on the node, in place of what was there; null takes it away. */
export function put(node, content) {
  if (!content && !widgetOf(node)) return
  const before = ownHeight(node) ?? node.size[1]
  const { element } = widgetOf(node) ?? makeWidget(node)
  grown.set(node, { before, after: null }) // whatever the frontend does until the next frame is the result's doing
  element.replaceChildren(...(content ? [content] : []))
  element.style.display = content ? "" : "none"
  requestAnimationFrame(() => fit(node))
  for (const picture of content?.querySelectorAll("img") ?? []) {
    picture.addEventListener("load", () => measureAgain(node, content))
  }
}

/** A picture that has come may have pushed others into a row of their own. */
function measureAgain(node, content) {
  if (widgetOf(node)?.element.firstElementChild !== content) return
  measured.delete(content)
  fit(node)
}

/** The host's own text of a node under way, which says what the result says again. */
export function dropProgressText(node) {
  const widget = node.widgets?.find(({ name }) => name === PROGRESS_TEXT)
  if (!widget) return
  if (node.removeWidget) node.removeWidget(widget)
  else node.widgets.splice(node.widgets.indexOf(widget), 1)
}

/** The height that a node had before a result made it higher; null when it has the person's own. */
function ownHeight(node) {
  const change = grown.get(node)
  return change && (change.after === null || change.after === node.size[1]) ? change.before : null
}

function withoutResult(node, data) {
  if (data.widgets_values?.length === 0) delete data.widgets_values
  const height = ownHeight(node)
  if (height !== null && data.size) data.size = [data.size[0], height]
  const promoted = data.properties?.proxyWidgets
  if (!promoted?.some(([, name]) => name === WIDGET)) return
  data.properties.proxyWidgets = promoted.filter(([, name]) => name !== WIDGET)
  if (!data.properties.proxyWidgets.length) delete data.properties.proxyWidgets
}

function widgetOf(node) {
  return node.widgets?.find(({ name }) => name === WIDGET)
}

function makeWidget(node) {
  const element = document.createElement("div")
  element.className = "unison-results"
  element.style.cssText = "overflow-y: auto; box-sizing: border-box; width: 100%; min-height: 0;"
  const height = () => heightOf(element, node.size[0] - 2 * MARGIN)
  const widget = node.addDOMWidget(WIDGET, WIDGET, element, {
    serialize: false,
    hideInPanel: true,
    hideOnZoom: false,
    margin: MARGIN,
    getMinHeight: height,
    getMaxHeight: height,
    getValue: () => "",
    setValue: () => {},
  })
  widget.serialize = false
  onSave(node, withoutResult)
  return widget
}

let ruler = null
const measured = new WeakMap()

/** The height that a result takes, margins included. Off-screen the frontend hides it, so a copy of it is measured. */
function heightOf(element, width) {
  const content = element.firstElementChild
  if (!content) return 0
  const known = measured.get(content)
  const key = `${Math.round(width)} ${openDetails(content)}`
  if (known?.key === key) return known.height
  if (!ruler) {
    ruler = document.createElement("div")
    ruler.style.cssText = "position: absolute; left: -99999px; top: 0; visibility: hidden; contain: layout;"
    document.body.append(ruler)
  }
  ruler.style.width = `${width}px`
  ruler.replaceChildren(content.cloneNode(true))
  const height = Math.ceil(footOf(ruler.firstElementChild)) + 2 * MARGIN + BORDER
  ruler.replaceChildren()
  measured.set(content, { key, height })
  return height
}

/** Where a result ends, or is to be scrolled from: never in the middle of a row of pictures. */
function footOf(content) {
  const { top, height } = content.getBoundingClientRect()
  const most = MAX_HEIGHT - 2 * MARGIN - BORDER
  if (height <= most) return height
  const pictures = [...content.querySelectorAll("img")].map((picture) => picture.getBoundingClientRect())
  const cut = pictures.filter((box) => box.top - top < most && box.bottom - top > most - GAP)
  return Math.min(height, Math.max(most, ...cut.map((box) => box.bottom - top + GAP)))
}

function openDetails(content) {
  return [...content.querySelectorAll("details")].map((details) => Number(details.open)).join("")
}

/** As high as the result asks, and as high as before once it is gone. */
function fit(node) {
  const [width, height] = node.computeSize()
  const before = ownHeight(node) ?? node.size[1]
  const after = Math.max(before, height)
  node.setSize([Math.max(node.size[0], width), after])
  grown.set(node, { before, after: node.size[1] })
  node.setDirtyCanvas?.(true, true)
}
