// Shows on our nodes what they found out: the plan, the chosen branch, notices.
// The nodes send it with their results; nothing here is kept in the workflow.

import { app } from "../../scripts/app.js"
import { api } from "../../scripts/api.js"
import { planCard, routeLine, noticeList } from "./unison_card.js"

const WIDGET = "unison_results"
const MAX_HEIGHT = 320
const MARGIN = 6
const CHOSEN_COLOR = "#7bd88f"

/** The node of an execution id; inside subgraphs it is a path such as "3:12". */
function findNode(executionId) {
  let graph = app.rootGraph ?? app.graph
  let node = null
  for (const part of String(executionId).split(":")) {
    node = graph?.getNodeById(part) ?? graph?.getNodeById(Number(part)) ?? null
    graph = node?.subgraph
  }
  return node
}

/** The node's result widget, made when there is something to show for the first time. */
function resultWidget(node) {
  const existing = node.widgets?.find((widget) => widget.name === WIDGET)
  if (existing) return existing
  const element = document.createElement("div")
  element.style.cssText = "overflow-y: auto; box-sizing: border-box; width: 100%; min-height: 0;"
  const height = () => Math.min(MAX_HEIGHT, (element.firstElementChild?.scrollHeight ?? 0) + 2 * MARGIN + 2)
  const widget = node.addDOMWidget(WIDGET, WIDGET, element, {
    serialize: false,
    hideOnZoom: false,
    margin: MARGIN,
    getMinHeight: height,
    getMaxHeight: height,
    getValue: () => "",
    setValue: () => {},
  })
  widget.serialize = false
  return widget
}

/** Put `content` on the node, or take the last one away when there is none. */
function show(node, content) {
  if (!content && !node.widgets?.some((widget) => widget.name === WIDGET)) return
  const widget = resultWidget(node)
  widget.element.replaceChildren(...(content ? [content] : []))
  requestAnimationFrame(() => {
    const [width, height] = node.computeSize()
    node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)])
    node.setDirtyCanvas(true, true)
  })
}

/** Colour the link of the branch that ran, and no other. */
function markBranch(node, name) {
  for (const input of node.inputs ?? []) {
    const link = input.link == null ? null : node.graph?.getLink?.(input.link) ?? node.graph?.links?.[input.link]
    if (link && input.name !== "plan") link.color = input.name === name ? CHOSEN_COLOR : undefined
  }
}

/** What a node's result says, as an element; nothing when it says nothing. */
function contentOf(output) {
  if (output.unison_plan?.[0]) return planCard(output.unison_plan[0], language())
  if (output.unison_route?.[0]) return routeLine(output.unison_route[0], language())
  if (output.unison_notices?.length) return noticeList(output.unison_notices)
  return null
}

function language() {
  return String(app.extensionManager?.setting?.get?.("Comfy.Locale") ?? "en")
}

function onExecuted({ detail }) {
  const output = detail?.output
  if (!output || !Object.keys(output).some((key) => key.startsWith("unison_"))) return
  const node = findNode(detail.display_node ?? detail.node)
  if (!node) return
  if (output.unison_route?.[0] && node.comfyClass === "UnisonRouteTask") markBranch(node, output.unison_route[0].chosen)
  show(node, contentOf(output))
}

app.registerExtension({
  name: "unison.results",
  setup() {
    api.addEventListener("executed", onExecuted)
  },
})
