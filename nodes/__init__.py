"""The pack's nodes: thin adapters between ComfyUI's sockets and `unison_backend`."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io


class UnisonExtension(ComfyExtension):
    """Registers the pack. No node is in it yet; the command line is what works today."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return []
