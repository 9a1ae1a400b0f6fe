"""The pack's nodes: thin adapters between ComfyUI's sockets and `unison_backend`."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import (
    annotator_loaders,
    annotators,
    answering,
    compositing,
    conditioning,
    folders,
    guidance,
    host,
    loaders,
    padding,
    plan_fields,
    plan_from_json,
    planning,
    references,
    routing,
    sample_media,
    sampling,
    segments,
    server_planner,
    sources,
)

MODULES = (
    loaders,
    sample_media,
    planning,
    answering,
    plan_fields,
    plan_from_json,
    conditioning,
    sources,
    references,
    sampling,
    segments,
    guidance,
    padding,
    compositing,
    routing,
    annotator_loaders,
    annotators,
    server_planner,
)


class UnisonExtension(ComfyExtension):
    """Registers the pack's nodes; each module lists its own."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        folders.register()
        sample_media.put()
        host.name_errors_plainly()
        return [host.guarded(node) for module in MODULES for node in module.NODES]
