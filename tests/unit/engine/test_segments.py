"""Videos in segments on the embedded models: their seams, what each segment is given, progress and cancel."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from unison_backend.annotators.maps.canny import make as canny
from unison_backend.conditioning.text_context import negative_prompt, text_context
from unison_backend.conditioning.text_encoder import load_text_encoder
from unison_backend.demo import set as demo
from unison_backend.demo.world.reading import read_frame
from unison_backend.demo.world.shapes import Scene, Thing, render
from unison_backend.engine.engine import Engine
from unison_backend.engine.segments import generate
from unison_backend.engine.settings import SamplingSettings
from unison_backend.errors import Cancelled
from unison_backend.plan.segments import Segmenting, segments_of
from unison_backend.progress import silent
from unison_backend.sources.prepare import Sources

SEGMENTING = Segmenting(9, 5)


@pytest.fixture(scope="module")
def engine():
    files = demo.shipped()
    return Engine.load(files.vace, files.vae, torch.device("cpu"))


@pytest.fixture(scope="module")
def texts():
    """Instructions to contexts, [1, 2048, D]."""
    encoder = load_text_encoder(demo.shipped().text_encoder, dtype=torch.float32, device=torch.device("cpu"))
    return lambda text: text_context(encoder.encode(text).cpu())


def everything(frames):
    return Sources(torch.full((1, 1, 1, 1), 0.5).expand(frames, 64, 64, 3), torch.ones(1, 1, 1).expand(frames, 64, 64))


def seam_over_median(frames, segments):
    """The largest difference of neighbouring frames where a segment's own begin, over the median of all."""
    steps = (frames[1:] - frames[:-1]).abs().mean((1, 2, 3))
    return max(float(steps[part.stop - 1] / steps.median()) for part in segments[:-1])


def test_the_seam_of_a_moving_shape(engine, texts):
    segments = segments_of(13, SEGMENTING)
    frames = generate(
        engine,
        everything(13),
        texts("a video of a red circle moving to the right on a blue background, 64x64, 9 frames"),
        texts(negative_prompt()),
        SamplingSettings(steps=4, cfg=demo.CFG),
        segments,
    )
    assert seam_over_median(frames, segments) <= 1.5
    seen = [read_frame(frame) for frame in frames]
    assert {one.background for one in seen} == {"blue"} and {one.colour for one in seen} == {"red"}
    # It neither jumps nor turns back at the seam (in the embedded models' world things go as far as this).
    places = [one.x for one in seen]
    assert places[8] > places[0] + 0.25
    assert all(-0.03 < after - before < 0.09 for before, after in pairwise(places))


def test_the_seams_of_a_control_video(engine, texts):
    clip = render(Scene("yellow", (Thing("square", "red").moving("right"),)), 13, 64, 64)
    segments = segments_of(13, SEGMENTING)
    frames = generate(
        engine,
        Sources(canny(clip), torch.ones(13, 64, 64)),
        texts("Following the canny edges in <VIDPAD>, generate a video of a green square on a blue background."),
        texts(negative_prompt()),
        SamplingSettings(steps=4, cfg=demo.CFG),
        segments,
    )
    assert seam_over_median(frames, segments) <= 1.5
    places, drawn = ([read_frame(frame).x for frame in one] for one in (frames, clip))
    assert max(abs(one - other) for one, other in zip(places, drawn, strict=True)) < 0.1


class Recorder:
    """An engine that keeps what it is given, and makes frames of one brightness for each call."""

    steps_computed = 3

    def __init__(self):
        self.sources, self.noises = [], []

    def generate(self, sources, positive, negative, settings, progress, cancel, noise):
        self.sources.append(replace(sources, video=sources.video.clone(), mask=sources.mask.clone()))
        self.noises.append(noise)
        progress("encoding sources", 1, 1)
        for step in range(settings.steps):
            progress("sampling", step + 1, settings.steps)
        return torch.full_like(sources.video, 0.1 * len(self.sources))


def recorded(sources, segments, progress=silent):
    engine = Recorder()
    context = torch.zeros(1, 1, 1)
    return engine, generate(engine, sources, context, context, SamplingSettings(steps=2, seed=4), segments, progress)


def test_what_was_made_is_kept_and_the_source_around_it_stays_itself():
    video = torch.rand(13, 16, 16, 3)
    mask = torch.zeros(13, 16, 16)
    mask[:, 4:8] = 1
    engine, frames = recorded(Sources(video, mask), segments_of(13, SEGMENTING))
    first, second = engine.sources
    assert torch.equal(first.video, video[:9]) and torch.equal(first.mask, mask[:9])
    # Kept: as made where the mask was, the source's own bits elsewhere.
    assert not second.mask[:5].any() and torch.equal(second.mask[5:], mask[9:])
    assert torch.allclose(second.video[:5, 4:8], torch.tensor(0.1))
    assert torch.equal(second.video[:5, 8:], video[4:9, 8:]) and torch.equal(second.video[5:], video[9:])
    # The first segment's frames fade into the second one's, and the caller's tensors are as they were.
    shown = frames.amax((1, 2, 3))
    assert torch.allclose(shown, torch.tensor([0.1] * 4 + [0.1 + 0.1 * n / 6 for n in range(1, 6)] + [0.2] * 4))
    assert mask.sum() == 13 * 4 * 16


def test_segments_share_one_noise_and_the_references():
    reference = torch.rand(64, 64, 3)
    sources = everything(13)
    engine, _ = recorded(Sources(sources.video, sources.mask, (reference, reference)), segments_of(13, SEGMENTING))
    first, second = engine.noises
    assert first.shape == second.shape == (1, 16, 2 + 3, 8, 8)
    assert torch.equal(first[:, :, :2], second[:, :, :2])  # of the references
    assert torch.equal(first[:, :, 3:], second[:, :, 2:4])  # frames 4 to 8 are latent frames 1 and 2 of the video
    assert not torch.equal(first[:, :, 4], second[:, :, 4])
    assert all(len(given.references) == 2 for given in engine.sources)


def test_one_count_of_steps_over_all():
    shown = []
    engine, _ = recorded(
        everything(17),
        segments_of(17, SEGMENTING),
        progress=lambda stage, done, total: shown.append((stage, done, total)),
    )
    assert shown == [("sampling", done, 6) for done in range(7)]
    assert engine.steps_computed == 9  # of each of the three


def test_without_segments_it_is_the_engine_alone(engine):
    generator = torch.Generator().manual_seed(1)
    positive, negative = (torch.randn(1, 8, 4096, generator=generator) for _ in range(2))
    one, other = (make(everything(5), positive, negative, SamplingSettings(steps=1))
                  for make in (engine.generate, lambda *given: generate(engine, *given)))  # fmt: skip
    assert torch.equal(one, other)


def test_cancel_is_heard_in_the_second_segment(engine):
    context = torch.zeros(1, 8, 4096)
    done = []

    def cancel():
        return bool(done) and done[-1] >= 3

    with pytest.raises(Cancelled):
        generate(
            engine, everything(13), context, context, SamplingSettings(steps=2, cfg=1), segments_of(13, SEGMENTING),
            lambda stage, step, total: done.append(step), cancel,
        )  # fmt: skip
    assert done == [0, 1, 2, 3]
