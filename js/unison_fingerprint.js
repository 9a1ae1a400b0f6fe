// How a node is fed, as a saved workflow says it: what a result is true for.

/** The id that links from a subgraph's own inputs have as their origin. */
const BELOW_INPUTS = -10

/**
 * All that decides what the node `executionId` of a saved workflow makes, as one text: itself and what feeds it, with
 * modes and values. Two saved workflows in which it is the same text give the same result. "" without such a node.
 */
export function fingerprint(workflow, executionId) {
  const path = String(executionId).split(":")
  const hosts = []
  let scope = scopeOf(workflow)
  for (const part of path.slice(0, -1)) {
    const host = scope.nodes.get(part)
    const inner = (workflow.definitions?.subgraphs ?? []).find((definition) => definition.id === host?.type)
    if (!inner) return ""
    const within = scopeOf(inner)
    hosts.push([host, scope, within, inner])
    scope = within
  }
  if (!scope.nodes.has(path.at(-1))) return ""
  const told = new Map()
  feed(path.at(-1), scope, hosts, told)
  return JSON.stringify([...told].sort())
}

function scopeOf(graph) {
  const links = new Map()
  for (const link of graph.links ?? []) {
    const [id, origin, slot] = Array.isArray(link) ? link : [link.id, link.origin_id, link.origin_slot]
    links.set(id, [String(origin), slot])
  }
  return { nodes: new Map((graph.nodes ?? []).map((node) => [String(node.id), node])), links }
}

/** A node's values; frontends write none and an empty list for the same. */
function valuesOf(node) {
  const values = node.widgets_values
  return Array.isArray(values) && !values.length ? null : values ?? null
}

/** Adds to `told` what node `id` and everything in front of it are. `hosts`: the subgraph nodes around, outside in. */
function feed(id, scope, hosts, told) {
  const node = scope.nodes.get(id)
  const name = [...hosts.map(([host]) => host.id), id].join(":")
  if (!node || told.has(name)) return
  const inputs = []
  told.set(name, [node.type, node.mode ?? 0, valuesOf(node), inputs])
  for (const input of node.inputs ?? []) {
    const origin = input.link == null ? null : scope.links.get(input.link)
    if (!origin) continue
    inputs.push([input.name, ...origin])
    if (Number(origin[0]) !== BELOW_INPUTS) feed(origin[0], scope, hosts, told)
    else if (hosts.length) told.set(`${name}.${input.name}`, given(hosts, origin[1], told))
  }
}

/**
 * What a subgraph node hands in at a slot: the value of its widget, or where its link comes from. By names and by the
 * definition, since what is queued lacks the node's inputs of widgets, which a saved file has.
 */
function given(hosts, slot, told) {
  const [host, scope, inner, definition] = hosts.at(-1)
  const name = definition.inputs?.[slot]?.name
  const input = name === undefined ? host.inputs?.[slot] : host.inputs?.find((other) => other.name === name)
  const origin = input?.link == null ? null : scope.links.get(input.link)
  if (!origin) {
    const place = widgetSlots(inner).indexOf(slot)
    return place < 0 ? [] : [host.widgets_values?.[place] ?? null]
  }
  if (Number(origin[0]) === BELOW_INPUTS) return hosts.length > 1 ? given(hosts.slice(0, -1), origin[1], told) : []
  feed(origin[0], scope, hosts.slice(0, -1), told)
  return origin
}

/** The slots of a subgraph's inputs that are widgets of its node, in their order: those that end in a widget inside. */
function widgetSlots({ nodes, links }) {
  const slots = new Set()
  for (const node of nodes.values()) {
    for (const input of node.inputs ?? []) {
      const [origin, slot] = (input.widget && links.get(input.link)) || []
      if (Number(origin) === BELOW_INPUTS) slots.add(slot)
    }
  }
  return [...slots].sort((one, other) => one - other)
}
