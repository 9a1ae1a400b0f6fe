"""Nodes and blueprints as a person finds them: by the frontend's search, put onto the canvas, connected and run."""

import json
from pathlib import Path

import numpy as np
import pytest
import sessions
from PIL import Image, ImageFilter

from unison_backend.sources.masks import FEATHER

SUBGRAPHS = Path(__file__).resolve().parents[2] / "subgraphs"
BLUEPRINTS = tuple(sorted(path.stem for path in SUBGRAPHS.glob("*.json")))
WORDS = ("video edit", "inpaint", "caption", "object removal", "image edit", "animate", "question", "mask")
# Sample media that the pack puts into the input folder, in loaders: title -> [type, x, y, values].
LOADERS = {
    "Square": ["LoadImage", -900, 0, {"image": "unison_square.png"}],
    "Square mask": ["LoadImageMask", -900, 400, {"image": "unison_square_mask.png", "channel": "red"}],
    "Painted": ["LoadImage", -900, 800, {"image": "unison_painted.png"}],
    "First": ["LoadImage", -900, 1200, {"image": "unison_first.png"}],
    "Star": ["LoadImage", -900, 1600, {"image": "unison_star.png"}],
    "Edges": ["LoadImage", -900, 2000, {"image": "unison_edges.png"}],
    "Video": ["LoadVideo", -1300, 0, {"file": "unison_circle.mp4"}],
    "Mask video": ["LoadVideo", -1300, 500, {"file": "unison_circle_mask.mp4"}],
    "Mask frames": ["GetVideoComponents", -1300, 1000],
    "Video mask": ["ImageToMask", -1300, 1300],
}
LOADER_LINKS = [["Mask video", 0, "Mask frames", "video"], ["Mask frames", 0, "Video mask", "image"]]
ON_SQUARE = {"image1": ["Square", 0], "mask1": ["Square mask", 0]}
# What is connected to each: socket -> [title, output].
SAMPLES = {
    "Image Edit (Unison)": ON_SQUARE,
    "Inpaint with a Mask (Unison)": {"image1": ["Painted", 0], "mask1": ["Painted", 1]},
    "Object Removal (Unison)": ON_SQUARE,
    "Outpaint (Unison)": {"image1": ["Square", 0]},
    "Video Edit (Unison)": {"video1": ["Video", 0], "mask1": ["Video mask", 0]},
    "Image to Video (Unison)": {"image1": ["First", 0]},
    "Animate a Picture (Unison)": {"image1": ["First", 0]},
    "Reference to Video (Unison)": {"image1": ["Star", 0]},
    "Follow a Map (Unison)": {"image1": ["Edges", 0]},
    "Ask a Question (Unison)": {"image1": ["First", 0]},
    "Caption (Unison)": {"image1": ["First", 0]},
}
TASKS = {
    "Unison": "text to image",
    "Text to Image (Unison)": "text to image",
    "Text to Video (Unison)": "text to video",
    "Image Edit (Unison)": "image editing",
    "Inpaint with a Mask (Unison)": "image editing",
    "Object Removal (Unison)": "image editing",
    "Outpaint (Unison)": "image editing",
    "Video Edit (Unison)": "video editing",
    "Image to Video (Unison)": "image to video",
    "Animate a Picture (Unison)": "image to video",
    "Reference to Video (Unison)": "video reference",
    "Follow a Map (Unison)": "image control",
    "Ask a Question (Unison)": "image understanding",
    "Caption (Unison)": "image understanding",
}
# Run to the end; of the others the plan is made, which costs nothing.
WHOLE = {
    "Text to Image (Unison)": "image",
    "Inpaint with a Mask (Unison)": "image",
    "Video Edit (Unison)": "video",
    "Ask a Question (Unison)": "answer",
    "Caption (Unison)": "answer",
}
# The nodes behind an output, and their links; "Shown" is the last, with the blueprint's name.
RESULTS = {
    "image": {"Shown": ["PreviewImage", "images"]},
    "video": {"Frames": ["GetVideoComponents", "video"], "Shown": ["PreviewImage", "images"]},
    "answer": {"Shown": ["UnisonAnswer", "answer"]},
    "plan": {"Details": ["UnisonPlanDetails", "plan"], "Shown": ["PreviewAny", "source"]},
}
# The newer way of drawing is looked at with a few: what is in a blueprint does not depend on it.
ASKED = "Ask a Question (Unison)"
IN_NODES2 = ("Text to Image (Unison)", ASKED)
ROW = 500


