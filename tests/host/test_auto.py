"""The auto workflow does all twelve tasks by changing only instruction and media; no other branch runs."""

import json
from fractions import Fraction
from pathlib import Path

import av
import graphs
import numpy as np
import pytest
from PIL import Image

from unison_backend.media.write import write_video
from unison_backend.plan.tasks import Task

API = Path(__file__).resolve().parent / "api"
ROLES = json.loads((API / "roles.json").read_text(encoding="utf-8"))["unison_auto"]
MEDIA = ("image1", "image2", "video1", "mask1")
BRANCHES = {
    "sources_text": ("text_to_image", "text_to_video"),
    "sources_reference": ("image_reference", "video_reference"),
    "sources_frames": ("image_to_video",),
    "sources_control": ("image_control", "video_control"),
    "sources_editing": ("image_editing", "video_editing"),
}
# What makes pictures; a question runs none of it.
MAKING = ("vace", "sample", "trim", "decode", "create_video")

# task: (instruction, media, width, height, frames, fps)
CASES = {
    "text_understanding": ("What is a kite?", (), None),
    "image_understanding": ("What is in <image1>?", ("image1",), None),
    "video_understanding": ("What happens in <video1>?", ("video1",), None),
    "text_to_image": ("Create a 64x48 image of a red circle.", (), (64, 48, 1, None)),
    "image_editing": ("Make the square in <image1> green. <mask1>", ("image1", "mask1"), (64, 64, 1, None)),
    "image_control": ("Create an image of a house that follows the edge map <image1>.", ("image1",), (64, 64, 1, None)),
    "image_reference": ("Create a 64x48 image of the person in <image1> and the dog in <image2>.", ("image1", "image2"), (64, 48, 1, None)),
    "text_to_video": ("Create a 64x48 video of a red circle, 5 frames.", (), (64, 48, 5, 24)),
    "image_to_video": ("Create a 5 frame video that starts with the first frame <image1> and ends with the last frame <image2>.", ("image1", "image2"), (64, 64, 5, 24)),
    "video_editing": ("Replace the square in <video1> by a ball. <mask1>", ("video1", "mask1"), (64, 64, 9, 12)),
    "video_control": ("Create a video of a dancer that follows the pose video <video1>.", ("video1",), (64, 64, 9, 12)),
    "video_reference": ("Create a 64x48 video of the person in <image1>, 5 frames.", ("image1",), (64, 48, 5, 24)),
}  # fmt: skip


def scene(width=64, height=64, frames=9):
    """A bright square that moves over a gradient: [T, H, W, 3] float32 0..1."""
    clip = np.zeros((frames, height, width, 3), np.float32)
    clip[..., 0] = np.linspace(0, 1, width)
    for number in range(frames):
        clip[number, 20:40, 4 + 3 * number : 24 + 3 * number] = (0.9, 0.8, 0.1)
    return clip


@pytest.fixture(scope="module")
def media(host):
    """image1.png, image2.png, mask1.png and video1.mp4 (9 frames, 12 a second) in the host's input folder."""
    clip = scene()
    for name, picture in (
        ("image1", clip[0]),
        ("image2", clip[-1]),
        ("mask1", (clip[0, ..., 2:] == np.float32(0.1)) * np.ones(3)),
    ):
        Image.fromarray((picture * 255).astype(np.uint8)).save(host.input_folder / f"{name}.png")
    write_video(host.input_folder / "video1.mp4", clip, Fraction(12))
    return host.input_folder


def prompt_for(instruction, sockets, steps=1):
    """The committed auto workflow with that instruction and only those media."""
    prompt = json.loads((API / "unison_auto.media.json").read_text(encoding="utf-8"))
    planner = prompt[ROLES["planner"]]["inputs"]
    planner |= {"instruction": instruction, "max_new_tokens": 4}
    for name in MEDIA:
        if name not in sockets:
            del planner[name], prompt[ROLES[name]]
    prompt[ROLES["sigmas"]]["inputs"]["steps"] = steps
    return prompt


def test_every_task_is_tried():
    assert list(CASES) == [task.value for task in Task]


@pytest.mark.parametrize("task", CASES)
def test_one_graph_does_it(host, media, task):
    instruction, sockets, expected = CASES[task]
    run = graphs.succeeded(host.run(prompt_for(instruction, sockets), timeout=300))
    assert not run.errors
    card = run.outputs[ROLES["planner"]]["unison_plan"][0]
    assert card["task"] == task

    others = [ROLES[branch] for branch, tasks in BRANCHES.items() if task not in tasks]
    assert not set(others) & set(run.reached)
    if expected is None:
        assert not {ROLES[name] for name in MAKING} & set(run.executed)
        assert ROLES["answer"] in run.executed
        assert run.outputs[ROLES["answer"]]["text"] == [card["answer"]]
        assert not run.files(ROLES["save_image"]) + run.files(ROLES["save_video"])
    else:
        check_made(run, *expected)
        assert ROLES["answer"] not in run.executed

    again = graphs.succeeded(host.run(prompt_for(instruction, sockets), timeout=300))
    assert not again.executed


def check_made(run, width, height, frames, fps):
    """The one file of the run, and nothing of the other kind."""
    if fps is None:
        (path,) = run.files(ROLES["save_image"])
        assert Image.open(path).size == (width, height)
        assert not run.files(ROLES["save_video"])
        return
    (path,) = run.files(ROLES["save_video"])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (width, height, fps)
        assert sum(1 for _ in container.decode(stream)) == frames
    assert not run.files(ROLES["save_image"])


def test_it_is_wired_from_the_single_nodes():
    """No all-in-one node: every part can be replaced in place."""
    prompt = json.loads((API / "unison_auto.json").read_text(encoding="utf-8"))
    kinds = {entry["class_type"] for entry in prompt.values()}
    assert "UnisonVACESampler" not in kinds
    assert {"UnisonPlanner", "UnisonProjector", "UnisonTextContext", "UnisonPrepareSources", "UnisonRouteTask", "UnisonSampler",
            "UnisonVACEConditioning", "UnisonSigmas", "UnisonRouteModality", "SamplerCustom", "TrimVideoLatent"} <= kinds  # fmt: skip
