"""Media that are drawn in memory, and sources made of them."""

from fractions import Fraction

import torch

from unison_backend.plan.geometry import MediaInfo
from unison_backend.plan.spec import resolve
from unison_backend.plan.tokens import parse
from unison_backend.sources.prepare import prepare

IMAGE, VIDEO = "image", "video"


class Drawn:
    """Media from tensors: [H, W, 3] is a picture, [T, H, W, 3] a video at `fps`."""

    def __init__(self, *pixels, fps=8):
        self.pixels = pixels
        self.fps = [fps] * len(pixels) if isinstance(fps, int) else fps

    @property
    def infos(self):
        return [self.info(i) for i in range(len(self.pixels))]

    @property
    def kinds(self):
        return tuple(info.kind for info in self.infos)

    def info(self, index):
        pixels = self.pixels[index]
        if pixels.ndim == 3:
            return MediaInfo(IMAGE, pixels.shape[1], pixels.shape[0])
        count, fps = pixels.shape[0], self.fps[index]
        return MediaInfo(
            VIDEO, pixels.shape[2], pixels.shape[1], tuple(Fraction(i, fps) for i in range(count)), Fraction(count, fps)
        )

    def label(self, index):
        return f"drawn {index}"

    def picture(self, index, *, as_mask=False):
        pixels = self.pixels[index]
        if pixels.shape[-1] == 3:
            return pixels
        return pixels[..., :3] * pixels[..., 3:] + (0 if as_mask else 1) * (1 - pixels[..., 3:])

    def with_alpha(self, index):
        return self.pixels[index] if self.pixels[index].shape[-1] == 4 else None

    def frames(self, index, indices, cancel, *, as_mask=False, fit=None):
        frames = (self.pixels[index][i] for i in indices)
        return (f.amax(-1, keepdim=True) if as_mask and f.shape[-1] == 3 else f for f in frames)


def made(tokens, *pixels, fps=8):
    media = Drawn(*pixels, fps=fps)
    plan = parse(tokens, "", media.kinds)
    return prepare(plan, resolve(plan, media.infos), media)


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def square(height, width, top, left, size):
    mask = torch.zeros(height, width, 3)
    mask[top : top + size, left : left + size] = 1
    return mask


def run(plan, *pixels, fps=8, **options):
    media = Drawn(*pixels, fps=fps)
    return prepare(plan, resolve(plan, media.infos), media, **options)


def quarter(height, width):
    """White in the upper quarter."""
    mask = torch.zeros(height, width, 3)
    mask[: height // 4] = 1
    return mask
