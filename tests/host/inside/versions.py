"""Which host this is, on which device it computes, and how the pack is loaded."""

import sys
from pathlib import Path


def main(pack, arguments):
    """The facts; `arguments` come back as they are."""
    import comfy.model_management
    import comfyui_version
    import folder_paths

    root = Path(pack.__file__).resolve().parent
    return {
        "version": comfyui_version.__version__,
        "device": str(comfy.model_management.get_torch_device()),
        "input": folder_paths.get_input_directory(),
        "package": pack.__name__,
        "on_path": any(Path(entry).resolve() == root for entry in sys.path),
        "arguments": arguments,
    }
