"""The demo set's VAE, trained from nothing on clips of the shape world.

Two things are unusual. A single frame goes through the last slice of each causal kernel as a plain convolution (the
other slices would only see zeros), which is exact and twice as fast. Afterwards the latents are brought to the mean
and deviation that every Wan engine takes off again, by an affine map folded into the two 1x1x1 convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from ...demo.world.shapes import COLOURS, MOTIONS, SHAPES, Scene, Thing, render, silhouette
from ...progress import Cancel, Progress, never, silent
from ..loop import Fit, mixed_precision
from ..schedule import Schedule

SIDE = 64
NARROW = 48  # of plain scenes, two of three: things are as large in pixels, there is less around them
QUIET_STEPS = 600  # steps before noise is put on the latents: noise at the start makes them collapse
MOMENT_BATCHES = 64  # from whose latents mean and deviation are taken
LATENT_NOISE = 0.08  # in deviations of each channel
L1_WEIGHT = 0.3
LOGVAR = -12.0  # what the encoder says of its own spread: none


@dataclass(frozen=True)
class Phase:
    """A part of the training. lengths: of the clips, drawn equally often; frames: of one batch, all clips together.

    quiet: steps without noise on the latents. plain: share of the batches that show what the video model is asked for;
    above 0, things count more than their background. decoder_only: latents stay what they are. muon: for the kernels.
    """

    name: str
    lengths: tuple[int, ...]
    frames: int
    schedule: Schedule
    quiet: int = 0
    plain: float = 0.0
    decoder_only: bool = False
    muon: bool = False


# What a picture is comes first, then how things move, on clips mostly, then what small ones keep of their shape.
PHASES = (
    Phase(
        "pictures", (1, 1, 1, 5, 9), 16, Schedule(steps=4000, lr=1.5e-3, warmup=100, ema=0.995, seed=11), QUIET_STEPS
    ),
    Phase("clips", (1, 5, 9, 9), 24, Schedule(steps=2200, lr=8e-4, warmup=50, ema=0.99, seed=17)),
    Phase("again", (1, 5, 9, 9), 24, Schedule(steps=950, lr=4e-4, warmup=60, ema=0.99, seed=23)),
    Phase("things", (1, 9, 9), 27, Schedule(steps=3000, lr=8e-4, warmup=50, ema=0.99, seed=47), plain=0.7, muon=True),
)
# Corners are what a decoder blurs; it can go on learning after everything else is trained.
DECODER = Phase(
    "decoder", (1, 9, 9), 27, Schedule(steps=1100, lr=8e-4, warmup=50, ema=0.99, seed=59), plain=1.0,
    decoder_only=True, muon=True,
)  # fmt: skip
THING_WEIGHT = 4.0  # what a pixel on or near a thing counts more than the background's, in phases of plain scenes
NEAR_THING = 2  # pixels
SMALLEST_KERNEL = 16  # channels of a kernel that Muon trains


def train(
    vae: Any, folder: Path, phases: Sequence[Phase] = PHASES, decoder: Phase = DECODER, *,
    progress: Progress = silent, cancel: Cancel = never,
) -> None:  # fmt: skip
    """Train diffusers' `AutoencoderKLWan` in place (float32), resuming from `folder`, and normalise its latents."""
    start_as_identity(vae)
    for phase in phases:
        train_phase(vae, folder / phase.name, phase, progress=progress, cancel=cancel)
    normalise(vae, MOMENT_BATCHES)
    train_phase(vae, folder / decoder.name, decoder, progress=progress, cancel=cancel)


