"""A browser's session with a host: which tools it takes, and how a script of this folder is run."""

import json
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# "Nodes 2.0" draws every node larger. The older host tested has it as an experiment only.
MODES = ("canvas", "nodes 2.0")
NODES2_RELEASE = (0, 33)


def find_tools():
    """{"node", "chromium", "playwright"}: paths, or the reason why there are none."""
    node = shutil.which("node")
    if node is None:
        return "node is not on the path"
    named = os.environ.get("CHROMIUM")
    chromium = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        return "no Chromium on the path, and CHROMIUM is not set"
    places = [Path(folder) / "node_modules" / "playwright-core" for folder in (HERE, ROOT)]
    if (named := os.environ.get("PLAYWRIGHT_CORE")) is not None:
        places = [Path(named)]
    elif (npm := shutil.which("npm")) is not None:
        globally = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, timeout=60).stdout.strip()
        places.append(Path(globally) / "playwright-core")
    playwright = next((place for place in places if (place / "index.mjs").is_file()), None)
    if playwright is None:
        return f"no playwright-core in {', '.join(map(str, places))}; set PLAYWRIGHT_CORE"
    return {"node": node, "chromium": chromium, "playwright": str(playwright)}


def folder(factory, host, name):
    """Where a session's pictures go: UNISON_SCREENSHOTS/<version>/<name>, else a temporary folder."""
    if not (kept := os.environ.get("UNISON_SCREENSHOTS")):
        return factory.mktemp("browser")
    place = Path(kept, host.install.version, name)
    place.mkdir(parents=True, exist_ok=True)
    return place


def drive(script, host, settings, place):
    """Run a script of this folder with `settings`, pictures into `place`; what it answers."""
    tools = find_tools()
    task, answer = place / "task.json", place / "answer.json"
    common = {
        "playwright": tools["playwright"],
        "chromium": tools["chromium"],
        "url": f"http://127.0.0.1:{host.port}/",
        "screenshots": str(place),
    }
    task.write_text(json.dumps(common | settings), "utf-8")
    done = subprocess.run([tools["node"], HERE / script, task, answer], capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr + host.log()[-3000:]
    return json.loads(answer.read_text("utf-8"))
