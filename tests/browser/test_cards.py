"""What stands on the nodes in a real frontend: plans, answers, errors and the chosen branch, as a person sees them.

One session of the browser goes through the steps of `SESSION`; each test looks at what some of them saw. How a host
is found, and what else is needed: test_frontend.py.
"""

import io
import json

import numpy as np
import pytest
import sessions
from PIL import Image

BYPASSED = 4
CHOSEN = (0x7B, 0xD8, 0x8F)
NODES = {
    "Models": ["UnisonDemoModels", -400, 100],
    "Picture 1": ["LoadImage", -400, 400, {"image": "square.png"}],
    "Plan": ["UnisonPlanner", 50, 100, {"instruction": "Create a 64x64 image of a red circle."}],
    "Sources": ["UnisonPrepareSources", 600, 100],
    "Ways": ["UnisonRouteModality", 1050, 100],
    "Shown": ["PreviewImage", 1400, 100],
    "Other": ["PreviewImage", 1400, 450],
}
LINKS = [
    ["Models", 3, "Plan", "planner"],
    ["Picture 1", 0, "Plan", "image1"],
    ["Plan", 0, "Sources", "plan"],
    ["Plan", 0, "Ways", "plan"],
    ["Sources", 1, "Ways", "value"],
    ["Ways", 1, "Shown", "images"],
    ["Ways", 2, "Other", "images"],
]
FLAT = {"nodes": NODES, "links": LINKS, "off": ["Picture 1"]}
GRAPHS = {"flat": FLAT, "subgraph": FLAT | {"inside": ["Plan", "Sources", "Ways"]}}
# More to say than a card has room for, pictures among it.
GRAPHS["full"] = FLAT | {"inside": ["Models", "Plan", "Sources", "Ways"], "off": []}
# Text Context is off, so the projector's rows go where a text belongs.
SAMPLING = {
    "nodes": {
        "Models": NODES["Models"],
        "Plan": NODES["Plan"],
        "Tokens": ["UnisonProjector", 600, 100],
        "Sources": ["UnisonPrepareSources", 600, 300],
        "Words": ["UnisonTextContext", 1050, 100],
        "VACE": ["UnisonVACEConditioning", 1500, 100],
        "Shown": ["PreviewAny", 1900, 100],
    },
    "links": [
        ["Models", 3, "Plan", "planner"],
        ["Models", 4, "Tokens", "projector"],
        ["Plan", 1, "Tokens", "features"],
        ["Plan", 0, "Sources", "plan"],
        ["Models", 1, "Words", "clip"],
        ["Plan", 0, "Words", "plan"],
        ["Tokens", 0, "Words", "projected"],
        ["Words", 0, "VACE", "positive"],
        ["Words", 1, "VACE", "negative"],
        ["Models", 2, "VACE", "vae"],
        ["Sources", 0, "VACE", "sources"],
        ["VACE", 3, "Shown", "source"],
    ],
    "off": ["Words"],
}
MISSING = {
    "nodes": {
        "Picture": ["LoadImage", -400, 400, {"image": "square.png"}],
        "Detector": ["UnisonLoadDetector", -400, 100],
        "Boxes": ["UnisonDetect", 100, 100, {"phrase": "cat"}],
        "Shown": ["PreviewAny", 600, 100],
    },
    "links": [
        ["Detector", 0, "Boxes", "detector"],
        ["Picture", 0, "Boxes", "images"],
        ["Boxes", 0, "Shown", "source"],
    ],
}
HOME, FAR = ["look", -550, -250, 0.6], ["look", 9000, 9000, 0.6]
QUESTION = "What is the colour of the sky?"
NAMED = "Create a 64x64 video of 9 frames that starts with <image1>."
# (what a test calls it, the step); without a name nobody looks.
SESSION = [
    (None, ["build", "flat"]),
    (None, HOME),
    ("sizes at first", ["sizes"]),
    ("first run", ["run"]),
    ("first", ["cards"]),
    ("labels", ["labels", "Ways"]),
    ("drawn", ["drawn", "Ways"]),
    ("chosen link", ["link", "Shown", "images"]),
    ("other link", ["link", "Other", "images"]),
    ("flat", ["picture", "flat"]),
    ("saved", ["saved"]),
    (None, ["run"]),
    ("cached", ["cards"]),
    (None, ["reload"]),
    ("reloaded", ["cards"]),
    (None, ["run"]),
    ("cached after reload", ["cards"]),
    (None, ["set", "Plan", "instruction", QUESTION]),
    ("changed", ["cards"]),
    (None, ["set", "Plan", "instruction", NODES["Plan"][3]["instruction"]]),
    ("changed back", ["cards"]),
    (None, ["set", "Plan", "instruction", QUESTION]),
    (None, FAR),
    ("question run", ["run"]),
    (None, HOME),
    ("answered", ["cards"]),
    ("widgets with answer", ["widgets", "Plan"]),
    (None, ["set", "Plan", "instruction", "Create a 64x64 video of a blue square, 9 frames."]),
    (None, ["run"]),
    ("after the answer", ["cards"]),
    ("widgets after the answer", ["widgets", "Plan"]),
    (None, ["set", "Plan", "instruction", NAMED]),
    ("error run", ["run"]),
    ("error", ["cards"]),
    ("labels after error", ["labels", "Ways"]),
    ("error picture", ["picture", "error"]),
    (None, ["mode", "Picture 1", 0]),
    ("mended run", ["run"]),
    ("mended", ["cards"]),
    (None, ["set", "Plan", "instruction", "   "]),
    ("refused run", ["run"]),
    ("refused", ["cards"]),
    (None, ["build", "subgraph"]),
    (None, HOME),
    (None, ["run"]),
    ("outside", ["cards"]),
    ("labels outside", ["labels", "Inside"]),
    ("drawn outside", ["drawn", "Inside"]),
    ("chosen link outside", ["link", "Shown", "images"]),
    ("other link outside", ["link", "Other", "images"]),
    ("subgraph", ["picture", "subgraph"]),
    ("saved subgraph", ["saved"]),
    (None, ["select", "Inside"]),
    ("panel", ["panel"]),
    (None, ["enter", "Inside"]),
    ("inside", ["cards"]),
    (None, ["set", "Plan", "instruction", NAMED]),
    (None, ["leave"]),
    (None, ["run"]),
    ("error outside", ["cards"]),
    ("drawn after error", ["drawn", "Inside"]),
    (None, ["build", "full"]),
    (None, ["enter", "Inside"]),
    (None, ["set", "Plan", "instruction", NAMED]),
    (None, ["leave"]),
    (None, HOME),
    ("full run", ["run"]),
    ("full", ["cards"]),
    ("full picture", ["picture", "full"]),
    ("error outside picture", ["picture", "error outside"]),
]
# A short one where the interface is Chinese.
CHINESE_NAMED = "\u751f\u6210\u4e00\u6bb564x64\u30019\u5e27\u7684\u89c6\u9891\uff0c\u9996\u5e27\u662f<\u56fe\u50cf1>"
CHINESE_SESSION = [
    (None, ["build", "sampling"]),
    (None, HOME),
    ("no text run", ["run"]),
    ("no text", ["cards"]),
    ("no text picture", ["picture", "no text"]),
    (None, ["mode", "Words", 2]),
    ("muted run", ["run"]),
    ("muted", ["cards"]),
    (None, ["build", "missing"]),
    (None, HOME),
    ("missing run", ["run"]),
    ("missing", ["cards"]),
    ("missing picture", ["picture", "missing"]),
    (None, ["build", "flat"]),
    (None, ["set", "Plan", "instruction", CHINESE_NAMED]),
    (None, ["run"]),
    ("error", ["cards"]),
    (None, ["mode", "Picture 1", 0]),
    ("mended run", ["run"]),
    ("mended", ["cards"]),
]


