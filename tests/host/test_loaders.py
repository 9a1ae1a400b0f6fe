"""Where models are looked for, what is said when there are none, and what a name may not do."""

import shutil
from pathlib import Path

import graphs
import pytest
from host_prompts import Graph

from unison_backend.demo import set as demo


@pytest.fixture(scope="module")
def files(host_environment):
    """The embedded set."""
    return demo.ensure(Path(host_environment["UNISON_CACHE"]))


@pytest.fixture
def furnished(fresh_host, files, tmp_path):
    """A host that finds a planner where other packs keep theirs, and a projector where a paths file says."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "weights").mkdir(parents=True)
    shutil.copy(files.projector, elsewhere / "weights" / "small_projector.safetensors")
    paths = tmp_path / "paths.yaml"
    paths.write_text(f"mine:\n  base_path: {elsewhere}\n  unison: weights\n", encoding="utf-8")
    host = fresh_host("--extra-model-paths-config", str(paths))
    shutil.copytree(files.planner, host.models_folder / "LLM" / "Qwen-VL" / "small")
    return host


def options(host, node, name):
    spec = host.object_info(node)["input"]["required"][name]
    return spec[0] if isinstance(spec[0], list) else spec[1]["options"]


def test_models_are_found_where_people_keep_them(furnished):
    assert options(furnished, "UnisonLoadPlanner", "planner") == ["auto", "rules", "LLM/Qwen-VL/small"]
    assert options(furnished, "UnisonLoadProjector", "projector") == ["weights/small_projector.safetensors"]

    for name in ("LLM/Qwen-VL/small", "auto"):
        graph = Graph()
        planner = graph.node("UnisonLoadPlanner", planner=name, lora="none")
        plan = graph.node("UnisonPlanner", instruction="Create a picture of a dog.", planner=planner, force_plan=True)
        projector = graph.node("UnisonLoadProjector", projector="weights/small_projector.safetensors")
        projected = graph.node("UnisonProjector", projector=projector, features=plan[1])
        context = graph.node(
            "UnisonTextContext", projected=projected, plan=plan, positive_in=projected, negative_in=projected
        )
        graph.node("PreviewAny", source=context)
        run = graphs.succeeded(furnished.run(graph.prompt))
        shown = run.outputs[plan.id]["unison_plan"][0]
        # Without its LoRA the planning weights are untrained: the plan is any plan, the grammar sees that it is one.
        assert shown["planner"] == "qwen"
        assert shown["tokens"].endswith(("<CFI>", "<CFV>"))
        assert run.outputs[projected.id]["unison_notices"] == []
        said = ["auto: LLM/Qwen-VL/small"] if name == "auto" else []
        assert run.outputs[planner.id]["unison_notices"] == said


def test_published_files_are_listed(host):
    names = ("sam2/sam2.1_hiera_tiny.safetensors", "depthanything/depth_anything_v2_vits_fp32.safetensors")
    own = ("unison/sam2_hiera_small.pt", "unison/my_projector.pth", "unison/qwen_2.5_vl_fp16.safetensors")
    others = ("grounding-dino/groundingdino_swint_ogc.pth", "text_encoders/qwen_2.5_vl_7b_fp8_scaled.safetensors")
    files = [host.models_folder / name for name in (*names, *own, *others)]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
    try:
        assert {names[0], "unison/sam2_hiera_small.pt"} <= set(options(host, "UnisonLoadSegmenter", "segmenter"))
        assert names[1] in options(host, "UnisonLoadControlModel", "control")
        assert others[0] in options(host, "UnisonLoadDetector", "detector")
        assert {own[2], others[1]} <= set(options(host, "UnisonLoadPlanner", "planner"))
        projectors = options(host, "UnisonLoadProjector", "projector")
        assert own[1] in projectors and not {own[0], own[2]} & set(projectors)
    finally:
        for file in files:
            file.unlink()


def test_without_a_folder_auto_means_the_rules(host):
    graph = Graph()
    planner = graph.node("UnisonLoadPlanner", planner="auto", lora="none")
    plan = graph.node("UnisonPlanner", instruction="Create a picture of a dog.", planner=planner)
    projected = graph.node("UnisonProjector", features=plan[1])
    graph.node("PreviewAny", source=plan[3])
    graph.node("PreviewAny", source=projected)
    run = graphs.succeeded(host.run(graph.prompt))
    (told,) = run.outputs[planner.id]["unison_notices"]
    assert told.startswith("auto found no Qwen2.5-VL") and "models/unison/" in told and "https://" in told
    assert run.outputs[plan.id]["unison_plan"][0]["planner"] == "rules"
    assert run.outputs[projected.id]["unison_notices"] == ["no projector and no features: no projected tokens"]


BAD_NAMES = ("../../../etc/passwd", "/etc/passwd", "unison/../../..", "..\\..\\x", "nothing", "\x00", "rules/..")


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize(
    ("node", "field", "others", "message"),
    [
        ("UnisonLoadPlanner", "planner", {"lora": "none"}, "https://huggingface.co/"),
        (
            "UnisonLoadPlanner",
            "lora",
            {"planner": "rules"},
            "Unison's planning LoRA: a folder with adapter_config.json",
        ),
        (
            "UnisonLoadProjector",
            "projector",
            {},
            "projector.pth (50 MB) in models/unison/, from https://huggingface.co/",
        ),
    ],
)
def test_a_name_that_is_not_listed_is_refused(host, name, node, field, others, message):
    graph = Graph()
    loader = graph.node(node, **{field: name}, **others)
    graph.node("PreviewAny", source=loader)
    run = host.run(graph.prompt)
    assert run.status == "rejected"
    assert message in run.why
    assert host.alive


def test_demo_models_give_way_to_the_persons_own(host):
    """All three of them, or none."""
    graph = Graph()
    demo_models = graph.node("UnisonDemoModels")
    own = graph.node("UnisonDemoModels", model=demo_models[0], clip=demo_models[1], vae=demo_models[2])
    planner = graph.node("UnisonPlanner", instruction="Create a 64x64 picture of a dog.", planner=own[3])
    made = graphs.all_in_one(graph, own, planner, steps=1)
    graphs.save_image(graph, made[0])
    run = graphs.succeeded(host.run(graph.prompt))
    assert run.outputs[demo_models.id]["unison_notices"]
    assert own.id not in run.outputs

    graph = Graph()
    demo_models = graph.node("UnisonDemoModels")
    half = graph.node("UnisonDemoModels", model=demo_models[0])
    graph.node("PreviewAny", source=half[3])
    run = host.run(graph.prompt)
    assert run.status == "rejected"
    assert "clip, vae must be connected too" in run.why

    graph = Graph()
    projector = graph.node("UnisonDemoModels")[4]
    graph.node("PreviewAny", source=graph.node("UnisonDemoModels", projector=projector)[3])
    run = host.run(graph.prompt)
    assert run.status == "rejected"
    assert "connect planner too" in run.why


def test_the_demo_set_comes_with_the_pack(fresh_host):
    """Nothing is built, and the node says what the models know."""
    host = fresh_host(env={"UNISON_CACHE": ""})
    graph = Graph()
    models = graph.node("UnisonDemoModels")
    graph.node("PreviewAny", source=models[4])
    run = graphs.succeeded(host.run(graph.prompt))
    assert "coloured shapes" in run.outputs[models.id]["unison_notices"][0]
    assert [path.name for path in host.user_folder.glob("unison/*")] == ["sample_media.json"]


@pytest.mark.parametrize(
    ("node", "name", "file"),
    [
        ("UnisonLoadProjector", "projector", "projector.pth"),
        ("UnisonLoadSegmenter", "segmenter", "sam2.1_hiera_large.safetensors"),
        ("UnisonLoadControlModel", "control", "depth_anything_v2_vits_fp32.safetensors"),
    ],
)
def test_a_file_of_the_dialog_of_missing_models_is_listed_by_its_bare_name(host, node, name, file):
    """That is what a template holds and ComfyUI looks for; names with the folder, of graphs saved before, stay."""
    places = [host.models_folder / "unison" / file, host.models_folder / "unison" / "deeper" / file]
    places[1].parent.mkdir(parents=True, exist_ok=True)
    for place in places:
        place.write_bytes(b"x")
    try:
        listed = options(host, node, name)
        assert {file, f"unison/{file}", f"unison/deeper/{file}"} <= set(listed)
        assert listed.index(f"unison/{file}") < listed.index(file)
        graph = Graph()
        graph.node("PreviewAny", source=graph.node(node, **{name: file}))
        run = host.run(graph.prompt)
        assert run.status == "error" and file in run.why  # it was found, and holds no weights
    finally:
        for place in places:
            place.unlink()
    graph = Graph()
    graph.node("PreviewAny", source=graph.node(node, **{name: file}))
    assert host.run(graph.prompt).status == "rejected"
