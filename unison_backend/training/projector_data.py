"""Pairs of instruction and picture or video, encoded once for the projector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..errors import InputError, UnsupportedError, WeightsError
from ..plan.spec import DEFAULTS, Limits
from ..progress import Cancel, Progress, check, never, silent
from ..weights.write import write_tensors
from .feed import Feed
from .manifest import Ready, check_target, plan_pair, taken
from .processes import ALONE, Processes
from .sample_keys import key_of

if TYPE_CHECKING:
    from ..plan.prompt import Prompt
    from ..sources.prepare import Sources

KEYS = ("clean", "context", "rows", "features")


@dataclass(frozen=True)
class Sample:
    """One encoded pair. clean [16, R + T', h, w], context [96, R + T', h, w], rows [n, 4096], features [S, D]."""

    clean: Tensor
    context: Tensor
    rows: Tensor
    features: Tensor


@dataclass(frozen=True)
class Encoded:
    """The samples' files and their (task, language) in the order of their pairs, and how many were there already."""

    files: list[Path]
    groups: list[tuple[str, str]]
    reused: int


def encode_pairs(
    ready: Sequence[Ready], out: Path, *, engine: Any, text_encoder: Any, planner: Any, models_key: str = "",
    limits: Limits = DEFAULTS, workers: int = 0, progress: Progress = silent, cancel: Cancel = never,
    processes: Processes = ALONE,
) -> Encoded:  # fmt: skip
    """Encode every pair into a file of `out`; one whose sample is there already is used again.

    A file's name says what its sample was made from: the pair's key, and `models_key`, which stands for the models and
    their dtypes. limits: what the models make where nothing is said. workers: processes that decode ahead. engine:
    `Engine`; text_encoder: `TextEncoder`; planner: `QwenPlanner`, whose features the projector reads. Each process
    encodes its share of what is not there; all of it is, for all of them, when this returns.
    Raises InputError naming the line whose files cannot be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    there = {path.name for path in out.glob("*.safetensors")}
    processes.wait()  # until each has looked
    files = [out / f"{sample_key(item, models_key)}.safetensors" for item in ready]
    missing = {path: item for path, item in zip(files, ready, strict=True) if path.name not in there}
    mine = processes.part(list(missing.items()))
    feed = Feed(_Decoding([item for _, item in mine], limits), workers, ahead=1)  # decoded videos are large
    with feed.made_ahead(lambda: ([number] for number in range(len(mine)))):
        for number, (path, item) in enumerate(mine):
            check(cancel, "encoding samples")
            (decoded,) = feed.take([number])
            with _named(item):
                save_sample(encode_pair(decoded, engine, text_encoder, planner, cancel), path)
            progress("encoding samples", number + 1, len(mine))
    processes.wait()
    return Encoded(files, [item.group for item in ready], sum(path.name in there for path in files))


def sample_key(ready: Ready, models_key: str) -> str:
    """The key of a sample: what the pair is and which models encode it."""
    return key_of([ready.key, models_key])


@dataclass(frozen=True)
class Decoded:
    """A pair's files, read: what VACE is given, and the target [T, H, W, 3] in 0..1."""

    prompt: Prompt
    sources: Sources
    target: Tensor


class _Decoding:
    """Pairs by their numbers, decoded; no model is needed for it, so other processes can do it."""

    def __init__(self, ready: Sequence[Ready], limits: Limits) -> None:
        self._ready, self._limits = ready, limits

    def __getitem__(self, index: int) -> Decoded:
        """Raises InputError naming the line whose files cannot be read."""
        from ..pipeline.sources import SourceOptions, prepare_sources

        item = self._ready[index]
        with _named(item):
            planned = plan_pair(item.pair, self._limits)
            sources = prepare_sources(planned, SourceOptions(), silent, never)
            target = read_target(item.pair.target, sources.video.shape, planned.spec.fps)
            return Decoded(planned.prompt, sources, target)


@contextmanager
def _named(ready: Ready) -> Iterator[None]:
    """The line in what is wrong inside: a mask that is empty, a file that cannot be decoded."""
    try:
        yield
    except (InputError, UnsupportedError) as error:
        raise InputError(f"line {ready.pair.line}: {error}") from error


def encode_pair(decoded: Decoded, engine: Any, text_encoder: Any, planner: Any, cancel: Cancel = never) -> Sample:
    """One pair through the pipeline's own steps: latents, text rows, features."""
    from ..conditioning.text_context import clean_text
    from .latents import encode_example

    clean, context = encode_example(decoded.sources, decoded.target, engine.encode, cancel)
    return Sample(
        clean.cpu(),
        context.cpu(),
        text_encoder.encode(clean_text(decoded.prompt.text)).cpu(),
        planner.features(decoded.prompt, cancel=cancel)[0].cpu(),
    )


def read_target(path: Path, shape: Sequence[int], fps: Any) -> Tensor:
    """A picture or video as [T, H, W, 3] in 0..1, cropped to cover; raises InputError for a video that is too short."""
    from ..media.fit import Fit
    from ..media.from_files import FileMedia
    from ..media.moving import shown_kind
    from ..media.resize import cover
    from ..plan.prompt import Medium

    frames, height, width = shape[:3]
    kind = shown_kind(path)
    media = FileMedia((Medium(kind, path=str(path)),))
    check_target(path, kind, media.info(0), frames, fps)
    if fps is None:
        return cover(media.picture(0), width, height)[None]
    indices, fit = taken(media.info(0), frames, fps), Fit(width, height)
    return torch.stack([cover(frame, width, height) for frame in media.frames(0, indices, never, fit=fit)])


def save_sample(sample: Sample, path: Path) -> None:
    """As float16 safetensors, whole or not at all."""
    write_tensors({name: getattr(sample, name).half() for name in KEYS}, path)


def load_sample(path: Path) -> Sample:
    """What `save_sample` wrote, as float32."""
    try:
        state = load_file(path)
        return Sample(*(state[name].float() for name in KEYS))
    except Exception as error:  # safetensors raises its own bare class
        raise WeightsError(f"{path} is no encoded sample ({error}); remove it, it is made again") from error
