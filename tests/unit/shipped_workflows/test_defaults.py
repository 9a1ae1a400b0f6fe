"""As a workflow opens: what is on, what is off, which models it offers."""

import ast
import json
import re

import pytest

from unison_backend.weights.needs import NEEDS

from .shipped import (
    ANNOTATOR_LOADERS,
    API,
    BYPASSED,
    FAST_LORAS,
    FILE_NAME,
    INSTALLED,
    MODEL_LOADERS,
    NAMES,
    OWN,
    ROLES,
    ROOT,
    SINGLE,
    TITLES,
    WIRED,
    notes_of,
    own,
    read,
    workflow_of,
)


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
