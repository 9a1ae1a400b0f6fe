"""Saved graphs outlive releases: ids, inputs, outputs and defaults of our nodes stay as committed.

A change on purpose: UNISON_UPDATE_SNAPSHOT=1 writes the file anew. Inputs may be added at the end, as optional ones;
nothing may be renamed, moved or taken away.
"""

import os

import node_shapes


def test_our_nodes_are_as_committed(host):
    shapes = {name: node_shapes.shape(info) for name, info in host.object_info().items() if name.startswith("Unison")}
    if os.environ.get("UNISON_UPDATE_SNAPSHOT"):
        node_shapes.store(node_shapes.OURS, shapes)
    assert shapes == node_shapes.load(node_shapes.OURS)


def test_order_is_part_of_it(host):
    """Widget values are stored by position, links by slot; a JSON object does not compare its order."""
    committed = node_shapes.load(node_shapes.OURS)
    for name, info in host.object_info().items():
        if name.startswith("Unison"):
            for kind, group in committed[name]["inputs"].items():
                assert list(info["input"].get(kind, {})) == list(group), (name, kind)


def test_every_node_is_described(host):
    """Titles do without the pack's name, which its badge has; none of them is a title of the host's own nodes."""
    infos = host.object_info()
    others = {info["display_name"] for name, info in infos.items() if not name.startswith("Unison")}
    for name, info in infos.items():
        if not name.startswith("Unison"):
            continue
        assert info["description"], name
        assert info["category"].startswith("Unison/"), name
        assert info["display_name"] and "(Unison)" not in info["display_name"], name
        assert info["display_name"] not in others, name
