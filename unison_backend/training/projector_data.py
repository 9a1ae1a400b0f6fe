"""Pairs of instruction and picture or video, encoded once for the projector."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..errors import InputError, WeightsError
from ..plan.spec import DEFAULTS, Limits
from ..progress import Cancel, Progress, check, never, silent
from ..weights.write import write_tensors
from .sample_keys import file_key, key_of

if TYPE_CHECKING:
    from ..pipeline import Planned

KEYS = ("clean", "context", "rows", "features")
SAMPLE_VERSION = "2"  # raise it when the same pair makes another sample


@dataclass(frozen=True)
class Pair:
    """One line of a manifest: an instruction (media as ###path###) and the picture or video that should come of it.

    folder: what paths in the instruction are relative to.
    """

    prompt: str
    target: Path
    folder: Path = Path()


@dataclass(frozen=True)
class Sample:
    """One encoded pair. clean [16, R + T', h, w], context [96, R + T', h, w], rows [n, 4096], features [S, D]."""

    clean: Tensor
    context: Tensor
    rows: Tensor
    features: Tensor


def read_manifest(path: Path) -> list[Pair]:
    """JSON lines of {"prompt": ..., "target": file}; files, also in prompts, are relative to the manifest's folder.

    Raises InputError naming the line that is wrong or whose target is not there.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            prompt, target = row["prompt"], row["target"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f'{path}, line {number} is not of the form {{"prompt": ..., "target": ...}}') from None
        if not isinstance(prompt, str) or not isinstance(target, str):
            raise InputError(f"{path}, line {number}: prompt and target have to be text")
        file = path.parent / target
        if not file.is_file():
            raise InputError(f"{path}, line {number}: its target {file} is not there")
        pairs.append(Pair(prompt, file, path.parent))
    if not pairs:
        raise InputError(f"{path} has no lines; each is one prompt with its target")
    return pairs


@dataclass(frozen=True)
class Encoded:
    """The samples' files and their (task, language) in the order of their pairs, and how many were there already."""

    files: list[Path]
    groups: list[tuple[str, str]]
    reused: int


def encode_pairs(
    pairs: Sequence[Pair], out: Path, *, engine: Any, text_encoder: Any, planner: Any, models_key: str = "",
    limits: Limits = DEFAULTS, progress: Progress = silent, cancel: Cancel = never,
) -> Encoded:  # fmt: skip
    """Encode every pair into a file of `out`; one whose sample is there already is used again.

    A file's name says what its sample was made from: the words, their plan and what it makes, the content of all
    files, and `models_key`, which stands for the models and their dtypes. limits: what the models make where nothing
    is said. engine: `Engine`; text_encoder: `TextEncoder`; planner: `QwenPlanner`, whose features the projector reads.
    Raises InputError naming the pair when its instruction makes nothing or its target does not fit.
    """
    from ..planner.rules.detect import detect

    out.mkdir(parents=True, exist_ok=True)
    there = {path.name for path in out.glob("*.safetensors")}
    files, groups = [], []
    for number, pair in enumerate(pairs):
        check(cancel, "encoding samples")
        planned = plan_pair(pair, limits, cancel)
        path = out / f"{pair_key(pair, planned, models_key)}.safetensors"
        if not path.is_file():
            save_sample(encode_pair(pair, planned, engine, text_encoder, planner, cancel), path)
        files.append(path)
        groups.append((planned.plan.task.value, detect(planned.prompt.text)))
        progress("encoding samples", number + 1, len(pairs))
    return Encoded(files, groups, sum(path.name in there for path in files))


def plan_pair(pair: Pair, limits: Limits = DEFAULTS, cancel: Cancel = never) -> Planned:
    """What a pair's instruction makes, by the rules. Raises InputError where it is a question or cannot be made."""
    from ..pipeline import make_plan
    from ..plan.prompt import parse_paths

    planned = make_plan(parse_paths(pair.prompt, pair.folder), limits=limits, cancel=cancel)
    if not planned.plan.task.is_generation:
        raise InputError(f"the instruction {pair.prompt[:80]!r} makes no picture or video ({planned.plan.task})")
    return planned


def pair_key(pair: Pair, planned: Planned, models_key: str) -> str:
    """The key of a pair's sample: all that it is made from."""
    made = repr((replace(planned.plan, prompt="", raw=""), replace(planned.spec, reasons=())))
    paths = [pair.target, *(Path(medium.path) for medium in planned.prompt.media if medium.path)]
    return key_of([SAMPLE_VERSION, models_key, planned.prompt.text, made, *map(file_key, paths)])


def encode_pair(
    pair: Pair, planned: Planned, engine: Any, text_encoder: Any, planner: Any, cancel: Cancel = never
) -> Sample:
    """One pair through the pipeline's own steps: sources, latents, text rows, features."""
    from ..conditioning.text_context import clean_text
    from ..pipeline import SourceOptions, prepare_sources
    from .latents import encode_example

    sources = prepare_sources(planned, SourceOptions(), silent, cancel)
    target = read_target(pair.target, sources.video.shape, planned.spec.fps)
    clean, context = encode_example(sources, target, engine.encode, cancel)
    return Sample(
        clean.cpu(),
        context.cpu(),
        text_encoder.encode(clean_text(planned.prompt.text)).cpu(),
        planner.features(planned.prompt, cancel=cancel)[0].cpu(),
    )


def read_target(path: Path, shape: Sequence[int], fps: Any) -> Tensor:
    """A picture or video as [T, H, W, 3] in 0..1, cropped to cover; raises InputError for a video that is too short."""
    from ..media.from_files import FileMedia
    from ..media.moving import shown_kind
    from ..media.resize import cover
    from ..plan.prompt import Medium

    frames, height, width = shape[:3]
    kind = shown_kind(path)
    media = FileMedia((Medium(kind, path=str(path)),))
    if kind == "image":
        if frames != 1:
            raise InputError(f"{path} is a picture, but its instruction makes a video")
        return cover(media.picture(0), width, height)[None]
    if fps is None:
        raise InputError(f"{path} is a video, but its instruction makes a picture")
    info = media.info(0)
    rate = float(info.fps or fps)
    indices = [int(index * rate / float(fps or rate) + 1e-6) for index in range(frames)]
    if (info.num_frames or 0) <= indices[-1]:
        raise InputError(f"{path} has {info.num_frames} frames, its instruction asks for {frames} at {fps} a second")
    return torch.stack([cover(frame, width, height) for frame in media.frames(0, indices, never)])


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
