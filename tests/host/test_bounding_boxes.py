"""BOUNDING_BOX in and out of Detect and Segment: between them, with ComfyUI's own nodes, and what is refused."""

import json

import graphs
import numpy as np
import pytest
from host_prompts import Graph
from PIL import Image
from test_annotator_nodes import furnished, loaded, picture  # noqa: F401  (furnished is a fixture)

BOX = {"x": 20, "y": 10, "width": 50, "height": 40}
NO_TYPE = "this ComfyUI has no node for bounding boxes"


def box(**sides):
    return BOX | sides


def needs(host, node):
    if node not in host.object_info():
        pytest.skip(NO_TYPE)


def segmented(graph, bboxes, count=1, **more):
    """Segment with a value for bboxes, written into the prompt as a client may."""
    _, segmenter = loaded(graph)
    return graph.node("UnisonSegment", segmenter=segmenter, images=picture(graph, count),
                      bboxes={"__value__": bboxes}, **more)  # fmt: skip


def white(file):
    """What is white in a picture: left, top, right, bottom; None where nothing is."""
    return Image.fromarray((np.asarray(Image.open(file).convert("L")) > 127).astype(np.uint8)).getbbox()


def test_boxes_of_a_frame_go_to_segment_and_come_back_for_every_frame(furnished):  # noqa: F811
    graph = Graph()
    detector, segmenter = loaded(graph)
    clip = picture(graph, 3)
    found = graph.node("UnisonDetect", detector=detector, images=clip, phrase="cat", frame=1, threshold=0.0)
    said = [graph.node("PreviewAny", source=found[slot]) for slot in (0, 3)]
    ours = graph.node("UnisonSegment", segmenter=segmenter, images=clip, bboxes=found[3])
    masks = graph.node("PreviewImage", images=graph.node("MaskToImage", mask=ours[0]))
    around = graph.node("PreviewAny", source=ours[1])
    run = graphs.succeeded(furnished.run(graph.prompt))
    as_json, by_frame, tracked = (json.loads(run.outputs[node.id]["text"][0]) for node in (*said, around))
    assert by_frame[0] == by_frame[2] == [] and len(by_frame[1]) == len(as_json) > 0
    for given, entry in zip(by_frame[1], as_json, strict=True):
        left, top, right, bottom = entry["box"]
        assert 0 <= left - given["x"] < 1 and 0 <= given["x"] + given["width"] - right < 1
        assert 0 <= top - given["y"] < 1 and 0 <= given["y"] + given["height"] - bottom < 1
        assert (given["label"], given["score"]) == (entry["label"], entry["score"])
    assert len(tracked) == 3
    for boxes, file in zip(tracked, run.files(masks), strict=True):
        corners = [(b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]) for b in boxes]
        assert corners == [found for found in [white(file)] if found]


def test_detect_looks_inside_of_given_boxes(furnished):  # noqa: F811
    graph = Graph()
    detector, _ = loaded(graph)
    found = graph.node("UnisonDetect", detector=detector, images=picture(graph), phrase="cat", frame=0, threshold=0.0,
                       bboxes={"__value__": box(width=500)})  # fmt: skip
    said = graph.node("PreviewAny", source=found[0])
    run = graphs.succeeded(furnished.run(graph.prompt))
    boxes = [entry["box"] for entry in json.loads(run.outputs[said.id]["text"][0])]
    assert boxes and all(20 <= b[0] < b[2] <= 96 and 10 <= b[1] < b[3] <= 50 for b in boxes)
    assert any("the edge was cut" in notice for notice in run.outputs[found.id]["unison_notices"])