@pytest.fixture(scope="module")
def square(host):
    """A blue picture in the input folder."""
    square = io.BytesIO()
    Image.new("RGB", (64, 64), "blue").save(square, "PNG")
    return host.upload("square.png", square.getvalue())


@pytest.fixture(scope="module")
def seen_in_chinese(host, square, tmp_path_factory):
    """What the steps of the Chinese session saw."""
    place = sessions.folder(tmp_path_factory, host, "cards Chinese")
    settings = {
        "nodes2": False,
        "scale": 1,
        "settings": {"Comfy.Locale": "zh", "Comfy.RightSidePanel.IsOpen": False},
        "graphs": {"flat": FLAT, "sampling": SAMPLING, "missing": MISSING},
        "steps": [step for _, step in CHINESE_SESSION],
    }
    answers = sessions.drive("cards.mjs", host, settings, place)
    return {name: answer for (name, _), answer in zip(CHINESE_SESSION, answers, strict=True) if name}


@pytest.fixture(scope="module", params=sessions.MODES)
def seen(request, host, square, tmp_path_factory):
    """What the steps with a name saw."""
    if request.param == "nodes 2.0" and host.install.release < sessions.NODES2_RELEASE:
        pytest.skip(f"ComfyUI {host.install.version} has no finished Nodes 2.0")
    place = sessions.folder(tmp_path_factory, host, f"cards {request.param}")
    settings = {
        "nodes2": request.param == "nodes 2.0",
        "scale": 1,
        "settings": {"Comfy.Locale": "en", "Comfy.RightSidePanel.IsOpen": True},
        "graphs": GRAPHS,
        "steps": [step for _, step in SESSION],
    }
    answers = sessions.drive("cards.mjs", host, settings, place)
    pairs = zip(SESSION, answers, strict=True)
    return {name: answer for (name, _), answer in pairs if name} | {"place": place, "mode": request.param}


