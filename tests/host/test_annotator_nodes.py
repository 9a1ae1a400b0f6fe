"""Detector and segmenter in the graph, on tiny models with random weights: paths, sockets, errors, cancel, memory."""

import importlib.util
import json
from pathlib import Path

import graphs
import pytest
from host_prompts import Graph, steps
from PIL import Image

TINY = Path(__file__).resolve().parents[1] / "unit" / "tiny_annotators.py"


@pytest.fixture(scope="module")
def furnished(host):
    """The session's host with a tiny detector and a tiny segmenter in its models folder."""
    spec = importlib.util.spec_from_file_location("tiny_annotators", TINY)
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    tiny.make_detector(host.models_folder / "unison" / "dino")
    tiny.make_segmenter(host.models_folder / "sam2" / "sam")
    return host


def loaded(graph):
    return (
        graph.node("UnisonLoadDetector", detector="unison/dino"),
        graph.node("UnisonLoadSegmenter", segmenter="sam2/sam"),
    )


def picture(graph, count=1):
    return graph.node("EmptyImage", width=96, height=64, batch_size=count, color=0x336699)


def test_boxes_become_masks(furnished):
    graph = Graph()
    detector, segmenter = loaded(graph)
    clip = picture(graph, 3)
    found = graph.node("UnisonDetect", detector=detector, images=clip, phrase="cat", frame=1, threshold=0.0)
    boxes = graph.node("PreviewAny", source=found[0])
    areas = graph.node("PreviewImage", images=graph.node("MaskToImage", mask=found[1]))
    masks = graph.node("UnisonSegment", segmenter=segmenter, images=clip, boxes=found[0])
    shown = graph.node("PreviewImage", images=graph.node("MaskToImage", mask=masks))
    run = graphs.succeeded(furnished.run(graph.prompt))
    listed = json.loads(run.outputs[boxes.id]["text"][0])
    assert listed and {entry["frame"] for entry in listed} == {1}
    scores = [entry["score"] for entry in listed]
    assert scores == sorted(scores, reverse=True)
    for entry in listed:
        left, top, right, bottom = entry["box"]
        assert 0 <= left < right <= 96 and 0 <= top < bottom <= 64
    assert len(run.files(areas)) == 1
    assert [Image.open(file).size for file in run.files(shown)] == [(96, 64)] * 3
    (drawn,) = graphs.card_pictures(furnished, run, found)
    assert drawn.size == (96, 64) and run.files(found) == []  # the boxes, drawn: on the card, not as a result


@pytest.mark.parametrize(("masks", "frames", "fits"), [(1, 3, True), (3, 3, True), (2, 3, False), (3, 1, False)])
def test_how_many_masks_mark_a_frame(furnished, masks, frames, fits):
    graph = Graph()
    _, segmenter = loaded(graph)
    clip = picture(graph, frames)
    marks = graph.node("SolidMask", value=1.0, width=96, height=64)
    repeated = graph.node("RepeatImageBatch", image=graph.node("MaskToImage", mask=marks), amount=masks)
    mask = graph.node("ImageToMask", image=repeated, channel="red")
    found = graph.node("UnisonSegment", segmenter=segmenter, images=clip, mask=mask, frame=frames - 1)
    graph.node("PreviewAny", source=found)
    run = furnished.run(graph.prompt)
    assert run.status == ("success" if fits else "error"), run.why
    assert fits or f"mask holds {masks} masks, images {frames}: connect one mask" in run.why


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"points": "40,30; -1,2"}, None),
        ({"points": "40,30,20"}, "points holds"),
        ({"points": "400,30"}, "the point 400, 30 is outside"),
        ({"boxes": "[1, 2]"}, "connect its boxes"),
        ({}, "exactly one of boxes, points or a mask"),
        ({"points": "1,1", "frame": 7}, "the marked frame is 7"),
    ],
)
def test_what_to_segment(furnished, prompt, message):
    graph = Graph()
    _, segmenter = loaded(graph)
    if "boxes" in prompt:
        prompt = prompt | {"boxes": graph.node("PrimitiveString", value=prompt["boxes"])}
    masks = graph.node("UnisonSegment", segmenter=segmenter, images=picture(graph, 2), **prompt)
    graph.node("PreviewAny", source=masks)
    run = furnished.run(graph.prompt)
    assert run.status == ("success" if message is None else "error"), run.why
    assert message is None or message in run.why


