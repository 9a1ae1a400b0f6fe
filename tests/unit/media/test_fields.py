"""Interlaced videos: every frame shows one moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from unison_backend.errors import MediaError
from unison_backend.media.fields import without_fields
from unison_backend.media.probe import probe
from unison_backend.media.video import load_video

from ..media_samples import greys, make_video, numbers

pytestmark = pytest.mark.fast


def moving(count: int, top_first: bool) -> list[Any]:
    """A white bar that moves between the two fields of each frame: [64, 96, 3] with combs."""

    def moment(t: int) -> Any:
        pixels = np.full((64, 96, 3), 40, np.uint8)
        pixels[:, 4 * t + 8 : 4 * t + 24] = 220
        return pixels

    frames = []
    for n in range(count):
        first, second = moment(2 * n), moment(2 * n + 1)
        frame = (first if top_first else second).copy()
        frame[1::2] = (second if top_first else first)[1::2]
        frames.append(frame)
    return frames


def interlaced(path: Path, count: int, *, top_first: bool = True) -> Path:
    options = {"crf": "4", "x264-params": f"{'tff' if top_first else 'bff'}=1"}
    return make_video(path, moving(count, top_first), rate=25, options=options)


def combs(frame: Any) -> float:
    """How much neighbouring lines differ."""
    return float(np.abs(np.diff(frame[..., 0], axis=0)).mean())


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_no_combs_are_left(tmp_path: Path, name: str, count: int, top_first: bool) -> None:
    path = interlaced(tmp_path / name, count, top_first=top_first)
    info, video = probe(path, "video"), load_video(path)
    assert (info.num_frames, len(video)) == (count, count)
    assert any("interlaced" in note for note in info.notes)
    if count > 1:  # a frame alone has no neighbour that shows what moves
        assert max(combs(frame / 255) for frame in moving(count, top_first)) > 0.05
        assert max(combs(frame) for frame in video) < 0.02
    lefts = [int((frame[32, :, 0] > 0.5).argmax()) for frame in video]
    assert lefts == sorted(set(lefts))  # one frame after the other, none twice


def test_one_frame_alone_is_the_same(tmp_path: Path) -> None:
    path = interlaced(tmp_path / "a.mp4", 6)
    video = load_video(path)
    for wanted in ([0], [3], [5], [1, 1, 4]):
        np.testing.assert_array_equal(load_video(path, wanted), video[wanted])


def test_whole_frames_stay_as_they_are(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", greys(6))
    assert probe(path, "video").notes == ()
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    for (number, frame), own in zip(without_fields(enumerate(frames), None), frames, strict=True):
        assert frame is own and frames[number] is own


def test_what_waits_comes_before_an_error(tmp_path: Path) -> None:
    path = interlaced(tmp_path / "a.mp4", 4)

    def broken() -> Any:
        with av.open(str(path)) as container:
            yield from enumerate(container.decode(video=0))
        raise MediaError("broken")

    seen = []
    with pytest.raises(MediaError, match="broken"):
        seen.extend(number for number, _ in without_fields(broken(), None))
    assert seen == [0, 1, 2, 3]


def test_greys_keep_their_order(tmp_path: Path) -> None:
    options = {"crf": "4", "x264-params": "tff=1"}
    path = make_video(tmp_path / "a.mp4", greys(12), options=options)
    assert numbers(load_video(path)) == list(range(12))
