"""The pack's nodes: thin adapters between ComfyUI's sockets and `unison_backend`."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import (
    annotator_loaders,
    annotators,
    compositing,
    conditioning,
    folders,
    guidance,
    host,
    loaders,
    padding,
    plan_fields,
    planning,
    routing,
    sampling,
    sources,
)

MODULES = (
    loaders,
    planning,
    plan_fields,
    conditioning,
    sources,
    sampling,
    guidance,
    padding,
    compositing,
    routing,
    annotator_loaders,
    annotators,
)


class UnisonExtension(ComfyExtension):
    """Registers the pack's nodes; each module lists its own."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        folders.register()
        return [host.telling_of_broken_libraries(node) for module in MODULES for node in module.NODES]
