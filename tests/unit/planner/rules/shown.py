"""Sentences with pictures and videos for their media: masks of every kind that people have, and photographs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tests.unit.planner.rules.sentences import Sentence
from unison_backend.errors import UnisonError
from unison_backend.media.from_files import FileMedia
from unison_backend.plan.prompt import Medium, Prompt, parse_pads
from unison_backend.planner.base import PlanResult
from unison_backend.planner.by_pixels import with_seen_mask
from unison_backend.planner.rules.plan import planned

_SIZE = (96, 64)
_FRAMES = 5


class Shown:
    """Reads sentences as the product does that has the files; the nth mask is of the nth kind, and round again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._masks = sorted(_masks(folder))
        self._numbers = count()
        for number in range(4):
            _photo(number).save(folder / f"photo{number}.png")
        _clip([_mask(step) for step in range(_FRAMES)], folder / "mask.mp4")
        _clip([_photo(0)] * _FRAMES, folder / "photo.mp4")

    def read(self, sentence: Sentence) -> PlanResult | None:
        """What the rules make of a sentence with its media; None for an error."""
        prompt = self.prompt(sentence)
        media = FileMedia(prompt.media)
        try:
            return with_seen_mask(planned(prompt), prompt, planned, media.look)
        except UnisonError:
            return None

    def prompt(self, sentence: Sentence) -> Prompt:
        """The sentence around files: of the names that it gives, else of names that say nothing."""
        prompt = parse_pads(sentence.prompt)
        number = next(self._numbers)
        names: Sequence[str] = sentence.fields.get("files", [])
        media = []
        for index, medium in enumerate(prompt.media):
            is_mask = index == sentence.fields.get("mask")
            shown = self._file(medium, number, index, is_mask=is_mask)
            path = self._folder / str(number) / (names[index] if names else f"{index}{shown.suffix}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(shown)
            media.append(Medium(medium.kind, path=str(path)))
        return prompt.with_media(media)

    def _file(self, medium: Medium, number: int, index: int, *, is_mask: bool) -> Path:
        if medium.kind == "video":
            return self._folder / ("mask.mp4" if is_mask else "photo.mp4")
        return self._masks[number % len(self._masks)] if is_mask else self._folder / f"photo{index % 4}.png"


def _mask(step: int = 0) -> Image.Image:
    picture = Image.new("L", _SIZE)
    ImageDraw.Draw(picture).ellipse((10 + step, 10, 50 + step, 50), fill=255)
    return picture


def _masks(folder: Path) -> Iterator[Path]:
    """One file of each kind."""
    plain, inverted = _mask(), _mask().point(lambda value: 255 - value)
    holes = _photo(0).convert("RGB")
    holes.putalpha(inverted)
    cut = Image.new("RGBA", _SIZE, (255, 255, 255, 0))
    cut.paste((255, 255, 255, 255), mask=plain)
    empty = Image.new("L", _SIZE)
    red = Image.merge("RGB", [plain, empty, empty])
    kinds = {
        "plain.png": plain,
        "inverted.png": inverted,
        "lossy.jpg": plain.convert("RGB"),
        "one_bit.png": plain.convert("1"),
        "soft.png": plain.filter(ImageFilter.GaussianBlur(8)),
        "levels.png": plain.point(lambda value: value * 2 // 3 + 20),
        "ones.png": plain.point(lambda value: value // 255),
        "red.png": red,
        "holes.png": holes,
        "cut.png": cut,
    }
    for name, picture in kinds.items():
        picture.save(folder / name)
        yield folder / name


def _photo(number: int) -> Image.Image:
    """Colours with some noise, as photographs have."""
    x, y = np.meshgrid(np.linspace(0, 1, _SIZE[0]), np.linspace(0, 1, _SIZE[1]))
    colours = np.stack([x, y, (x + y) / 2], -1)
    noise = np.random.default_rng(number).normal(0, 0.05, colours.shape)
    return Image.fromarray((np.clip(np.roll(colours, number, -1) + noise, 0, 1) * 255).astype(np.uint8))


def _clip(frames: Sequence[Image.Image], path: Path) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = *_SIZE, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame.convert("RGB"))))
        container.mux(stream.encode())
