"""The stages of what reads: understanding model, planning LoRA and projector."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from ...demo import build as models
from ...demo.world.names import renamed
from ...demo.world.questions import Subject, question
from ...errors import InputError
from ...plan.prompt import parse_pads
from ...progress import Cancel, Progress, check
from ...weights.state import load_state_dict
from ..planning_keep import Asked
from ..schedule import Schedule
from . import qwen as demo_qwen
from . import vace as demo_vace
from . import vision as demo_vision
from .generating import sentences
from .work import Work, save, scaled, start_file

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
RENAMED = 0.75  # of the instructions, and of the names in each of those
PROJECTOR = Schedule(steps=600, lr=3e-4, warmup=100, ema=0.99, seed=16)


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
        part.train(loaded, state, scaled(schedule, share), counts=counts, progress=progress, cancel=cancel)
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
    adapter = recipe.train(work.set / "qwen", pairs, work.state("planner"), scaled(PLANNING, share), settings,
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
    start = start_file(work, "projector", lambda path: models.write_projector(path, QWEN_SIZE))
    network = load_projector(start)
    recipe.start_silent(network)
    transformer = load_transformer(work.set / "wan_vace.safetensors", dtype=torch.float32)
    recipe.train(network, transformer, files, work.state("projector"), scaled(PROJECTOR, share),
                 batch=4, progress=progress, cancel=cancel)  # fmt: skip
    save(network.state_dict(), out)


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
            prompt = parse_pads(_other_words(group.texts[index], random))
            rows = encoder.encode(clean_text(prompt.text))
            features = reader.features(prompt)[0]
            save_sample(Sample(group.clean[index], group.context[index], rows, features), path)
        files.append(path)
        progress("encoding samples", number + 1, count)
    return files


def _other_words(text: str, random: Random) -> str:
    """Most instructions with most of their colours and shapes called otherwise; what is plain has to stay right too."""
    if random.random() >= RENAMED:
        return text
    return renamed(text, random, RENAMED, language="en" if text.isascii() else "zh")


def _hub_key(key: str) -> str:
    """A Qwen2.5-VL's name in memory as checkpoints have it."""
    return key.replace("model.language_model.", "model.").replace("model.visual.", "visual.")
