// What results change on a node is kept out of the files that the frontend writes.

const strips = new WeakMap()

/** Let `strip(node, data)` change what the node saves, each time it does; one function is called once. */
export function onSave(node, strip) {
  const known = strips.get(node)
  if (known) {
    known.add(strip)
    return
  }
  const mine = new Set([strip])
  strips.set(node, mine)
  // Not `onSerialize`: subgraph nodes write more behind it.
  const plain = node.serialize
  node.serialize = function (...given) {
    const data = plain.apply(this, given)
    for (const each of mine) each(this, data)
    return data
  }
}
