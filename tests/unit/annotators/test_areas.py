"""Looking in parts of a picture: boxes come back in the picture's own pixels, and none twice."""

from __future__ import annotations

import pytest

from unison_backend.annotators.areas import detect_in
from unison_backend.annotators.detector import Detector, load_detector

from ..tiny_annotators import make_detector, noise

HEIGHT, WIDTH = 60, 80
FRAME = noise(HEIGHT, WIDTH)

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return load_detector(make_detector(tmp_path_factory.mktemp("detector") / "tiny"))


def test_no_area_is_the_whole_picture(detector: Detector) -> None:
    assert detect_in(detector, FRAME, [], ["cat"], threshold=0.0) == detector.detect([FRAME], ["cat"], threshold=0.0)[0]


def test_what_is_found_in_a_part_lies_where_the_part_lies(detector: Detector) -> None:
    (alone,) = detector.detect([FRAME[10:51, 20:71]], ["cat"], threshold=0.0)
    found = detect_in(detector, FRAME, [(20.4, 10.0, 70.2, 50.7)], ["cat"], threshold=0.0)
    assert found and [d.score for d in found] == [d.score for d in alone]
    for here, there in zip(found, alone, strict=True):
        left, top, right, bottom = there.box
        assert here.box == (left + 20, top + 10, right + 20, bottom + 10)
        assert 20 <= here.box[0] < here.box[2] <= 71 and 10 <= here.box[1] < here.box[3] <= 51


def test_two_parts_are_one_list_and_nothing_stands_in_it_twice(detector: Detector) -> None:
    left, right = (0.0, 0.0, 40.0, 60.0), (40.0, 0.0, 80.0, 60.0)
    one = [detect_in(detector, FRAME, [area], ["cat"], threshold=0.0) for area in (left, right)]
    both = detect_in(detector, FRAME, [left, right], ["cat"], threshold=0.0)
    assert {d.box for d in both} == {d.box for part in one for d in part}  # they do not overlap
    assert [d.score for d in both] == sorted((d.score for d in both), reverse=True)
    twice = detect_in(detector, FRAME, [left, left], ["cat"], threshold=0.0)
    assert {d.box for d in twice} == {d.box for d in one[0]} and len(twice) == len(one[0])
