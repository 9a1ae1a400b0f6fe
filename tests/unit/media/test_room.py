"""Pictures and videos' frames are held against what is free, and against what Pillow opens, before they are decoded."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from PIL import Image

from unison_backend.errors import MediaError, ResourceError
from unison_backend.media.moving import iter_moving
from unison_backend.media.pictures import BYTES_A_PIXEL, load_image, load_with_alpha
from unison_backend.media.probe import probe
from unison_backend.media.video import iter_video

from ..media_samples import greys, make_video


def png(path: Path, width: int, height: int) -> Path:
    """A PNG whose header claims any size, with hardly any data behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    return path


def test_memory_is_asked_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2 << 30))
    path = png(tmp_path / "a.png", 13000, 13000)
    for load in (load_image, load_with_alpha):
        with pytest.raises(
            ResourceError, match=r"a\.png is 13000x13000 pixels, which take 3\.8 GB .* 2\.0 GB are free"
        ):
            load(path)
    assert probe(path, "image").width == 13000  # what is only looked at takes no memory
    frames = [Image.new("RGB", (64, 64), shade) for shade in ("red", "blue")]
    frames[0].save(tmp_path / "b.gif", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=90_000))
    with pytest.raises(ResourceError, match="64x64"):
        next(iter_moving(tmp_path / "b.gif"))


def test_a_videos_frames_are_held_against_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "a.mp4", greys(3))
    with Image.fromarray(greys(1)[0]) as shown:
        width, height = shown.size
    needed = probe(path, "video").width * height * BYTES_A_PIXEL
    for available, fits in ((needed, True), (needed - 1, False)):
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=available: SimpleNamespace(available=free))
        for read in (lambda: probe(path, "video"), lambda: list(iter_video(path))):
            if fits:
                assert read()
                continue
            with pytest.raises(ResourceError, match=rf"a\.mp4 is {width}x{height} pixels, which take"):
                read()


def test_what_the_refusal_says_is_true(tmp_path: Path) -> None:
    """Few pixels a side, many in all: the side that is named really opens, one more does not."""
    with pytest.raises(MediaError, match=r"16384 pixels a side and 178956970 in all .a square one to 13377"):
        probe(png(tmp_path / "a.png", 13400, 13400), "image")
    assert probe(png(tmp_path / "b.png", 13377, 13377), "image").width == 13377
    assert probe(png(tmp_path / "c.png", 16384, 10000), "image").width == 16384
    with pytest.raises(MediaError, match=r"at most 16384 pixels a side$"):
        probe(png(tmp_path / "d.png", 16385, 10), "image")