def pixels_near(seen, picture, point):
    """The colours within some pixels of a place on a screenshot."""
    image = Image.open(seen["place"] / f"{picture}.png").convert("RGB")
    x, y = (round(value) for value in point)
    near = np.asarray(image.crop((x - 12, y - 12, x + 12, y + 12)))
    return {tuple(map(int, pixel)) for pixel in near.reshape(-1, 3)}


def is_whole(card):
    """Whether a card is to be seen as high as its text."""
    return card["shown"] and card["content"] > 15 and card["height"] >= card["content"] - 1


def test_a_run_shows_the_plan_and_where_it_went(seen):
    assert seen["first run"][0] == "execution_success", seen["first run"]
    assert seen["first"]["Plan"]["text"].splitlines()[:2] == ["text to image planned by rules", "64 x 64"]
    assert seen["first"]["Ways"]["text"] == "image" and "coloured shapes" in seen["first"]["Models"]["text"]
    assert all(is_whole(card) for card in seen["first"].values())


def test_an_empty_control_frame_is_not_shown(seen):
    assert "Sources" not in seen["first"]
    assert seen["mended"]["Sources"]["pictures"] == [64, 64]


@pytest.mark.parametrize("when", ["cached", "reloaded", "cached after reload", "changed back"])
def test_cards_are_there_again(seen, when):
    texts = {title: card["text"] for title, card in seen["first"].items()}
    assert {title: card["text"] for title, card in seen[when].items()} == texts
    assert all(is_whole(card) and not card["isOld"] for card in seen[when].values())


def test_a_result_of_other_inputs_says_so(seen):
    changed = seen["changed"]
    assert changed["Plan"]["isOld"] and changed["Plan"]["text"].startswith("inputs have changed since")
    assert changed["Ways"]["isOld"] and not changed["Models"]["isOld"]


def test_an_answer_stands_once_and_whole_though_the_node_was_out_of_view(seen):
    assert seen["question run"][0] == "execution_success", seen["question run"]
    card = seen["answered"]["Plan"]
    lines = card["text"].splitlines()
    assert lines[0] == "text understanding planned by rules" and lines[1] in ("red", "green", "blue", "yellow", "black")
    assert is_whole(card) and "$$node-text-preview" not in seen["widgets with answer"]
    after = seen["after the answer"]["Plan"]["text"]
    assert after.startswith("text to video") and lines[1] not in after.splitlines()
    assert "$$node-text-preview" not in seen["widgets after the answer"]


def test_an_error_stands_on_its_node_and_says_which_node_to_switch_on(seen):
    assert seen["error run"][0] == "execution_error"
    text = seen["error"]["Plan"]["text"]
    assert text.startswith("the instruction names <image1>") and "Picture 1" in text and "Ctrl+B" in text
    assert "custom_nodes" not in text and "PromptError" not in text
    # The models' card is about this run too; the others' are not.
    assert set(seen["error"]) == {"Plan", "Models"}
    assert seen["labels after error"] == [None] * 5


def test_mended_it_runs(seen):
    assert seen["mended run"][0] == "execution_success"
    assert seen["mended"]["Plan"]["text"].startswith("image to video")


def test_what_the_host_refuses_stands_on_the_node_too(seen):
    assert seen["refused run"][0] == "refused"
    assert seen["refused"]["Plan"]["text"] == "the instruction is empty: say what you want to make or to know"


