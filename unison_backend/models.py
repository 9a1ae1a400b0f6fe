"""Which model files a run uses: the person's own, found by their usual names, else the embedded demo set."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

from .errors import InputError
from .progress import Progress, silent

MODELS_VARIABLE = "UNISON_MODELS"
_REPACKAGED = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged"
_UNISON = "https://huggingface.co/ali-vilab/Unison"


@dataclass(frozen=True)
class Need:
    """A model that real weights take: where it lies in a models folder, under which names, and where it comes from."""

    key: str
    role: str
    folders: tuple[str, ...]
    pattern: str
    file: str
    size: str
    link: str
    required: bool = True


NEEDS = (
    Need(
        key="vace",
        role="Wan2.1-VACE-1.3B",
        folders=("diffusion_models", "unet"),
        pattern="*vace*1*3*b*",
        file="wan2.1_vace_1.3B_fp16.safetensors",
        size="4.3 GB",
        link=_REPACKAGED,
    ),
    Need(
        key="vae",
        role="Wan 2.1 VAE",
        folders=("vae",),
        pattern="*wan*2*1*vae*",
        file="wan_2.1_vae.safetensors",
        size="0.25 GB",
        link=_REPACKAGED,
    ),
    Need(
        key="text_encoder",
        role="UMT5-XXL",
        folders=("text_encoders", "clip"),
        pattern="*umt5*xxl*",
        file="umt5_xxl_fp8_e4m3fn_scaled.safetensors",
        size="6.7 GB",
        link=_REPACKAGED,
    ),
    Need(
        key="projector",
        role="Unison projector",
        folders=("unison",),
        pattern="*projector*",
        file="projector.pth",
        size="50 MB",
        link=_UNISON,
        required=False,
    ),
    Need(
        key="planner",
        role="Qwen2.5-VL with Unison's planning weights merged in",
        folders=("unison", "LLM"),
        pattern="config.json",
        file="a folder",
        size="7.5 GB",
        link=_UNISON,
        required=False,
    ),
)

_SUFFIXES = (".safetensors", ".sft", ".pth", ".pt")
# A folder with one of these holds all three models of generation: diffusers' layout, Wan's own.
_WHOLE = ("model_index.json", "Wan2.1_VAE.pth")


@dataclass(frozen=True)
class ModelPaths:
    """Files and folders of one run. `demo`: these are the embedded models, whose pictures are noise until trained."""

    vace: Path | None = None
    vae: Path | None = None
    text_encoder: Path | None = None
    projector: Path | None = None
    planner: Path | None = None
    demo: bool = False
    notices: tuple[str, ...] = field(default=())

    @property
    def missing(self) -> tuple[Need, ...]:
        """What generation cannot do without."""
        return tuple(need for need in NEEDS if need.required and getattr(self, need.key) is None)


def find(folder: Path) -> ModelPaths:
    """The models in `folder`: ComfyUI's `models`, a diffusers pipeline, or Wan's own download.

    Raises InputError when there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"the models folder {folder} does not exist; give a folder such as ComfyUI's models")
    found = {need.key: _first(folder, need) for need in NEEDS}
    if any((folder / name).is_file() for name in _WHOLE):
        found |= dict.fromkeys(("vace", "vae", "text_encoder"), folder)
    return replace(ModelPaths(), **found)  # type: ignore[arg-type]


def _first(folder: Path, need: Need) -> Path | None:
    """The first match by name, whatever its case, in the folders of `need` and below them."""
    for place in need.folders:
        for file in sorted((folder / place).rglob("*")):
            if not fnmatch(file.name.lower(), need.pattern):
                continue
            if need.key == "planner":
                if has_planning_weights(file.parent):
                    return file.parent
            elif file.suffix.lower() in _SUFFIXES:
                return file
    return None


def has_planning_weights(folder: Path) -> bool:
    """True for a Qwen2.5-VL folder whose tokenizer knows the plan's tokens and whose head is its own.

    A plain Qwen2.5-VL has untrained rows there and must never be decoded into signal tokens.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tokens = (folder / "tokenizer.json").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return (
        config.get("model_type") == "qwen2_5_vl" and "<BORES>" in tokens and not config.get("tie_word_embeddings", True)
    )


def resolve_models(folder: Path | None, given: dict[str, Path | None], progress: Progress = silent) -> ModelPaths:
    """The models of a run: `given` files, then those in `folder` (or UNISON_MODELS), else the demo set.

    Raises InputError that lists file, folder, size and link of everything missing when only a part is there.
    """
    folder = folder or (Path(os.environ[MODELS_VARIABLE]) if os.environ.get(MODELS_VARIABLE) else None)
    chosen = {key: path for key, path in given.items() if path is not None}
    for key, path in chosen.items():
        if not path.exists():
            raise InputError(f"--{key.replace('_', '-')}: {path} does not exist")
    if folder is None and not chosen:
        return demo_models(progress)
    models = replace(find(folder) if folder else ModelPaths(), **chosen)  # type: ignore[arg-type]
    if models.missing:
        lines = "\n".join(f"  {describe(need)}" for need in models.missing)
        raise InputError(
            f"models are missing in {folder or 'the options given'}:\n{lines}\n"
            "Without --models the embedded demo models are used."
        )
    if models.projector is None or models.planner is None:
        absent = "projector" if models.projector is None else "planner with planning weights"
        models = replace(models, projector=None, notices=(f"no {absent} found: making without projected tokens",))
    return models


def demo_models(progress: Progress = silent) -> ModelPaths:
    """The embedded set, built on first use."""
    from . import demo

    built = demo.ensure(progress=progress)
    notice = () if built.trained else (
        "no model weights were given, so the embedded demo models are used; they are untrained and make NOISE. "
        "Size, length, sources and sampling are real. `unison doctor` says what real pictures take.",
    )  # fmt: skip
    return ModelPaths(
        built.vace, built.vae, built.text_encoder, built.projector, built.planner, demo=True, notices=notice
    )


def describe(need: Need) -> str:
    """File, folder, size and link in one line."""
    return f"{need.role}: {need.file} ({need.size}) in {need.folders[0]}/, from {need.link}"
