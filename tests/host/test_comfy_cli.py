"""`--comfy URL` and Plan from JSON against the real host: pixels, texts, a stop, a host that dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import graphs
import numpy as np
import pytest
from host_prompts import Graph
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "unison_backend" / "demo" / "samples"
RED_CIRCLE = "Create an image of a red circle on a blue background"


def command(host, *arguments):
    return [
        sys.executable,
        "-m",
        "unison_backend.cli",
        *map(str, arguments),
        "--comfy",
        f"http://127.0.0.1:{host.port}",
    ]


def unison(host, *arguments):
    done = subprocess.run(
        command(host, *arguments), cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=600
    )
    return done.returncode, done.stdout, done.stderr


def until(holds, seconds=120):
    """Whether something comes to hold within that time."""
    end = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.1)
    return held


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_a_picture_planned_here_is_the_one_that_the_graph_makes(host, tmp_path):
    status, out, told = unison(host, "run", RED_CIRCLE, "--out", tmp_path / "a.png", "--steps", 4, "--seed", 5)
    assert status == 0, told
    assert out.strip() == str(tmp_path / "a.png")
    assert "embedded demo models make the result" in told
    graph = Graph()
    models = graph.node("UnisonDemoModels")
    # The same instruction, with the size by another node: what is said is what the text encoder reads.
    said = graph.node("UnisonPlanner", instruction=RED_CIRCLE, planner=models[3])
    planner = graph.node("UnisonEditPlan", plan=said[0], width=64, height=64)
    plan = graph.node("UnisonPlanFromJSON", plan=made_plan(tmp_path / "a.png"), planner=models[3])
    for name, source, features in (("planner", planner, said[1]), ("json", plan, plan[1])):
        projected = graph.node("UnisonProjector", projector=models[4], features=features)
        text = graph.node("UnisonTextContext", clip=models[1], plan=plan[0], projected=projected)
        sources = graph.node("UnisonPrepareSources", plan=source[0])
        sampler = graph.node("UnisonVACESampler", model=models[0], positive=text[0], negative=text[1], vae=models[2],
                             sources=sources[0], seed=5, steps=4, shift=5.0, cfg=0.0, strength=1.0)  # fmt: skip
        graph.node("SaveImage", images=sampler[0], filename_prefix=f"same_{name}")
    graphs.succeeded(host.run(graph.prompt, timeout=300))
    made = pixels(tmp_path / "a.png")
    for name in ("planner", "json"):
        (saved,) = host.output_folder.glob(f"same_{name}_*.png")
        assert (pixels(saved) == made).all(), name
    red, blue = made[32, 32], made[4, 4]
    assert red[0] > 150 > red[2] and blue[2] > 150 > blue[0]


def made_plan(path):
    size = json.loads(Image.open(path).text["unison"])["plan"] | {"width": 64, "height": 64}
    return json.dumps(size)


def test_an_edit_keeps_its_source_and_a_mask_in_the_alpha_arrives(host, tmp_path):
    source, painted = SAMPLES / "unison_square.png", SAMPLES / "unison_painted.png"
    words = f"Change the square in ###{source}### to a green circle"
    status, _, told = unison(host, "run", words, "--mask", painted, "--out", tmp_path / "a.png", "--steps", 4)
    assert status == 0, told
    assert "unison_painted.png (--mask) is the picture itself with a hole" in told
    hole = np.asarray(Image.open(painted))[..., 3] == 0
    before, after = pixels(source), pixels(tmp_path / "a.png")
    far = ~np.asarray(Image.fromarray(hole).resize((64, 64))).astype(bool)
    far[max(0, np.argwhere(hole)[:, 0].min() - 12) : np.argwhere(hole)[:, 0].max() + 12] = False
    assert far.any() and abs(after - before)[far].max() <= 1
    assert abs(after - before)[hole].mean() > 5


def test_a_video_has_its_frames_and_rate(host, tmp_path):
    import av

    words = f"Change the circle in ###{SAMPLES / 'unison_circle.mp4'}### to a red square. Here is the mask " + (
        f"###{SAMPLES / 'unison_circle_mask.mp4'}###."
    )
    status, _, told = unison(host, "run", words, "--out", tmp_path / "a.mp4", "--steps", 3)
    assert status == 0, told
    with av.open(str(tmp_path / "a.mp4")) as made, av.open(str(SAMPLES / "unison_circle.mp4")) as given:
        assert made.streams.video[0].average_rate == given.streams.video[0].average_rate
        frames = [len(list(clip.decode(video=0))) for clip in (made, given)]
    assert frames[0] == frames[1]


def test_a_batch_has_rows_and_files(host, tmp_path):
    (tmp_path / "lines.jsonl").write_text(
        "\n".join(json.dumps({"prompt": f"Create an image of a {c} circle"}) for c in ("red", "green")) + "\nnonsense",
        encoding="utf-8",
    )
    status, out, told = unison(host, "batch", tmp_path / "lines.jsonl", "--out", tmp_path / "out", "--steps", 2)
    assert status == 2, told
    assert out.startswith("3 lines: 2 done (0 of them before), 1 refused, 0 failed")
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
    assert "no JSON object" in told


@pytest.mark.skipif(os.name != "posix", reason="stops a process with a signal")
def test_a_stop_reaches_the_host_and_it_works_on(host, tmp_path):
    arguments = ["run", RED_CIRCLE, "--out", tmp_path / "a.png", "--steps", 900, "--set", "width=256", "height=256"]
    process = subprocess.Popen(command(host, *arguments), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert until(lambda: host.get("/queue")["queue_running"])
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=180)
    assert process.returncode == 130
    assert "cancelled" in told
    assert until(lambda: not host.get("/queue")["queue_running"])
    assert not host.get("/queue")["queue_pending"]
    status, _, told = unison(host, "run", RED_CIRCLE, "--out", tmp_path / "b.png", "--steps", 2)
    assert status == 0, told
    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]


def test_a_host_that_dies_is_told_with_the_runs_name(fresh_host, tmp_path):
    host = fresh_host(watch=False)
    code = (
        "import unison_backend.comfy.make as m; m._PATIENCE = 3.0\n"
        "import sys; from unison_backend.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = command(host, "run", RED_CIRCLE, "--out", tmp_path / "a.png", "--steps", 900)[3:]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert until(lambda: host.get("/queue")["queue_running"])
    os.kill(host.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "no answer from ComfyUI at" in told and "its result goes to output/unison" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("", "plan is empty"),
        ("{", "plan is no JSON"),
        ('{"version": 2, "task": "make_tea"}', "make_tea"),
        ('{"plan": {"version": 2, "task": "text_to_image", "prompt": "a", "width": "wide"}}', "width"),
    ],
)
def test_what_is_no_plan_is_refused_before_the_run(host, plan, said):
    graph = Graph()
    graph.node("PreviewAny", source=graph.node("UnisonPlanFromJSON", plan=plan)[2])
    run = host.run(graph.prompt)
    assert run.status == "rejected"
    assert said in json.dumps(run.node_errors)


def test_a_medium_that_is_missing_of_another_kind_or_one_too_many(host):
    edit = '{"version": 2, "task": "image_editing", "prompt": "<IMGPAD> a <IMGPAD>", "source": 0, "mask": 1, '
    edit += '"media": ["image", "image"], "target": "a"}'
    graph = Graph()
    picture = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0)
    graph.node("PreviewAny", source=graph.node("UnisonPlanFromJSON", plan=edit, medium1=picture)[2])
    assert "medium2 is not connected" in host.run(graph.prompt).why

    graph = Graph()
    picture = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0)
    mask = graph.node("SolidMask", value=1.0, width=64, height=64)
    node = graph.node("UnisonPlanFromJSON", plan=edit, medium1=picture, medium2=mask, medium3=picture)
    graph.node("PreviewAny", source=node[2])
    run = graphs.succeeded(host.run(graph.prompt))
    shown = run.outputs[node.id]["unison_plan"][0]
    assert (shown["task"], shown["planner"], shown["media"]) == ("image_editing", "JSON", ["medium1", "medium2"])
    assert any("medium3" in notice and "left out" in notice for notice in shown["notices"])
