"""Found masks: which frame and which boxes are taken, what is said about it, and what is said when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from unison_backend.annotators.detector import Detector, load_detector
from unison_backend.annotators.found_mask import Found, find, further_frames
from unison_backend.annotators.segmenter import Segmenter, load_segmenter
from unison_backend.errors import Cancelled, InputError

from ..tiny_annotators import Look, make_detector, make_segmenter, noise, script

HEIGHT, WIDTH = 40, 80
LEFT, RIGHT, TOP = (0.0, 0.0, 0.25, 1.0), (0.75, 0.0, 1.0, 1.0), (0.25, 0.0, 0.75, 0.5)
PIXELS = {LEFT: (0, 0, 20, 40), RIGHT: (60, 0, 80, 40), TOP: (20, 0, 60, 20)}


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return load_detector(make_detector(tmp_path_factory.mktemp("finding") / "detector"))


@dataclass
class Fills(Segmenter):
    """Boxes filled in every frame, from the marked one on."""

    model: Any = None
    processor: Any = None
    asked: list[Any] = field(default_factory=list)

    def track(self, video: torch.Tensor, frame: int, *, boxes: Any = (), **rest: Any) -> torch.Tensor:
        self.asked.append((frame, [tuple(round(side) for side in box) for box in boxes]))
        mask = torch.zeros(video.shape[:3], dtype=torch.bool)
        for left, top, right, bottom in self.asked[-1][1]:
            mask[frame:, top:bottom, left:right] = True
        return mask


@dataclass
class Nothing(Fills):
    def track(self, video: torch.Tensor, frame: int, **rest: Any) -> torch.Tensor:
        return torch.zeros(video.shape[:3], dtype=torch.bool)


class Case:
    """`find` in a clip where the network's answers are `looks`, in the order of its calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, detector: Detector) -> None:
        self.monkeypatch, self.detector, self.segmenter = monkeypatch, detector, Fills()
        self.calls: list[Any] = []

    def __call__(self, looks: Sequence[Look], *, frames: int = 1, **options: Any) -> Found:
        self.calls = script(self.monkeypatch, self.detector, looks)
        video = noise(frames, HEIGHT, WIDTH)
        return find("red car", video, self.detector, options.pop("segmenter", self.segmenter), **options)


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch, detector: Detector) -> Case:
    return Case(monkeypatch, detector)


def test_one_takes_the_best(case: Case) -> None:
    found = case([[(LEFT, 0.3), (RIGHT, 0.62), (TOP, 0.5)]])
    assert found.explanation == "'red car' found in frame 0 with 0.62 (2 more, best taken)"
    assert case.segmenter.asked == [(0, [PIXELS[RIGHT]])]
    assert [(d.label, round(d.score, 4)) for d in found.detections] == [("red car", 0.62)]
    assert found.frame == 0 and found.mask.shape == (1, HEIGHT, WIDTH) and found.mask.dtype == torch.float32
    assert set(found.mask.unique().tolist()) == {0.0, 1.0}
    assert found.mask.sum() == 20 * 40


def test_several_takes_all_above_the_threshold(case: Case) -> None:
    found = case([[(LEFT, 0.3), (RIGHT, 0.62), (TOP, 0.2)]], plural=True)
    assert found.explanation == "'red car' found in frame 0 with 0.62 (1 more, all taken)"
    assert case.segmenter.asked == [(0, [PIXELS[RIGHT], PIXELS[LEFT]])]
    assert [round(d.score, 4) for d in found.detections] == [0.62, 0.3]


@pytest.mark.parametrize("plural", [False, True])
def test_the_only_one(case: Case, plural: bool) -> None:
    found = case([[(LEFT, 0.3), (RIGHT, 0.1)]], plural=plural)
    assert found.explanation == "'red car' found in frame 0 with 0.30"
    assert len(found.detections) == 1


def test_duplicates_count_once(case: Case) -> None:
    inside = (0.0, 0.0, 0.25, 0.9)
    found = case([[(LEFT, 0.6), (inside, 0.5)]], plural=True)
    assert found.explanation == "'red car' found in frame 0 with 0.60"


def test_frame_0_is_enough(case: Case) -> None:
    case([[(LEFT, 0.26)]], frames=20)
    assert len(case.calls) == 1


def test_the_best_of_eight_further_frames(case: Case) -> None:
    looks: list[Look] = [[(LEFT, 0.2)], *([[(TOP, 0.3)]] * 4), [(LEFT, 0.4), (RIGHT, 0.5)], *([[]] * 3)]
    found = case(looks, frames=81)
    assert len(case.calls) == 9
    assert found.frame == 50 and case.segmenter.asked == [(50, [PIXELS[RIGHT]])]
    assert found.explanation == "'red car' found in frame 50 with 0.50 (1 more, best taken)"
    assert found.mask.shape == (81, HEIGHT, WIDTH) and not found.mask[:50].any()