def test_nothing_found_says_the_best_score(furnished):
    graph = Graph()
    detector, segmenter = loaded(graph)
    found = graph.node("UnisonDetect", detector=detector, images=picture(graph), phrase="cat", frame=0, threshold=1.0)
    graph.node("PreviewAny", source=found)
    run = furnished.run(graph.prompt)
    assert run.status == "error"
    assert "nothing fits 'cat': the best score is 0." in run.why

    graph = Graph()
    detector, segmenter = loaded(graph)
    planner = graph.node("UnisonPlanner", instruction="Make the cat in <image1> white.", image1=picture(graph))
    edited = graph.node("UnisonEditPlan", plan=planner, target="cat")
    sources = graph.node("UnisonPrepareSources", plan=edited, detector=detector, segmenter=segmenter, threshold=1.0)
    graph.node("PreviewAny", source=sources[4])
    run = furnished.run(graph.prompt)
    assert run.status == "error"
    assert "the best match for 'cat' scored 0." in run.why


@pytest.mark.parametrize("count", [1, 5])
def test_an_edit_finds_its_mask(furnished, count):
    graph = Graph()
    detector, segmenter = loaded(graph)
    socket, name = ("image1", "<image1>") if count == 1 else ("video1", "<video1>")
    planner = graph.node(
        "UnisonPlanner", instruction=f"Make the cat in {name} white.", **{socket: picture(graph, count)}
    )
    edited = graph.node("UnisonEditPlan", plan=planner, target="cat")
    sources = graph.node("UnisonPrepareSources", plan=edited, detector=detector, segmenter=segmenter, threshold=0.0)
    shown = graph.node("PreviewImage", images=graph.node("MaskToImage", mask=sources[2]))
    run = furnished.run(graph.prompt)
    if run.status == "error":  # random weights may cut out nothing; then that is what is said
        assert "nothing in its box stands out" in run.why
        return
    assert len(run.files(shown)) == count
    assert "'cat' found in frame" in run.outputs[sources.id]["unison_notices"][0]


def test_maps_without_weights(furnished):
    graph = Graph()
    white = graph.node("EmptyImage", width=96, height=64, batch_size=1, color=0xFFFFFF)
    black = graph.node("EmptyImage", width=48, height=64, batch_size=1, color=0x2040C0)
    half = graph.node("ImageCompositeMasked", destination=white, source=black, x=0, y=0, resize_source=False)
    maps = [graph.node("UnisonControlMap", images=half, kind=kind) for kind in ("canny", "grey")]
    shown = [graph.node("PreviewImage", images=made) for made in maps]
    run = graphs.succeeded(furnished.run(graph.prompt))
    edges, grey = (Image.open(run.files(node)[0]).convert("RGB") for node in shown)
    assert max(edges.getpixel((x, 32))[0] for x in range(44, 52)) == 255
    assert edges.getpixel((20, 32)) == edges.getpixel((80, 32)) == (0, 0, 0)
    assert len(set(grey.getpixel((20, 32)))) == 1


def test_a_map_that_takes_weights_says_which(furnished):
    graph = Graph()
    made = graph.node("UnisonControlMap", images=picture(graph, 2), kind="depth")
    graph.node("PreviewImage", images=made)
    run = furnished.run(graph.prompt)
    assert run.status == "error"
    assert "epth" in run.why and "models/unison" in run.why


@pytest.mark.parametrize("name", ["../../../etc", "/etc", "nothing"])
@pytest.mark.parametrize(("node", "field"), [("UnisonLoadDetector", "detector"), ("UnisonLoadSegmenter", "segmenter"), ("UnisonLoadControlModel", "control")])  # fmt: skip
def test_names_that_are_not_listed_are_refused(furnished, node, field, name):
    graph = Graph()
    graph.node("PreviewAny", source=graph.node(node, **{field: name}))
    run = furnished.run(graph.prompt)
    assert run.status == "rejected"
    assert "https://huggingface.co/" in run.why


def test_following_stops_between_frames(furnished):
    """Stop is heard while a mask is followed through a long clip; the next run works."""
    graph = Graph()
    _, segmenter = loaded(graph)
    masks = graph.node("UnisonSegment", segmenter=segmenter, images=picture(graph, 400), points="40,30", frame=0)
    graph.node("PreviewAny", source=masks)
    handle = furnished.start(graph.prompt)
    handle.wait_for(lambda event: steps(event, masks.id) >= 3)
    handle.interrupt()
    run = handle.result()
    assert run.status == "interrupted", run.why
    assert run.reached[-1] == masks.id
    assert max(steps(event, masks.id) for event in run.events) < 400

    graph = Graph()
    _, segmenter = loaded(graph)
    masks = graph.node("UnisonSegment", segmenter=segmenter, images=picture(graph, 2), points="40,30", frame=0)
    graph.node("PreviewAny", source=masks)
    graphs.succeeded(furnished.run(graph.prompt))
