"""Media of an instruction as tensors, or as clips that hand out tensors: what a graph's sockets carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import MediaError
from ..plan.geometry import MediaInfo
from ..plan.prompt import Prompt
from ..progress import Cancel, check, never
from .black_and_white import Look, frames_to_look_at, look_of
from .fit import Fit
from .kinds import MAX_MEDIA_SIDE


class ReadFrames(Protocol):
    """Frames at ascending indices, float32 0..1 each."""

    def __call__(
        self, indices: Sequence[int], cancel: Cancel, *, as_mask: bool = False, fit: Fit | None = None
    ) -> Iterator[Tensor]:
        """[H, W, 3]; as_mask: [H, W, 1], the brightest channel, or with alpha [H, W, 4] as it is.

        fit: the size that the caller will bring them to; who reads may do it.
        """


@dataclass(frozen=True)
class Still:
    """A picture [H, W, C] in 0..1 with 1 (grey), 3 (RGB) or 4 (RGB, alpha) channels."""

    pixels: Tensor

    @property
    def info(self) -> MediaInfo:
        return MediaInfo("image", self.pixels.shape[1], self.pixels.shape[0])


@dataclass(frozen=True)
class Footage:
    """A video: its shape and times, how to get at its frames, and its sound in whatever form the caller has it."""

    info: MediaInfo
    read: ReadFrames
    sound: Any = None


Item = Still | Footage


def still(pixels: Tensor, label: str) -> Still:
    """A picture from [H, W, C] or a mask [H, W]; raises MediaError naming `label` for any other shape."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    _check_shape(pixels, 3, label)
    return Still(pixels)


def footage(frames: Tensor, fps: Fraction, label: str, sound: Any = None) -> Footage:
    """A video from [T, H, W, C] or a mask [T, H, W] that shows `fps` frames a second; raises MediaError."""
    frames = frames[..., None] if frames.ndim == 3 else frames
    _check_shape(frames, 4, label)
    count, height, width = frames.shape[:3]

    def read(
        indices: Sequence[int], cancel: Cancel, *, as_mask: bool = False, fit: Fit | None = None
    ) -> Iterator[Tensor]:
        for index in indices:
            check(cancel, "reading frames")
            yield brightest(frames[index]) if as_mask else on_background(frames[index], 1.0)

    starts = tuple(Fraction(i) / fps for i in range(count))
    return Footage(
        MediaInfo(
            kind="video", width=width, height=height, starts=starts, duration=count / fps, has_audio=sound is not None
        ),
        read,
        sound,
    )


def _check_shape(pixels: Tensor, dimensions: int, label: str) -> None:
    if pixels.ndim != dimensions or pixels.shape[-1] not in (1, 3, 4) or 0 in pixels.shape:
        shape = "x".join(map(str, pixels.shape))
        raise MediaError(f"{label} has the shape {shape}: connect pictures with 1, 3 or 4 channels that are not empty")
    if max(pixels.shape[-3:-1]) > MAX_MEDIA_SIDE:
        raise MediaError(
            f"{label} is {pixels.shape[-2]}x{pixels.shape[-3]}: scale it down to {MAX_MEDIA_SIDE} pixels a side"
        )


def on_background(pixels: Tensor, background: float) -> Tensor:
    """[H, W, 3] float32 0..1 on the CPU from grey, RGB, or RGB with alpha, which is laid on a grey of `background`."""
    pixels = pixels.detach().to("cpu", torch.float32).clamp(0, 1)
    if pixels.shape[-1] == 1:
        return pixels.expand(*pixels.shape[:-1], 3)
    if pixels.shape[-1] == 3:
        return pixels
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    return colour * alpha + background * (1 - alpha)


def brightest(pixels: Tensor) -> Tensor:
    """What a mask's pixels say: [H, W, 1] float32 0..1 on the CPU, the largest channel; with alpha [H, W, 4]."""
    pixels = pixels.detach().to("cpu", torch.float32).clamp(0, 1)
    return pixels if pixels.shape[-1] in (1, 4) else pixels.amax(-1, keepdim=True)


class TensorMedia:
    """The prompt's media by index; `items` holds them by `Medium.name`."""

    def __init__(self, prompt: Prompt, items: Mapping[str, Item]) -> None:
        self._labels = tuple(medium.label for medium in prompt.media)
        self._items = tuple(items[medium.name or ""] for medium in prompt.media)

    @classmethod
    def of(cls, labels: Sequence[str], items: Sequence[Item]) -> TensorMedia:
        """Media that no instruction names."""
        media = cls.__new__(cls)
        media._labels, media._items = tuple(labels), tuple(items)
        return media

    def with_item(self, label: str, item: Item, index: int | None = None) -> TensorMedia:
        """These media with one more at the end, or with the one at `index` replaced."""
        labels, items = list(self._labels), list(self._items)
        place = slice(len(items), None) if index is None else slice(index, index + 1)
        labels[place], items[place] = [label], [item]
        return TensorMedia.of(labels, items)

    @property
    def infos(self) -> tuple[MediaInfo, ...]:
        return tuple(item.info for item in self._items)

    def info(self, index: int) -> MediaInfo:
        return self._items[index].info

    @property
    def labels(self) -> tuple[str, ...]:
        """The socket of each medium."""
        return self._labels

    def label(self, index: int) -> str:
        return self._labels[index]

    def look(self, index: int, cancel: Cancel = never) -> Look:
        """How much a medium looks like a mask."""
        info = self.info(index)
        if info.kind == "image":
            layered = self.with_alpha(index)
            return look_of([(self.picture(index) if layered is None else layered).numpy()])
        frames = self.frames(index, frames_to_look_at(info.num_frames), cancel)
        return look_of([frame.numpy() for frame in frames])

    def sound(self, index: int) -> Any:
        """A video's sound as it was given, None without any."""
        item = self._items[index]
        return item.sound if isinstance(item, Footage) else None

    def picture(self, index: int, *, as_mask: bool = False) -> Tensor:
        item = self._items[index]
        if not isinstance(item, Still):
            raise MediaError(f"{self.label(index)} is a video where a picture is needed")
        return on_background(item.pixels, 0.0 if as_mask else 1.0)

    def with_alpha(self, index: int) -> Tensor | None:
        item = self._items[index]
        if not isinstance(item, Still) or item.pixels.shape[-1] != 4:
            return None
        return item.pixels.detach().to("cpu", torch.float32).clamp(0, 1)

    def frames(
        self, index: int, indices: Sequence[int], cancel: Cancel, *, as_mask: bool = False, fit: Fit | None = None
    ) -> Iterator[Tensor]:
        item = self._items[index]
        if not isinstance(item, Footage):
            raise MediaError(f"{self.label(index)} is a picture where a video is needed")
        return item.read(indices, cancel, as_mask=as_mask, fit=fit)
