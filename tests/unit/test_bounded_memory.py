"""Memory by the length of a clip: bytes of live tensors and live decoded frames are counted, nothing is timed.

What one run holds at its peak grows by a few copies of the frames that are added, and by no more for a longer clip.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from unison_backend.annotators.bind import map_maker
from unison_backend.annotators.maps import flow as flow_maps
from unison_backend.annotators.maps.load import load_control_model
from unison_backend.annotators.segmenter import load_segmenter
from unison_backend.media import probe as media_module
from unison_backend.media.probe import probe
from unison_backend.media.video import load_video
from unison_backend.media.write import write_image, write_video
from unison_backend.pipeline.planning import Planned, make_plan
from unison_backend.pipeline.runnable import COPIES_IN_MEMORY
from unison_backend.pipeline.sources import SourceOptions, prepare_sources
from unison_backend.plan.prompt import parse_paths
from unison_backend.progress import never, silent
from unison_backend.sources.composite import composite
from unison_backend.sources.given import GivenSources
from unison_backend.sources.masks import MaskOptions
from unison_backend.sources.prepare import Annotators

from . import tiny_control_models as tiny
from .tiny_annotators import make_segmenter, noise

WIDTH, HEIGHT, FPS = 64, 48, 24
FRAME_BYTES = WIDTH * HEIGHT * 3 * 4


class Held(TorchDispatchMode):
    """Counts the bytes of tensors that are alive, each storage once. peak: the most at any time inside."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[int, int] = {}
        self.sizes: dict[int, int] = {}
        self.bytes = self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor)
        return result

    def _add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        place = storage.data_ptr()
        if not self.users.get(place):
            self.sizes[place] = storage.nbytes()
            self.bytes += storage.nbytes()
            self.peak = max(self.peak, self.bytes)
        self.users[place] = self.users.get(place, 0) + 1
        weakref.finalize(tensor, self._drop, place)

    def _drop(self, place: int) -> None:
        self.users[place] -= 1
        if not self.users[place]:
            self.bytes -= self.sizes[place]


def peak(job: Callable[[], Any]) -> int:
    with Held() as held:
        job()
    return held.peak


def copies_added(job: Callable[[int], Callable[[], Any]], lengths: tuple[int, int, int]) -> tuple[float, float]:
    """How many float32 copies of the added frames a longer clip takes: from the first length to the second, and on."""
    short, middle, long = (peak(job(length)) for length in lengths)
    first, second, third = lengths
    return (
        (middle - short) / ((second - first) * FRAME_BYTES),
        (long - middle) / ((third - second) * FRAME_BYTES),
    )