def train_phase(vae: Any, folder: Path, phase: Phase, *, progress: Progress = silent, cancel: Cancel = never) -> None:
    """One phase, from the weights that `vae` has; ends with the averaged ones in it."""
    vae.train().requires_grad_(True)
    if phase.decoder_only:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    device = next(vae.parameters()).device
    fit = Fit(vae, phase.schedule, folder, matrices=is_kernel if phase.muon else None)

    def loss(generator: torch.Generator, step: int) -> dict[str, Tensor]:
        clip = batch(generator, phase.lengths, phase.frames, plain=phase.plain).to(device)
        with mixed_precision(device), single_frames_as_pictures():
            with torch.set_grad_enabled(not phase.decoder_only):
                latents = encode(vae, clip)
            if step >= phase.quiet:
                spread = latents.detach().float().std((0, 2, 3, 4), keepdim=True)
                latents = latents + LATENT_NOISE * spread * torch.randn(latents.shape, generator=generator).to(device)
            decoded = decode(vae, latents).float()
        error = decoded - clip
        weight = thing_weight(clip) if phase.plain else 1.0
        return {"mse": (weight * error**2).mean(), "l1": L1_WEIGHT * (weight * error.abs()).mean()}

    fit.run(loss, stage=f"training the VAE on {phase.name}", progress=progress, cancel=cancel)
    fit.use_averaged()
    vae.eval().requires_grad_(False)


def is_kernel(name: str, value: Tensor) -> bool:
    """Whether Muon trains this: a convolution from channels to channels."""
    return value.ndim >= 4 and min(value.shape[:2]) >= SMALLEST_KERNEL


@torch.no_grad()
def start_as_identity(vae: Any) -> None:
    """Zero the last convolution of each residual branch: a deep stack learns from the first step on."""
    for name, module in vae.named_modules():
        if name.endswith(".conv2") or name.endswith(".proj"):
            module.weight.zero_()


def encode(vae: Any, clip: Tensor) -> Tensor:
    """The latents' mean of [B, 3, T, H, W] in -1..1, not yet normalised."""
    latents: Tensor = vae.encode(clip).latent_dist.mode()
    return latents


def decode(vae: Any, latents: Tensor) -> Tensor:
    """Pixels without the final clamp, whose gradient would vanish where a pixel is out of range."""
    vae.clear_cache()
    rows = vae.post_quant_conv(latents)
    parts = []
    for index in range(rows.shape[2]):
        vae._conv_idx = [0]
        chunk = rows[:, :, index : index + 1]
        parts.append(vae.decoder(chunk, feat_cache=vae._feat_map, feat_idx=vae._conv_idx, first_chunk=index == 0))
    vae.clear_cache()
    return torch.cat(parts, dim=2)


@contextmanager
def single_frames_as_pictures() -> Iterator[None]:
    """Inside, a causal 3x3x3 convolution of one frame without a past is done as a 3x3 convolution."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d

    plain = WanCausalConv3d.forward

    def forward(self: Any, x: Tensor, cache_x: Tensor | None = None) -> Tensor:
        right, _, bottom, _, past, _ = self._padding
        if cache_x is None and x.shape[2] == 1 and self.kernel_size[0] == past + 1 and self.stride == (1, 1, 1):
            flat = functional.conv2d(x[:, :, 0], self.weight[:, :, -1], self.bias, padding=(bottom, right))
            return flat.unsqueeze(2)
        result: Tensor = plain(self, x, cache_x)
        return result

    WanCausalConv3d.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        WanCausalConv3d.forward = plain  # type: ignore[method-assign]


@torch.no_grad()
def normalise(vae: Any, batches: int) -> None:
    """Give the latents of shape-world clips the mean and deviation of the VAE's config, without changing its pixels."""
    generator, device = torch.Generator().manual_seed(1), next(vae.parameters()).device
    seen = [
        rearrange(encode(vae, batch(generator).to(device)).float(), "b c t h w -> c (b t h w)") for _ in range(batches)
    ]
    rows = torch.cat(seen, dim=1)
    mean, deviation = rows.mean(1), rows.std(1)
    wanted_mean, wanted = (
        torch.tensor(part, device=device) for part in (vae.config.latents_mean, vae.config.latents_std)
    )
    scale, channels = wanted / deviation, len(mean)
    quant, post = vae.quant_conv, vae.post_quant_conv
    quant.weight[:channels] *= scale[:, None, None, None, None]
    quant.bias[:channels] = (quant.bias[:channels] - mean) * scale + wanted_mean
    quant.weight[channels:], quant.bias[channels:] = 0.0, LOGVAR
    matrix = post.weight[:, :, 0, 0, 0]
    post.bias += matrix @ (mean - wanted_mean / scale)
    post.weight /= scale[None, :, None, None, None]


