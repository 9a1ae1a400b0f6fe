"""Modules of js/ that need no frontend, called by themselves in node."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

JS = Path(__file__).resolve().parents[2] / "js"


def called(name, function, arguments):
    """What `function` of the module js/`name` gives for each list of arguments; the test is skipped without node."""
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not on the path")
    script = (
        "import fs from 'node:fs'\n"
        f"const text = fs.readFileSync({json.dumps(str(JS / name))}, 'utf-8')\n"
        f"const {{ {function} }} = await import('data:text/javascript,' + encodeURIComponent(text))\n"
        "const asked = JSON.parse(fs.readFileSync(0, 'utf-8'))\n"
        f"console.log(JSON.stringify(asked.map((given) => {function}(...given))))\n"
    )
    command = [node, "--input-type=module", "-e", script]
    done = subprocess.run(command, input=json.dumps(arguments), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
