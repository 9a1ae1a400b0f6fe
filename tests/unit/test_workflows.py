"""The example workflows as files: made by scripts/build_workflows.py, true to both hosts' nodes, and tidy."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from unison_backend.demo.set import CFG
from unison_backend.plan.prompt import Medium, bind_names
from unison_backend.plan.tasks import Task
from unison_backend.planner.rules.plan import RulesPlanner
from unison_backend.weights.needs import NEEDS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "workflows"
API = ROOT / "tests" / "host" / "api"
DATA = ROOT / "tests" / "host" / "data"
BUILD = ROOT / "scripts" / "build_workflows.py"

NAMES = (
    "unison_auto",
    "unison_control",
    "unison_demo",
    "unison_editing",
    "unison_fast",
    "unison_image_to_video",
    "unison_mixed_nodes",
    "unison_reference",
    "unison_text_to_image_and_video",
    "unison_understanding",
)
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
# Combos that list what is installed: any of the files that the notes speak of.
INSTALLED = {
    "UNETLoader.unet_name": {"wan2.1_vace_1.3B_fp16.safetensors"},
    "CLIPLoader.clip_name": {"umt5_xxl_fp8_e4m3fn_scaled.safetensors"},
    "VAELoader.vae_name": {"wan_2.1_vae.safetensors"},
    "UnisonLoadPlanner.planner": {"auto"},
    "UnisonLoadPlanner.lora": {"none"},
    "UnisonLoadProjector.projector": {"projector.pth"},
    "UnisonLoadDetector.detector": {"none found"},
    "UnisonLoadSegmenter.segmenter": {"none found"},
    "UnisonLoadControlModel.control": {"none found"},
    "LoraLoaderModelOnly.lora_name": {"your_lora.safetensors", FAST_LORA},
    "LoadImage.image": {"example.png"},
    "LoadVideo.file": {"example.mp4"},
    "LoadImageMask.image": {"mask.png"},
}
MEDIA_FILES = {"image1.png", "image2.png", "video1.mp4", "mask1.png"}
FILE_NAME = re.compile(r"[\w.\-/\\]+\.(?:safetensors|pth|pt|png|jpg|mp4|webm|gguf|json)\b")


def read(path):
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module", params=NAMES)
def workflow(request):
    return {"name": request.param, **read(FOLDER / f"{request.param}.json")}


def inputs_of(host, node_type):
    """(name, type, options, required) in definition order."""
    shape = (CORE[host] | OURS)[node_type]["inputs"]
    return [
        (name, kind, options, group == "required")
        for group in ("required", "optional")
        for name, (kind, options) in shape[group].items()
    ]


def is_widget(kind):
    return kind in WIDGETS or kind == DYNAMIC


def own(workflow):
    """The nodes besides notes."""
    return [node for node in workflow["nodes"] if node["type"] != NOTE]


def widgets_of(node, host):
    """(name, kind, options, value) of the widgets that the file has values for."""
    values = iter(node["widgets_values"])
    for name, kind, options, _ in inputs_of(host, node["type"]):
        if is_widget(kind):
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


# ---------------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_script_makes_these_files_with_plain_python(seed):
    """-S: without site-packages. A failure says which file differs; `python scripts/build_workflows.py` writes it."""
    env = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-S", BUILD, "--check"], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_changed_file_is_found(tmp_path):
    for folder in ("scripts", "workflows", "tests/host/api", "tests/host/data"):
        (tmp_path / folder).mkdir(parents=True)
        for path in (ROOT / folder).glob("*.*"):
            (tmp_path / folder / path.name).write_bytes(path.read_bytes())
    changed = tmp_path / "workflows" / "unison_demo.json"
    changed.write_text(changed.read_text("utf-8").replace("red circle", "green circle"), "utf-8")
    command = [sys.executable, tmp_path / "scripts" / "build_workflows.py"]
    done = subprocess.run([*command, "--check"], capture_output=True, text=True)
    assert done.returncode == 1 and "unison_demo.json" in done.stdout
    subprocess.run(command, check=True, capture_output=True)
    assert changed.read_bytes() == (FOLDER / "unison_demo.json").read_bytes()


def test_the_names_are_these():
    assert tuple(sorted(path.stem for path in FOLDER.glob("*.json"))) == NAMES == tuple(sorted(ROLES))


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_thumbnail(name):
    path = FOLDER / f"{name}.jpg"
    assert path.stat().st_size <= 100 * 1024
    with Image.open(path) as picture:
        assert picture.format == "JPEG" and picture.size == (480, 270)


def test_scripts_and_workflows_are_ascii():
    for path in [*(ROOT / "scripts").glob("*.py"), *FOLDER.glob("*.json"), *API.glob("*.json")]:
        assert path.read_text("utf-8").isascii(), path


# ---------------------------------------------------------------------------------------------- against the nodes


@pytest.mark.parametrize("host", HOSTS)
def test_slots_are_those_of_the_host(workflow, host):
    for node in own(workflow):
        known = inputs_of(host, node["type"])
        slots = [name for name, kind, *_ in known if not is_widget(kind)]
        widgets = [name for name, kind, *_ in known if is_widget(kind)]
        names = [entry["name"] for entry in node["inputs"]]
        linkable = [entry["name"] for entry in node["inputs"] if "widget" in entry]
        # Links name a slot by number: sockets first, in order; what one host has besides comes behind.
        assert names == slots + linkable, node["type"]
        assert linkable == widgets[: len(linkable)], node["type"]
        kinds = {name: kind for name, kind, *_ in known}
        for entry in node["inputs"]:
            assert "widget" not in entry or entry["widget"] == {"name": entry["name"]}
            wanted = {MATCH: "*", DYNAMIC: "COMBO"}.get(kinds[entry["name"]], kinds[entry["name"]])
            assert entry["type"] == wanted
        outputs = [tuple(pair) for pair in (CORE[host] | OURS)[node["type"]]["outputs"]]
        here = [(entry["name"], entry["type"]) for entry in node["outputs"]]
        assert [name for name, _ in here] == [name for name, _ in outputs[: len(here)]]
        for (_, found), (_, kind) in zip(here, outputs, strict=False):
            assert kind == MATCH or found == kind


def fits(kind, wanted):
    """Whether a link of this type may go into an input of that one."""
    return wanted in ("*", MATCH) or bool(set(kind.split(",")) & set(wanted.split(",")))


@pytest.mark.parametrize("host", HOSTS)
def test_links_fit(workflow, host):
    nodes = {node["id"]: node for node in workflow["nodes"]}
    numbers = [link[0] for link in workflow["links"]]
    assert len(set(numbers)) == len(numbers) and workflow["last_link_id"] == max(numbers)
    assert workflow["last_node_id"] == max(nodes)
    for number, origin, out, target, slot, kind in workflow["links"]:
        socket = nodes[target]["inputs"][slot]
        assert socket["link"] == number
        assert number in nodes[origin]["outputs"][out]["links"]
        assert nodes[origin]["outputs"][out]["type"] == kind
        wanted = {name: kind for name, kind, *_ in inputs_of(host, nodes[target]["type"])}[socket["name"]]
        assert fits(kind, wanted), (nodes[origin]["type"], nodes[target]["type"], socket["name"])
    ends = [entry["link"] for node in nodes.values() for entry in node["inputs"] if entry["link"] is not None]
    starts = [number for node in nodes.values() for entry in node["outputs"] for number in entry["links"] or []]
    assert sorted(ends) == sorted(starts) == sorted(numbers)


@pytest.mark.parametrize("host", HOSTS)
def test_widget_values_are_allowed(workflow, host):
    for node in own(workflow):
        for name, kind, options, value in widgets_of(node, host):
            key = f"{node['type']}.{name}"
            if key in INSTALLED:
                assert value in INSTALLED[key]
            elif kind == "COMBO":
                assert value in options["options"], key
            elif kind == DYNAMIC:
                assert value == "auto"
            else:
                kinds = {"INT": int, "FLOAT": (int, float), "STRING": str, "BOOLEAN": bool}
                assert isinstance(value, kinds[kind]) and isinstance(value, bool) == (kind == "BOOLEAN"), key
            if kind in ("INT", "FLOAT"):
                assert options.get("min", value) <= value <= options.get("max", value), key


def test_every_widget_of_the_oldest_host_has_a_value(workflow):
    for node in own(workflow):
        wanted = [name for name, kind, *_ in inputs_of(HOSTS[0], node["type"]) if is_widget(kind)]
        assert [name for name, *_ in widgets_of(node, HOSTS[0])] == wanted, node["type"]


@pytest.mark.parametrize("host", HOSTS)
def test_required_inputs_are_given(workflow, host):
    for node in own(workflow):
        linked = {entry["name"] for entry in node["inputs"] if entry["link"] is not None}
        valued = {name for name, *_ in widgets_of(node, host)}
        required = {name for name, _, _, required in inputs_of(host, node["type"]) if required}
        assert required <= linked | valued, node["type"]


@pytest.mark.parametrize("path", sorted(API.glob("unison_*.json")), ids=lambda path: path.stem)
@pytest.mark.parametrize("host", HOSTS)
def test_prompts_are_complete_on_the_host(path, host):
    prompt = read(path)
    for node, entry in prompt.items():
        known = inputs_of(host, entry["class_type"])
        assert set(entry["inputs"]) <= {name for name, *_ in known}
        assert {name for name, _, _, required in known if required} <= set(entry["inputs"]), (node, entry["class_type"])
        for value in entry["inputs"].values():
            if isinstance(value, list):
                assert value[0] in prompt
                assert value[1] < len((CORE[host] | OURS)[prompt[value[0]]["class_type"]]["outputs"])


# ---------------------------------------------------------------------------------------------- default state


def test_loaders_are_off_and_all_else_is_on(workflow):
    for node in own(workflow):
        off = node["type"] in (*MODEL_LOADERS, *ANNOTATOR_LOADERS, *MEDIA_LOADERS, "LoraLoaderModelOnly")
        assert node["mode"] == (BYPASSED if off else 0), node["type"]


def test_the_prompt_is_the_graph_without_what_is_off(workflow):
    prompt = read(API / f"{workflow['name']}.json")
    assert {int(node) for node in prompt} == {node["id"] for node in own(workflow) if node["mode"] == 0}
    assert all(
        entry["class_type"] not in (*MODEL_LOADERS, *ANNOTATOR_LOADERS, *MEDIA_LOADERS) for entry in prompt.values()
    )


def test_the_prompt_with_media_has_just_those_besides(workflow):
    path = API / f"{workflow['name']}.media.json"
    loaders = [node for node in own(workflow) if node["type"] in MEDIA_LOADERS]
    assert path.is_file() == bool(loaders)
    if not loaders:
        return
    plain, prompt = read(API / f"{workflow['name']}.json"), read(path)
    more = {node: prompt[node] for node in set(prompt) - set(plain)}
    assert more and set(plain) <= set(prompt)
    for entry in more.values():
        assert entry["class_type"] in MEDIA_LOADERS
        assert {value for name, value in entry["inputs"].items() if name in ("image", "file")} <= MEDIA_FILES


def test_roles_name_every_node(workflow):
    roles = ROLES[workflow["name"]]
    assert sorted(map(int, roles.values())) == sorted(node["id"] for node in workflow["nodes"])
    everywhere = [(key, number) for other in ROLES.values() for key, number in other.items()]
    assert all(number == roles[key] for key, number in everywhere if key in roles)


def test_your_models_go_into_the_models_node(workflow):
    nodes = {node["id"]: node for node in workflow["nodes"]}
    (models,) = [node for node in nodes.values() if node["type"] == "UnisonDemoModels"]
    feeding = [nodes[link[1]]["type"] for link in workflow["links"] if link[3] == models["id"]]
    assert feeding == list(MODEL_LOADERS)


def test_model_links_are_those_of_the_backend(workflow):
    needs = {need.file: need for need in NEEDS}
    loaders = [node for node in own(workflow) if node["type"] != "LoraLoaderModelOnly"]
    linked = [model for node in loaders for model in node["properties"].get("models", [])]
    assert [needs[model["name"]].key for model in linked] == ["vace", "text_encoder", "vae"]
    for model in linked:
        need = needs[model["name"]]
        path = f"split_files/{need.folders[0]}/{need.file}"
        assert model == {"name": need.file, "url": f"{need.link}/resolve/main/{path}", "directory": need.folders[0]}


def test_no_other_files_and_no_paths(workflow):
    listed = {name for names in INSTALLED.values() for name in names} | {need.file for need in NEEDS}
    for node in workflow["nodes"]:
        for value in node["widgets_values"]:
            if not isinstance(value, str):
                continue
            text = re.sub(r"https://huggingface\.co/\S+?\)", "", value)
            assert "\\" not in text and "://" not in text
            assert not re.search(r"(?:^|[\s\"'])(?:/|~|[A-Za-z]:)", text), value
            assert set(FILE_NAME.findall(text)) <= listed, value
    for address in re.findall(r"https?://[^)\"\s]+", json.dumps(workflow)):
        assert address.startswith((FAST_LORAS, *(need.link for need in NEEDS))), address


def test_nodes_carry_what_the_manager_needs(workflow):
    for node in own(workflow):
        pack = "unison" if node["type"].startswith("Unison") else "comfy-core"
        assert node["properties"]["cnr_id"] == pack
        assert re.fullmatch(r"\d+\.\d+\.\d+", node["properties"]["ver"])
        assert node["properties"]["Node name for S&R"] == node["type"]


# ---------------------------------------------------------------------------------------------- how it looks


def test_nothing_overlaps(workflow):
    for one, other in itertools.combinations(workflow["nodes"], 2):
        left, right = rectangle(one), rectangle(other)
        apart = left[2] <= right[0] or right[2] <= left[0] or left[3] <= right[1] or right[3] <= left[1]
        assert apart, (one["type"], other["type"])


def test_every_node_lies_in_one_group_and_groups_are_apart(workflow):
    groups = []
    for group in workflow["groups"]:
        x, y, width, height = group["bounding"]
        groups.append((x, y, x + width, y + height))
        assert group["title"] and re.fullmatch(r"#[0-9a-fA-F]{3,6}", group["color"])
    for one, other in itertools.combinations(groups, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for node in workflow["nodes"]:
        left, top, right, bottom = rectangle(node)
        inside = [g for g in groups if g[0] <= left and g[1] <= top and right <= g[2] and bottom <= g[3]]
        assert len(inside) == 1, node["type"]


def test_links_lead_to_the_right(workflow):
    """In the auto workflow two groups stand below those that feed them; there links lead back to the next row."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    back = {
        (nodes[link[1]]["type"], nodes[link[3]]["type"])
        for link in workflow["links"]
        if nodes[link[1]]["pos"][0] > nodes[link[3]]["pos"][0]
    }
    below = {("UnisonPlanner", "UnisonProjector"), ("UnisonPlanner", "UnisonTextContext")}
    below |= {("UnisonComposite", "UnisonRouteModality")}
    assert back == (below if workflow["name"] == "unison_auto" else set())


