"""Alpha of VP8 and VP9."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from unison_backend.media.probe import probe
from unison_backend.media.video import load_video

pytestmark = pytest.mark.fast


def video(path: Path, codec: str, *, alpha: bool, count: int = 5) -> Path:
    """A green square on transparent black that moves, or on opaque black."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=24, options={"auto-alt-ref": "0", "cpu-used": "8", "crf": "10"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuva420p" if alpha else "yuv420p"
        if alpha:
            stream.metadata["alpha_mode"] = "1"
        for n in range(count):
            pixels = np.zeros((48, 64, 4), np.uint8)
            pixels[16:32, 4 + 8 * n : 20 + 8 * n] = (20, 200, 40, 255)
            if not alpha:
                pixels[..., 3] = 255
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = n, Fraction(1, 24)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.webm", "a.mkv"])
@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_alpha_is_laid_on_white(tmp_path: Path, codec: str, name: str) -> None:
    path = video(tmp_path / name, codec, alpha=True)
    info, frames = probe(path, "video"), load_video(path)
    assert (info.num_frames, info.fps, len(frames)) == (5, 24, 5)
    for n, frame in enumerate(frames):
        np.testing.assert_allclose(frame[2:8, 2:60], 1, atol=0.03)
        np.testing.assert_allclose(frame[24, 12 + 8 * n] * 255, (20, 200, 40), atol=12)
    np.testing.assert_array_equal(load_video(path, [3])[0], frames[3])


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_without_alpha_nothing_changes(tmp_path: Path, codec: str) -> None:
    frames = load_video(video(tmp_path / "a.webm", codec, alpha=False))
    np.testing.assert_allclose(frames[:, 2:8, 2:60], 0, atol=0.03)
