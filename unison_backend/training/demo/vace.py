"""The demo set's VACE transformer, trained from nothing on the shape world's nine generation tasks.

VAE and text encoder are frozen. Some of the texts are the negative prompt that sampling uses by default, so that
guidance has an unconditional side.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from ...conditioning.text_context import clean_text, negative_prompt
from ...conditioning.text_encoder import TextEncoder
from ...demo.world.canvas import Canvas
from ...demo.world.shapes import SAMPLES
from ...demo.world.tasks import Example, continued, example
from ...engine.vace_context import Encode
from ...progress import Cancel, Progress, check, never, silent
from ...sources.prepare import Sources
from ..flow import compact_text, draw_sigmas, flow_loss
from ..latents import Latents, encode_all, load_or_make, widths
from ..loop import Fit
from ..precision import mixed_precision
from ..schedule import Schedule


@dataclass(frozen=True)
class Group:
    """Examples of one latent size. counts: of each kind; canvas: what they are drawn on.

    goes_on: share of edited and controlled videos whose first frames are already made and kept beside the mask, as in
    every segment of a long video but the first.
    """

    counts: Mapping[str, int]
    canvas: Canvas = field(default_factory=lambda: Canvas(samples=SAMPLES))
    goes_on: float = 0.0


_IMAGES = {
    "text_to_image": 3400,
    "image_editing recolour": 1500,
    "image_editing replace": 1000,
    "image_editing remove": 1000,
    "image_control": 2000,
}
_VIDEOS = {
    "text_to_video": 1300,
    "image_to_video first": 600,
    "image_to_video last": 500,
    "image_to_video both": 600,
    "video_editing recolour": 700,
    "video_editing replace": 800,
    "video_editing remove": 650,
    "video_control": 1100,
}
_KEPT = (1, 5)  # frames: of one latent and of two
_CONTINUED = ("video_editing", "video_control")


def _part(counts: Mapping[str, int], share: float) -> dict[str, int]:
    return {kind: round(count * share) for kind, count in counts.items()}


_USUAL = Canvas(samples=SAMPLES)
_WIDE, _TALL = Canvas(64, 96, samples=SAMPLES), Canvas(96, 64, samples=SAMPLES)
_LONG = Canvas(frames=17, samples=SAMPLES)
GROUPS: dict[str, Group] = {
    "images": Group(_IMAGES),
    "images_wide": Group(_part(_IMAGES, 0.25), _WIDE),
    "images_tall": Group(_part(_IMAGES, 0.25), _TALL),
    "images_with_reference": Group({"image_reference": 1900}),
    "images_wide_with_reference": Group({"image_reference": 350}, _WIDE),
    "images_tall_with_reference": Group({"image_reference": 350}, _TALL),
    "videos": Group(_VIDEOS, goes_on=0.3),
    "videos_wide": Group(_part(_VIDEOS, 0.15), _WIDE, goes_on=0.3),
    "videos_tall": Group(_part(_VIDEOS, 0.15), _TALL, goes_on=0.3),
    "videos_long": Group(_part(_VIDEOS, 0.2), _LONG, goes_on=0.3),
    "videos_with_reference": Group({"video_reference": 750}),
    "videos_long_with_reference": Group({"video_reference": 150}, _LONG),
}
PATCHES = 1536  # of one batch
READ_TOGETHER = 64  # texts
UNGUIDED = 0.06  # share of texts replaced by the negative prompt
SHIFT = 3.0
SMALLEST_MATRIX = 64  # rows and columns of a matrix that Muon trains


@dataclass(frozen=True)
class Phase:
    """A part of the training. shares: how often a batch is drawn from each group; muon: for the matrices."""

    name: str
    shares: Mapping[str, float]
    schedule: Schedule
    muon: bool = False


def _shares(images: float, videos: float, references: float) -> dict[str, float]:
    """How often a batch is drawn from each group: of `images`, `videos` and those with a reference, by their counts.

    Other sizes and lengths are drawn twice as often as their counts say: there are few of each.
    """
    weights = {"images": images, "videos": videos, "reference": references}
    drawn: dict[str, float] = {}
    for of, weight in weights.items():
        names = [name for name in GROUPS if ("reference" in name) == (of == "reference") and (of in name)]
        counts = {
            name: sum(GROUPS[name].counts.values()) * (1 if GROUPS[name].canvas == _USUAL else 2) for name in names
        }
        drawn |= {name: weight * count / sum(counts.values()) for name, count in counts.items()}
    return {name: drawn[name] for name in GROUPS}


# What things look like comes first; the later parts see more of what moves. Muon trains the matrices in all of them.
PHASES = (
    Phase("first", _shares(0.45, 0.35, 0.20), Schedule(steps=6000, lr=1e-3, warmup=200, ema=0.999, seed=81), muon=True),
    Phase("more", _shares(0.35, 0.47, 0.18), Schedule(steps=9000, lr=9e-4, warmup=100, ema=0.999, seed=82), muon=True),
)
# A trained video model learns the sizes, lengths and outlines that it does not know yet.
TUNE = Phase(
    "tune",
    _shares(0.28, 0.54, 0.18),
    Schedule(steps=3000, lr=4e-4, warmup=50, ema=0.995, seed=182, save_every=50),
    muon=True,
)
TUNE_SHARE = 0.45  # of the examples
TUNED = 0.7  # of the way from the weights that it had: all of it makes colours in moving things uneven


def encode_groups(
    encode: Encode, folder: Path, *, share: float = 1.0, only: Collection[str] = tuple(GROUPS),
    progress: Progress = silent, cancel: Cancel = never,
) -> dict[str, Latents]:  # fmt: skip
    """Every group's examples, encoded, from `folder` where they already are. share: of the counts in `GROUPS`."""
    groups = {}
    for name, group in GROUPS.items():
        if name not in only:
            continue
        kinds = {kind: max(1, round(count * share)) for kind, count in group.counts.items()}

        def make(group: Group = group, kinds: dict[str, int] = kinds) -> Latents:
            return encode_all(_drawn(group, kinds), sum(kinds.values()), encode, progress=progress, cancel=cancel)

        groups[name] = load_or_make(folder / f"{name}.safetensors", make)
    return groups


