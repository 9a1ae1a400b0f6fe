// Shows on Answer (Unison) the text that it was given. It is set as text, never as markup, and not saved.

import { app } from "../../scripts/app.js"

const WIDGET = "unison_answer"
const HEIGHT = 90

/** The node's own box of text. */
function box(node) {
  const found = node.widgets?.find((widget) => widget.name === WIDGET)
  if (found) return found.element
  const element = document.createElement("div")
  element.style.cssText =
    "overflow-y: auto; box-sizing: border-box; width: 100%; height: 100%; padding: 8px; border-radius: 6px;" +
    "background: var(--comfy-input-bg, #222); color: var(--input-text, #ddd); font: 14px/1.5 sans-serif;" +
    "white-space: pre-wrap; overflow-wrap: anywhere; user-select: text;"
  const widget = node.addDOMWidget(WIDGET, WIDGET, element, {
    serialize: false,
    hideOnZoom: false,
    hideInPanel: true,
    getMinHeight: () => HEIGHT,
    getValue: () => "",
    setValue: () => {},
  })
  widget.serialize = false
  return element
}

app.registerExtension({
  name: "unison.answer",
  nodeCreated(node) {
    if (node.comfyClass !== "UnisonAnswer") return
    box(node)
    const executed = node.onExecuted
    node.onExecuted = function (output) {
      executed?.call(this, output)
      box(this).textContent = (output?.unison_answer ?? []).join("\n")
    }
  },
})
