"""The example workflows as files: made by scripts/build_workflows.py, true to both hosts' nodes, and tidy."""

import ast
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from unison_backend.demo import samples
from unison_backend.demo.set import CFG
from unison_backend.plan.prompt import Medium, bind_names
from unison_backend.plan.tasks import Task
from unison_backend.planner.rules.plan import RulesPlanner
from unison_backend.weights.experts import BOUNDARY, side_of
from unison_backend.weights.needs import NEEDS

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.fixture(scope="module", params=NAMES)
def workflow(request):
    return workflow_of(request.param)


@pytest.fixture(scope="module", params=(*NAMES, *BLUEPRINTS))
def graph(request):
    """A workflow as it is, or the inside of a blueprint's subgraph, whose links from outside are left out."""
    if request.param in TITLES:
        return workflow_of(request.param)
    (nested,) = read(SUBGRAPHS / f"{request.param}.json")["definitions"]["subgraphs"]
    links = [
        [link["id"], link["origin_id"], link["origin_slot"], link["target_id"], link["target_slot"], link["type"]]
        for link in nested["links"]
    ]
    return {"name": nested["name"], "nodes": nested["nodes"], "groups": nested["groups"], "links": links}


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


# ---------------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_script_makes_these_files_with_plain_python(seed):
    """-S: without site-packages. A failure says which file differs; `python scripts/build_workflows.py` writes it."""
    env = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-S", BUILD, "--check"], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_changed_file_is_found(tmp_path):
    for folder in ("scripts", "scripts/workflow_notes", "workflows", "subgraphs", "tests/host/api", "tests/host/data"):
        (tmp_path / folder).mkdir(parents=True)
        for path in (ROOT / folder).glob("*.*"):
            (tmp_path / folder / path.name).write_bytes(path.read_bytes())
    changed = tmp_path / "workflows" / f"{TITLES['unison_demo']}.json"
    changed.write_text(changed.read_text("utf-8").replace("red circle", "green circle"), "utf-8")
    command = [sys.executable, tmp_path / "scripts" / "build_workflows.py"]
    done = subprocess.run([*command, "--check"], capture_output=True, text=True)
    assert done.returncode == 1 and changed.name in done.stdout
    subprocess.run(command, check=True, capture_output=True)
    assert changed.read_bytes() == (FOLDER / changed.name).read_bytes()


def test_the_names_are_these():
    """A title is a file name on every system, short enough for its tile, and says what people search."""
    assert {path.stem for path in FOLDER.glob("*.json")} == set(TITLES.values()) and set(TITLES) == set(ROLES)
    said = " ".join(TITLES.values()).lower()
    for title in TITLES.values():
        assert len(title) <= 45 and not set(title) & set('<>:"/\\|?*'), title
    for words in (
        "text to image",
        "image edit",
        "inpaint",
        "video edit",
        "image to video",
        "animate",
        "controlnet",
        "caption",
    ):
        assert words in said, words


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_thumbnail(name):
    path = FOLDER / f"{TITLES[name]}.jpg"
    assert path.stat().st_size <= 100 * 1024
    with Image.open(path) as picture:
        assert picture.format == "JPEG" and picture.size == (512, 512)


def test_scripts_and_workflows_are_ascii():
    for path in [*(ROOT / "scripts").glob("*.py"), *FOLDER.glob("*.json"), *API.glob("*.json")]:
        assert path.read_text("utf-8").isascii(), path


# ---------------------------------------------------------------------------------------------- against the nodes


@pytest.mark.parametrize("host", HOSTS)
def test_slots_are_those_of_the_host(graph, host):
    skip_where_it_cannot_be(graph["name"], host)
    for node in own(graph):
        known = inputs_of(host, node["type"])
        slots = [name for name, kind, options, _ in known if not is_widget(kind, options)]
        widgets = [name for name, kind, options, _ in known if is_widget(kind, options)]
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
    skip_where_it_cannot_be(workflow["name"], host)
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
def test_widget_values_are_allowed(graph, host):
    skip_where_it_cannot_be(graph["name"], host)
    for node in own(graph):
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


