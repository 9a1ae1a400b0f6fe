"""`unison train demo`: the embedded set from nothing, one stage after the other, each resumable.

Stages: VAE; text encoder; video model on encoded examples; understanding model; planning LoRA and projector, these two
with the recipes for real models. A stage whose result is there is skipped, so the same command goes on where it was
stopped. The result has the files and names of real weights in float16 (the Qwen in bfloat16) and is loaded like them.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import torch
from torch import Tensor

from ...demo import build as models
from ...demo import tokenizers as tokens
from ...demo.world.questions import Subject, question
from ...engine.device import pick_device
from ...errors import InputError
from ...plan.prompt import parse_pads
from ...progress import Cancel, Progress, check, never, silent
from ...weights.state import load_state_dict
from ...weights.write import write_tensors
from ..planning_keep import Asked
from ..schedule import Schedule
from . import qwen as demo_qwen
from . import text as demo_text
from . import vace as demo_vace
from . import vae as demo_vae
from . import vision as demo_vision

AnyPhase = TypeVar("AnyPhase", demo_vae.Phase, demo_vace.Phase)

QWEN_SIZE = models.QwenSize(
    hidden=128,
    feed=256,
    layers=3,
    mrope=(4, 6, 6),
    vision_hidden=64,
    vision_feed=128,
    vision_layers=3,
    min_pixels=112 * 112,  # 16 tokens for a picture of 64x64: of 4 no place is learned
    rope_theta=10.0,
)
TEXT = models.TEXT | {"heads": 4, "d_kv": 8}  # more heads in the same width: each looks for one thing
CORPUS_TEXTS = 3000  # instructions whose words the tokenizers learn
CORPUS_WEIGHT = 6  # how often the general corpus stands beside them
COVERAGE = 0.995

PLANNING_RECORDS = 24_000  # of each seed
PLANNING_SEEDS = (1, 2, 3)
SHAPE_ORDERS = 48_000  # more of the world's own orders beside those
HARD_ORDERS = 24_000  # and of those with numbers that are hard to copy
PLAIN_RECORDS = 18_000  # more of the plain templates: sizes with a name, and seconds
PLANNING_BATCH = 40
KEPT = 2400  # questions whose answers the planning LoRA is held to
PLANNING = Schedule(steps=12_000, lr=1e-3, warmup=200, weight_decay=0.0, betas=(0.9, 0.95), seed=15)
LORA_RANK = 64
PROJECTOR_PAIRS = 400
PROJECTOR = Schedule(steps=600, lr=3e-4, warmup=100, ema=0.99, seed=16)


@dataclass(frozen=True)
class Work:
    """The folders of one training: `set` holds finished files, `states` what is resumed and encoded examples."""

    folder: Path
    device: torch.device

    @property
    def set(self) -> Path:
        """Where the finished files are."""
        return self.folder / "set"

    def state(self, stage: str) -> Path:
        """Where a stage keeps what it resumes from."""
        return self.folder / "states" / stage


def train(
    folder: Path, *, share: float = 1.0, only: str | None = None, device: str = "auto",
    progress: Progress = silent, cancel: Cancel = never,
) -> Path:  # fmt: skip
    """Train every stage that is not done, in `folder`; returns the finished set's folder.

    share: of the steps and examples (for a quick look; the shipped set has 1). only: the name of the one stage to do.
    device: auto, cpu or cuda.
    Raises InputError for an unknown stage, ResourceError, Cancelled.
    """
    if only is not None and only not in STAGES:
        raise InputError(f"there is no stage {only!r}; the stages are {', '.join(STAGES)}")
    if not 0 < share <= 1:
        raise InputError(f"share is {share}; it has to be above 0 and at most 1")
    work = Work(Path(folder), pick_device(device))
    work.set.mkdir(parents=True, exist_ok=True)
    for name, stage in STAGES.items():
        check(cancel, "training the demo models")
        if only in (None, name):
            stage(work, share, progress, cancel)
    return work.set


def _scaled(schedule: Schedule, share: float) -> Schedule:
    return schedule.of_steps(max(1, round(schedule.steps * share)))


def _scaled_phase(phase: AnyPhase, share: float) -> AnyPhase:
    return dataclasses.replace(phase, schedule=_scaled(phase.schedule, share))


def sentences() -> list[str]:
    """What the tokenizers are trained on: instructions of the shape world, its planning data and the general corpus."""
    texts = demo_text.draw_texts(CORPUS_TEXTS, seed=5).texts
    return [*texts, *(tokens.corpus() * CORPUS_WEIGHT)]


def vae(work: Work, share: float, progress: Progress, cancel: Cancel) -> None:
    """The VAE, in Wan's own keys."""
    from ...weights.wan import load_vae

    out = work.set / "wan_vae.safetensors"
    if out.is_file():
        return
    start = _start(work, "vae", lambda path: models.write_vae(path, demo_vae.DIM))
    model: Any = load_vae(start, dtype=torch.float32, device=work.device)
    *phases, decoder = (_scaled_phase(phase, share) for phase in (*demo_vae.PHASES, demo_vae.DECODER))
    demo_vae.train(model, work.state("vae"), phases, decoder, progress=progress, cancel=cancel)
    save_original(model.state_dict(), start, out, vae_names)


