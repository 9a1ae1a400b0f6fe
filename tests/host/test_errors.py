"""What a person reads when something goes wrong in the graph: what it is, with which input, and what to do; no paths."""

import graphs
import pytest
from host_prompts import Graph
from PIL import Image


@pytest.fixture(scope="module")
def media(host):
    """A picture, and a video that is none."""
    Image.new("RGB", (64, 64), "red").save(host.input_folder / "errors_red.png")
    (host.input_folder / "errors_broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(200))
    return {"image1": "errors_red.png", "video1": "errors_broken.mp4"}


def failed(run):
    """What the frontend gets of the node that failed."""
    assert run.status == "error" and len(run.errors) == 1, run.why
    return run.errors[0]


def test_the_kind_of_an_error_is_a_word_and_its_text_is_the_sentence(host):
    graph = Graph()
    _, planner = graphs.planned(graph, "Make <image1> red.")
    graph.node("PreviewAny", source=planner[3])
    error = failed(host.run(graph))
    assert error["exception_type"] == "PromptError" and error["node_id"] == planner.id
    assert error["exception_message"].strip() == (
        "the instruction names <image1>, but that input is not connected; connected: none"
    )


def test_files_are_named_as_the_interface_does(host, media):
    graph = Graph()
    _, planner = graphs.planned(graph, "Describe <video1>.", {"video1": media["video1"]})
    graph.node("PreviewAny", source=planner[2])
    error = failed(host.run(graph))
    assert "input/errors_broken.mp4" in error["exception_message"] and error["exception_type"] == "MediaError"
    assert str(host.base) not in error["exception_message"]


def test_a_question_without_a_model_says_which_to_get(host):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="What is a dog?")
    graph.node("PreviewAny", source=planner[2])
    text = failed(host.run(graph))["exception_message"]
    assert "set output to picture" in text and "models/unison/" in text and "7.5 GB" in text
    assert "https://huggingface.co/Qwen/Qwen2.5-VL-3B-Instruct" in text


@pytest.fixture
def no_models(host):
    """What other tests put into the models folder is not there for a while."""
    aside = host.base / "models aside"
    aside.mkdir()
    there = list(host.models_folder.iterdir())
    for path in there:
        path.rename(aside / path.name)
    yield
    for path in there:
        (aside / path.name).rename(path)
    aside.rmdir()


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize(
    ("node", "name", "folder", "link"),
    [
        (
            "UnisonLoadDetector",
            "detector",
            "models/unison/",
            "https://huggingface.co/IDEA-Research/grounding-dino-tiny",
        ),
        ("UnisonLoadSegmenter", "segmenter", "models/unison/", "https://huggingface.co/facebook/sam2.1-hiera-large"),
        ("UnisonLoadProjector", "projector", "models/unison/", "https://huggingface.co/ali-vilab/Unison"),
    ],
)
def test_models_that_are_not_there_are_named_with_folder_and_link(host, node, name, folder, link):
    spec = host.object_info(node)["input"]["required"][name]
    (nothing,) = spec[0] if isinstance(spec[0], list) else spec[1]["options"]
    graph = Graph()
    loader = graph.node(node, **{name: nothing})
    graph.node("PreviewAny", source=loader)
    run = host.run(graph)
    assert run.status == "rejected" and list(run.node_errors) == [loader.id]
    (error,) = run.node_errors[loader.id]["errors"]
    assert f"There is no {name} in the models folders yet." in error["details"]
    assert folder in error["details"] and link in error["details"]


@pytest.mark.parametrize("sampler", ["UnisonVACESampler", "UnisonVACEConditioning"])
def test_a_text_context_that_is_bypassed_is_an_error(host, sampler):
    """Bypassed, the frontend links its first CONDITIONING input to both of its outputs: what the projector made."""
    graph = Graph()
    models, planner = graphs.planned(graph, "Create a 64x64 image of a red circle.")
    projected = graph.node("UnisonProjector", projector=models[4], features=planner[1])
    sources = graph.node("UnisonPrepareSources", plan=planner)
    inputs = {"positive": projected, "negative": projected, "vae": models[2], "sources": sources, "strength": 1.0}
    if sampler == "UnisonVACESampler":
        inputs |= {"model": models[0], "seed": 0, "steps": 1, "shift": 5.0, "cfg": 1.0}
    made = graph.node(sampler, **inputs)
    graph.node("PreviewAny", source=made[0])
    error = failed(host.run(graph))
    assert error["exception_message"].startswith("positive holds no text: Text Context is switched off")
    assert "Ctrl+B" in error["exception_message"] and error["exception_type"] == "InputError"


def test_without_a_projector_too(host):
    graph = Graph()
    models = graph.node("UnisonDemoModels")
    planner = graph.node("UnisonPlanner", instruction="Create a 64x64 image of a red circle.")
    projected = graph.node("UnisonProjector", projector=models[4], features=planner[1])
    sources = graph.node("UnisonPrepareSources", plan=planner)
    made = graph.node(
        "UnisonVACEConditioning", positive=projected, negative=projected, vae=models[2], sources=sources, strength=1.0
    )
    graph.node("PreviewAny", source=made[0])
    assert failed(host.run(graph))["exception_message"].startswith("positive holds no text")


def test_projected_rows_are_text_once_they_went_through_text_context(host):
    graph = Graph()
    models, planner = graphs.planned(graph, "Create a 64x64 image of a red circle.")
    projected = graph.node("UnisonProjector", projector=models[4], features=planner[1])
    context = graph.node("UnisonTextContext", positive_in=projected, negative_in=projected, plan=planner)
    sources = graph.node("UnisonPrepareSources", plan=planner)
    made = graph.node(
        "UnisonVACEConditioning",
        positive=context[0],
        negative=context[1],
        vae=models[2],
        sources=sources,
        strength=1.0,
    )
    graph.node("PreviewAny", source=made[3])
    graphs.succeeded(host.run(graph))