def test_the_chosen_branch_has_its_colour_and_a_tick(seen):
    assert seen["labels"] == [None, None, None, "image \u2713", None]
    assert seen["drawn"] in ([], ["text", "image \u2713", "video"])
    assert CHOSEN in pixels_near(seen, "flat", seen["chosen link"])
    assert CHOSEN not in pixels_near(seen, "flat", seen["other link"])


def test_the_subgraph_shows_what_is_inside(seen):
    text = seen["outside"]["Inside"]["text"]
    assert text.startswith("Plan\ntext to image planned by rules\n64 x 64")
    assert is_whole(seen["outside"]["Inside"]) and seen["inside"]["Plan"]["text"] in text
    assert [label for label in seen["labels outside"] if label] == ["image \u2713"]
    # Where the page draws the nodes: with the tick, and without it once another run has started.
    assert seen["drawn outside"] in ([], ["image \u2713", "video"])
    assert seen["drawn after error"] in ([], ["image", "video"])
    assert CHOSEN in pixels_near(seen, "subgraph", seen["chosen link outside"])
    assert CHOSEN not in pixels_near(seen, "subgraph", seen["other link outside"])


def test_a_full_card_cuts_no_picture(seen):
    assert seen["full run"][0] == "execution_success", seen["full run"]
    card = seen["full"]["Inside"]
    assert card["pictures"] == [64, 64] and card["content"] > 320
    assert all(below <= 0 or above <= 0 for below, above in card["feet"]), card["feet"]


def test_an_error_inside_stands_outside_with_its_cure(seen):
    text = seen["error outside"]["Inside"]["text"]
    assert text.startswith("Plan\nthe instruction names <image1>") and "Picture 1" in text


@pytest.mark.parametrize("name", ["saved", "saved subgraph"])
def test_nothing_of_it_is_saved(seen, name):
    text = json.dumps(seen[name], ensure_ascii=False)
    assert "unison_results" not in text and "\u2713" not in text and "planned by" not in text


def test_a_saved_node_has_its_own_height(host, seen):
    if seen["mode"] == "nodes 2.0":
        pytest.skip("Nodes 2.0 measures nodes itself")
    heights = {node["title"]: node["size"][1] for node in seen["saved"]["nodes"]}
    assert heights["Plan"] == pytest.approx(seen["sizes at first"]["Plan"][1], abs=1)
    assert heights["Models"] == pytest.approx(seen["sizes at first"]["Models"][1], abs=1)


def test_no_panel_lists_it(seen):
    assert "unison_results" not in (seen["panel"] or "")


def test_a_text_context_that_is_off_is_said_where_it_hurts_and_named(seen_in_chinese):
    assert seen_in_chinese["no text run"][0] == "execution_error"
    text = seen_in_chinese["no text"]["VACE"]["text"]
    assert (
        text.startswith("positive \u91cc\u6ca1\u6709\u6587\u672c") and "\u201cWords\u201d" in text and "Ctrl+B" in text
    )


def test_an_input_whose_node_is_muted_is_named(seen_in_chinese):
    assert seen_in_chinese["muted run"][0] == "refused"
    text = seen_in_chinese["muted"]["VACE"]["text"]
    assert "positive" in text and "negative" in text and "\u201cWords\u201d" in text and "Ctrl+M" in text
    assert "Required input" not in text and list(seen_in_chinese["muted"]) == ["VACE"]


def test_missing_weights_are_told_on_their_loader_with_a_link(seen_in_chinese):
    assert seen_in_chinese["missing run"][0] == "refused"
    card = seen_in_chinese["missing"]["Detector"]
    assert "models/unison/" in card["text"] and "0.69 GB" in card["text"]
    assert card["links"] == ["https://huggingface.co/IDEA-Research/grounding-dino-tiny"]
    assert list(seen_in_chinese["missing"]) == ["Detector"]


def test_a_socket_by_its_chinese_name(seen_in_chinese):
    text = seen_in_chinese["error"]["Plan"]["text"]
    assert text.startswith("\u6307\u4ee4\u4e2d\u63d0\u5230 <\u56fe\u50cf1>") and "Picture 1" in text
    assert seen_in_chinese["mended run"][0] == "execution_success"
    assert "\u56fe\u50cf1" in seen_in_chinese["mended"]["Plan"]["text"]