def text(work: Work, share: float, progress: Progress, cancel: Cancel) -> None:
    """The text encoder with its tokenizer inside."""
    from ...conditioning.text_encoder import load_text_encoder
    from ...weights.state import SPIECE_KEY

    out = work.set / "umt5.safetensors"
    if out.is_file():
        return
    spiece = tokens.train_sentencepiece(sentences(), COVERAGE)
    start = _start(work, "text", lambda path: models.write_text_encoder(path, TEXT, spiece))
    encoder = load_text_encoder(start, dtype=torch.float32, device=work.device)
    demo_text.train(encoder, work.state("text"), _scaled(demo_text.SCHEDULE, share), progress=progress, cancel=cancel)
    trained = encoder.model.state_dict()
    state = load_state_dict(start)
    save({key: value if key == SPIECE_KEY else trained[key] for key, value in state.items()}, out)


def vace(work: Work, share: float, progress: Progress, cancel: Cancel) -> None:
    """The video model, in Wan's own keys."""
    from ...conditioning.text_encoder import load_text_encoder
    from ...engine.engine import Engine
    from ...weights.wan import load_transformer

    out = work.set / "wan_vace.safetensors"
    if out.is_file():
        return
    start = _start(work, "vace", models.write_wan)
    transformer: Any = load_transformer(start, dtype=torch.float32, device=work.device)
    encode = Engine.load(start, work.set / "wan_vae.safetensors", work.device).encode
    examples = work.state("examples")
    with demo_vae.single_frames_as_pictures():
        groups = demo_vace.encode_groups(encode, examples, share=share, progress=progress, cancel=cancel)
    encoder = load_text_encoder(work.set / "umt5.safetensors", dtype=torch.float32, device=work.device)
    phases = [_scaled_phase(phase, share) for phase in demo_vace.PHASES]
    demo_vace.train(transformer, encoder, groups, work.state("vace"), phases, progress=progress, cancel=cancel)
    save_original(transformer.state_dict(), start, out, vace_names)


