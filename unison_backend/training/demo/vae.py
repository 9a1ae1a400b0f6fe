"""The demo set's VAE, trained from nothing on clips of the shape world.

Two things are unusual. A single frame goes through the last slice of each causal kernel as a plain convolution (the
other slices would only see zeros), which is exact and twice as fast. Afterwards the latents are brought to the mean
and deviation that every Wan engine takes off again, by an affine map folded into the two 1x1x1 convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from ...progress import Cancel, Progress, never, silent
from ..loop import Fit
from ..precision import mixed_precision
from ..schedule import Schedule
from .clips import Size, batch

QUIET_STEPS = 400  # steps before noise is put on the latents: noise at the start makes them collapse
MOMENT_BATCHES = 64  # from whose latents mean and deviation are taken
LATENT_NOISE = 0.08  # in deviations of each channel
L1_WEIGHT = 0.3
EDGE_WEIGHT = 6.0  # what a pixel on or next to an outline counts more than one of a plain area
EDGE = 0.3  # two neighbouring values in -1..1 that differ by more have an outline between them
LOGVAR = -12.0  # what the encoder says of its own spread: none
SMALLEST_KERNEL = 16  # channels of a kernel that Muon trains
DIM = 24  # base width: 16 loses corners of what moves, and with 32 the set would not stay below 48 MB
SMALL: tuple[Size, ...] = ((40, 40), (40, 40), (48, 40), (64, 64))
WHOLE: tuple[Size, ...] = ((64, 64), (64, 96), (96, 64))
ANCHOR = 0.01  # what a latent's squared distance (in deviations) from that of the VAE before counts where one goes on


@dataclass(frozen=True)
class Phase:
    """A part of the training. lengths, sizes: of the clips, drawn equally often; pixels: of one batch, T x H x W.

    quiet: steps without noise on the latents. decoder_only: latents stay what they are.
    """

    name: str
    lengths: tuple[int, ...]
    sizes: tuple[Size, ...]
    pixels: int
    schedule: Schedule
    quiet: int = 0
    decoder_only: bool = False


# Small crops with small things first, since their outlines are what is hard; then whole pictures and longer videos.
PHASES = (
    Phase(
        "things",
        (1, 5, 9, 9),
        SMALL,
        3 * 9 * 40 * 40,
        Schedule(steps=5000, lr=1.5e-3, warmup=100, ema=0.998, seed=71, save_every=20),
        QUIET_STEPS,
    ),
    Phase(
        "sizes",
        (1, 9, 9, 17),
        WHOLE,
        17 * 64 * 64,
        Schedule(steps=1200, lr=6e-4, warmup=50, ema=0.995, seed=72, save_every=20),
    ),
)
# Corners are what a decoder blurs; it can go on learning after the latents have settled.
DECODER = Phase(
    "decoder",
    (1, 9, 9, 17),
    (*SMALL, *WHOLE),
    3 * 9 * 40 * 40,
    Schedule(steps=1500, lr=8e-4, warmup=50, ema=0.995, seed=73, save_every=20),
    decoder_only=True,
)
# A trained VAE, made wider, learns on: the encoder too, since it is what loses the corners of small things that move.
WIDER = Phase(
    "wider",
    (1, 9, 9, 9, 17),
    (*SMALL, *WHOLE),
    3 * 9 * 40 * 40,
    Schedule(steps=4000, lr=1.2e-3, warmup=100, ema=0.998, seed=74, save_every=50),
)


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


def train_on(
    vae: Any, before: Any, folder: Path, phase: Phase = WIDER, *, progress: Progress = silent, cancel: Cancel = never
) -> None:
    """Let `vae`, which does what the trained VAE `before` does, learn on; its latents stay near those of `before`."""
    train_phase(vae, folder / phase.name, phase, before=before, progress=progress, cancel=cancel)
    normalise(vae, MOMENT_BATCHES)


def train_phase(
    vae: Any, folder: Path, phase: Phase, *, before: Any = None, progress: Progress = silent, cancel: Cancel = never
) -> None:
    """One phase, from the weights that `vae` has; ends with the averaged ones in it.

    before: the trained VAE near whose latents those of `vae` have to stay.
    """
    vae.train().requires_grad_(True)
    if phase.decoder_only:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    device = next(vae.parameters()).device
    fit = Fit(vae, phase.schedule, folder, matrices=is_kernel)

    def loss(generator: torch.Generator, step: int) -> dict[str, Tensor]:
        clip = batch(generator, phase.lengths, phase.sizes, phase.pixels).to(device)
        with mixed_precision(device), single_frames_as_pictures():
            with torch.set_grad_enabled(not phase.decoder_only):
                latents = plain = encode(vae, clip)
            if step >= phase.quiet:
                spread = latents.detach().float().std((0, 2, 3, 4), keepdim=True)
                latents = latents + LATENT_NOISE * spread * torch.randn(latents.shape, generator=generator).to(device)
            decoded = decode(vae, latents).float()
        error = decoded - clip
        weight = edge_weight(clip)
        terms = {"mse": (weight * error**2).mean(), "l1": L1_WEIGHT * (weight * error.abs()).mean()}
        return terms if before is None else terms | {"anchor": ANCHOR * _distance(plain, before, clip)}

    fit.run(loss, stage=f"training the VAE on {phase.name}", progress=progress, cancel=cancel)
    fit.use_averaged()
    vae.eval().requires_grad_(False)


@torch.no_grad()
def _before(before: Any, clip: Tensor) -> Tensor:
    with mixed_precision(clip.device), single_frames_as_pictures():
        return encode(before, clip).float()


def _distance(latents: Tensor, before: Any, clip: Tensor) -> Tensor:
    """Mean squared distance of latents from those that `before` makes of a clip, in deviations of each channel."""
    deviation = torch.tensor(before.config.latents_std, device=clip.device)[:, None, None, None]
    return (((latents.float() - _before(before, clip)) / deviation) ** 2).mean()


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
        rearrange(
            encode(vae, batch(generator, (1, 5, 9), WHOLE, 9 * 64 * 64).to(device)).float(), "b c t h w -> c (b t h w)"
        )
        for _ in range(batches)
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


def edge_weight(clip: Tensor) -> Tensor:
    """What each pixel of [B, 3, T, H, W] counts, [B, 1, T, H, W] of mean 1: outlines more than plain areas."""
    frames = rearrange(clip, "b c t h w -> (b t) c h w")
    span = functional.max_pool2d(frames, 3, 1, 1) + functional.max_pool2d(-frames, 3, 1, 1)
    is_edge = (span.amax(1, keepdim=True) > EDGE).to(clip.dtype)
    near = functional.max_pool2d(is_edge, 3, 1, 1)
    weight = 1 + EDGE_WEIGHT * rearrange(near, "(b t) c h w -> b c t h w", b=len(clip))
    return weight / weight.mean()
