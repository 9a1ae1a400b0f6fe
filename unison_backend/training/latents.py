"""Examples as a frozen VAE sees them, encoded once and kept: what the video model is to make, and VACE's context.

Encoding goes through the engine's own functions, so that training sees to the bit what sampling will.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from ..engine.vace_context import LATENT_CHANNELS, SPATIAL_STRIDE, Encode, encode_context, latent_frames, to_signed
from ..errors import WeightsError
from ..progress import Cancel, Progress, check, never, silent
from ..sources.prepare import Sources
from ..weights.write import write_tensors

CHUNK = 16  # examples encoded together


@dataclass(frozen=True)
class Latents:
    """Encoded examples of one size, float16: clean [N, 16, R + T', h, w] and context [N, 96, R + T', h, w].

    R: references, which stand in front.
    """

    clean: Tensor
    context: Tensor
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)


def encode_example(sources: Sources, target: Tensor, encode: Encode, cancel: Cancel = never) -> tuple[Tensor, Tensor]:
    """(clean [16, R + T', h, w], context [96, R + T', h, w]) of one example. target: [T, H, W, 3] in 0..1.

    Before the target's latents stand the references' own, as they do in the context: the model learns to keep them.
    """
    context = encode_context(sources, encode, cancel)[0]
    target_latents = encode(to_signed(target))[0]
    leading = context.shape[1] - target_latents.shape[1]
    return torch.cat([context[: len(target_latents), :leading], target_latents], dim=1), context


def encode_all(
    examples: Iterable[tuple[Sources, Tensor, str]], count: int, encode: Encode, *,
    progress: Progress = silent, cancel: Cancel = never,
) -> Latents:  # fmt: skip
    """`count` examples (sources, target, text) of one size, encoded some at a time."""
    encode = once_for_plain(encode)
    clean, contexts, texts = [], [], []
    remaining = iter(examples)
    while chunk := list(islice(remaining, CHUNK)):
        check(cancel, "encoding examples")
        for pair in encode_together([(sources, target) for sources, target, _ in chunk], encode):
            clean.append(pair[0].half().cpu())
            contexts.append(pair[1].half().cpu())
        texts += [text for _, _, text in chunk]
        progress("encoding examples", len(texts), count)
    return Latents(torch.stack(clean), torch.stack(contexts), tuple(texts))


def encode_together(examples: Sequence[tuple[Sources, Tensor]], encode: Encode) -> list[tuple[Tensor, Tensor]]:
    """`encode_example` of each, with the clips of all encoded in batches.

    The clips that will be wanted are noted first, in order, and handed out in that order afterwards.
    """
    wanted: list[Tensor] = []

    def note(clip: Tensor) -> Tensor:
        wanted.append(clip)
        time, height, width = latent_frames(clip.shape[2]), *(side // SPATIAL_STRIDE for side in clip.shape[3:])
        return clip.new_zeros(1, LATENT_CHANNELS, time, height, width)

    for sources, target in examples:
        encode_example(sources, target, note)
    encoded = iter(_in_batches(wanted, encode))
    return [encode_example(sources, target, lambda _: next(encoded)) for sources, target in examples]


def _in_batches(clips: Sequence[Tensor], encode: Encode) -> list[Tensor]:
    """Each clip's latents; those that are one value throughout go alone, since they are known after the first."""
    results: dict[int, Tensor] = {}
    sizes: dict[torch.Size, list[int]] = {}
    for index, clip in enumerate(clips):
        if bool((clip == clip.flatten()[0]).all()):
            results[index] = encode(clip)
        else:
            sizes.setdefault(clip.shape, []).append(index)
    for indices in sizes.values():
        latents = encode(torch.cat([clips[index] for index in indices]))
        results |= dict(zip(indices, latents.split(1), strict=True))
    return [results[index] for index in range(len(clips))]


def once_for_plain(encode: Encode) -> Encode:
    """`encode`, but a clip that is one value throughout (an empty source) is encoded once for each shape."""
    known: dict[tuple[float, torch.Size], Tensor] = {}

    def remembered(clip: Tensor) -> Tensor:
        value = clip.flatten()[0]
        if not bool((clip == value).all()):
            return encode(clip)
        key = (float(value), clip.shape)
        if key not in known:
            known[key] = encode(clip)
        return known[key]

    return remembered


def save(latents: Latents, path: Path) -> None:
    """As one safetensors file; the texts stand in its metadata."""
    metadata = {"texts": json.dumps(latents.texts, ensure_ascii=False)}
    write_tensors({"clean": latents.clean, "context": latents.context}, path, metadata)


def load(path: Path) -> Latents:
    """What `save` wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            texts = json.loads(file.metadata()["texts"])
            return Latents(file.get_tensor("clean"), file.get_tensor("context"), tuple(texts))
    except Exception as error:  # safetensors raises its own bare class
        raise WeightsError(f"{path} holds no encoded examples ({error}); remove it, it is made again") from error


def load_or_make(path: Path, make: Callable[[], Latents]) -> Latents:
    """The examples at `path`; without that file they are made and kept there."""
    if not path.is_file():
        save(make(), path)
    return load(path)


def widths(sets: Sequence[Latents]) -> list[int]:
    """Patches of one example of each set (each patch is 2x2 latents)."""
    return [int(latents.clean[0, 0].numel()) // 4 for latents in sets]
