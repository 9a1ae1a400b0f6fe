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
# They take files that are not here.
WAN = ("wan2.1_vace_1.3B_fp16.safetensors", "umt5_xxl_fp8_e4m3fn_scaled.safetensors", "wan_2.1_vae.safetensors")
SAM3 = "unison_sam3"
OWN = {
    "unison_your_models": WAN,
    "unison_your_depth": (*WAN, "depth_anything_v2_vits_fp32.safetensors"),
    SAM3: ("sam3.1_multiplex_fp16.safetensors",),
}
FILES = sorted(path.stem for path in API.glob("unison_*.json") if path.stem not in OWN)


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


@pytest.mark.parametrize("name", OWN)
def test_those_for_other_models_say_which_files_they_lack(host, name):
    needs_sam3(host, name)
    run = host.run(json.loads((API / f"{name}.json").read_text(encoding="utf-8")))
    assert run.status == "rejected"
    for file in OWN[name]:
        assert file in run.why


def needs_sam3(host, name):
    if name == SAM3 and "SAM3_VideoTrack" not in host.object_info():
        pytest.skip("this ComfyUI has no SAM3")


def test_sam3s_graph_runs_with_another_mask_in_its_place(host):
    """Its weights are not here: everything else is, and what SAM3 would be asked for is shown."""
    needs_sam3(host, SAM3)
    roles, prompt = ROLES[SAM3], prompt_of(API / f"{SAM3}.json")
    asked = prompt[roles["sam3_words"]]["inputs"]["text"]
    for role in ("sam3", "sam3_words", "sam3_track", "sam3_mask"):
        del prompt[roles[role]]
    prompt |= {
        "501": {"class_type": "LoadVideo", "inputs": {"file": "unison_circle_mask.mp4"}},
        "502": {"class_type": "GetVideoComponents", "inputs": {"video": ["501", 0]}},
        "503": {"class_type": "ImageToMask", "inputs": {"image": ["502", 0], "channel": "red"}},
        "504": {"class_type": "PreviewAny", "inputs": {"source": asked}},
    }
    prompt[roles["sources"]]["inputs"]["mask"] = ["503", 0]
    run = graphs.succeeded(host.run(prompt))
    assert run.outputs["504"]["text"][0] == "circle"
    (video,) = [path for node in run.outputs for path in run.files(node) if path.suffix == ".mp4"]
    assert video.stat().st_size > 0


def test_every_workflow_has_its_prompt():
    workflows = {path.stem for path in (HERE.parents[1] / "workflows").glob("*.json")}
    assert workflows == set(TITLES.values())
    assert {*FILES, *OWN} == set(TITLES) == set(ROLES)


def test_the_host_lists_them_and_the_blueprints(host):
    assert set(host.get("/workflow_templates")[comfy_host.PACK]) == set(TITLES.values())
    listed = host.get("/global_subgraphs").values()
    ours = {entry["name"] for entry in listed if entry["info"]["node_pack"].endswith(comfy_host.PACK)}
    assert ours == {path.stem for path in (HERE.parents[1] / "subgraphs").glob("*.json")}