def test_groups_and_notes_are_there(workflow):
    titles = [group["title"] for group in workflow["groups"]]
    assert titles[0] == "Start here" and titles[-1] == "Results"
    assert {"Models", "Your models"} < set(titles)
    assert {"Instruction", "Instruction and media"} & set(titles)
    notes = notes_of(workflow)
    how = notes["How to use this workflow"]
    loads = any(node["type"] in MEDIA_LOADERS for node in workflow["nodes"])
    assert "coloured shapes" in how and "Type the instruction" in how and "Your own models" in how
    assert ("Choose media" in how and "Ctrl+B" in how) == loads
    assert "Ctrl+B" in notes["Your models: what goes where"]
    assert workflow["extra"]["info"]["name"].startswith("Unison")


def test_workflows_that_want_media_say_so(workflow):
    instruction = next(node for node in workflow["nodes"] if node["type"] == "UnisonPlanner")["widgets_values"][0]
    note = notes_of(workflow)["How to use this workflow"]
    assert ("names media that are off" in note) == bool(re.search(r"<(image|video|mask)\d>", instruction))


# ---------------------------------------------------------------------------------------------- the auto workflow


@pytest.fixture(scope="module")
def auto():
    return {"name": "unison_auto", **read(FOLDER / "unison_auto.json")}


