// Shows on our nodes what they found out: the plan, the chosen branch, notices, and what went wrong.
// The nodes send it with their results; nothing here is kept in the workflow.

import { app } from "../../scripts/app.js"
import { api } from "../../scripts/api.js"
import { clearBranches, markBranch, watchLinks } from "./unison_branch.js"
import { resultCard } from "./unison_card.js"
import { switchedOff } from "./unison_cure.js"
import { fingerprint } from "./unison_fingerprint.js"
import { chainOf, everyNode, rootGraph, titleOf } from "./unison_graph.js"
import { currentTab, isElsewhere, isOurs, readHistory, recall, remember, watchQueue, workflowOf } from "./unison_runs.js"
import { dropProgressText, put } from "./unison_widget.js"

const PREFIX = "Unison"
const SETTLE_MS = 200

/** What stands on the graph in front: execution id -> {output | error, made: how the node was fed, isOld}. */
const shown = new Map()
/** Nodes that have a card now. */
const carriers = new Set()
/** Nodes of the run under way whose result the host still had, and so may not send. */
let cached = []

function language() {
  return String(app.extensionManager?.setting?.get?.("Comfy.Locale") ?? "en")
}

/** The cards of the graph that is open: on each node, and for those in subgraphs on the subgraph node. */
function draw() {
  const open = app.canvas?.graph
  const cards = new Map()
  clearBranches()
  for (const [id, result] of shown) {
    const chain = chainOf(id)
    const place = chain.findIndex((node) => node.graph === open)
    const node = chain.at(-1)
    if (place < 0) continue
    const isInside = place < chain.length - 1
    const route = result.output?.unison_route?.[0]
    if (route && !result.isOld) markBranch(chain, route.chosen)
    if (route && isInside) continue
    if (result.error && !isInside && !isUnison(node)) continue
    const onto = chain[place]
    cards.set(onto, [...(cards.get(onto) ?? []), { ...result, from: isInside ? titleOf(node) : null }])
  }
  for (const node of carriers) if (!cards.has(node)) put(node, null)
  carriers.clear()
  for (const [node, results] of cards) {
    const content = resultCard(results, language())
    put(node, content)
    if (content) carriers.add(node)
  }
  app.canvas?.setDirty?.(true, true)
}

let waiting = 0

/** Draw once for whatever comes together. */
function drawSoon() {
  if (waiting) return
  waiting = requestAnimationFrame(() => {
    waiting = 0
    draw()
  })
}

function isUnison(node) {
  return String(node?.comfyClass ?? node?.type).startsWith(PREFIX)
}

function show(id, result) {
  shown.delete(id) // the latest stands last
  shown.set(id, { isOld: false, ...result })
  drawSoon()
}

function clear() {
  shown.clear()
  for (const [, node] of everyNode()) if (isUnison(node)) dropProgressText(node)
  drawSoon()
}

/** Whether what a run says of a node is true of the graph in front: it has another name once it was saved. */
function concerns(promptId, id) {
  if (!isElsewhere(promptId)) return true
  const made = fingerprint(workflowOf(promptId) ?? {}, id)
  return made !== "" && made === fingerprint(rootGraph().serialize(), id)
}

function onStart({ detail }) {
  cached = []
  if (!isElsewhere(detail.prompt_id)) clear()
}

function onCached({ detail }) {
  cached = detail.nodes ?? []
}

function onExecuted({ detail }) {
  const id = String(detail.display_node ?? detail.node)
  const workflow = workflowOf(detail.prompt_id)
  if (!isOurs(detail.output)) return
  remember(workflow, id, detail.output)
  if (!concerns(detail.prompt_id, id)) return
  for (const node of chainOf(id)) dropProgressText(node)
  show(id, { output: detail.output, made: workflow && fingerprint(workflow, id) })
}

function onError({ detail }) {
  if (concerns(detail.prompt_id, detail.node_id)) showError(String(detail.node_id), detail.exception_message)
  fromBefore(detail.prompt_id)
}

function showError(id, message) {
  const chain = chainOf(id)
  if (!chain.some((node) => isUnison(node) || [...everyNode(node.subgraph ?? null)].some(([, inner]) => isUnison(inner)))) return
  show(id, { error: String(message ?? "").trim(), cures: switchedOff(chain, String(message ?? "")) })
}

/** Errors that the host finds before a run. */
function onRefused(errors) {
  clear()
  for (const [id, { errors: found }] of Object.entries(errors)) {
    const told = found.map((error) => saidBy(error)).filter(Boolean)
    if (told.length) showError(id, [...new Set(told)].join("\n"))
  }
}

/** The sentence in a validation error, without the host's "Custom validation failed" around it. */
function saidBy(error) {
  const name = error.extra_info?.input_name
  const details = String(error.details ?? "")
  if (error.type === "custom_validation_failed") return name && details.startsWith(`${name} - `) ? details.slice(name.length + 3) : details
  return [error.message, details].filter(Boolean).join(": ")
}

/** Results that the host had and did not send again: older hosts send none, and none does after an error. */
async function fromBefore(promptId) {
  const workflow = workflowOf(promptId)
  const nodes = cached
  if (!workflow || isElsewhere(promptId)) return
  await readHistory()
  for (const id of nodes) restore(workflow, id)
}

function restore(workflow, id) {
  const output = shown.has(id) ? undefined : recall(workflow, id)
  if (output) show(id, { output, made: fingerprint(workflow, id) })
}

/** A graph was opened: nothing of the last one stays, and what is true of this one is shown. */
async function onOpened() {
  shown.clear()
  drawSoon()
  const ours = [...everyNode()].filter(([, node]) => isUnison(node)).map(([id]) => id)
  if (!ours.length) return
  const tab = currentTab()
  await readHistory()
  if (tab !== currentTab()) return
  const workflow = rootGraph().serialize()
  for (const id of ours) restore(workflow, id)
}

let settling = 0

/** Results whose node is fed otherwise now are old. */
function onChanged() {
  clearTimeout(settling)
  if (![...shown.values()].some((result) => result.made)) return
  settling = setTimeout(() => {
    const workflow = rootGraph().serialize()
    for (const [id, result] of shown) {
      const isOld = Boolean(result.made) && result.made !== fingerprint(workflow, id)
      if (isOld === result.isOld) continue
      result.isOld = isOld
      drawSoon()
    }
  }, SETTLE_MS)
}

app.registerExtension({
  name: "unison.results",
  setup() {
    watchLinks(window.LGraphCanvas)
    watchQueue(onRefused)
    api.addEventListener("execution_start", onStart)
    api.addEventListener("execution_cached", onCached)
    api.addEventListener("executed", onExecuted)
    api.addEventListener("execution_error", onError)
    for (const end of ["execution_success", "execution_interrupted"]) {
      api.addEventListener(end, ({ detail }) => fromBefore(detail.prompt_id))
    }
    api.addEventListener("graphChanged", onChanged)
    app.canvas.canvas.addEventListener("litegraph:set-graph", drawSoon)
  },
  afterConfigureGraph: onOpened,
})
