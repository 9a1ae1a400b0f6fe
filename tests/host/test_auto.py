"""One node, the subgraph Unison, does all twelve tasks by sentence and media alone; what is not needed does not run."""

import json
from fractions import Fraction
from pathlib import Path

import av
import graphs
import numpy as np
import pytest
from host_prompts import Graph
from PIL import Image

from unison_backend.media.write import write_video
from unison_backend.plan.tasks import Task

API = Path(__file__).resolve().parent / "api"
ROLES = json.loads((API / "roles.json").read_text(encoding="utf-8"))["unison_auto"]
MEDIA = {"image1": "image1.png", "image2": "image2.png", "video1": "video1.mp4", "mask1": "mask1.png"}
# What makes pictures; a question runs none of it, and no text is encoded for it.
MAKING = ("projector", "text", "sampler", "composite", "create_video")

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


def prompt_for(instruction, steps=1):
    """The committed workflow with that instruction and all media switched on, whatever the words name."""
    prompt = json.loads((API / "unison_auto.json").read_text(encoding="utf-8"))
    prompt[ROLES["planner"]]["inputs"] |= {"instruction": instruction, "max_new_tokens": 4}
    prompt[ROLES["sampler"]]["inputs"]["steps"] = steps
    graph = Graph()
    for name in MEDIA:
        prompt[f"given {name}"] = graph.prompt[graphs.load(graph, name, MEDIA[name]).id]
        prompt[ROLES["planner"]]["inputs"][name] = [f"given {name}", 0]
    return prompt


def test_every_task_is_tried():
    assert list(CASES) == [task.value for task in Task]


@pytest.mark.parametrize("task", CASES)
def test_one_node_does_it(host, media, task):
    instruction, sockets, expected = CASES[task]
    run = graphs.succeeded(host.run(prompt_for(instruction), timeout=300))
    assert not run.errors
    card = run.outputs[ROLES["planner"]]["unison_plan"][0]
    assert card["task"] == task
    assert sorted(card["media"]) == sorted(sockets)  # though all of them are connected

    if expected is None:
        assert not {ROLES[name] for name in MAKING} & set(run.executed)
        assert run.outputs[ROLES["answer"]]["unison_answer"] == [card["answer"]]
        assert not run.files(ROLES["save_image"]) + run.files(ROLES["save_video"])
    else:
        check_made(run, *expected)
        assert ROLES["answer"] not in run.executed

    again = graphs.succeeded(host.run(prompt_for(instruction), timeout=300))
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


def test_an_instruction_without_media_is_not_changed_by_those_that_are_connected(host, media):
    """Words for something new, an edit and a first frame, all with a picture, a video and a painted mask."""
    for instruction, task in (
        ("Create a 64x64 image of a red circle", "text_to_image"),
        ("Make the square in <image1> red. <mask1>", "image_editing"),
        ("Make a 64x64 video that starts with <image1>, 5 frames", "image_to_video"),
    ):
        prompt = prompt_for(instruction)
        planner = {ROLES["planner"]: prompt[ROLES["planner"]]}
        planner |= {name: entry for name, entry in prompt.items() if name.startswith("given ")}
        planner[ROLES["planner"]]["inputs"].pop("planner")
        planner["shown"] = {"class_type": "PreviewAny", "inputs": {"source": [ROLES["planner"], 3]}}
        run = graphs.succeeded(host.run(planner))
        assert run.outputs["shown"]["text"] == [task], instruction


def test_the_example_with_routes_runs_the_branch_that_is_chosen_and_no_other(host):
    roles = json.loads((API / "roles.json").read_text(encoding="utf-8"))["unison_route"]
    prompt = json.loads((API / "unison_route.json").read_text(encoding="utf-8"))
    prompt[roles["sigmas"]]["inputs"]["steps"] = 1
    run = graphs.succeeded(host.run(prompt, timeout=300))
    others = [roles[f"sources_{name}"] for name in ("reference", "frames", "control", "editing")]
    assert not set(others) & set(run.reached) and roles["sources_text"] in run.executed
    (path,) = run.files(roles["save_image"])
    assert Image.open(path).size == (64, 64)