def test_auto_is_wired_from_single_nodes(auto):
    counts = {}
    for node in own(auto):
        counts[node["type"]] = counts.get(node["type"], 0) + 1
    assert "UnisonVACESampler" not in counts
    assert counts == {
        **dict.fromkeys(("UnisonDemoModels", *MODEL_LOADERS, "UnisonPlanner", "LoadVideo", "LoadImageMask"), 1),
        **dict.fromkeys(("UnisonProjector", "UnisonTextContext", "UnisonRouteTask", "UnisonVACEConditioning"), 1),
        **dict.fromkeys(("ModelSamplingSD3", "UnisonSampler", "UnisonSigmas", "SamplerCustom", "TrimVideoLatent"), 1),
        **dict.fromkeys((*ANNOTATOR_LOADERS, "UnisonComposite"), 1),
        **dict.fromkeys(("VAEDecode", "ImageFromBatch", "SaveImage", "CreateVideo", "SaveVideo", "PreviewAny"), 1),
        "LoadImage": 2,
        "UnisonPrepareSources": 5,
        "UnisonRouteModality": 2,
    }


def test_auto_routes_these_branches_and_no_other():
    roles = ROLES["unison_auto"]
    prompt = read(API / "unison_auto.json")
    branches = {
        "sources_text": ("text_to_image", "text_to_video"),
        "sources_reference": ("image_reference", "video_reference"),
        "sources_frames": ("image_to_video",),
        "sources_control": ("image_control", "video_control"),
        "sources_editing": ("image_editing", "video_editing"),
    }
    wanted = {task: [roles[role], 0] for role, tasks in branches.items() for task in tasks}
    assert prompt[roles["route_task"]]["inputs"] == {"plan": [roles["planner"], 0], **wanted}
    assert set(wanted) | {"text_understanding", "image_understanding", "video_understanding"} == {str(t) for t in Task}
    for role in branches:
        assert prompt[roles[role]]["inputs"]["plan"] == [roles["planner"], 0]


