"""`unison doctor`: what is installed, found and missing (models of making, annotators), with folder, size and link."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from .models import MODELS_VARIABLE, find, named_folder
from .needs import ANNOTATOR_NEEDS, NEEDS, describe

_PACKAGES = (
    "transformers",
    "peft",
    "accelerate",
    "safetensors",
    "sentencepiece",
    "einops",
    "ftfy",
    "numpy",
    "pillow",
    "av",
)
_STANDALONE = ("torch", "torchvision", "diffusers")
_OPTIONAL = ("flash-attn", "bitsandbytes")
_ANNOTATORS = "Finding what an edit names takes the first two of these, and depth, pose and flow maps one each:"


def report(models: Path | None) -> tuple[list[str], bool]:
    """Lines to print, and whether everything is there that making with the embedded models takes."""
    lines = [f"python {platform.python_version()} on {platform.system()} {platform.machine()}"]
    healthy = True
    for name in (*_PACKAGES, *_STANDALONE):
        found = _version(name)
        healthy = healthy and found is not None
        lines.append(f"  {name:<16} {found or 'MISSING: install it, or run through uv, which does'}")
    lines += [f"  {name:<16} {_version(name) or 'not installed (optional)'}" for name in _OPTIONAL]
    lines += [_device(), _encoder()]
    return lines + _models(models), healthy


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _device() -> str:
    if find_spec("torch") is None:
        return "device: torch is missing"
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"device: {torch.cuda.get_device_name(0)}, {memory:.0f} GB"
    return "device: CPU only; real weights work but take very long"


def _encoder() -> str:
    if find_spec("av") is None:
        return "video: PyAV is missing"
    import av.codec

    try:
        av.codec.Codec("libx264", "w")
    except (ValueError, LookupError):
        return "video: this PyAV has no H.264 encoder; install the one from the package index"
    return "video: H.264 can be read and written"


def _models(folder: Path | None) -> list[str]:
    folder = folder or named_folder()
    if folder is None:
        lines = [f"models: no folder given (--models DIR or {MODELS_VARIABLE}), so the embedded demo models are used."]
        lines += ["Real pictures take:", *(f"  {describe(need)}" for need in NEEDS)]
        return [*lines, _ANNOTATORS, *(f"  {describe(need)}" for need in ANNOTATOR_NEEDS)]
    found = find(folder)
    lines = [f"models in {folder}:"]
    for need in NEEDS:
        path = getattr(found, need.key)
        mark = "found   " if path else "MISSING " if need.required else "optional"
        lines.append(f"  {mark} {f'{need.role}: {path}' if path else describe(need)}")
    if found.planner is not None and find_spec("torch") is not None:
        from .planner.merging import check_planner_folder

        lines += [f"    {finding}" for finding in check_planner_folder(found.planner)]
    return lines + _annotators(folder)


def _annotators(folder: Path) -> list[str]:
    """A line for each annotator; what is found but cannot be loaded is said, and what comes of one that is missing."""
    from .annotators.places import damage, find_annotators

    found, lines = find_annotators(folder), [_ANNOTATORS]
    for need in ANNOTATOR_NEEDS:
        path = found.get(need.key)
        wrong = damage(need.key, path) if path and find_spec("torch") is not None else ""
        mark = "DAMAGED " if wrong else "found   " if path else "optional"
        lines.append(f"  {mark} {wrong or (f'{need.role}: {path}' if path else describe(need))}")
    if ("detector" in found) != ("segmenter" in found):
        lines.append("    words find nothing yet: that takes both, a GroundingDINO and a SAM2")
    return lines
