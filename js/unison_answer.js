// Shows on Answer (Unison) the text that it was given. It is set as text, never as markup, and not saved.

import { app } from "../../scripts/app.js"
import { api } from "../../scripts/api.js"
import { everyNode } from "./unison_graph.js"
import { isElsewhere } from "./unison_runs.js"

const NODE = "UnisonAnswer"
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

/** An answer is its own run's: under a new plan nothing of the last one stands. */
function onStart({ detail }) {
  if (isElsewhere(detail.prompt_id)) return
  for (const [, node] of everyNode()) if (node.comfyClass === NODE) box(node).textContent = ""
}

app.registerExtension({
  name: "unison.answer",
  setup() {
    api.addEventListener("execution_start", onStart)
  },
  nodeCreated(node) {
    if (node.comfyClass !== NODE) return
    box(node)
    const executed = node.onExecuted
    node.onExecuted = function (output) {
      executed?.call(this, output)
      box(this).textContent = (output?.unison_answer ?? []).join("\n")
    }
  },
})