def test_auto_samples_as_the_reference():
    roles = ROLES["unison_auto"]
    prompt = read(API / "unison_auto.json")
    assert prompt[roles["shift"]]["inputs"]["shift"] == 5.0
    assert prompt[roles["sigmas"]]["inputs"] == {"steps": 50, "shift": 5.0}
    sample = prompt[roles["sample"]]["inputs"]
    assert (sample["cfg"], sample["noise_seed"], sample["add_noise"]) == (5.0, 0, True)


def test_the_demo_samples_with_its_models_guidance():
    prompt = read(API / "unison_demo.json")
    assert prompt[ROLES["unison_demo"]["sampler"]]["inputs"]["cfg"] == CFG


def test_the_fast_workflow_samples_as_the_template_that_ships_its_lora():
    """ComfyUI's video_wan_vace_14B_t2v, but for its 4 steps."""
    roles, prompt = ROLES["unison_fast"], read(API / "unison_fast.json")
    sample = prompt[roles["sample"]]
    assert sample["class_type"] == "KSampler"
    settings = {"steps": 8, "cfg": 1.0, "sampler_name": "uni_pc", "scheduler": "simple", "denoise": 1.0}
    assert settings.items() <= sample["inputs"].items()
    shift, padding = prompt[roles["shift"]]["inputs"], prompt[roles["padding"]]["inputs"]
    assert (shift["shift"], shift["model"]) == (8.0, [roles["padding"], 0])
    assert padding["model"] == [roles["models"], 0]
    (lora,) = [node for node in read(FOLDER / "unison_fast.json")["nodes"] if node["type"] == "LoraLoaderModelOnly"]
    assert lora["mode"] == BYPASSED and lora["widgets_values"] == [FAST_LORA, 0.7]
    url = f"{FAST_LORAS}/resolve/main/{FAST_LORA}"
    assert lora["properties"]["models"] == [{"name": FAST_LORA, "url": url, "directory": "loras"}]