def test_every_widget_of_the_oldest_host_has_a_value(graph):
    host = HOSTS[-1] if graph["name"] in NEWER else HOSTS[0]
    assert all(None not in node["widgets_values"] for node in graph["nodes"])
    for node in own(graph):
        known = inputs_of(host, node["type"])
        wanted = [name for name, kind, options, _ in known if is_widget(kind, options)]
        if graph["name"] in NEWER and node["type"] in CORE[HOSTS[0]]:
            wanted = wanted[: len(list(widgets_of(node, host)))]
        assert [name for name, *_ in widgets_of(node, host)] == wanted, node["type"]


@pytest.mark.parametrize("host", HOSTS)
def test_required_inputs_are_given(workflow, host):
    skip_where_it_cannot_be(workflow["name"], host)
    for node in own(workflow):
        linked = {entry["name"] for entry in node["inputs"] if entry["link"] is not None}
        valued = {name for name, *_ in widgets_of(node, host)}
        required = {name for name, _, _, required in inputs_of(host, node["type"]) if required}
        assert required <= linked | valued, node["type"]


@pytest.mark.parametrize("path", sorted(API.glob("unison_*.json")), ids=lambda path: path.stem)
@pytest.mark.parametrize("host", HOSTS)
def test_prompts_are_complete_on_the_host(path, host):
    skip_where_it_cannot_be(path.stem, host)
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


def test_media_are_on_and_models_of_ones_own_are_off(workflow):
    """So that each runs on the first Run; but for the workflow that is there for models of one's own."""
    for node in own(workflow):
        off = {*MODEL_LOADERS, *ANNOTATOR_LOADERS, "LoraLoaderModelOnly", "EasyCache"}
        if workflow["name"] in OWN:
            off = {"UnisonLoadProjector"} | (
                set(ANNOTATOR_LOADERS) if workflow["name"] == "unison_your_models" else set()
            )
        assert node["mode"] == (BYPASSED if node["type"] in off else 0), node["type"]


def test_the_prompt_is_the_graph_without_what_is_off(workflow):
    prompt = read(API / f"{workflow['name']}.json")
    wanted = set()
    nested = {entry["id"]: entry for entry in workflow.get("definitions", {}).get("subgraphs", ())}
    for node in own(workflow):
        inner = nested.get(node["type"], {}).get("nodes", ())
        wanted |= {f"{node['id']}:{one['id']}" for one in inner}
        wanted |= {str(node["id"])} if node["mode"] == 0 and node["type"] not in nested else set()
    assert set(prompt) == wanted
    assert workflow["name"] in OWN or all(
        entry["class_type"] not in (*MODEL_LOADERS, *ANNOTATOR_LOADERS) for entry in prompt.values()
    )


def test_media_that_are_on_take_part_only_where_they_are_named(workflow):
    planner = read(API / f"{workflow['name']}.json")[ROLES[workflow["name"]]["planner"]]
    assert planner["inputs"]["media"] == "named"
    named = set(re.findall(r"<((?:image|video|mask)\d)>", planner["inputs"]["instruction"]))
    assert named <= {name for name, value in planner["inputs"].items() if isinstance(value, list)}


def test_roles_name_every_node(workflow):
    roles = ROLES[workflow["name"]]
    outside = [int(number) for number in roles.values() if ":" not in number]
    assert sorted(outside) == sorted(node["id"] for node in workflow["nodes"])
    everywhere = [(key, n.rpartition(":")[2]) for other in ROLES.values() for key, n in other.items()]
    assert all(number == roles[key].rpartition(":")[2] for key, number in everywhere if key in roles)


