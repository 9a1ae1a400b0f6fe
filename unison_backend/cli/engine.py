"""The options of the engine as values: sampler, presets, LoRA."""

from __future__ import annotations

import argparse
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from ..demo.set import CFG as DEMO_CFG
from ..engine.settings import PRESETS, EngineOptions, Lora, SamplingSettings, parse_cache, parse_lora
from ..errors import InputError
from ..weights.experts import HIGH, LOW, side_of
from ..weights.find import ModelPaths, files_below, named_folder

FAST = "fast"
LORAS = "loras"
# The kernel by its old name, which was the planner's alone.
_KERNELS = {"flash_attention_2": "flash"}
_SUFFIXES = (".safetensors", ".sft", ".pt", ".pth")


def sampling_of(options: argparse.Namespace) -> SamplingSettings:
    """The sampler's settings: the preset's, under those that are given one by one."""
    preset = PRESETS[options.preset]
    steps, cfg, shift = (
        getattr(preset, name) if getattr(options, name) is None else getattr(options, name)
        for name in ("steps", "cfg", "shift")
    )
    return SamplingSettings(steps, cfg, shift, options.seed, cfg_low=options.cfg_low, boundary=options.boundary)


def for_demo(options: argparse.Namespace, sampling: SamplingSettings) -> SamplingSettings:
    """The same with the embedded models' own guidance where none was asked for."""
    return sampling if options.cfg is not None or options.preset == FAST else replace(sampling, cfg=DEMO_CFG)


def engine_of(options: argparse.Namespace) -> EngineOptions:
    """Everything but the preset's LoRA, which takes the models. Raises InputError for a LoRA that does not exist."""
    folder = options.models or named_folder()
    given = (("", options.lora), (HIGH, options.lora_high), (LOW, options.lora_low))
    loras = tuple(_found(parse_lora(text), folder)._replace(side=side) for side, texts in given for text in texts)
    attention = _KERNELS.get(options.attention, options.attention)
    return EngineOptions(
        loras, attention, options.offload, options.compile, parse_cache(options.cache), options.vae_dtype,
        options.vae_tiled,
    )  # fmt: skip


def with_preset(options: argparse.Namespace, engine: EngineOptions, models: ModelPaths) -> tuple[EngineOptions, str]:
    """The engine with the preset's own LoRA where it takes one and none is given, and what to say about it."""
    if models.vace_low is not None:
        engine, told = _by_names(engine)
        if options.preset == FAST and not engine.loras:
            raise InputError(
                f"--preset {FAST} has no LoRA for a model of two experts; give one for each, made for few steps, with "
                "--lora-high and --lora-low"
            )
        return engine, told
    rows = PRESETS[options.preset].loras
    if not rows or engine.loras:
        return engine, ""
    name = models.vace.name.lower() if models.vace is not None else ""
    pattern, strength = next((pattern, strength) for part, pattern, strength in rows if part in name)
    folder = options.models or named_folder()
    path = next(iter(_loras(folder, pattern)), None)
    if path is None:
        where = f"{folder / LORAS} has no {pattern}" if folder else "no --models folder is given"
        raise InputError(
            f"--preset {options.preset} takes a LoRA for few steps, and {where}: put "
            "Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors (for 14B Wan21_CausVid_14B_T2V_lora_rank32, both "
            "from https://huggingface.co/Kijai/WanVideo_comfy) there, or give one with --lora"
        )
    return replace(engine, loras=(Lora(path, strength),)), f"--preset {options.preset}: {path.name} at {strength:g}"


def _by_names(engine: EngineOptions) -> tuple[EngineOptions, str]:
    """LoRAs that are made for one of two experts by their names go to that one alone; what to say about it."""
    loras = tuple(lora if lora.side else lora._replace(side=side_of(lora.path.name)) for lora in engine.loras)
    moved = [new for old, new in zip(engine.loras, loras, strict=True) if old.side != new.side]
    told = "; ".join(f"{lora.path.name} is for the {lora.side} noise expert by its name" for lora in moved)
    return replace(engine, loras=loras), told


def _found(lora: Lora, folder: Path | None) -> Lora:
    """A path as it is, or a name in the models folder's loras."""
    if lora.path.is_file():
        return lora
    for path in _loras(folder, "*"):
        if lora.path.parent == Path() and str(lora.path) in (path.name, path.stem):
            return lora._replace(path=path)
    looked = f", nor is it a name in {folder / LORAS}" if folder else ""
    raise InputError(f"--lora: {lora.path} does not exist{looked}")


def _loras(folder: Path | None, pattern: str) -> list[Path]:
    files = sorted(files_below(folder / LORAS)) if folder else []
    return [file for file in files if file.suffix.lower() in _SUFFIXES and fnmatch(file.name.lower(), pattern)]