@pytest.mark.parametrize(
    ("bboxes", "count", "more", "message"),
    [
        (BOX, 2, {"frame": 1}, None),
        ([BOX, box(x=0)], 2, {}, None),
        ([[BOX]], 2, {"frame": 1}, None),
        ([[BOX | {"label": "cat", "score": 0.5, "metadata": {}}], [BOX]], 2, {"frame": 1}, None),
        ([[], []], 2, {}, "bboxes holds no box"),
        ([], 1, {}, "bboxes holds no box"),
        ([[BOX], []], 3, {}, "bboxes is for 2 frames, images holds 3"),
        ([[BOX], [], [BOX]], 3, {"frame": 1}, "no box in frame 1, but in the frames 0, 2"),
        (box(x=200), 1, {}, "lies beside the picture: the picture is 96 wide"),
        (box(width=0), 1, {}, "bboxes holds a box of x 20, y 10, width 0"),
        ({"x": 1}, 1, {}, "a box is x, y, width and height in pixels"),
        ("20,10,50,40", 1, {}, "bboxes is str: a box is x, y"),
        (BOX, 1, {"points": "1,1"}, "exactly one of boxes, points or a mask"),
    ],
)
def test_what_is_a_box(furnished, bboxes, count, more, message):  # noqa: F811
    graph = Graph()
    made = segmented(graph, bboxes, count, **more)
    shown = graph.node("PreviewImage", images=graph.node("MaskToImage", mask=made[0]))
    run = furnished.run(graph.prompt)
    if message is None:
        assert len(graphs.succeeded(run).files(shown)) == count
    else:
        assert run.status == "error" and message in run.why


def test_json_and_boxes_together_are_refused(furnished):  # noqa: F811
    graph = Graph()
    made = segmented(graph, BOX, boxes=graph.node("PrimitiveString", value="[]"))
    graph.node("PreviewAny", source=made[0])
    assert "boxes and bboxes are both connected" in furnished.run(graph.prompt).why


def test_comfyuis_own_nodes_take_and_give_them(furnished):  # noqa: F811
    """Bounding Box -> Segment -> Crop By Bounding Boxes; Detect -> Draw BBoxes, on the frame that was looked at."""
    needs(furnished, "CropByBBoxes")
    graph = Graph()
    detector, segmenter = loaded(graph)
    half = graph.node("EmptyImage", width=48, height=64, batch_size=1, color=0x2040C0)
    still = graph.node("ImageCompositeMasked", destination=picture(graph), source=half, x=0, y=0, resize_source=False)
    given = graph.node("PrimitiveBoundingBox", x=0, y=0, width=48, height=64)
    crop = graph.node("CropByBBoxes", image=still, bboxes=given, output_width=64, output_height=64, padding=0,
                      keep_aspect="stretch")  # fmt: skip
    cut = graph.node("UnisonSegment", segmenter=segmenter, images=still, bboxes=given)
    mask = graph.node("PreviewImage", images=graph.node("MaskToImage", mask=cut[0]))
    part = graph.node("CropByBBoxes", image=still, bboxes=cut[1], output_width=64, output_height=64, padding=0,
                      keep_aspect="stretch")  # fmt: skip
    inside = graph.node("UnisonDetect", detector=detector, images=still, phrase="cat", frame=0, threshold=0.0,
                        bboxes=given)  # fmt: skip
    clip = picture(graph, 3)
    found = graph.node("UnisonDetect", detector=detector, images=clip, phrase="cat", frame=1, threshold=0.0)
    drawn = graph.node("DrawBBoxes", image=clip, bboxes=found[3])
    views = [graph.node("PreviewImage", images=images) for images in (crop, part, drawn)]
    said = graph.node("PreviewAny", source=inside[3])
    run = graphs.succeeded(furnished.run(graph.prompt))
    of_crop, of_part, of_drawn = (run.files(view) for view in views)
    assert Image.open(of_crop[0]).convert("RGB").getpixel((60, 32)) == (0x20, 0x40, 0xC0)
    left, top, right, bottom = white(run.files(mask)[0])  # the box of the mask is what core cuts out
    whole = Image.new("RGB", (96, 64), (0x33, 0x66, 0x99))
    whole.paste((0x20, 0x40, 0xC0), (0, 0, 48, 64))
    wanted = np.asarray(whole.crop((left, top, right, bottom)).resize((64, 64)), float)
    assert np.abs(np.asarray(Image.open(of_part[0]).convert("RGB"), float) - wanted).mean() < 8
    assert all(b["x"] + b["width"] <= 48 for b in json.loads(run.outputs[said.id]["text"][0])[0])
    plain = [len(Image.open(file).convert("RGB").getcolors()) == 1 for file in of_drawn]
    assert plain == [True, False, True]
