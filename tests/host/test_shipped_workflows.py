"""Every workflow that ships, as the frontend queues it and with its media switched on, runs on the embedded models."""

import json
from pathlib import Path

import graphs
import pytest
from test_auto import API, media  # noqa: F401

HERE = Path(__file__).resolve().parent
ROLES = json.loads((API / "roles.json").read_text(encoding="utf-8"))
FILES = sorted(path.stem for path in API.glob("unison_*.json"))
# Their instructions name media, whose loaders are off until the person has some.
WANTING = ("unison_editing", "unison_control", "unison_reference", "unison_image_to_video")
SAVERS = ("SaveImage", "SaveVideo", "PreviewImage", "PreviewAny")


def prompt_of(path):
    """A committed prompt with one step and short answers."""
    prompt = json.loads(path.read_text(encoding="utf-8"))
    for entry in prompt.values():
        for field, small in (("steps", 1), ("max_new_tokens", 4)):
            if field in entry["inputs"]:
                entry["inputs"][field] = small
    return prompt


def shrink(prompt):
    """A plan of 64x48 and 5 frames behind every planner, as UnisonEditPlan would make it."""
    for node, entry in list(prompt.items()):
        if entry["class_type"] == "UnisonPlanner":
            for other in prompt.values():
                for field, value in other["inputs"].items():
                    if value == [node, 0]:
                        other["inputs"][field] = ["small", 0]
            prompt["small"] = {"class_type": "UnisonEditPlan", "inputs": {"plan": [node, 0], "width": 64, "height": 48}}
    return prompt


@pytest.mark.parametrize("name", FILES)
def test_it_runs(host, media, name):  # noqa: F811
    run = host.run(shrink(prompt_of(API / f"{name}.json")), timeout=600)
    if name in WANTING:
        assert run.status == "error"
        assert "but that input is not connected" in run.why
        return
    graphs.succeeded(run)
    assert not run.errors
    shown = [
        node
        for node in run.outputs
        if any("filename" in str(value) or key == "text" for key, value in run.outputs[node].items())
    ]
    assert shown
    for node in shown:
        assert all(path.stat().st_size > 0 for path in run.files(node))


def test_every_workflow_has_its_prompts():
    workflows = {path.stem for path in (HERE.parents[1] / "workflows").glob("*.json")}
    assert workflows == {name for name in FILES if "." not in name} == set(ROLES)
