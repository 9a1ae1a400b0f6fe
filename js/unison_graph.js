// Finding nodes in the live graph, whatever subgraphs they are in.

import { app } from "../../scripts/app.js"

export function rootGraph() {
  return app.rootGraph ?? app.graph
}

/**
 * The nodes of an execution id from the outside in: "12:10" is node 10 inside the subgraph node 12, so [12, 10].
 * Empty when there is no such node (any more).
 */
export function chainOf(executionId) {
  let graph = rootGraph()
  const chain = []
  for (const part of String(executionId).split(":")) {
    const node = graph?.getNodeById(part) ?? graph?.getNodeById(Number(part)) ?? null
    if (!node) return []
    chain.push(node)
    graph = node.subgraph
  }
  return chain
}

/** [execution id, node] of every node, those in subgraphs included. */
export function* everyNode(graph = rootGraph(), above = "") {
  for (const node of graph?.nodes ?? graph?._nodes ?? []) {
    const id = `${above}${node.id}`
    yield [id, node]
    if (node.subgraph) yield* everyNode(node.subgraph, `${id}:`)
  }
}

export function linkOf(graph, id) {
  return id == null ? null : graph?.getLink?.(id) ?? graph?.links?.get?.(id) ?? graph?.links?.[id] ?? null
}

/** Nodes as a person knows them. */
export function titleOf(node) {
  return String(node.title ?? node.type)
}
