"""Every workflow that ships runs as the frontend queues it, with the sample media, on the embedded models."""

import json
from pathlib import Path

import comfy_host
import graphs
import pytest
from test_auto import API

HERE = Path(__file__).resolve().parent
ROLES = json.loads((API / "roles.json").read_text(encoding="utf-8"))
TITLES = json.loads((API / "titles.json").read_text(encoding="utf-8"))
# It takes files that are not here.
OWN = "unison_your_models"
FILES = sorted(path.stem for path in API.glob("unison_*.json") if path.stem != OWN)


def prompt_of(path):
    """A committed prompt with one step and short answers."""
    prompt = json.loads(path.read_text(encoding="utf-8"))
    for entry in prompt.values():
        for field, small in (("steps", 1), ("max_new_tokens", 4)):
            if field in entry["inputs"]:
                entry["inputs"][field] = small
    return prompt


@pytest.mark.parametrize("name", FILES)
def test_it_runs(host, name):
    run = graphs.succeeded(host.run(prompt_of(API / f"{name}.json"), timeout=600))
    assert not run.errors
    shown = [node for node in run.outputs if any("filename" in str(value) for value in run.outputs[node].values())]
    assert shown
    for node in shown:
        assert all(path.stat().st_size > 0 for path in run.files(node))


def test_the_one_for_models_of_ones_own_says_which_files_it_lacks(host):
    run = host.run(json.loads((API / f"{OWN}.json").read_text(encoding="utf-8")))
    assert run.status == "rejected"
    for file in (
        "wan2.1_vace_1.3B_fp16.safetensors",
        "umt5_xxl_fp8_e4m3fn_scaled.safetensors",
        "wan_2.1_vae.safetensors",
    ):
        assert file in run.why


def test_every_workflow_has_its_prompt():
    workflows = {path.stem for path in (HERE.parents[1] / "workflows").glob("*.json")}
    assert workflows == set(TITLES.values())
    assert {*FILES, OWN} == set(TITLES) == set(ROLES)


def test_the_host_lists_them_and_the_blueprints(host):
    assert set(host.get("/workflow_templates")[comfy_host.PACK]) == set(TITLES.values())
    listed = host.get("/global_subgraphs").values()
    ours = {entry["name"] for entry in listed if entry["info"]["node_pack"].endswith(comfy_host.PACK)}
    assert ours == {path.stem for path in (HERE.parents[1] / "subgraphs").glob("*.json")}
