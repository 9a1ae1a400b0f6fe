"""The VAE as a run wants it: whole or in tiles, with a word before each latent frame.

Tiles are diffusers' own (`AutoencoderKLWan.tiled_encode` and `tiled_decode`, each tile through all of time with a
causal cache of its own), laid out here: with its fixed stride a last tile may be a sliver of 8 pixels without
surroundings, so each side is cut into equal parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import UnsupportedError
from ..progress import Cancel, Progress, check
from .room import SHARE, free_bytes
from .vace_context import SPATIAL_STRIDE, latent_frames

# ComfyUI's size of a tile and of what two share, in pixels; diffusers' too.
TILE = 256
OVERLAP = 64
# Values for each pixel at the worst moment of a pass, in units of the model's width (Wan: 96): counted on meta tensors
# in 32 and 16 bits (tests/unit/engine/test_coder.py holds them there). Of a video four frames are worked on at once.
ENCODE_STILL, ENCODE_VIDEO = 10.5, 40.0
DECODE_STILL, DECODE_VIDEO = 18.5, 53.0
# All frames before they are joined, and joined.
WHOLE_CLIPS = 2 * 3

DTYPES = {"auto": torch.float32, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_TOLD = "the VAE {} in tiles: as a whole it {} (--no-vae-tiled takes it whole, --vae-dtype bf16 takes half)"
Tick = Callable[[], None]


def nothing() -> None:
    """A `Tick` that does nothing."""


class Counter:
    """Parts of a stage, called before each: hears cancel, then shows how many are done of `total`."""

    def __init__(self, stage: str, total: int, progress: Progress, cancel: Cancel) -> None:
        self.stage, self.total, self.done, self._progress, self._cancel = stage, total, 0, progress, cancel
        progress(stage, 0, total)

    def __call__(self) -> None:
        check(self._cancel, self.stage)
        self._progress(self.stage, min(self.done, self.total), self.total)
        self.done += 1

    def end(self) -> None:
        """All are done, or came without work."""
        self._progress(self.stage, self.total, self.total)


class Cut(NamedTuple):
    """How a side of a picture is cut: `number` tiles of `size` pixels, one every `stride`; the last may be shorter."""

    size: int
    stride: int
    number: int


def cut(length: int) -> Cut:
    """Tiles of at most TILE pixels that share OVERLAP with the next, all nearly alike; one where one will do."""
    if length <= TILE:
        return Cut(length, length, 1)
    stride = ceil(length / ceil(length / (TILE - OVERLAP)) / SPATIAL_STRIDE) * SPATIAL_STRIDE
    return Cut(stride + OVERLAP, stride, ceil(length / stride))


def tiles(height: int, width: int) -> int:
    """Into how many tiles a picture is cut."""
    return cut(height).number * cut(width).number


def peak_bytes(vae: Any, frames: int, height: int, width: int, *, decodes: bool) -> int:
    """An upper bound of what a clip takes at once as a whole, weights and the kernels' own scratch not counted."""
    still, video = (DECODE_STILL, DECODE_VIDEO) if decodes else (ENCODE_STILL, ENCODE_VIDEO)
    base = (vae.config.decoder_base_dim if decodes else None) or vae.config.base_dim
    values = base * (video if frames > 1 else still) + WHOLE_CLIPS * frames
    return int(height * width * values * vae.dtype.itemsize)


