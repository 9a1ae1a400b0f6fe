"""HDR and wide colours of videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from unison_backend.media.light import HLG, PQ, Light
from unison_backend.media.probe import probe
from unison_backend.media.video import load_video

pytestmark = pytest.mark.fast

COLOURS = np.array([(200, 40, 40), (40, 180, 60), (40, 60, 200), (220, 220, 220)], float)
# Rec. ITU-R BT.2087, linear BT.709 to linear BT.2020; SMPTE RP 177 gives that of P3 with a D65 white.
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
TO_P3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])


def pq(nits: Any) -> Any:
    """ST 2084, written anew."""
    power = (np.asarray(nits) / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(nits: Any) -> Any:
    """ARIB STD-B67 for a screen of 1000 nits."""
    shown = np.asarray(nits) / 1000
    luminance = np.maximum((shown * (0.2627, 0.6780, 0.0593)).sum(-1, keepdims=True), 1e-9)
    scene = shown * luminance ** (1 / 1.2 - 1)
    above = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), above)


def stored(transfer: int, primaries: int, linear: Any) -> Any:
    """Linear BT.709 light, 1 = white, as the numbers of a file."""
    matrix = {9: TO_2020, 12: TO_P3}.get(primaries, np.eye(3))
    wide = np.maximum(np.asarray(linear) @ matrix.T, 0)
    return {PQ: lambda: pq(wide * 203), HLG: lambda: hlg(wide * 203)}.get(transfer, lambda: wide ** (1 / 2.4))()


def video(path: Path, pixels: Any, transfer: int, primaries: int) -> Path:
    """Lossless, 16 bits, with these codes."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=24)
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = "gbrp16le"
        stream.codec_context.color_trc, stream.codec_context.color_primaries = transfer, primaries
        frame = av.VideoFrame.from_ndarray((pixels * 65535).round().astype(np.uint16), format="rgb48le")
        frame = frame.reformat(format="gbrp16le")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    return path


def read(path: Path, linear: Any, transfer: int, primaries: int) -> Any:
    """Colours of linear BT.709 light [n, 3] after the file, 0..255."""
    pixels = stored(transfer, primaries, linear)[None].repeat(8, 0).repeat(8, 1)
    return load_video(video(path, pixels, transfer, primaries))[0][4, 4::8] * 255


@pytest.mark.parametrize(
    ("transfer", "primaries", "words"),
    [(PQ, 9, "HDR (PQ, BT.2020)"), (HLG, 9, "HDR (HLG, BT.2020)"), (PQ, 12, "HDR (PQ, Display P3)"),
     (PQ, 1, "HDR (PQ, BT.709)"), (1, 9, "from BT.2020 to BT.709"), (1, 12, "from Display P3 to BT.709")],
)  # fmt: skip
def test_colours_arrive(tmp_path: Path, transfer: int, primaries: int, words: str) -> None:
    path = tmp_path / "a.mkv"
    shown = read(path, (COLOURS / 255) ** 2.4, transfer, primaries)
    np.testing.assert_allclose(shown, COLOURS, atol=1.5)
    assert [words in note for note in probe(path, "video").notes] == [True]


def test_ordinary_colours_stay_as_they_are_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    np.testing.assert_allclose(read(path, (COLOURS / 255) ** 2.4, 1, 1), COLOURS, atol=0.01)
    assert probe(path, "video").notes == ()


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_highlights_are_rolled_off(tmp_path: Path, transfer: int) -> None:
    """Ever brighter until 1000 nits, never beyond; what is darker than the knee stays."""
    nits = np.array([0, 20, 100, 160, 203, 400, 700, 1000])
    greys = (nits / 203)[:, None].repeat(3, 1)
    shown = read(tmp_path / "a.mkv", greys, transfer, 9)
    assert np.ptp(shown, axis=1).max() < 1
    brightness = shown.mean(1)
    np.testing.assert_allclose(brightness[:4], 255 * greys[:4, 0] ** (1 / 2.4), atol=1)
    assert (np.diff(brightness) > 0.5).all() and brightness[-1] == pytest.approx(255, abs=0.5)
    assert 235 < brightness[4] < 250
    bright_red = read(tmp_path / "b.mkv", np.array([(3.0, 0.3, 0.3)]), transfer, 9)[0] / 255
    assert (bright_red[1] / bright_red[0]) ** 2.4 == pytest.approx(0.1, abs=0.01)  # the hue stays


def test_what_no_screen_shows_is_clipped() -> None:
    corners = np.array([[(65535, 0, 0), (0, 65535, 0), (0, 0, 65535), (65535,) * 3, (0,) * 3]], np.uint16)
    for transfer in (PQ, HLG, 1):
        for primaries in (1, 9, 11, 12):
            shown = Light(transfer, primaries).to_bt709(corners)[0]
            assert np.isfinite(shown).all() and shown.min() >= 0 and shown.max() <= 1
            np.testing.assert_allclose(shown[3:], [[1] * 3, [0] * 3], atol=1e-3)