@pytest.mark.parametrize("name", [*WIRED, *OWN])
def test_your_models_go_into_the_models_node(name):
    made = workflow_of(name)
    nodes = {node["id"]: node for node in made["nodes"]}
    takes = {"UnisonDemoModels"} | {entry["id"] for entry in made.get("definitions", {}).get("subgraphs", ())}
    models = nodes[min(node["id"] for node in nodes.values() if node["type"] in takes)]
    feeding = [nodes[link[1]]["type"] for link in made["links"] if link[3] == models["id"]]
    assert feeding[: len(MODEL_LOADERS)] == list(MODEL_LOADERS)


def test_model_links_are_those_of_the_backend(workflow):
    needs = {need.file: need for need in NEEDS}
    loaders = [node for node in own(workflow) if node["type"] != "LoraLoaderModelOnly"]
    linked = [model for node in loaders for model in node["properties"].get("models", [])]
    annotators = {"unison_route": ("segmenter", "depth"), "unison_sam3": ("sam3",)}
    usual = ("vace", "text_encoder", "vae", "projector") if workflow["name"] in WIRED else ()
    usual = usual[workflow["name"] == "unison_experts" :]
    wanted = OWN.get(workflow["name"], (*usual, *annotators.get(workflow["name"], ())))
    single = dict(zip(SINGLE, ("segmenter", "depth", "sam3"), strict=True))
    assert [single.get(model["name"]) or needs[model["name"]].key for model in linked] == list(wanted)
    for model in linked:
        if model["name"] in single:
            (folder, page), name = SINGLE[model["name"]], model["name"]
            path = f"{folder}/{name}" if folder == "checkpoints" else name
            assert model == {"name": name, "url": f"{page}/resolve/main/{path}", "directory": folder}
            continue
        need = needs[model["name"]]
        path = need.file if need.key == "projector" else f"split_files/{need.folders[0]}/{need.file}"
        assert model == {"name": need.file, "url": f"{need.link}/resolve/main/{path}", "directory": need.folders[0]}


def test_a_loader_holds_the_name_that_comfyui_offers(workflow):
    """ComfyUI's dialog matches a file by the widget's value, and looks for just that in the list when it has come."""
    for node in own(workflow):
        for model in node["properties"].get("models", []):
            assert node["widgets_values"][0] == model["name"], node["type"]


def test_our_loaders_list_offered_files_by_that_name():
    tree = ast.parse((ROOT / "nodes" / "folders.py").read_text("utf-8"))
    (offered,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "OFFERED"
    ]
    held = [
        model["name"]
        for name in NAMES
        for node in own(workflow_of(name))
        if node["type"].startswith("Unison")
        for model in node["properties"].get("models", [])
    ]
    assert set(offered) == set(held)


def test_sam3_is_asked_for_what_the_plan_names():
    made = workflow_of("unison_sam3")
    nodes, roles = {node["id"]: node for node in made["nodes"]}, ROLES["unison_sam3"]
    feeds = {
        (nodes[link[3]]["id"], nodes[link[3]]["inputs"][link[4]]["name"]): (nodes[link[1]], link[2])
        for link in made["links"]
    }
    words, slot = feeds[int(roles["sam3_words"]), "text"]
    assert words["type"] == "UnisonPlanDetails" and words["outputs"][slot]["name"] == "target"
    mask, _ = feeds[int(roles["sources"]), "mask"]
    assert mask["type"] == "SAM3_TrackToMask"
    note = notes_of(made)[TITLES["unison_sam3"]]
    assert "Needs a ComfyUI that has SAM3" in note and "0.8 has none" in note


VALUES_WITH_SLASHES = {"unison/image", "unison/video", "unison/answer"}


