"""The example workflows as files, the nodes that both hosts have, and how the one is read by the other."""

import json
import re
from pathlib import Path

import pytest

from unison_backend.demo import samples

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "workflows"
API = ROOT / "tests" / "host" / "api"
DATA = ROOT / "tests" / "host" / "data"
BUILD = ROOT / "scripts" / "build_workflows.py"

SUBGRAPHS = ROOT / "subgraphs"
TITLES = json.loads((API / "titles.json").read_text("utf-8"))
"""File name by the name that a workflow has in tests: the title in the template browser, changed only on purpose."""
NAMES = tuple(sorted(TITLES))
WIRED = ("unison_demo", "unison_experts", "unison_fast", "unison_mixed_nodes", "unison_route", "unison_sam3")
"""Those of single nodes; the others are built around one node, the subgraph Unison."""
OWN = {
    "unison_your_models": ("vace", "text_encoder", "vae", "projector", "segmenter", "depth"),
    "unison_your_depth": ("vace", "text_encoder", "vae", "projector", "depth"),
}
"""Those for a person's own models, whose loaders are on, with the models that they offer for download."""
NEWER = {"unison_sam3"}
"""Those with nodes that the oldest host does not have."""
BLUEPRINTS = tuple(sorted(path.stem for path in SUBGRAPHS.glob("*.json")))
OURS = json.loads((DATA / "nodes.json").read_text("utf-8"))
CORE = json.loads((DATA / "core_nodes.json").read_text("utf-8"))
HOSTS = tuple(CORE)
ROLES = json.loads((API / "roles.json").read_text("utf-8"))

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
NOTE, MATCH, DYNAMIC = "MarkdownNote", "COMFY_MATCHTYPE_V3", "COMFY_DYNAMICCOMBO_V3"
BYPASSED = 4
TITLE = 30
MODEL_LOADERS = ("UNETLoader", "CLIPLoader", "VAELoader", "UnisonLoadPlanner", "UnisonLoadProjector")
ANNOTATOR_LOADERS = ("UnisonLoadDetector", "UnisonLoadSegmenter", "UnisonLoadControlModel")
MEDIA_LOADERS = ("LoadImage", "LoadVideo", "LoadImageMask")
FAST_LORA = "Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors"
FAST_LORAS = "https://huggingface.co/Kijai/WanVideo_comfy"
# What annotators and ComfyUI's own SAM3 load from one file: (folder of `models`, link).
SINGLE = {
    "sam2.1_hiera_large.safetensors": ("unison", "https://huggingface.co/Kijai/sam2-safetensors"),
    "depth_anything_v2_vits_fp32.safetensors": ("unison", "https://huggingface.co/Kijai/DepthAnythingV2-safetensors"),
    "sam3.1_multiplex_fp16.safetensors": ("checkpoints", "https://huggingface.co/Comfy-Org/sam3.1"),
}
# Combos that list what is installed: any of the files that the notes speak of.
INSTALLED = {
    "UNETLoader.unet_name": {
        "wan2.1_vace_1.3B_fp16.safetensors",
        "wan2.2_fun_vace_high_noise_14B_fp8_scaled.safetensors",
        "wan2.2_fun_vace_low_noise_14B_fp8_scaled.safetensors",
    },
    "CLIPLoader.clip_name": {"umt5_xxl_fp8_e4m3fn_scaled.safetensors"},
    "VAELoader.vae_name": {"wan_2.1_vae.safetensors"},
    "UnisonLoadPlanner.planner": {"auto"},
    "UnisonLoadPlanner.lora": {"none"},
    "UnisonLoadProjector.projector": {"projector.pth"},
    "UnisonLoadDetector.detector": {"none found"},
    "UnisonLoadSegmenter.segmenter": {"sam2.1_hiera_large.safetensors"},
    "UnisonLoadControlModel.control": {"depth_anything_v2_vits_fp32.safetensors"},
    "CheckpointLoaderSimple.ckpt_name": {"sam3.1_multiplex_fp16.safetensors"},
    "LoraLoaderModelOnly.lora_name": {"your_lora.safetensors", FAST_LORA},
    "LoadImage.image": set(samples.PICTURES.values()),
    "LoadVideo.file": set(samples.CLIPS.values()),
    "LoadImageMask.image": set(samples.MASKS.values()),
}
FILE_NAME = re.compile(r"[\w.\-/\\]+\.(?:safetensors|pth|pt|png|jpg|mp4|webm|gguf|json)\b")


def read(path):
    return json.loads(path.read_text("utf-8"))


def workflow_of(name):
    """A workflow's file; the subgraphs that it holds become node types like any other."""
    return with_nested({"name": name, **read(FOLDER / f"{TITLES[name]}.json")})


def with_nested(made):
    for nested in made.get("definitions", {}).get("subgraphs", ()):
        inner = {node["id"]: node for node in nested["nodes"]}
        ends = {link["id"]: link for link in nested["links"]}
        inputs = {}
        for entry in nested["inputs"]:
            link = ends[entry["linkIds"][0]]
            node = inner[link["target_id"]]
            name = node["inputs"][link["target_slot"]]["name"]
            groups = OURS[node["type"]]["inputs"]
            inputs[entry["name"]] = [entry["type"], (groups["required"] | groups["optional"])[name][1]]
        kept = {
            name: [kind, {k: v for k, v in o.items() if k != "control_after_generate"}]
            for name, (kind, o) in inputs.items()
        }
        outputs = [[entry["name"], entry["type"]] for entry in nested["outputs"]]
        OURS[nested["id"]] = {"inputs": {"required": {}, "optional": kept}, "outputs": outputs}
    return made


def skip_where_it_cannot_be(name, host):
    if name in NEWER and host == HOSTS[0]:
        pytest.skip(f"{name} takes nodes that ComfyUI {host} does not have")


def inputs_of(host, node_type):
    """(name, type, options, required) in definition order."""
    shape = (CORE[host] | OURS)[node_type]["inputs"]
    return [
        (name, kind, options, group == "required")
        for group in ("required", "optional")
        for name, (kind, options) in shape[group].items()
    ]


def is_widget(kind, options):
    return (kind in WIDGETS or kind == DYNAMIC) and not options.get("forceInput")


def own(workflow):
    """The nodes besides notes."""
    return [node for node in workflow["nodes"] if node["type"] != NOTE]


def widgets_of(node, host):
    """(name, kind, options, value) of the widgets that the file has values for."""
    values = iter(node["widgets_values"])
    for name, kind, options, _ in inputs_of(host, node["type"]):
        if is_widget(kind, options):
            if (value := next(values, None)) is not None:
                yield name, kind, options, value
            if options.get("control_after_generate"):
                assert next(values) == "fixed"
    assert list(values) == (["image"] if node["type"] in MEDIA_LOADERS else []), node["type"]


def notes_of(workflow):
    """The texts of the notes by title."""
    return {node["title"]: node["widgets_values"][0] for node in workflow["nodes"] if node["type"] == NOTE}


def rectangle(node):
    """With its title: left, top, right, bottom."""
    (x, y), (width, height) = node["pos"], node["size"]
    return x, y - TITLE, x + width, y + height
