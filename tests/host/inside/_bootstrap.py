"""Runs one script of this folder with the host's modules, as the host would have set them up, without its server.

    python _bootstrap.py task.json

The host reads its command line when `comfy` is first imported, so that line has to stand before. The pack becomes the
package `ComfyUI_Unison`, loaded from its folder as the host does it: the repository is not on sys.path, and `nodes` is
the host's module.
"""

import asyncio
import importlib.util
import inspect
import json
import sys
from pathlib import Path


def load(name, path):
    """Import a file, or a package by its __init__.py, under a name."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main():
    """Set the host up, run the script, store its answer."""
    task = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    sys.argv = ["main.py", *task["argv"]]
    sys.path[0] = task["host"]
    import comfy.options

    comfy.options.enable_args_parsing()
    script = load("inside_script", Path(task["script"]))
    pack = load("ComfyUI_Unison", Path(task["repository"], "__init__.py"))
    answer = script.main(pack, task["arguments"])
    if inspect.iscoroutine(answer):
        answer = asyncio.run(answer)
    Path(task["answer"]).write_text(json.dumps(answer), "utf-8")


if __name__ == "__main__":
    main()
