"""The standalone engine: Wan VACE sampled with diffusers' transformer, VAE and UniPC.

The loop is ours because diffusers' pipeline takes references as 8-bit pictures only, breaks with more references
than latent frames, and cannot stop between the two guidance passes. Everything inside the loop is diffusers'.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..defaults import CFG, SEED, SHIFT, STEPS, VACE_STRENGTH
from ..errors import InputError
from ..progress import Cancel, Progress, check, never, silent
from ..sources.prepare import Sources
from .unipc import SIGMA_MAX, TRAIN_TIMESTEPS
from .vace_context import LATENT_CHANNELS, encode_context, latent_frames, to_unit


@dataclass(frozen=True)
class SamplingSettings:
    """How latents are denoised. cfg 1 runs the positive side only."""

    steps: int = STEPS
    cfg: float = CFG
    shift: float = SHIFT
    seed: int = SEED
    vace_strength: float = VACE_STRENGTH

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("steps", self.steps, 1, 1000),
            ("cfg", self.cfg, 0, 100),
            ("shift", self.shift, 0.01, 100),
            ("seed", self.seed, 0, 2**64 - 1),
            ("vace_strength", self.vace_strength, 0, 10),
        ):
            if not low <= value <= high:
                raise InputError(f"{name} is {value}; allowed is {low} to {high}")


def make_scheduler(steps: int, shift: float) -> Any:
    """Flow UniPC on the reference's sigmas: u = 0.999 (1 - k/steps), sigma = shift u / (1 + (shift - 1) u), then 0."""
    import numpy as np
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        num_train_timesteps=TRAIN_TIMESTEPS,
        flow_shift=shift,
        solver_order=2,
        solver_type="bh2",
    )
    scheduler.set_timesteps(sigmas=np.linspace(SIGMA_MAX, 0, steps + 1)[:steps])
    return scheduler


def initial_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Unit normal float32 noise from the CPU's generator, so that a seed means the same on every device."""
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed), dtype=torch.float32)


class Engine:
    """A `WanVACETransformer3DModel` and an `AutoencoderKLWan` (diffusers ships no types for them) on one device."""

    def __init__(self, transformer: Any, vae: Any, device: torch.device) -> None:
        self.transformer, self.vae, self.device = transformer, vae, device
        config = vae.config
        self._mean = torch.tensor(config.latents_mean, device=device).view(1, -1, 1, 1, 1)
        self._std = torch.tensor(config.latents_std, device=device).view(1, -1, 1, 1, 1)

    @classmethod
    def load(cls, transformer: Path, vae: Path, device: torch.device) -> Engine:
        """From a diffusers folder or single files; half precision for the transformer on a GPU, else float32."""
        from ..weights.wan import load_transformer, load_vae

        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        return cls(
            load_transformer(transformer, dtype=dtype, device=device),
            load_vae(vae, dtype=torch.float32, device=device),
            device,
        )

    @torch.no_grad()
    def generate(
        self,
        sources: Sources,
        positive: Tensor,
        negative: Tensor,
        settings: SamplingSettings = SamplingSettings(),
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> Tensor:
        """Frames [T, H, W, 3] float32 0..1 on the CPU, for contexts [1, 2048, 4096] of both sides."""
        progress("encoding sources", 0, 1)
        context = encode_context(sources, self.encode, cancel)
        progress("encoding sources", 1, 1)
        frames, height, width = sources.mask.shape
        leading = len(sources.references)
        shape = (1, LATENT_CHANNELS, leading + latent_frames(frames), height // 8, width // 8)
        noise = initial_noise(shape, settings.seed)
        latents = self.sample(noise, context, positive, negative, settings, progress, cancel)
        check(cancel, "decoding")
        progress("decoding", 0, 1)
        pixels = self.decode(latents[:, :, leading:])
        progress("decoding", 1, 1)
        return pixels

    @torch.no_grad()
    def sample(
        self,
        noise: Tensor,
        context: Tensor,
        positive: Tensor,
        negative: Tensor,
        settings: SamplingSettings,
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> Tensor:
        """Latents [1, 16, references + T', h, w] from noise of that shape; cancel is heard before each forward pass."""
        dtype = self.transformer.dtype
        sides = [positive] if settings.cfg == 1 else [positive, negative]
        texts = [side.to(self.device, dtype) for side in sides]
        control = context.to(self.device, dtype)
        strength = control.new_full((len(self.transformer.config.vace_layers),), settings.vace_strength)
        scheduler = make_scheduler(settings.steps, settings.shift)
        latents = noise.to(self.device)
        with _texts_embedded_once(self.transformer):
            for number, timestep in enumerate(scheduler.timesteps):
                velocities = []
                for text in texts:
                    check(cancel, "sampling")
                    velocities.append(self._velocity(latents.to(dtype), timestep, text, control, strength))
                velocity = velocities[0]
                if len(velocities) == 2:
                    velocity = velocities[1] + settings.cfg * (velocities[0] - velocities[1])
                latents = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
                progress("sampling", number + 1, settings.steps)
        return latents

    def _velocity(self, latents: Tensor, timestep: Tensor, text: Tensor, control: Tensor, strength: Tensor) -> Tensor:
        output: Any = self.transformer(
            hidden_states=latents,
            timestep=timestep.expand(1).to(self.device),
            encoder_hidden_states=text,
            control_hidden_states=control,
            control_hidden_states_scale=strength,
            return_dict=False,
        )
        velocity: Tensor = output[0].float()
        return velocity

    def encode(self, clip: Tensor) -> Tensor:
        """[1, 3, T, H, W] in -1..1 to normalised latents [1, 16, T', H/8, W/8] float32 (the mean, no noise)."""
        latents: Tensor = self.vae.encode(clip.to(self.device, self.vae.dtype)).latent_dist.mode().float()
        return (latents - self._mean) / self._std

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents to frames [T, H, W, 3] in 0..1 on the CPU."""
        clip = (latents * self._std + self._mean).to(self.vae.dtype)
        return to_unit(self.vae.decode(clip, return_dict=False)[0])


@contextmanager
def _texts_embedded_once(transformer: Any) -> Iterator[None]:
    """Inside, a text context that was seen is not embedded again: 2048 rows of 4096 values, the same at every step."""
    embedder = transformer.condition_embedder.text_embedder
    embed = embedder.forward
    known: list[tuple[Tensor, Tensor]] = []

    def forward(text: Tensor) -> Tensor:
        for seen, result in known:
            if seen is text:
                return result
        embedded: Tensor = embed(text)
        known.append((text, embedded))
        return embedded

    embedder.forward = forward
    try:
        yield
    finally:
        del embedder.forward
