"""`unison doctor`: what is installed, found and missing (models of making, annotators), with folder, size and link."""

from __future__ import annotations

import platform
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..demo.fallback import left_behind
from ..errors import LibraryError, broken_library
from ..weights.experts import BOUNDARY, refusal
from ..weights.find import MODELS_VARIABLE, ModelPaths, find, named_folder, pairs
from ..weights.needs import ANNOTATOR_NEEDS, NEEDS, Need, describe

# What is imported of each: libraries that load their parts late break late.
_PACKAGES = {
    "numpy": ("numpy",),
    "pillow": ("PIL.Image",),
    "scipy": ("scipy.ndimage", "scipy.spatial"),
    "av": ("av", "av.codec"),
    "torch": ("torch",),
    "torchvision": ("torchvision.models.optical_flow",),
    "einops": ("einops",),
    "ftfy": ("ftfy",),
    "safetensors": ("safetensors.torch",),
    "sentencepiece": ("sentencepiece",),
    "kornia": ("kornia.filters",),
    "transformers": (
        "transformers:AutoProcessor",
        "transformers:Qwen2_5_VLForConditionalGeneration",
        "transformers:UMT5EncoderModel",
        "transformers:GroundingDinoForObjectDetection",
        "transformers:Sam2VideoModel",
        "transformers:AutoModelForDepthEstimation",
        "transformers:VitPoseForPoseEstimation",
    ),
    "peft": ("peft",),
    "accelerate": ("accelerate",),
    "diffusers": ("diffusers:WanVACETransformer3DModel", "diffusers:AutoencoderKLWan"),
}
_OPTIONAL = {"flash-attn": ("flash_attn",), "bitsandbytes": ("bitsandbytes",), "gguf": ("gguf",)}
_ANNOTATORS = "Finding what an edit names takes the first two of these, and depth, pose and flow maps one each:"


def report(models: Path | None) -> tuple[list[str], bool]:
    """Lines to print, and whether everything is there that making with the embedded models takes."""
    lines = [f"python {platform.python_version()} on {platform.system()} {platform.machine()}"]
    broken = {name: _broken(parts) for name, parts in _PACKAGES.items()}
    for name, told in broken.items():
        lines.append(f"  {name:<16} {_version(name) or 'MISSING'}{f': {told}' if told else ''}")
    for name, parts in _OPTIONAL.items():
        told = _broken(parts) if (found := _version(name)) else None
        lines.append(f"  {name:<16} {found or 'not installed (optional)'}{f': {told}' if told else ''}")
    if not broken["torch"]:
        lines.append(_device())
    if not broken["av"]:
        lines.append(_encoder())
    works = not any(broken.values())
    return lines + _models(models, usable=works), works


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _broken(parts: tuple[str, ...]) -> LibraryError | None:
    """Why `module` or `module:attribute` cannot be imported, for the first of several that cannot."""
    try:
        for part in parts:
            module, _, attribute = part.partition(":")
            loaded = import_module(module)
            if attribute:
                getattr(loaded, attribute)
    except Exception as error:
        return broken_library(error) or LibraryError(f"it cannot be loaded: {type(error).__name__}: {error}")
    return None


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"device: {torch.cuda.get_device_name(0)}, {memory:.0f} GB"
    return "device: CPU only; real weights work but take very long"


def _encoder() -> str:
    import av.codec

    try:
        av.codec.Codec("libx264", "w")
    except (ValueError, LookupError):
        return "video: this PyAV has no H.264 encoder; install the one from the package index"
    return "video: H.264 can be read and written"


def _models(folder: Path | None, *, usable: bool) -> list[str]:
    """What of the models is found; `usable`: whether their files can be looked into."""
    folder = folder or named_folder()
    if folder is None:
        lines = [f"models: no folder given (--models DIR or {MODELS_VARIABLE}), so the embedded demo models are used."]
        lines += ["Real pictures take:", *(f"  {describe(need)}" for need in NEEDS)]
        return [*lines, _ANNOTATORS, *(f"  {describe(need)}" for need in ANNOTATOR_NEEDS)]
    found = find(folder)
    lines = [f"models in {folder}:"]
    for need in NEEDS:
        path = getattr(found, need.key)
        single = need.key == "vace" and found.vace_low is None
        lines.append(_line(need, path, "REFUSED ", refusal(path) if path and single else ""))
        if need.key == "vace":
            lines += _experts(folder, found)
    if found.planner is not None and usable:
        from ..planner.qwen.findings import check_planner_folder

        lines += [f"    {finding}" for finding in check_planner_folder(found.planner, found.lora)]
    return lines + _annotators(folder, usable=usable)


def _experts(folder: Path, found: ModelPaths) -> list[str]:
    """What there is of models of two experts: the other half of what is found, pairs beside it, halves."""
    if found.vace_low is not None:
        boundary = BOUNDARY if found.boundary is None else found.boundary
        return [f"    with its low noise expert: {found.vace_low}; they change at {boundary:g} of the noise"]
    if found.vace is None:
        return [f"    left: {told}" for told in left_behind(folder)]
    return [f"    beside it, two experts; --vace {pair.high} takes both" for pair in pairs(folder)]


def _line(need: Need, path: Path | None, bad: str, wrong: str) -> str:
    """What is found of a need. wrong: why it cannot be used, marked as `bad`; empty where it can."""
    mark = bad if wrong else "found   " if path else "MISSING " if need.required else "optional"
    return f"  {mark} {wrong or (f'{need.role}: {path}' if path else describe(need))}"


def _annotators(folder: Path, *, usable: bool) -> list[str]:
    """A line for each annotator; what is found but cannot be loaded is said, and what comes of one that is missing."""
    from ..annotators.places import damage, find_annotators

    found, lines = find_annotators(folder), [_ANNOTATORS]
    for need in ANNOTATOR_NEEDS:
        path = found.get(need.key)
        lines.append(_line(need, path, "DAMAGED ", damage(need.key, path) if path and usable else ""))
    if ("detector" in found) != ("segmenter" in found):
        lines.append("    words find nothing yet: that takes both, a GroundingDINO and a SAM2")
    return lines
