// The branch that ran: its link in a colour of its own, and a tick at its socket. Nothing of it is in a saved file.

import { linkOf } from "./unison_graph.js"
import { onSave } from "./unison_saved.js"

const CHOSEN_COLOR = "#7bd88f"
const TICK = " \u2713"
const BEHIND_OUTPUTS = -20
// Reroutes, bypassed and ordinary nodes between a way out and the edge of a subgraph.
const MAX_STEPS = 64

const links = new Set()
/** Sockets with a tick: socket -> {node, label: what it was called}. */
const sockets = new Map()
/** Subgraph nodes whose outputs are about to be drawn anew. */
const replaced = new WeakSet()

/** Teach the canvas the colour; frontends draw a link's own colour only where it is selected. */
export function watchLinks(LGraphCanvas) {
  const plain = LGraphCanvas.prototype.renderLink
  LGraphCanvas.prototype.renderLink = function (ctx, a, b, link, skipBorder, flow, color, ...rest) {
    return plain.call(this, ctx, a, b, link, skipBorder, flow, links.has(link) ? CHOSEN_COLOR : color, ...rest)
  }
}

export function clearBranches() {
  links.clear()
  for (const [socket, { node, label }] of sockets) {
    socket.label = label
    redraw(node)
  }
  sockets.clear()
}

/** Mark what a routing node chose. `chain`: the node, and the subgraph nodes around it, from the outside in. */
export function markBranch(chain, chosen) {
  const node = chain.at(-1)
  const input = node.inputs?.find((socket) => socket.name === chosen && socket.link != null)
  if (input) {
    tick(node, input)
    links.add(linkOf(node.graph, input.link))
  }
  const output = node.outputs?.findIndex((socket) => socket.name === chosen) ?? -1
  if (output >= 0) markWayOut(chain, output)
}

/** The links of a way out, and of the same way out of each subgraph around it. */
function markWayOut(chain, output) {
  const node = chain.at(-1)
  const socket = node.outputs[output]
  const first = (socket.links ?? []).map((id) => linkOf(node.graph, id)).filter(Boolean)
  if (!first.length) return
  tick(node, socket)
  for (const link of first) links.add(link)
  if (chain.length < 2) return
  for (const slot of edgeSlots(node.graph, first)) markWayOut(chain.slice(0, -1), slot)
}

/** Slots of the subgraph's own outputs that these links lead to. */
function edgeSlots(graph, first) {
  const slots = new Set()
  const todo = [...first]
  for (let step = 0; todo.length && step < MAX_STEPS; step++) {
    const link = todo.shift()
    if (Number(link.target_id) === BEHIND_OUTPUTS) slots.add(link.target_slot)
    for (const socket of graph.getNodeById(link.target_id)?.outputs ?? []) {
      todo.push(...(socket.links ?? []).map((id) => linkOf(graph, id)).filter(Boolean))
    }
  }
  return slots
}

function tick(node, socket) {
  if (sockets.has(socket)) return
  sockets.set(socket, { node, label: socket.label })
  socket.label = `${socket.label ?? socket.localized_name ?? socket.name}${TICK}`
  onSave(node, withoutTicks)
  redraw(node)
}

/** Nodes 2.0 looks at labels again when it is told to, at those of a subgraph node's outputs only when they are others. */
function redraw(node) {
  node.graph?.trigger?.("node:slot-label:changed", { nodeId: node.id })
  if (!window.LiteGraph?.vueNodesMode || !node.subgraph || replaced.has(node)) return
  replaced.add(node)
  queueMicrotask(() => {
    const own = [...node.outputs]
    node.outputs = own.map((socket) => new Proxy(socket, {}))
    // Behind the drawing, which the change above has put into the same queue.
    queueMicrotask(() => {
      node.outputs = own
      replaced.delete(node)
    })
  })
}

/** The sockets' own labels, as the file has them. */
function withoutTicks(node, data) {
  for (const kind of ["inputs", "outputs"]) {
    for (const [slot, socket] of (node[kind] ?? []).entries()) {
      const saved = data[kind]?.[slot]
      if (!saved || !sockets.has(socket)) continue
      saved.label = sockets.get(socket).label
      if (saved.label === undefined) delete saved.label
    }
  }
}