def thing_weight(clip: Tensor) -> Tensor:
    """What each pixel of [B, 3, T, H, W] counts, [B, 1, T, H, W] of mean 1: things more than their background."""
    behind = clip.flatten(2).median(-1).values[..., None, None, None]
    thing = ((clip - behind).abs().amax(1, keepdim=True) > 0.2).float()
    reach = 2 * NEAR_THING + 1
    near = functional.max_pool3d(thing, (1, reach, reach), 1, (0, NEAR_THING, NEAR_THING))
    weight = 1 + THING_WEIGHT * near
    return weight / weight.mean()


def batch(
    generator: torch.Generator, lengths: Sequence[int] = (1, 5, 9), frames: int = 16, *, plain: float = 0.0
) -> Tensor:
    """Random clips [B, 3, T, H, W] in -1..1: scenes, masked scenes, outlines and things on white.

    plain: share of batches that are scenes as the nine tasks have them.
    """
    length = lengths[_integer(generator, len(lengths))]
    count = max(1, frames // length)
    if plain and _uniform(generator) < plain:
        side = SIDE if _uniform(generator) < 1 / 3 else NARROW
        clips = [_scene(generator, length, side) for _ in range(count)]
    else:
        clips = [_clip(generator, length) for _ in range(count)]
    return rearrange(clips, "b t h w c -> b c t h w") * 2 - 1


def _scene(generator: torch.Generator, length: int, side: int) -> Tensor:
    """One thing or two, as large and as fast (in pixels) as the tasks have them."""
    things, zoom = [], SIDE / side
    for _ in range(1 + (_uniform(generator) < 0.3)):
        x, y = (0.2 + 0.6 * _uniform(generator) for _ in range(2))
        radius = zoom * (0.14 + 0.21 * _uniform(generator))
        still = Thing(_choice(generator, SHAPES), _choice(generator, tuple(COLOURS)), x, y, radius)
        moving = still.moving(_choice(generator, tuple(MOTIONS)))
        things.append(replace(moving, dx=zoom * moving.dx, dy=zoom * moving.dy))
    return render(Scene(_choice(generator, tuple(COLOURS)), tuple(things)), length, side, side)


def _clip(generator: torch.Generator, length: int) -> Tensor:
    kind = _uniform(generator)
    things = tuple(_thing(generator) for _ in range(1 + _integer(generator, 3)))
    background = _choice(generator, tuple(COLOURS)) if kind > 0.12 else "white"
    clip = render(Scene(background, things), length, SIDE, SIDE)
    if kind > 0.9:  # outlines, white on black, as an edge map has them
        cover = silhouette(things[0], length, SIDE, SIDE)
        return (4 * cover * (1 - cover)).clamp(0, 1).round()[..., None].expand(-1, -1, -1, 3)
    if kind > 0.55:  # a part is grey, as in masked sources
        hole = silhouette(_thing(generator), length, SIDE, SIDE) > 0.5
        hole = ~hole if _uniform(generator) < 0.4 else hole
        return torch.where(hole[..., None], 0.5, clip)
    if kind < 0.05:  # any colours at all, with light falling across
        light = torch.linspace(_uniform(generator), _uniform(generator), SIDE)[None, None, :, None]
        return (clip * torch.rand(3, generator=generator) * 0.7 + 0.3 * light).clamp(0, 1)
    return clip


def _thing(generator: torch.Generator) -> Thing:
    x, y = (0.1 + 0.8 * _uniform(generator) for _ in range(2))
    dx, dy = (0.6 * _uniform(generator) - 0.3 if _uniform(generator) < 0.6 else 0.0 for _ in range(2))
    radius = 0.1 + 0.35 * _uniform(generator)
    return Thing(_choice(generator, SHAPES), _choice(generator, tuple(COLOURS)), x, y, radius, dx, dy)


def _uniform(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator).item()


def _integer(generator: torch.Generator, below: int) -> int:
    return int(torch.randint(below, (), generator=generator).item())


def _choice(generator: torch.Generator, names: tuple[str, ...]) -> str:
    return names[_integer(generator, len(names))]
