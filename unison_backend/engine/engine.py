"""The standalone engine: Wan VACE with diffusers' transformer and VAE, sampled by the reference's UniPC.

The loop is ours because diffusers' pipeline takes references as 8-bit pictures only, breaks with more references than
latent frames, and attends 2048 rows of text of which nearly all are zeros. Both guidance sides run as one batch where
memory allows; nothing is copied between host and device inside the loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..conditioning.padding import collapse, live_rows, rows_needed
from ..progress import Cancel, Progress, check, never, silent
from ..sources.prepare import Sources
from ..weights.experts import BOUNDARY, HIGH, LOW
from .coder import DTYPES, Coder, Counter, Tick, nothing
from .easy_cache import EasyCache
from .experts import Batches, Expert, Turns, lent, timestep
from .ranks import ALONE, Share, others
from .room import fits_twice
from .settings import PLAIN, REFERENCE, EngineOptions, SamplingSettings
from .unipc import TRAIN_TIMESTEPS, flow_sigmas, sample_unipc
from .vace_context import LATENT_CHANNELS, SPATIAL_STRIDE, encode_context, latent_frames, to_unit

LOADING, ENCODING, DECODING = "loading the engine", "encoding sources", "decoding"
# Attention kernels take a bias without copying it when its rows are whole 16 bytes.
ROW_MULTIPLE = 8


def initial_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Unit normal float32 noise from the CPU's generator, so that a seed means the same on every device."""
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed), dtype=torch.float32)


