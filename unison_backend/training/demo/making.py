"""The embedded models at work on examples of their world, as a person's run has them: rules plan, edits composite."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ...demo.set import DemoSet
from ...demo.world.tasks import Example
from ...engine.settings import SamplingSettings
from ...plan.spec import resolve
from ...progress import Cancel, never, silent


@dataclass
class Models:
    """The loaded set. negative: the text context of the default negative prompt, the same for every example."""

    engine: Any
    encoder: Any
    projector: Any
    planner: Any
    negative: Tensor


def load(files: DemoSet) -> Models:
    """The set's models on the CPU in float32, loaded like anyone's."""
    from ...conditioning.projector import load_projector
    from ...conditioning.text_context import clean_text, negative_prompt, text_context
    from ...conditioning.text_encoder import load_text_encoder
    from ...engine.engine import Engine
    from ...planner.qwen.loading import load_qwen
    from ...planner.qwen.planner import QwenPlanner

    encoder = load_text_encoder(files.text_encoder, dtype=torch.float32)
    return Models(
        Engine.load(files.vace, files.vae, torch.device("cpu")),
        encoder,
        load_projector(files.projector),
        QwenPlanner(load_qwen(files.planner, files.lora, dtype="fp32")),
        text_context(encoder.encode(clean_text(negative_prompt()))),
    )


def make(
    models: Models, drawn: Example, sampling: SamplingSettings, *, projected: bool = True, cancel: Cancel = never
) -> Tensor:  # fmt: skip
    """The example's instruction made into frames [T, H, W, 3], as the pipeline makes it."""
    from ...annotators.bind import map_maker
    from ...conditioning.projector import project
    from ...conditioning.text_context import clean_text, text_context
    from ...media.from_tensors import TensorMedia, footage, still
    from ...plan.prompt import parse_pads
    from ...planner.rules.plan import RulesPlanner
    from ...sources.composite import composite
    from ...sources.masks import FEATHER
    from ...sources.prepare import Annotators, prepare

    prompt = parse_pads(drawn.instruction)
    items = [
        still(medium[0], "picture") if len(medium) == 1 else footage(medium, Fraction(24), "clip")
        for medium in drawn.media
    ]
    media = TensorMedia.of([f"medium {index}" for index in range(len(items))], items)
    plan = RulesPlanner().plan(prompt).plan
    # Edge maps are recognised as what they are and left alone.
    maps = Annotators(make_map=map_maker({}))
    sources = prepare(plan, resolve(plan, media.infos), media, silent, cancel, annotators=maps)
    features = models.planner.features(prompt, cancel=cancel)
    tokens = project(models.projector, features) if projected else None
    positive = text_context(models.encoder.encode(clean_text(prompt.text)), tokens)
    frames: Tensor = models.engine.generate(sources, positive, models.negative, sampling, cancel=cancel)
    if plan.source is None:
        return frames
    return composite(frames, sources.video, sources.mask, FEATHER)