def qwen(work: Work, share: float, progress: Progress, cancel: Cancel) -> None:
    """The understanding model: a Qwen2.5-VL folder."""
    from ...planner.qwen.loading import load_qwen

    out = work.set / "qwen"
    if (out / "model.safetensors").is_file():
        return
    start = work.state("qwen") / "start"
    if not (start / "config.json").is_file():
        shutil.rmtree(start, ignore_errors=True)
        start.parent.mkdir(parents=True, exist_ok=True)
        models.write_planner(start, QWEN_SIZE, sentences())
    loaded = load_qwen(start, dtype="fp32", device=work.device)
    parts: tuple[tuple[str, Any, Schedule], ...] = (
        ("vision", demo_vision, demo_vision.SCHEDULE),
        ("answers", demo_qwen, demo_qwen.SCHEDULE),
        ("again", demo_qwen, demo_qwen.AGAIN),
    )
    for name, part, schedule in parts:
        counts = {subject: max(1, round(count * share)) for subject, count in part.COUNTS.items()}
        state = work.state("qwen") / name
        part.train(loaded, state, _scaled(schedule, share), counts=counts, progress=progress, cancel=cancel)
    shutil.copytree(start, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model.safetensors"))
    trained = {_hub_key(key): value for key, value in loaded.base.state_dict().items()}
    save({key: trained[key] for key in load_state_dict(start / "model.safetensors", device="meta")},
         out / "model.safetensors", torch.bfloat16)  # fmt: skip


def planner(work: Work, share: float, progress: Progress, cancel: Cancel) -> None:
    """The planning LoRA, by the recipe for real models."""
    from .. import planning_lora as recipe
    from ..planning_apart import is_kept_apart
    from ..planning_data import draw, draw_plain
    from ..planning_shapes import draw_shapes

    out = work.set / "planning_lora"
    if (out / "adapter_model.safetensors").is_file():
        return
    count, shapes, hard, plain = (
        max(120, round(n * share)) for n in (PLANNING_RECORDS, SHAPE_ORDERS, HARD_ORDERS, PLAIN_RECORDS)
    )
    records = [record for seed in PLANNING_SEEDS for record in draw(count, seed)]
    records += draw_shapes(shapes, seed=1) + draw_shapes(hard, seed=2, hard=True)
    records += [record for record in draw_plain(plain, seed=1) if not is_kept_apart(record)]
    settings = recipe.LoraSettings(rank=LORA_RANK, alpha=2 * LORA_RANK, batch=PLANNING_BATCH)
    pairs = [(record.prompt, record.tokens) for record in records]
    adapter = recipe.train(work.set / "qwen", pairs, work.state("planner"), _scaled(PLANNING, share), settings,
                           dtype="fp32", questions=_questions(max(12, round(KEPT * share))),
                           progress=progress, cancel=cancel)  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = "qwen"  # beside it, wherever the set lies
    (out / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    state = load_state_dict(adapter / "adapter_model.safetensors")
    save(state, out / "adapter_model.safetensors", torch.bfloat16)


def _questions(count: int) -> list[Asked]:
    """Questions that the set can answer, half of them about pictures, a quarter each about clips and nothing."""
    subjects: tuple[Subject, ...] = ("image", "video", "image", "text")
    drawn = [question(subjects[n % 4], Random(f"kept {n}")) for n in range(count)]
    return [Asked(parse_pads(one.prompt), demo_qwen.media_of(one)) for one in drawn]


def projector(work: Work, share: float, progress: Progress, cancel: Cancel) -> None:
    """The projector, by the recipe for real models, from samples of the encoded examples."""
    from ...conditioning.projector import load_projector
    from ...conditioning.text_encoder import load_text_encoder
    from ...planner.qwen.loading import load_qwen
    from ...planner.qwen.planner import QwenPlanner
    from ...weights.wan import load_transformer
    from .. import projector as recipe

    out = work.set / "projector.safetensors"
    if out.is_file():
        return
    samples = work.state("projector") / "samples"
    encoder = load_text_encoder(work.set / "umt5.safetensors", dtype=torch.float32)
    reader = QwenPlanner(load_qwen(work.set / "qwen", work.set / "planning_lora", dtype="fp32"))
    groups = demo_vace.encode_groups(_nothing, work.state("examples"), share=share)
    count = max(4, round(PROJECTOR_PAIRS * share))
    files = _projector_samples(groups, samples, count, encoder, reader, progress, cancel)
    start = _start(work, "projector", lambda path: models.write_projector(path, QWEN_SIZE))
    network = load_projector(start)
    recipe.start_silent(network)
    transformer = load_transformer(work.set / "wan_vace.safetensors", dtype=torch.float32)
    recipe.train(network, transformer, files, work.state("projector"), _scaled(PROJECTOR, share),
                 batch=4, progress=progress, cancel=cancel)  # fmt: skip
    save(network.state_dict(), out)


STAGES: dict[str, Callable[[Work, float, Progress, Cancel], None]] = {
    "vae": vae,
    "text": text,
    "vace": vace,
    "qwen": qwen,
    "planner": planner,
    "projector": projector,
}


def _nothing(clip: Tensor) -> Tensor:
    raise InputError("the encoded examples are gone; remove wan_vace.safetensors, so that its stage makes them again")


def _projector_samples(
    groups: Mapping[str, Any], folder: Path, count: int, encoder: Any, reader: Any, progress: Progress, cancel: Cancel
) -> list[Path]:
    """`count` encoded examples, drawn over all groups, with text rows and features, as the recipe's files."""
    from ...conditioning.text_context import clean_text
    from ...plan.prompt import parse_pads
    from ..projector_data import Sample, save_sample

    folder.mkdir(parents=True, exist_ok=True)
    random, files = Random(f"projector {count}"), []
    for number in range(count):
        check(cancel, "encoding samples")
        group = groups[random.choice(sorted(groups))]
        index = random.randrange(len(group))
        path = folder / f"{number:05d}.safetensors"
        if not path.is_file():
            prompt = parse_pads(group.texts[index])
            rows = encoder.encode(clean_text(prompt.text))
            features = reader.features(prompt)[0]
            save_sample(Sample(group.clean[index], group.context[index], rows, features), path)
        files.append(path)
        progress("encoding samples", number + 1, count)
    return files


def _start(work: Work, stage: str, write: Callable[[Path], None]) -> Path:
    """The stage's untrained file, written once."""
    path = work.state(stage) / "start.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    return path


def vae_names(original: Mapping[str, str]) -> dict[str, str]:
    """diffusers' names of a Wan VAE to the original ones."""
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    names: dict[str, str] = convert_wan_vae_to_diffusers(dict(original))
    return names


def vace_names(original: Mapping[str, str]) -> dict[str, str]:
    """diffusers' names of a Wan transformer to the original ones."""
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    names: dict[str, str] = convert_wan_transformer_to_diffusers(dict(original))
    return names


def save_original(
    state: Mapping[str, Tensor], start: Path, out: Path, names: Callable[[Mapping[str, str]], dict[str, str]]
) -> None:
    """A diffusers state under the original names, which are those in the file `start`.

    diffusers' own conversion is run on the names themselves, which gives the way back.
    """
    to_original = names({key: key for key in load_state_dict(start, device="meta")})
    save({to_original[key]: value for key, value in state.items()}, out)


def _hub_key(key: str) -> str:
    """A Qwen2.5-VL's name in memory as checkpoints have it."""
    return key.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def save(state: Mapping[str, Tensor], path: Path, dtype: torch.dtype = torch.float16) -> None:
    """Floats as `dtype`, the rest as it is, whole or not at all."""
    tensors = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
    write_tensors(tensors, path, {"format": "pt"})
