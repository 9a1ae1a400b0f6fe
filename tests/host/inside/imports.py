"""What loading the pack imports beside itself, as the host loads it: extension, nodes, schemas."""

import sys

import nodes  # the host's own, which it imports before any pack  # noqa: F401


async def main(pack, arguments):
    """Top-level names of modules that came with the pack and are neither Python's own nor the pack's."""
    before = set(sys.modules)
    extension = await pack.comfy_entrypoint()
    classes = await extension.get_node_list()
    for node in classes:
        node.GET_SCHEMA()
    came = {name.partition(".")[0] for name in set(sys.modules) - before}
    return {"nodes": len(classes), "came": sorted(came - {pack.__name__} - set(sys.stdlib_module_names))}