class Coder:
    """`AutoencoderKLWan` between clips in -1..1 and normalised latents.

    tiled: None takes tiles where the memory that is free does not take the whole. agree: asks all processes that share
    a result, which must do the same. told: what of the last run there is to say.
    """

    def __init__(self, vae: Any, device: torch.device, tiled: bool | None = None) -> None:
        self.vae, self.device, self.tiled = vae, device, tiled
        self.agree: Callable[[bool], bool] = bool
        self.told: dict[str, str] = {}
        config = vae.config
        self._mean = torch.tensor(config.latents_mean, device=device).view(1, -1, 1, 1, 1)
        self._std = torch.tensor(config.latents_std, device=device).view(1, -1, 1, 1, 1)
        self._grey: dict[tuple[int, ...], Tensor] = {}

    def parts(self, frames: int, height: int, width: int) -> int:
        """An upper bound of the calls of `tick` for a clip."""
        return latent_frames(frames) * (1 if self.tiled is False else tiles(height, width))

    def encode(self, clip: Tensor, tick: Tick = nothing) -> Tensor:
        """[B, 3, T, H, W] in -1..1 to normalised latents [B, 16, T', H/8, W/8] float32 (the mean, no noise).

        Those of a grey clip, which every text and control task encodes, are kept for the next one of its size.
        """
        size = tuple(clip.shape)
        is_grey = not bool(clip.any())
        if is_grey and size in self._grey:
            return self._grey[size]
        given = clip.to(self.device, self.vae.dtype)
        batch, _, frames, height, width = size
        need = batch * peak_bytes(self.vae, frames, height, width, decodes=False)
        raw = self._worked(
            "encoded", need, (height, width), self.vae.encoder, tick, lambda: self.vae.encode(given).latent_dist.mode()
        )
        latents = (raw.float() - self._mean) / self._std
        if is_grey:
            self._grey = {size: latents}
        return latents

    def decode(self, latents: Tensor, tick: Tick = nothing) -> Tensor:
        """Normalised latents [1, 16, T', h, w] to a clip [1, 3, T, 8h, 8w] in -1..1, on the device."""
        given = (latents * self._std + self._mean).to(self.vae.dtype)
        _, _, count, rows, columns = latents.shape
        height, width = rows * SPATIAL_STRIDE, columns * SPATIAL_STRIDE
        need = peak_bytes(self.vae, 4 * count - 3, height, width, decodes=True)
        made: Tensor = self._worked(
            "decoded", need, (height, width), self.vae.decoder, tick,
            lambda: self.vae.decode(given, return_dict=False)[0],
        )  # fmt: skip
        return made

    def _worked(
        self, done: str, need: int, size: tuple[int, int], part: Any, tick: Tick, work: Callable[[], Tensor]
    ) -> Tensor:
        """What `work` gives, whole or in tiles of a picture of `size`. Raises UnsupportedError for what overflowed."""
        in_tiles = tiles(*size) > 1 and bool(self.tiled)
        by_itself = tiles(*size) > 1 and self.tiled is None
        if by_itself and not self.agree(need < SHARE * free_bytes(self.device)):
            in_tiles = True
            self.told[done] = _TOLD.format(done, f"takes about {need / 1e9:.1f} GB, more than is free")
        made = None
        if not in_tiles:
            made = self._whole(part, tick, work, may_fail=by_itself)
            if by_itself and not self.agree(made is not None):
                self.told[done] = _TOLD.format(done, "ran out of memory")
                made, in_tiles = None, True
        if made is None:
            with self._cut(*size), self._heard(part, tick):
                made = work()
        if self.vae.dtype is torch.float16 and not bool(made.isfinite().all()):
            raise UnsupportedError(
                f"--vae-dtype fp16: what was {done} holds numbers that are too large for 16 bits; take bf16 or fp32"
            )
        return made

    def _whole(self, part: Any, tick: Tick, work: Callable[[], Tensor], *, may_fail: bool) -> Tensor | None:
        """What `work` gives; None where the device's memory ran out and tiles may do."""
        try:
            with self._heard(part, tick):
                return work()
        except torch.OutOfMemoryError:
            if not may_fail:
                raise
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    @contextmanager
    def _cut(self, height: int, width: int) -> Iterator[None]:
        down, across = cut(height), cut(width)
        self.vae.enable_tiling(down.size, across.size, down.stride, across.stride)
        try:
            yield
        finally:
            self.vae.disable_tiling()

    @contextmanager
    def _heard(self, part: Any, tick: Tick) -> Iterator[None]:
        """Inside, `tick` is called before each pass of `part`, which takes a latent frame of a tile."""
        handle = part.register_forward_pre_hook(lambda *_: tick())
        try:
            yield
        finally:
            handle.remove()
            self.vae.clear_cache()  # of a pass that was left in the middle