def noise_shape(sources: Sources) -> tuple[int, int, int, int, int]:
    """The latents of a clip with its references in front: [1, 16, references + T', H/8, W/8]."""
    frames, height, width = sources.mask.shape
    count = len(sources.references) + latent_frames(frames)
    return (1, LATENT_CHANNELS, count, height // SPATIAL_STRIDE, width // SPATIAL_STRIDE)


class Text(NamedTuple):
    """What the transformer reads: rows [sides, R, D], and what is added to their scores, [sides, 1, 1, R] or None."""

    rows: Tensor
    bias: Tensor | None


class Engine:
    """A `WanVACETransformer3DModel` and an `AutoencoderKLWan` (diffusers ships no types for them) on one device.

    transformer: None for an engine that only encodes and decodes. low: the expert for low noise, where `transformer`
    is the one for high noise, with the share of the training timesteps at which they change; only one of them is on the
    device at a time. collapse_padding: False attends every zero row of a text context, which costs time and gives the
    same.
    """

    collapse_padding = True
    ranks = ALONE
    """Several processes that share the work, each with an engine of its own."""

    def __init__(
        self, transformer: Any, vae: Any, device: torch.device, options: EngineOptions = PLAIN, low: Any = None,
        boundary: float = BOUNDARY,
    ) -> None:  # fmt: skip
        from .attention import take_text_biases
        from .setup import set_up

        self.transformer, self.vae, self.device, self.options = transformer, vae, device, options
        self.low, self.boundary = low, boundary
        for model in (transformer, low):
            if model is not None:
                take_text_biases(model)
                set_up(model, device, options)
        self.coder = Coder(vae, device, options.vae_tiled)
        self.coder.agree = lambda answer: self.ranks.all_agree(answer)
        self.steps_computed = 0  # by the last run with a cache

    @classmethod
    def load(
        cls,
        transformer: Path,
        vae: Path,
        device: torch.device,
        options: EngineOptions = PLAIN,
        progress: Progress = silent,
        low: Path | None = None,
        boundary: float | None = None,
        bases: tuple[Path | None, Path | None] = (None, None),
    ) -> Engine:
        """From a diffusers folder or single files; half precision for the transformer on a GPU, else float32. The VAE
        computes in what the options say.

        low: the expert for low noise, where `transformer` is the one for high noise; boundary: where they change, None
        is Wan2.2's own. bases: the text-to-video models under the two, where they are modules of VACE blocks alone.
        """
        from ..weights.lora import merge_lora
        from ..weights.wan import load_transformer, load_vae

        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        host = torch.device("cpu")
        place = device if options.offload == "none" else host
        paths = {HIGH: transformer} if low is None else {HIGH: transformer, LOW: low}
        loras = [(side, lora) for side in paths for lora in options.loras if lora.side in ("", side)]
        stages, done = len(paths) + 1 + len(loras), 0
        progress(LOADING, done, stages)
        models: dict[str, Any] = {}
        for (side, path), base in zip(paths.items(), bases, strict=False):
            # Of two experts neither waits on the device: each comes when it is its turn.
            where = place if low is None else host
            models[side] = load_transformer(path, dtype=dtype, device=where, expert=low is not None, base=base)
            for lora in (lora for of, lora in loras if of == side):
                progress(LOADING, done := done + 1, stages)
                merge_lora(models[side], lora.path, lora.strength)
            progress(LOADING, done := done + 1, stages)
        model = load_vae(vae, dtype=DTYPES[options.vae_dtype], device=place)
        engine = cls(models[HIGH], model, device, options, models.get(LOW), BOUNDARY if boundary is None else boundary)
        progress(LOADING, stages, stages)
        return engine

    @torch.no_grad()
    def generate(
        self,
        sources: Sources,
        positive: Tensor,
        negative: Tensor,
        settings: SamplingSettings = REFERENCE,
        progress: Progress = silent,
        cancel: Cancel = never,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Frames [T, H, W, 3] float32 0..1 on the CPU, for contexts [1, 2048, 4096] of both sides.

        noise: of `noise_shape`, in place of that of the settings' seed.
        """
        leading, (frames, height, width) = len(sources.references), sources.mask.shape
        halves = 2 * self.coder.parts(frames, height, width)
        part = Counter(ENCODING, halves + leading * self.coder.parts(1, height, width), progress, cancel)
        with self._resident(self.vae):
            context = encode_context(sources, lambda clip: self.encode(clip, part))
        part.end()
        noise = initial_noise(noise_shape(sources), settings.seed) if noise is None else noise
        latents = self.sample(noise, context, positive, negative, settings, progress, cancel)
        part = Counter(DECODING, self.coder.parts(frames, height, width), progress, cancel)
        with self._resident(self.vae):
            pixels = self.decode(latents[:, :, leading:], part)
        part.end()
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
        experts = self._experts(settings)
        sides = [positive] if all(expert.cfg == 1 for expert in experts) else [positive, negative]
        text = self._text(sides)
        control = context.to(self.device, self.dtype)
        cache, stop = EasyCache(self.options.cache, settings.steps), self.ranks.agreed(cancel)
        with others(), Turns(experts, lambda expert: self._at_work(expert, settings, noise.shape)) as turns:

            def guided(x: Tensor, sigma: float) -> Tensor:
                expert, batches = turns.at(sigma)
                strength = control.new_full((len(expert.model.config.vace_layers),), settings.vace_strength)
                velocities: list[Tensor] = []
                for batch in batches:
                    check(stop, "sampling")
                    part = Text(text.rows[batch], None if text.bias is None else text.bias[batch])
                    velocities += self._velocity(expert.model, x, timestep(sigma), part, control, strength)
                share = self._share(expert)
                velocities = share.gathered(velocities[0]) if share.sides == 2 else velocities
                velocity = velocities[0]
                if len(velocities) == 2:
                    velocity = velocities[1] + expert.cfg * (velocities[0] - velocities[1])
                return velocity

            def denoise(x: Tensor, sigma: float) -> Tensor:
                if not self.options.cache:
                    return x - sigma * guided(x, sigma)
                if turns.changes(sigma):
                    cache.forget()
                velocity = cache(x, lambda: guided(x, sigma))
                self.steps_computed = cache.computed
                return x - sigma * velocity

            def stepped(step: int, *_: Any) -> None:
                progress("sampling", step + 1, settings.steps)

            return sample_unipc(denoise, noise.to(self.device), flow_sigmas(settings.steps, settings.shift), stepped)

    def _share(self, expert: Expert) -> Share:
        """What this process does of an expert's work."""
        return self.ranks.share(1 if expert.cfg == 1 else 2, self.device.type)

    def _experts(self, settings: SamplingSettings) -> list[Expert]:
        """Who makes the steps of a run, the one for high noise first."""
        if self.low is None:
            return [Expert(self.transformer, settings.cfg)]
        boundary = self.boundary if settings.boundary is None else settings.boundary
        low = settings.cfg if settings.cfg_low is None else settings.cfg_low
        return [Expert(self.transformer, settings.cfg, boundary * TRAIN_TIMESTEPS), Expert(self.low, low)]

    @contextmanager
    def _at_work(self, expert: Expert, settings: SamplingSettings, shape: torch.Size) -> Iterator[Batches]:
        """Inside, an expert is on the device and as this run wants it; how it takes the guidance sides."""
        with self._resident(expert.model), self._prepared(expert, settings, shape) as batches:
            yield batches

    @contextmanager
    def _resident(self, model: Any) -> Iterator[None]:
        """Inside, `model` is on the device; with an offload that keeps it elsewhere it is brought there and back."""
        if self.low is not None and model is not self.vae and self.options.offload != "group":
            with lent(model, self.device):
                yield
            return
        moves = self.options.offload == "model" or (self.options.offload == "group" and model is self.vae)
        if moves:
            model.to(self.device)
        try:
            yield
        finally:
            if moves:
                model.to("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """What the transformer computes in."""
        dtype: torch.dtype = self.transformer.patch_embedding.weight.dtype
        return dtype

    def _text(self, sides: list[Tensor]) -> Text:
        """The contexts [1, rows, D] of all sides, on the device without the padding that a bias can stand for."""
        live = [live_rows(side) for side in sides]
        length = max(rows_needed(alive, ROW_MULTIPLE) for alive in live)
        if not self.collapse_padding or length >= max(side.shape[1] for side in sides):
            return Text(torch.cat(sides).to(self.device, self.dtype), None)
        parts = [collapse(side, alive, length) for side, alive in zip(sides, live, strict=True)]
        rows = torch.cat([part.rows for part in parts]).to(self.device, self.dtype)
        bias = torch.cat([part.bias for part in parts]).to(self.device, self.dtype)
        return Text(rows, bias[:, None, None])

    @contextmanager
    def _prepared(self, expert: Expert, settings: SamplingSettings, shape: torch.Size) -> Iterator[Batches]:
        """A transformer as this run wants it, and the sides that each forward pass takes."""
        from .attention import shared_first_attention, without_vace

        model, share, sides = expert.model, self._share(expert), 1 if expert.cfg == 1 else 2
        alike = sides > share.sides
        together = alike and self.ranks.all_agree(fits_twice(model, shape, self.device))
        with ExitStack() as stack:
            if together:
                stack.enter_context(shared_first_attention(model))
            if settings.vace_strength == 0:
                stack.enter_context(without_vace(model))
            if share.parts > 1:
                from .sequence import split_tokens, tokens_of

                stack.enter_context(split_tokens(model, share, tokens_of(model, shape)))
            one_by_one = [slice(side, side + 1) for side in range(sides)]
            yield [slice(0, sides)] if together else one_by_one[share.side :][: sides // share.sides]

    def _velocity(
        self, model: Any, x: Tensor, time: int, text: Text, control: Tensor, strength: Tensor
    ) -> list[Tensor]:
        """The velocity at timestep 1..1000 for each side of `text`, float32 in x's shape."""
        from .attention import text_biases

        sides = text.rows.shape[0]
        with text_biases(model, text.bias):
            output: Any = model(
                hidden_states=x.to(self.dtype).expand(sides, -1, -1, -1, -1),
                timestep=torch.full((sides,), time, device=self.device),
                encoder_hidden_states=text.rows,
                control_hidden_states=control.expand(sides, -1, -1, -1, -1),
                control_hidden_states_scale=strength,
                return_dict=False,
            )
        return list(output[0].float().split(1))

    def encode(self, clip: Tensor, tick: Tick = nothing) -> Tensor:
        """[1, 3, T, H, W] in -1..1 to normalised latents [1, 16, T', H/8, W/8] float32 (the mean, no noise)."""
        return self.coder.encode(clip, tick)

    def decode(self, latents: Tensor, tick: Tick = nothing) -> Tensor:
        """Normalised latents to frames [T, H, W, 3] in 0..1 on the CPU."""
        return to_unit(self.coder.decode(latents, tick))