# ---------------------------------------------------------------------------------------------- words


@pytest.fixture(scope="module")
def examples():
    """(task, instruction) of the note in the auto workflow."""
    note = notes_of(read(FOLDER / "unison_auto.json"))["Examples for the 12 tasks"]
    return re.findall(r"- \*\*(\w+)\*\*: `(.+)`", note)


def planned(instruction):
    """The rules' plan with just the media named connected."""
    names = list(dict.fromkeys(re.findall(r"<((?:image|video|mask)\d)>", instruction)))
    kinds = {name: "video" if name.startswith("video") else "image" for name in names}
    media = {name: [Medium(kinds[name], name=name, is_mask=name.startswith("mask"))] for name in names}
    return RulesPlanner().plan(bind_names(instruction, media)).plan


def test_examples_plan_what_they_say(examples):
    assert {task for task, _ in examples} == {str(task) for task in Task}
    for task, instruction in examples:
        assert str(planned(instruction).task) == task, instruction
    assert sum(not instruction.isascii() for _, instruction in examples) == 2


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("unison_demo", "text_to_image"),
        ("unison_auto", "text_to_image"),
        ("unison_understanding", "text_understanding"),
        ("unison_text_to_image_and_video", "text_to_video"),
        ("unison_editing", "video_editing"),
        ("unison_control", "video_control"),
        ("unison_reference", "video_reference"),
        ("unison_image_to_video", "image_to_video"),
        ("unison_mixed_nodes", "text_to_video"),
        ("unison_fast", "text_to_image"),
    ],
)
def test_default_instructions_plan_their_task(name, task):
    instruction = read(API / f"{name}.json")[ROLES[name]["planner"]]["inputs"]["instruction"]
    assert str(planned(instruction).task) == task


def test_instructions_in_notes_are_understood(workflow):
    for note in notes_of(workflow).values():
        for sentence in re.findall(r"`((?:Create|Make|Change|Animate)[^`]+)`", note):
            assert planned(sentence).task.is_generation, sentence


def test_media_names_in_notes_are_seen(workflow):
    """Outside of backticks Markdown takes <image1> for HTML and drops it."""
    for note in notes_of(workflow).values():
        assert "<" not in re.sub(r"`[^`]*`", "", note)