def graph_of(names):
    """Loaders, and for each blueprint what takes its result: it is put between them."""
    nodes, links = dict(LOADERS), list(LOADER_LINKS)
    for row, name in enumerate(names):
        before = None
        for column, (title, (kind, socket)) in enumerate(RESULTS[WHOLE.get(name, "plan")].items()):
            nodes[f"{title} {name}"] = [kind, 600 + 500 * column, ROW * row]
            if before:
                links.append([before, 0, f"{title} {name}", socket])
            before = f"{title} {name}"
    return {"nodes": nodes, "links": links}


def links_of(name):
    """How a blueprint is connected."""
    result = WHOLE.get(name, "plan")
    first, (_, socket) = next(iter(RESULTS[result].items()))
    given = [[title, output, name, to] for to, (title, output) in SAMPLES.get(name, {}).items()]
    return [*given, [name, result, f"{first} {name}", socket]]


def steps_of(name, row):
    """[(what a test calls it, step)] to insert one blueprint where nothing is yet."""
    steps = [
        (None, ["look", 3000, 3000 + 1000 * row, 0.35]),
        (None, ["insert", name, links_of(name)]),
        (f"{name}: shape", ["shape", name]),
    ]
    return [*steps, (None, ["set", name, "steps", 8])] if WHOLE.get(name) in ("image", "video") else steps


def session_of(names):
    """The steps of one session."""
    return [
        (None, ["build", "samples"]),
        (None, ["look", 3000, 3000, 0.35]),
        *((f"search {word}", ["search", word]) for word in WORDS),
        (None, ["close search"]),
        *((f"listed {word}", ["listed", word]) for word in WORDS),
        (None, ["close library"]),
        *(step for row, name in enumerate(names) for step in steps_of(name, row)),
        ("run", ["run"]),
        ("cards", ["cards"]),
        ("ids", ["ids"]),
        # From a question to a picture: what waits for an answer gets none.
        ("answer", ["said", f"Shown {ASKED}"]),
        (None, ["set", ASKED, "instruction", "Create a 64x64 image of a red circle."]),
        ("picture run", ["run"]),
        ("answer after", ["said", f"Shown {ASKED}"]),
    ]


@pytest.fixture(scope="module", params=sessions.MODES)
def seen(request, host, tmp_path_factory):
    """What the steps with a name saw."""
    if request.param == "nodes 2.0" and host.install.release < sessions.NODES2_RELEASE:
        pytest.skip(f"ComfyUI {host.install.version} has no finished Nodes 2.0")
    place = sessions.folder(tmp_path_factory, host, f"library {request.param}")
    names = IN_NODES2 if request.param == "nodes 2.0" else BLUEPRINTS
    settings = {
        "nodes2": request.param == "nodes 2.0",
        "scale": 1,
        "settings": {"Comfy.Locale": "en", "Comfy.RightSidePanel.IsOpen": False},
        "graphs": {"samples": graph_of(names)},
        "steps": [step for _, step in session_of(names)],
    }
    answers = sessions.drive("cards.mjs", host, settings, place)
    return {name: answer for (name, _), answer in zip(session_of(names), answers, strict=True) if name}


def skip_unless_inserted(seen, name):
    if f"{name}: shape" not in seen:
        pytest.skip(f"{name} is inserted in the other session only")


def ours(names):
    return [name for name in names if "Unison" in name]


@pytest.mark.parametrize("word", WORDS)
def test_a_search_finds_ours(seen, host, word):
    """Older frontends look at titles only, newer ones at the nodes' other names too."""
    assert ours(seen[f"search {word}"]), seen[f"search {word}"]
    if host.install.release >= (0, 11):
        assert any(name.startswith("Planner") for name in seen[f"search {word}"])