def _drawn(group: Group, kinds: dict[str, int]) -> Iterator[tuple[Sources, Tensor, str]]:
    canvas = group.canvas
    for kind, count in kinds.items():
        for index in range(count):
            random = Random(f"{kind} {canvas.width}x{canvas.height} {canvas.frames} {index}")
            drawn: Example = example(kind, random, canvas=canvas)
            if kind.startswith(_CONTINUED) and random.random() < group.goes_on:
                drawn = continued(drawn, random.choice(_KEPT))
            yield drawn.sources, drawn.target, drawn.instruction


def train(
    transformer: Any, encoder: TextEncoder, groups: dict[str, Latents], folder: Path,
    phases: Sequence[Phase] = PHASES, *, anew: bool = True, progress: Progress = silent, cancel: Cancel = never,
) -> None:  # fmt: skip
    """Train diffusers' `WanVACETransformer3DModel` in place (float32 weights), resuming from `folder`.

    anew: from nothing; otherwise from the weights that it has.
    """
    if anew:
        start(transformer)
    compact_text(transformer)
    texts = {name: read_texts(encoder, group.texts, progress, cancel) for name, group in groups.items()}
    unguided = encoder.encode(clean_text(negative_prompt())).bfloat16()
    for phase in phases:
        train_phase(transformer, groups, texts, unguided, folder / phase.name, phase, progress=progress, cancel=cancel)