def test_the_first_of_two_equally_good_frames(case: Case) -> None:
    assert case([[], [(LEFT, 0.5)], [(RIGHT, 0.5)]], frames=3).frame == 1


@pytest.mark.parametrize(
    ("count", "frames"),
    [
        (1, []),
        (2, [1]),
        (5, [1, 2, 3, 4]),
        (9, [1, 2, 3, 4, 5, 6, 7, 8]),
        (10, [1, 2, 3, 5, 6, 7, 8, 9]),
        (81, [10, 20, 30, 40, 50, 60, 70, 80]),
    ],
)
def test_further_frames(count: int, frames: list[int]) -> None:
    assert further_frames(count) == frames


def test_further_frames_are_spread_evenly() -> None:
    for count in range(2, 300):
        frames = [0, *further_frames(count)]
        steps = [after - before for before, after in pairwise(frames)]
        assert frames[-1] == count - 1 and len(frames) == min(9, count)
        assert min(steps) >= 1 and max(steps) - min(steps) <= 1


@pytest.mark.parametrize(
    ("scores", "threshold", "message"),
    [
        ([0.18, 0.05], 0.25, "scored 0.18, below 0.25:"),
        ([0.2499], 0.25, "scored 0.24, below 0.25:"),
        ([0.6], 0.75, "scored 0.60, below 0.75:"),
        ([], 0.25, "scored 0.00, below 0.25:"),
    ],
)
def test_nothing_found(case: Case, scores: list[float], threshold: float, message: str) -> None:
    with pytest.raises(InputError) as error:
        case([[(LEFT, score) for score in scores]], threshold=threshold)
    cure = "use other words, lower the threshold, or give a mask"
    assert str(error.value) == f"the best match for 'red car' {message} {cure}"
    assert len(case.calls) == 1 and not case.segmenter.asked


def test_nothing_found_anywhere_names_the_best_of_all_frames(case: Case) -> None:
    with pytest.raises(InputError, match=r"the best match for 'red car' scored 0\.21, below 0\.25"):
        case([[(LEFT, 0.1)], [(LEFT, 0.21)], []], frames=3)
    assert len(case.calls) == 3


def test_a_lower_threshold_finds_it(case: Case) -> None:
    assert case([[(LEFT, 0.18)]], threshold=0.15).explanation == "'red car' found in frame 0 with 0.18"


def test_an_empty_mask(case: Case) -> None:
    with pytest.raises(InputError, match=r"'red car' was found in frame 0 with 0\.60, but nothing in its box"):
        case([[(LEFT, 0.6)]], segmenter=Nothing())


@pytest.mark.parametrize("shape", [(8, 8, 3), (0, 8, 8, 3), (1, 8, 8, 4)])
def test_wrong_videos(detector: Detector, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected is \[frames, height, width, 3\]"):
        find("red car", torch.zeros(shape), detector, Fills())


@pytest.mark.parametrize("threshold", [-0.1, 1.5])
def test_wrong_threshold(case: Case, threshold: float) -> None:
    with pytest.raises(InputError, match=r"threshold is .*; it lies between 0 and 1"):
        case([], threshold=threshold)


def test_empty_phrase(detector: Detector) -> None:
    with pytest.raises(InputError, match="phrase to look for is empty"):
        find(" ", noise(1, HEIGHT, WIDTH), detector, Fills())


def test_cancel(case: Case) -> None:
    with pytest.raises(Cancelled, match="detection"):
        case([[]] * 9, frames=20, cancel=lambda: len(case.calls) == 0)


def test_with_a_real_segmenter(case: Case, tmp_path: Path) -> None:
    """From the words to a mask in every frame: what the segmenter makes of the box, forwards and backwards."""
    segmenter = load_segmenter(make_segmenter(tmp_path / "segmenter"))
    told: list[Any] = []
    found = case(
        [[], [(LEFT, 0.3)], [(RIGHT, 0.7)], []],
        frames=4,
        segmenter=segmenter,
        progress=lambda *step: told.append(step),
    )
    assert found.frame == 2
    expected = segmenter.track(noise(4, HEIGHT, WIDTH), 2, boxes=[found.detections[0].box])
    assert torch.equal(found.mask, expected.float())
    steps = [
        ("detection", 1, 1),
        *(("detection", n, 3) for n in (1, 2, 3)),
        *(("tracking", n, 4) for n in (1, 2, 3, 4)),
    ]
    assert told == steps
