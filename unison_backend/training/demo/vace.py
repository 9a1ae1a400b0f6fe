"""The demo set's VACE transformer, trained from nothing on the shape world's nine generation tasks.

VAE and text encoder are frozen. Some of the texts are the negative prompt that sampling uses by default, so that
guidance has an unconditional side.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from ...conditioning.text_context import clean_text, negative_prompt
from ...conditioning.text_encoder import TextEncoder
from ...demo.world.tasks import Example, example
from ...engine.vace_context import Encode
from ...progress import Cancel, Progress, check, never, silent
from ...sources.prepare import Sources
from ..flow import compact_text, draw_sigmas, flow_loss
from ..latents import Latents, encode_all, load_or_make, widths
from ..loop import Fit, mixed_precision
from ..schedule import Schedule

# Groups of one latent length each: kinds of example with how many of each.
GROUPS: dict[str, dict[str, int]] = {
    "images": {
        "text_to_image": 5000,
        "image_editing recolour": 2200,
        "image_editing replace": 1500,
        "image_editing remove": 1500,
        "image_control": 3000,
    },
    "images_with_reference": {"image_reference": 2500},
    "videos": {
        "text_to_video": 2000,
        "image_to_video first": 900,
        "image_to_video last": 800,
        "image_to_video both": 800,
        "video_editing recolour": 850,
        "video_editing replace": 1000,
        "video_editing remove": 800,
        "video_control": 1500,
    },
    "videos_with_reference": {"video_reference": 1000},
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


# What things look like comes first; the later parts see more of what moves. In the shipped set the third one was the
# first to see a VAE that keeps moving things, the fourth the first to see ten wordings of each kind (model card).
PHASES = (
    Phase(
        "first",
        {"images": 0.45, "images_with_reference": 0.12, "videos": 0.33, "videos_with_reference": 0.10},
        Schedule(steps=5500, lr=1e-3, warmup=200, ema=0.999, seed=13),
    ),
    Phase(
        "again",
        {"images": 0.38, "images_with_reference": 0.07, "videos": 0.43, "videos_with_reference": 0.12},
        Schedule(steps=6000, lr=9e-4, warmup=100, ema=0.999, seed=29),
        muon=True,
    ),
    Phase(
        "further",
        {"images": 0.36, "images_with_reference": 0.06, "videos": 0.47, "videos_with_reference": 0.11},
        Schedule(steps=3000, lr=9e-4, warmup=100, ema=0.998, seed=53),
        muon=True,
    ),
    Phase(
        "wordings",
        {"images": 0.34, "images_with_reference": 0.07, "videos": 0.47, "videos_with_reference": 0.12},
        Schedule(steps=5500, lr=9e-4, warmup=100, ema=0.998, seed=61),
        muon=True,
    ),
)


def encode_groups(
    encode: Encode, folder: Path, *, share: float = 1.0, only: Collection[str] = tuple(GROUPS),
    progress: Progress = silent, cancel: Cancel = never,
) -> dict[str, Latents]:  # fmt: skip
    """Every group's examples, encoded, from `folder` where they already are. share: of the counts in `GROUPS`."""
    groups = {}
    for name, counts in GROUPS.items():
        if name not in only:
            continue
        kinds = {kind: max(1, round(count * share)) for kind, count in counts.items()}

        def make(kinds: dict[str, int] = kinds) -> Latents:
            return encode_all(_drawn(kinds), sum(kinds.values()), encode, progress=progress, cancel=cancel)

        groups[name] = load_or_make(folder / f"{name}.safetensors", make)
    return groups


def _drawn(kinds: dict[str, int]) -> Iterator[tuple[Sources, Tensor, str]]:
    for kind, count in kinds.items():
        for index in range(count):
            drawn: Example = example(kind, Random(f"{kind} {index}"))
            yield drawn.sources, drawn.target, drawn.instruction


def train(
    transformer: Any, encoder: TextEncoder, groups: dict[str, Latents], folder: Path,
    phases: Sequence[Phase] = PHASES, *, progress: Progress = silent, cancel: Cancel = never,
) -> None:  # fmt: skip
    """Train diffusers' `WanVACETransformer3DModel` in place (float32 weights), resuming from `folder`."""
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