def train_phase(
    transformer: Any, groups: Mapping[str, Latents], texts: Mapping[str, Sequence[Tensor]], unguided: Tensor,
    folder: Path, phase: Phase, *, progress: Progress = silent, cancel: Cancel = never,
) -> None:  # fmt: skip
    """One phase, from the weights that `transformer` has; ends with the averaged ones in it.

    texts: each group's rows, as `read_texts` gives them; unguided: the rows of the negative prompt.
    """
    transformer.train().requires_grad_(True)
    names = list(groups)
    shares = torch.tensor([phase.shares[name] for name in names])
    sizes = [max(1, PATCHES // width) for width in widths(list(groups.values()))]
    device = transformer.device
    fit = Fit(transformer, phase.schedule, folder, scale=rate_of, matrices=is_matrix if phase.muon else None)

    def loss(generator: torch.Generator, step: int) -> dict[str, Tensor]:
        which = int(torch.multinomial(shares, 1, generator=generator))
        group, count = groups[names[which]], sizes[which]
        chosen = torch.randint(len(group), (count,), generator=generator).tolist()
        dropped = max(1, round(count * UNGUIDED))
        clean, context = (part[chosen].float().to(device) for part in (group.clean, group.context))
        noise = torch.randn(clean.shape, generator=generator).to(device)
        sigmas = draw_sigmas(count, generator, SHIFT).to(device)
        with mixed_precision(device):
            guided = [texts[names[which]][index] for index in chosen[dropped:]]
            # The negative prompt has ten times the rows of an instruction: apart, the others need not be padded to it.
            parts = [(slice(0, dropped), [unguided] * dropped)]
            if guided:
                parts.append((slice(dropped, count), guided))
            terms = [
                flow_loss(
                    transformer, clean[part], context[part], [row.to(clean) for row in rows], sigmas[part], noise[part]
                )
                * len(rows)
                / count
                for part, rows in parts
            ]
        return {names[which]: torch.stack(terms).sum()}

    fit.run(loss, stage=f"training the video model, {phase.name}", progress=progress, cancel=cancel)
    fit.use_averaged()
    transformer.eval().requires_grad_(False)


def rate_of(name: str) -> float:
    """What a learning rate is multiplied with: the layer that reads 4096 values moves as far as those that read 256."""
    return 1 / 16 if "text_embedder.linear_1.weight" in name else 1.0


def is_matrix(name: str, value: Tensor) -> bool:
    """Whether Muon trains this: what maps one wide vector to another."""
    return value.ndim == 2 and min(value.shape) >= SMALLEST_MATRIX


@torch.no_grad()
def start(transformer: Any) -> None:
    """Begin with no output and with time having no say, as diffusion transformers are best begun."""
    transformer.proj_out.weight.zero_()
    transformer.condition_embedder.time_proj.weight.zero_()


def read_texts(
    encoder: TextEncoder, texts: Sequence[str], progress: Progress = silent, cancel: Cancel = never
) -> list[Tensor]:
    """Each text's rows [n, 4096] in bfloat16, which is what the loss computes with: read once, since they never change.

    270 KB a text on average.
    """
    ids = [encoder.tokenize(clean_text(text)) for text in texts]
    rows: list[Tensor] = []
    for first in range(0, len(ids), READ_TOGETHER):
        check(cancel, "reading instructions")
        rows += [row.bfloat16().cpu() for row in encode_rows(encoder, ids[first : first + READ_TOGETHER])]
        progress("reading instructions", len(rows), len(ids))
    return rows


@torch.no_grad()
def encode_rows(encoder: TextEncoder, texts: Sequence[Sequence[int]]) -> list[Tensor]:
    """The encoder's rows [n, 4096] of each text's ids, computed together."""
    from .text import pad

    ids, real = (part.to(encoder.model.device) for part in pad(texts))
    rows = encoder.model(input_ids=ids, attention_mask=real).last_hidden_state.float()
    return [row[: len(text)] for row, text in zip(rows, texts, strict=True)]