def test_no_other_files_and_no_paths(workflow):
    listed = (
        {name for names in INSTALLED.values() for name in names} | {need.file for need in NEEDS} | {"docs/models.md"}
    )
    for node in workflow["nodes"]:
        for value in node["widgets_values"]:
            if not isinstance(value, str) or value in VALUES_WITH_SLASHES:
                continue
            text = re.sub(r"https://huggingface\.co/\S+?\)", "", value)
            assert "\\" not in text and "://" not in text
            assert not re.search(r"(?:^|[\s\"'])(?:/|~|[A-Za-z]:)", text), value
            assert set(FILE_NAME.findall(text)) <= listed, value
    for address in re.findall(r"https?://[^)\"\s]+", json.dumps(workflow)):
        pages = (FAST_LORAS, *(need.link for need in NEEDS), *(page for _, page in SINGLE.values()))
        assert address.startswith(pages), address


def test_nodes_carry_what_the_manager_needs(graph):
    for node in own(graph):
        nested = "-" in node["type"]
        pack = "unison" if nested or node["type"].startswith("Unison") else "comfy-core"
        assert node["properties"]["cnr_id"] == pack
        assert re.fullmatch(r"\d+\.\d+\.\d+", node["properties"]["ver"])
        assert nested or node["properties"]["Node name for S&R"] == node["type"]


# ---------------------------------------------------------------------------------------------- how it looks


def test_nothing_overlaps(graph):
    for one, other in itertools.combinations(graph["nodes"], 2):
        left, right = rectangle(one), rectangle(other)
        apart = left[2] <= right[0] or right[2] <= left[0] or left[3] <= right[1] or right[3] <= left[1]
        assert apart, (one["type"], other["type"])