@pytest.mark.parametrize("word", WORDS)
def test_the_node_library_lists_ours(seen, word):
    assert ours(seen[f"listed {word}"]), seen[f"listed {word}"]


def test_every_blueprint_has_samples_and_a_task():
    assert set(TASKS) == set(BLUEPRINTS) and set(SAMPLES) | set(WHOLE) <= set(BLUEPRINTS)


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_an_inserted_blueprint_is_as_its_file(seen, name):
    (node,) = json.loads((SUBGRAPHS / f"{name}.json").read_text("utf-8"))["nodes"]
    skip_unless_inserted(seen, name)
    found = seen[f"{name}: shape"]
    wanted = [
        {key: entry.get(key) for key in ("name", "type", "label")} | {"widget": entry.get("widget", {}).get("name")}
        for entry in node["inputs"]
    ]
    assert found["inputs"] == wanted
    assert found["outputs"] == [{key: entry[key] for key in ("name", "type")} for entry in node["outputs"]]
    names = [entry["widget"]["name"] for entry in node["inputs"] if "widget" in entry]
    assert found["widgets"] == [list(pair) for pair in zip(names, node["widgets_values"], strict=True)]


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_its_own_sentence_is_planned_as_its_name_says(seen, name):
    skip_unless_inserted(seen, name)
    status, detail = seen["run"]
    assert status == "execution_success", detail
    # One line out of view, where nothing is laid out.
    text = seen["cards"][name]["text"].replace("\n", "")
    assert text.startswith(f"Planner{TASKS[name]}"), text


def shown(host, seen, name):
    """What the last node behind a blueprint had to show, as the host keeps it."""
    skip_unless_inserted(seen, name)
    status, detail = seen["run"]
    assert status == "execution_success", detail
    outputs = host.get(f"/history/{detail['prompt_id']}")[detail["prompt_id"]]["outputs"]
    return outputs[str(seen["ids"][f"Shown {name}"])]


def frames_of(host, seen, name):
    """The pictures that a blueprint made, [T, H, W, 3] uint8."""
    files = [
        host.base / entry["type"] / entry["subfolder"] / entry["filename"]
        for entry in shown(host, seen, name)["images"]
    ]
    return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])


def test_text_to_image_makes_its_picture(seen, host):
    (picture,) = frames_of(host, seen, "Text to Image (Unison)")
    red, green, blue = picture[32, 32].astype(int)
    assert red > 150 > max(green, blue) + 50 and picture[2, 2, 2] > 150 > picture[2, 2, 0] + 50


def test_inpainting_changes_what_is_painted_and_nothing_else(seen, host):
    (picture,) = frames_of(host, seen, "Inpaint with a Mask (Unison)")
    source = Image.open(host.input_folder / "unison_painted.png")
    painted = np.asarray(source)[..., 3] < 255
    near = Image.fromarray(painted).convert("L").filter(ImageFilter.MaxFilter(2 * FEATHER + 1))
    kept = np.asarray(near) == 0
    assert kept.sum() > 500 and np.array_equal(picture[kept], np.asarray(source.convert("RGB"))[kept])
    yellow = (picture[..., :2].min(-1) > 150) & (picture[..., 2] < 110)
    assert yellow[painted].mean() > 0.1 and not yellow[kept].any()


def test_a_video_edit_makes_the_circle_yellow(seen, host):
    frames = frames_of(host, seen, "Video Edit (Unison)")
    assert frames.shape[0] == 9
    yellow = (frames[..., :2].min(-1) > 150) & (frames[..., 2] < 110)
    assert (yellow.mean((1, 2)) > 0.03).all()


@pytest.mark.parametrize("name", ["Ask a Question (Unison)", "Caption (Unison)"])
def test_a_question_has_an_answer_that_is_true(seen, host, name):
    (answer,) = shown(host, seen, name)["unison_answer"]
    assert "orange" in answer.lower(), answer


def test_an_answer_goes_when_the_next_run_has_none(seen):
    assert seen["answer"] == "orange" and seen["picture run"][0] == "execution_success"
    assert seen["answer after"] == ""
