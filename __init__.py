"""ComfyUI-Unison: the custom node pack's entry point.

Imports stand inside the function: tests and tools import this folder as a package of any name, and a relative import
up here would fail them all.
"""

WEB_DIRECTORY = "./js"


async def comfy_entrypoint():  # type: ignore[no-untyped-def]
    """The pack's extension; ComfyUI calls this when it loads custom nodes."""
    from .nodes import UnisonExtension

    return UnisonExtension()