def test_the_counter_counts() -> None:
    """Copies count, views do not, and what grows with the square is seen."""
    clip = torch.rand(1, HEIGHT, WIDTH, 3)
    assert peak(lambda: clip.expand(9, -1, -1, -1)[2:]) == FRAME_BYTES
    assert peak(lambda: (clip + 1, clip + 2)) == 2 * FRAME_BYTES
    assert peak(lambda: [(clip + n).sum() for n in range(9)]) < 2 * FRAME_BYTES
    first, then = copies_added(lambda n: lambda: [torch.zeros(n, HEIGHT, WIDTH, 3) for _ in range(n)], (4, 8, 16))
    assert then > 1.5 * first > 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of a source and its mask, and a picture."""
    root = tmp_path_factory.mktemp("bounded")
    generator = np.random.default_rng(0)
    grain = generator.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)

    def frames(mask: bool) -> Iterator[Any]:
        for number in range(10 * FPS):
            frame = np.zeros_like(grain) if mask else np.roll(grain, number, 1)
            frame[10:30, number % 40 : number % 40 + 20] = 255
            yield frame

    write_video(root / "source.mp4", frames(False), Fraction(FPS))
    write_video(root / "mask.mp4", frames(True), Fraction(FPS))
    write_image(root / "first.png", grain)
    return root


def found(target: str, video: torch.Tensor, *_: Any) -> tuple[torch.Tensor, str]:
    return (video.amax(-1) > 0.5).float(), f"{target} found"


JOBS = ("mask", "grown mask", "found mask", "first frame", "canny", "canny inside the mask")


def planned(job: str, frames: int, folder: Path) -> tuple[Planned, SourceOptions]:
    source, mask = f"###{folder / 'source.mp4'}###", folder / "mask.mp4"
    text, given, options = f"Make the ball in this video {source} green.", GivenSources(mask=mask), MaskOptions()
    if job == "grown mask":
        options = MaskOptions("holes", grow=2, blur=1)
    elif job == "found mask":
        given = GivenSources(mask_phrase="ball")
    elif job == "first frame":
        text, given = f"Based on the first frame ###{folder / 'first.png'}###, generate a video.", GivenSources()
    elif job == "canny":
        text, given = "Make a video of a hall.", GivenSources(control_file=folder / "source.mp4", control="canny")
    elif job == "canny inside the mask":
        given = GivenSources(mask=mask, control_file=folder / "source.mp4", control="canny")
    plan = make_plan(parse_paths(text), {"num_frames": frames}, given=given)
    return plan, SourceOptions(mask=options, annotators=Annotators(found, map_maker({})))


@pytest.mark.parametrize("job", JOBS)
def test_sources_grow_in_step_with_the_clip(job: str, folder: Path) -> None:
    def run(frames: int) -> Callable[[], Any]:
        plan, options = planned(job, frames, folder)
        assert plan.spec.num_frames == frames and (plan.spec.width, plan.spec.height) == (WIDTH, HEIGHT)
        return lambda: prepare_sources(plan, options, silent, never)

    first, then = copies_added(run, (21, 41, 81))
    assert 0.9 < then < COPIES_IN_MEMORY and then < first + 0.1


def test_an_edit_holds_its_source_and_mask_and_little_else(folder: Path) -> None:
    """The source, a third of it for the mask, a twelfth for where it marks; nothing is copied to be emptied."""

    def run(frames: int) -> Callable[[], Any]:
        plan, options = planned("mask", frames, folder)
        return lambda: prepare_sources(plan, options, silent, never)

    assert copies_added(run, (21, 41, 81))[1] < 1.45


@pytest.mark.parametrize("kind", ["depth", "flow", "composite"])
def test_maps_and_the_composite_grow_in_step_with_the_clip(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_maps, "FLOW_UPDATES", 1)  # each takes as much as the one before it
    if kind == "composite":
        mask = torch.zeros(17, HEIGHT, WIDTH)
        mask[:, 10:20, 10:20] = 1
        clip = noise(17, HEIGHT, WIDTH)

        def run(frames: int) -> Callable[[], Any]:
            return lambda: composite(clip[:frames], clip[:frames], mask[:frames])
    else:
        place = tmp_path / ("raft.pth" if kind == "flow" else "depth")
        model = load_control_model((tiny.make_raft if kind == "flow" else tiny.make_depth_anything)(place))
        clip = noise(17, HEIGHT, WIDTH)

        def run(frames: int) -> Callable[[], Any]:
            return lambda: model.make_map(clip[:frames])

    first, then = copies_added(run, (5, 9, 17))
    assert 0.9 < then < 3 and then < first + 0.1


def test_following_grows_by_no_more_than_the_mask(tmp_path: Path) -> None:
    """Beyond the frames that SAM2 looks back to, a frame adds its mask alone: a twelfth of a copy."""
    segmenter = load_segmenter(make_segmenter(tmp_path / "sam", memories=3, pointers=4))
    clip = noise(40, HEIGHT, WIDTH)
    # The box's frame is kept whole, and all of what is kept is there after a few frames.
    _, then = copies_added(lambda n: lambda: segmenter.track(clip[:n], 0, boxes=[(5, 5, 40, 40)]), (10, 20, 40))
    assert then < 0.1


def test_a_long_source_is_decoded_frame_by_frame(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 240 decoded frames at most three are alive at once, whether all of them are used or a few."""
    alive: list[int] = []
    counts = {"now": 0, "all": 0}
    read = media_module.iter_frames

    def leave() -> None:
        counts["now"] -= 1

    def counted(*given: Any, **named: Any) -> Iterator[Any]:
        last = None
        for frame in read(*given, **named):
            if frame is not last:
                counts["now"], counts["all"] = counts["now"] + 1, counts["all"] + 1
                alive.append(counts["now"])
                weakref.finalize(frame, leave)
            last = frame
            yield frame
            del frame

    monkeypatch.setattr(media_module, "iter_frames", counted)
    assert probe(folder / "source.mp4", "video").num_frames == 240
    for job in ("mask", "canny"):
        for frames in (237, 21):
            alive.clear()
            counts["all"] = 0
            plan, options = planned(job, frames, folder)
            sources = prepare_sources(plan, options, silent, never)
            assert len(sources.video) == frames and counts["all"] == frames * (2 if job == "mask" else 1)
            assert max(alive) <= 3
    kept = list(counted(folder / "source.mp4", range(9)))  # the counter sees what is kept
    assert max(alive[-9:]) >= len(kept) == 9


def test_the_sources_of_a_long_video_are_its_frames(folder: Path) -> None:
    """So that what is bounded is the whole job."""
    plan, options = planned("mask", 237, folder)
    sources = prepare_sources(plan, options, silent, never)
    frames = torch.from_numpy(load_video(folder / "source.mp4", list(plan.spec.source_frames)))
    kept = sources.mask <= 0.5
    assert torch.equal(sources.video[kept], frames[kept]) and (sources.video[~kept] == 0.5).all()
