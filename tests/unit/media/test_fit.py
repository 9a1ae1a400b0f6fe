"""Frames that FFmpeg scales as they are read, against PyTorch's filter on whole frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from unison_backend.media.fit import Fit
from unison_backend.media.resize import cover
from unison_backend.media.video import iter_video

from ..media_samples import BLACK, RED, WHITE, flat, make_video, rotated

SIZE = 320, 180
MATRICES = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, 1), (0, -1, -1, 0)]


def footage(number: int = 0) -> Any:
    """Waves, fine stripes and a round thing in a strong colour, nothing as bright as it can be."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    waves = 120 + 70 * np.sin((columns + 9 * number) / 11) * np.cos(rows / 7) + 20 * (columns % 2)
    made = np.stack([waves, 240 - waves, 60 + rows / 2], -1).astype(np.uint8)
    made[(columns - 100) ** 2 + (rows - 60) ** 2 < 900] = (220, 60, 30)
    return made


def ball(number: int = 0, colour: tuple[int, int, int] = WHITE) -> Any:
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    made = flat(BLACK, *SIZE)
    made[(columns - 150 - 20 * number) ** 2 + (rows - 90) ** 2 < 1600] = colour
    return made


def both(path: Path, fit: Fit, *, as_mask: bool = False) -> tuple[Any, Any]:
    """All frames as they come, and whole ones that PyTorch scales, both in 255ths."""
    fitted = np.stack(list(iter_video(path, as_mask=as_mask, fit=fit)))
    whole = [
        cover(torch.from_numpy(frame), fit.width, fit.height, fit.whole) for frame in iter_video(path, as_mask=as_mask)
    ]
    return fitted * 255, torch.stack(whole).numpy() * 255


@pytest.mark.parametrize("fit", [Fit(128, 96), Fit(144, 80), Fit(448, 256), Fit(96, 96, (320, 90))], ids=str)
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le"])
def test_frames_come_as_pytorch_scales_them(tmp_path: Path, fit: Fit, pix_fmt: str) -> None:
    """Within 2 of 255; the outermost pixels, where swscale repeats the rim, within 12."""
    make_video(tmp_path / "a.mkv", [footage(n) for n in range(2)], pix_fmt=pix_fmt, colour=(1, 1))
    made, wanted = both(tmp_path / "a.mkv", fit)
    assert made.shape == wanted.shape == (2, fit.height, fit.width, 3) and made.dtype == np.float32
    away = np.abs(made - wanted)
    assert away[:, 3:-3, 3:-3].max() < 2 and away.max() < 12
    assert away.mean() < (0.5 if pix_fmt == "yuv420p" else 0.2)


def test_small_white_letters_stay_as_clear(tmp_path: Path) -> None:
    """What overshoots at white is cut between the passes, as Pillow does it: few pixels, and by little."""
    squares = np.random.default_rng(0).random((45, 80)) > 0.8
    marks = np.repeat(np.kron(squares, np.ones((4, 4)))[..., None] * 255, 3, -1).astype(np.uint8)
    make_video(tmp_path / "a.mkv", [marks], codec="ffv1", pix_fmt="yuv444p")
    made, wanted = both(tmp_path / "a.mkv", Fit(144, 80))
    away = np.abs(made - wanted)
    assert away.max() < 20 and away.mean() < 1 and wanted.std() > 60
    assert abs(made.std() / wanted.std() - 1) < 0.01


def test_fine_stripes_become_their_mean(tmp_path: Path) -> None:
    """So scaling down is antialiased: each pixel weighs all that it covers."""
    stripes = flat(60, *SIZE)
    stripes[:, ::2] = 180
    make_video(tmp_path / "a.mkv", [stripes], codec="ffv1", pix_fmt="yuv444p")
    (made,) = iter_video(tmp_path / "a.mkv", fit=Fit(80, 45))
    assert np.abs(made[:, 2:-2] * 255 - 120).max() < 2


@pytest.mark.parametrize("matrix", MATRICES, ids=str)
def test_turned_frames_are_scaled_as_they_are_shown(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    path = rotated(make_video(tmp_path / "a.mp4", [footage()]), matrix)
    made, wanted = both(path, Fit(96, 112))
    assert made.shape == wanted.shape and np.abs(made - wanted)[:, 3:-3, 3:-3].max() < 2


def test_wide_pixels_are_scaled_too(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", [footage()], aspect=Fraction(4, 3))
    made, wanted = both(path, Fit(192, 80))
    assert made.shape == wanted.shape and np.abs(made - wanted)[:, 3:-3, 3:-3].max() < 2


def test_frames_of_the_wanted_size_are_not_touched(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", [footage()])
    made, wanted = both(path, Fit(*SIZE))
    np.testing.assert_array_equal(made, wanted)


@pytest.mark.parametrize(("span", "code"), [("tv", 1), ("pc", 2)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_a_mask_without_colour(tmp_path: Path, span: str, code: int, pix_fmt: str) -> None:
    """Flat parts are 0 and 1 to the bit, rims as before (which took white of 10 bits for 254 of 255)."""
    path = make_video(
        tmp_path / "a.mkv",
        [ball(n) for n in range(3)],
        pix_fmt=pix_fmt,
        colour=(1, code),
        filters=f"out_color_matrix=bt709:out_range={span}:flags=accurate_rnd",
    )
    made, wanted = both(path, Fit(128, 96), as_mask=True)
    assert made.shape == wanted.shape == (3, 96, 128, 1)
    assert np.abs(made - wanted).max() < (1.5 if pix_fmt.endswith("10le") else 0.5)
    white = 254 if pix_fmt.endswith("10le") else 255  # white of 8 bits is 1020 of 1023 for older encoders
    assert (made == 0).mean() > 0.5 and (made >= white).mean() > 0.08


def test_a_frame_with_colour_among_those_of_a_mask_comes_whole(tmp_path: Path) -> None:
    """Its brightest channel is found before it is scaled."""
    path = make_video(tmp_path / "a.mkv", [ball(0), ball(1, RED), ball(2)], codec="ffv1", pix_fmt="yuv444p")
    shapes = [frame.shape for frame in iter_video(path, as_mask=True, fit=Fit(128, 96))]
    assert shapes == [(96, 128, 1), (180, 320, 1), (96, 128, 1)]


@pytest.mark.parametrize(("pix_fmt", "source"), [("bgr0", "rgb24"), ("yuva420p", "rgba")])
def test_rgb_and_alpha_come_whole(tmp_path: Path, pix_fmt: str, source: str) -> None:
    frame = footage() if source == "rgb24" else np.dstack([footage(), np.full(SIZE[::-1], 99, np.uint8)])
    path = make_video(tmp_path / "a.mkv", [frame], codec="ffv1", pix_fmt=pix_fmt, source=source)
    (made,) = iter_video(path, fit=Fit(128, 96))
    assert made.shape == (180, 320, 3)


def test_hdr_comes_whole(tmp_path: Path) -> None:
    """It is tone-mapped before it is scaled."""
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=24)
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuv420p10le"
        stream.codec_context.color_trc, stream.codec_context.color_primaries = 16, 9
        output.mux(stream.encode(av.VideoFrame.from_ndarray(footage(), "rgb24").reformat(format="yuv420p10le")))
        output.mux(stream.encode(None))
    (made,) = iter_video(tmp_path / "a.mkv", fit=Fit(128, 96))
    assert made.shape == (180, 320, 3)