def test_every_node_lies_in_one_group_and_groups_are_apart(graph):
    groups = []
    for group in graph["groups"]:
        x, y, width, height = group["bounding"]
        groups.append((x, y, x + width, y + height))
        assert group["title"] and re.fullmatch(r"#[0-9a-fA-F]{3,6}", group["color"])
    for one, other in itertools.combinations(groups, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for node in graph["nodes"]:
        left, top, right, bottom = rectangle(node)
        inside = [g for g in groups if g[0] <= left and g[1] <= top and right <= g[2] and bottom <= g[3]]
        assert len(inside) == 1, node["type"]


def test_links_lead_to_the_right(workflow):
    """In the workflow with routes two groups stand below those that feed them; there links lead back to the next row."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    back = {
        (nodes[link[1]]["type"], nodes[link[3]]["type"])
        for link in workflow["links"]
        if nodes[link[1]]["pos"][0] > nodes[link[3]]["pos"][0]
    }
    below = {("UnisonPlanner", "UnisonProjector"), ("UnisonPlanner", "UnisonTextContext")}
    below |= {("UnisonComposite", "UnisonRouteModality")}
    assert back == (below if workflow["name"] == "unison_route" else set())


def test_groups_and_notes_are_there(workflow):
    titles = [group["title"] for group in workflow["groups"]]
    assert titles[0] == "Start here" and titles[-1] in ("Result", "Results")
    note = notes_of(workflow)[TITLES[workflow["name"]]]
    assert "coloured shapes" in note and TITLES["unison_your_models"] in note
    assert len(re.findall("[\u4e00-\u9fff]", note)) > 40  # in Chinese as well
    assert len(note) < 2600


def test_workflows_around_unison_are_small_and_open_large(workflow):
    if workflow["name"] in WIRED:
        return
    limit, scale = (14, 0.55) if workflow["name"] in OWN else (8, 0.7)
    assert len(workflow["nodes"]) <= limit
    assert workflow["extra"]["ds"]["scale"] >= scale


# ---------------------------------------------------------------------------------------------- the subgraph


def nested_of(name):
    (nested,) = workflow_of(name)["definitions"]["subgraphs"]
    return nested


def test_every_workflow_and_blueprint_holds_the_same_subgraph():
    """They differ by name, description and category, and by the ids made of the name."""
    inside = [nested_of(name) for name in NAMES if name not in WIRED]
    inside += [read(SUBGRAPHS / f"{name}.json")["definitions"]["subgraphs"][0] for name in BLUEPRINTS]
    ports = [[entry["name"] for entry in nested["inputs"]] for nested in inside]
    assert all(nested["nodes"] == inside[0]["nodes"] and nested["links"] == inside[0]["links"] for nested in inside)
    assert all(names == ports[0] for names in ports)
    assert len({nested["id"] for nested in inside}) == len(BLUEPRINTS)


def test_the_subgraph_lets_out_what_a_person_sets():
    nested = nested_of("unison_auto")
    names = [entry["name"] for entry in nested["inputs"]]
    assert names[-5:] == ["instruction", "output", "seed", "steps", "cfg"]
    assert {"image1", "image2", "video1", "mask1", "mask2", "detector", "segmenter", "control_model"} < set(names)
    assert [entry["name"] for entry in nested["outputs"]] == ["image", "video", "answer", "plan"]
    links = {link["id"]: link for link in nested["links"]}
    nodes = {node["id"]: node for node in nested["nodes"]}
    for slot, entry in enumerate(nested["inputs"]):
        for number in entry["linkIds"]:
            link = links[number]
            assert (link["origin_id"], link["origin_slot"]) == (-10, slot)
            assert nodes[link["target_id"]]["inputs"][link["target_slot"]]["link"] == number
    for slot, entry in enumerate(nested["outputs"]):
        link = links[entry["linkIds"][0]]
        assert (link["target_id"], link["target_slot"]) == (-20, slot)
        assert link["id"] in nodes[link["origin_id"]]["outputs"][link["origin_slot"]]["links"]
    kinds = [node["type"] for node in nested["nodes"]]
    assert kinds.count("UnisonPrepareSources") == kinds.count("UnisonPlanner") == 1


def test_blueprints_are_found_by_what_people_search():
    """The node library's search sees the first thirty characters of a name."""
    heads = [name[:30].lower() for name in BLUEPRINTS]
    for words in ("text to image", "text to video", "image edit", "video edit", "inpaint", "object removal", "outpaint",
                  "image to video", "animate", "follow a map", "ask", "question", "mask", "caption"):  # fmt: skip
        assert any(words in head for head in heads), words
    for name in BLUEPRINTS:
        made = read(SUBGRAPHS / f"{name}.json")
        (node,), (nested,) = made["nodes"], made["definitions"]["subgraphs"]
        assert node["type"] == nested["id"] and nested["name"] == name and made["links"] == []
        assert "/" in nested["category"] or nested["category"] == "Text Tools"
        assert made["extra"]["BlueprintDescription"] == nested["description"]


def test_app_mode_shows_the_sentence_and_the_results():
    for name in (n for n in NAMES if n not in WIRED):
        made = workflow_of(name)
        nodes = {node["id"]: node for node in made["nodes"]}
        data = made["extra"]["linearData"]
        assert data["inputs"][0][1] == "instruction"
        for number, widget, *_ in data["inputs"]:
            assert widget in [entry["name"] for entry in nodes[number]["inputs"] if "widget" in entry]
        shown = {nodes[number]["type"] for number in data["outputs"]}
        assert shown and shown <= {"SaveImage", "SaveVideo", "UnisonAnswer"}
        assert bool(made["extra"].get("linearMode")) == (name == "unison_app")


# ---------------------------------------------------------------------------------------------- wired by hand


def test_routes_are_these_branches_and_no_other():
    roles = ROLES["unison_route"]
    prompt = read(API / "unison_route.json")
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


def test_graphs_sample_with_the_guidance_of_their_models():
    """Stock samplers take the demo models' number; the subgraph asks the model, whatever it is."""
    for name, role in (
        ("unison_demo", "sampler"),
        ("unison_experts", "sample"),
        ("unison_mixed_nodes", "sample"),
        ("unison_route", "sample"),
    ):
        assert read(API / f"{name}.json")[ROLES[name][role]]["inputs"]["cfg"] == CFG
    for name in (n for n in NAMES if n not in WIRED):
        assert read(API / f"{name}.json")[ROLES[name]["sampler"]]["inputs"]["cfg"] == 0


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
    (lora,) = [node for node in workflow_of("unison_fast")["nodes"] if node["type"] == "LoraLoaderModelOnly"]
    assert lora["mode"] == BYPASSED and lora["widgets_values"] == [FAST_LORA, 0.7]
    url = f"{FAST_LORAS}/resolve/main/{FAST_LORA}"
    assert lora["properties"]["models"] == [{"name": FAST_LORA, "url": url, "directory": "loras"}]


def test_two_experts_share_the_steps_where_wan_changes_them():
    roles, prompt = ROLES["unison_experts"], read(API / "unison_experts.json")
    first, last = (prompt[roles[role]] for role in ("sample", "sample_low"))
    assert {first["class_type"], last["class_type"]} == {"KSamplerAdvanced"}
    shared = ("steps", "cfg", "sampler_name", "scheduler", "noise_seed", "positive", "negative")
    assert all(first["inputs"][name] == last["inputs"][name] for name in shared)
    assert last["inputs"]["latent_image"] == [roles["sample"], 0]
    noise = ("add_noise", "return_with_leftover_noise")
    assert [first["inputs"][name] for name in noise] == ["enable", "enable"]
    assert [last["inputs"][name] for name in noise] == ["disable", "disable"]
    steps, shift = first["inputs"]["steps"], prompt[roles["shift"]]["inputs"]["shift"]
    assert shift == prompt[roles["shift_low"]]["inputs"]["shift"]
    times = [shift * u / (1 + (shift - 1) * u) for u in (1 - step / steps for step in range(steps))]
    change = sum(time >= BOUNDARY for time in times)
    ends = [(entry["inputs"]["start_at_step"], entry["inputs"]["end_at_step"]) for entry in (first, last)]
    assert ends == [(0, change), (change, 10000)]
    for end, models in (("", "models"), ("_low", "models_low")):
        assert prompt[roles[f"padding{end}"]]["inputs"]["model"] == [roles[models], 0]
    files = [
        node["widgets_values"][0] for node in workflow_of("unison_experts")["nodes"] if node["type"] == "UNETLoader"
    ]
    assert [side_of(file) for file in files] == ["high", "low"]


# ---------------------------------------------------------------------------------------------- words


@pytest.fixture(scope="module")
def examples():
    """(task, instruction) of the note in the workflow with routes."""
    note = notes_of(workflow_of("unison_route"))["Examples for the 12 tasks"]
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


TASKS = {
    "unison_demo": "text_to_image",
    "unison_auto": "text_to_image",
    "unison_app": "text_to_image",
    "unison_inpaint": "image_editing",
    "unison_understanding": "image_understanding",
    "unison_text_to_image_and_video": "text_to_video",
    "unison_editing": "video_editing",
    "unison_control": "image_control",
    "unison_reference": "image_reference",
    "unison_image_to_video": "image_to_video",
    "unison_mixed_nodes": "text_to_video",
    "unison_fast": "text_to_image",
    "unison_experts": "text_to_video",
    "unison_route": "text_to_image",
    "unison_your_models": "text_to_video",
    "unison_your_depth": "video_control",
    "unison_sam3": "video_editing",
}


@pytest.mark.parametrize("name", NAMES)
def test_default_instructions_plan_their_task(name):
    instruction = read(API / f"{name}.json")[ROLES[name]["planner"]]["inputs"]["instruction"]
    assert str(planned(instruction).task) == TASKS[name]


def test_instructions_in_notes_are_understood(workflow):
    for note in notes_of(workflow).values():
        for sentence in re.findall(r"`((?:Create|Make|Change|Animate)[^`]+)`", note):
            assert planned(sentence).task.is_generation, sentence


def test_media_names_in_notes_are_seen(workflow):
    """Outside of backticks Markdown takes <image1> for HTML and drops it."""
    for note in notes_of(workflow).values():
        assert "<" not in re.sub(r"`[^`]*`", "", note)
