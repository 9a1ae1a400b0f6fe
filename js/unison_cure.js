// What a person can do about an error, by the names on the nodes: the host knows nothing of nodes that are switched off.

import { linkOf, titleOf } from "./unison_graph.js"

const NEVER = 2
const BYPASS = 4
const BELOW_INPUTS = -10

/**
 * The nodes in front of a failed node that are switched off, for inputs that the message names: [{title, keys}].
 * `chain`: the node, and the subgraph nodes around it, from the outside in.
 */
export function switchedOff(chain, message) {
  const node = chain.at(-1)
  const found = new Map()
  for (const input of node?.inputs ?? []) {
    if (!names(message, input)) continue
    const origin = originOf(chain, input)
    if (origin?.mode === BYPASS) found.set(origin, { title: titleOf(origin), keys: "Ctrl+B" })
    if (origin?.mode === NEVER) found.set(origin, { title: titleOf(origin), keys: "Ctrl+M" })
  }
  return [...found.values()]
}

function names(message, input) {
  const said = [input.name, input.label, input.localized_name].filter(Boolean)
  return said.some((name) => message.split(/[^\p{L}\p{N}_]+/u).includes(name))
}

/** The node whose output an input takes, through the edges of subgraphs. */
function originOf(chain, input) {
  const link = linkOf(chain.at(-1).graph, input.link)
  if (!link) return null
  if (Number(link.origin_id) !== BELOW_INPUTS) return chain.at(-1).graph.getNodeById(link.origin_id)
  const outer = chain.slice(0, -1)
  const socket = outer.at(-1)?.inputs?.[link.origin_slot]
  return socket ? originOf(outer, socket) : null
}
