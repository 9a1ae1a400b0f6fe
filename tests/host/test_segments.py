"""Long videos and clips that go on, in the real host: in segments, with the clip's own frames and sound in their places."""

import io
import math
import wave
from fractions import Fraction

import av
import graphs
import numpy as np
import pytest
from host_prompts import Graph, steps
from PIL import Image

from unison_backend.media.write import write_video

WORDS = "Create a 64x64 video of a red circle moving to the right on a blue background, 13 frames."
FRAMES, RATE = 9, 12


@pytest.fixture(scope="module")
def clip(host, tmp_path_factory):
    """A video of 9 frames, 12 a second, with a tone, in the host's input folder."""
    tone = tmp_path_factory.mktemp("tone") / "tone.wav"
    samples = (0.5 * np.sin(np.arange(int(16000 * FRAMES / RATE)) * 2 * math.pi * 440 / 16000) * 32767).astype("<i2")
    with wave.open(str(tone), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    frames = np.random.default_rng(3).random((FRAMES, 8, 8, 3)).repeat(8, 1).repeat(8, 2).astype("float32")
    path = host.input_folder / "goes_on.mp4"
    write_video(path, frames, Fraction(RATE), audio_from=tone)
    return path.name


def shown(graph, images):
    return graph.node("PreviewImage", images=images)


def pixels(run, node):
    return [np.asarray(Image.open(path).convert("RGB")) for path in run.files(node)]


def made(graph, instruction, media=None, length="whole", **options):
    """(planner, sources, VACE sampler) of an instruction. media: videos by socket."""
    models, planner = graphs.planned(graph, instruction, **(media or {}))
    context = graph.node("UnisonTextContext", clip=models[1], plan=planner[0])
    sources = graph.node("UnisonPrepareSources", plan=planner[0], length=length)
    settings = {"seed": 0, "steps": 1, "shift": 5.0, "cfg": 1.0, "strength": 1.0} | options
    sampler = graph.node("UnisonVACESampler", model=models[0], positive=context[0], negative=context[1], vae=models[2],
                         sources=sources, **settings)  # fmt: skip
    return planner, sources, sampler


@pytest.mark.parametrize(
    ("instruction", "clips", "places"),
    [
        ("Continue <video1> by 4 frames.", 1, [(0, 9)]),
        ("Add 8 frames at the beginning of <video1>.", 1, [(8, 17)]),
        ("Fill the gap between <video1> and <video2> with 4 frames.", 2, [(0, 9), (13, 22)]),
    ],
)
def test_a_clips_own_frames_are_in_the_result_to_the_bit(host, clip, instruction, clips, places):
    graph = Graph()
    loaded = graph.node("GetVideoComponents", video=graph.node("LoadVideo", file=clip))
    video = graph.node("CreateVideo", images=loaded[0], fps=loaded[2])
    media = {f"video{number}": video for number in range(1, clips + 1)}
    planner, _, sampler = made(graph, instruction, media, length="reference")
    own = shown(graph, loaded[0])
    result = shown(graph, sampler[0])
    run = graphs.succeeded(host.run(graph.prompt))
    given, frames = pixels(run, own), pixels(run, result)
    assert len(frames) == places[-1][1] + (4 if instruction.startswith("Continue") else 0)
    kept = {number for start, stop in places for number in range(start, stop)}
    for start, _ in places:
        assert all(np.array_equal(frames[start + number], one) for number, one in enumerate(given))
    assert not any(np.array_equal(frames[number], one) for number in set(range(len(frames))) - kept for one in given)
    (card,) = run.outputs[planner.id]["unison_plan"]
    assert any("new ones" in reason["text"] for reason in card["reasons"])


def test_a_clips_sound_stays_in_its_place(host, clip):
    graph = Graph()
    video = graph.node("LoadVideo", file=clip)
    *_, sampler = made(graph, "Add 12 frames at the beginning of <video1>.", {"video1": video})
    saved = graphs.save_video(graph, sampler[1])
    run = graphs.succeeded(host.run(graph.prompt))
    with av.open(io.BytesIO(run.files(saved)[0].read_bytes())) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == RATE and sum(1 for _ in container.decode(stream)) == 12 + FRAMES
    with av.open(str(run.files(saved)[0])) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(container.streams.audio[0])])
        rate = container.streams.audio[0].rate
    assert np.abs(heard[: int(0.9 * rate)]).max() < 0.01 < 0.3 < np.abs(heard[int(1.1 * rate) : int(1.6 * rate)]).max()


def test_a_whole_length_is_sampled_in_segments(host):
    graph = Graph()
    *_, sampler = made(graph, WORDS, steps=4, cfg=3.0)
    result = shown(graph, sampler[0])
    run = graphs.succeeded(host.run(graph.prompt))
    assert "made in segments: 2 (frames 0 to 8, 4 to 12)" in str(run.outputs)
    frames = np.stack(pixels(run, result)) / 255
    assert len(frames) == 13
    change = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    assert change[8] <= 1.5 * np.median(change)
    # One bar over both segments.
    assert max(steps(event, display) for event in run.events for display in run.reached) == 8


def test_a_reference_length_is_sampled_at_once(host):
    graph = Graph()
    *_, sampler = made(graph, WORDS, length="reference")
    result = shown(graph, sampler[0])
    run = graphs.succeeded(host.run(graph.prompt))
    assert len(run.files(result)) == 13 and "made in segments" not in str(run.outputs)


def test_what_cannot_be_segments_is_said_by_its_name(host):
    graph = Graph()
    *_, sampler = made(graph, WORDS, segment=10)
    shown(graph, sampler[0])
    run = host.run(graph.prompt)
    assert run.status == "error" and "segment is 10; it is a multiple of 4 plus 1" in run.why


def test_one_part_of_a_clip_that_goes_on_is_not_sampled_alone(host, clip):
    graph = Graph()
    models, planner = graphs.planned(graph, "Continue <video1> by 4 frames.", {"video1": clip})
    _, vace = graphs.conditioned(graph, models, planner)
    graph.node("PreviewAny", source=vace[3])
    run = host.run(graph.prompt)
    assert run.status == "error" and "VACE Sampler" in run.why


def test_stop_is_heard_in_the_second_segment(host):
    graph = Graph()
    *_, sampler = made(graph, WORDS, steps=20, seed=5)
    shown(graph, sampler[0])
    handle = host.start(graph.prompt)
    handle.wait_for(lambda event: steps(event, sampler.id) > 20)
    handle.interrupt()
    run = handle.result()
    assert run.status == "interrupted"
    assert 20 < max(steps(event, sampler.id) for event in run.events) < 40
