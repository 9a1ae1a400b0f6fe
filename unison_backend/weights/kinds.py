"""Which of Wan's many models a file holds, by its shapes alone, and whether a run can use it.

Wan's transformers share their keys: text to video, image to video, Fun's control models and those of Wan 2.2 differ in
channels and widths. A wrong one is told here by what it is and what would fit, before anything is built or loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import WeightsError
from . import wan_layouts as layouts
from .fit import seems, shape_of
from .needs import describe, need_of
from .state import FILE_KEYS, without_prefixes

if TYPE_CHECKING:
    from .find import ModelPaths

_EMBEDDINGS = ("shared.weight", "token_embedding.weight", "encoder.embed_tokens.weight", "token_embd.weight")
TEXT_WIDTH = 4096  # UMT5-XXL's rows, which projected tokens stand beside

Value = TypeVar("Value")

# What stands before the keys of one model in a file that holds several (checkpoints as ComfyUI saves them).
_PARTS: dict[str, tuple[str, ...]] = {
    "transformer": ("model.diffusion_model.", "diffusion_model."),
    "vae": ("first_stage_model.", "vae."),
    "text_encoder": ("text_encoders.umt5xxl.transformer.", "text_encoders."),
}
# What stands before every key, in wrapped and compiled models.
_WRAPPERS = ("module.", "model.", "_orig_mod.")

# (channels that go in, channels that come out): whose they are.
_CHANNELS = {
    (36, 16): "Wan image to video, or Fun's inpainting",
    (48, 16): "Wan Fun control",
    (48, 48): "Wan 2.2 5B, which goes with the Wan 2.2 VAE",
}


def own_part(state: Mapping[str, Value], component: str) -> dict[str, Value]:
    """The keys of `component` ("transformer", "vae", "text_encoder") without what stands before them.

    Of a file with several models only that one's; of any other file all.
    """
    found = dict(state)
    for prefix in _PARTS[component]:
        part = {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}
        if part:
            found = part | {key: found[key] for key in FILE_KEYS if key in found}
            break
    return without_prefixes(found, _WRAPPERS)


def check_kind(component: str, shapes: layouts.Shapes, what: str) -> None:
    """Raise WeightsError for another model of the family. shapes: of Wan's keys or diffusers', without prefixes;
    what: the file and its role, for the message. What is no Wan model at all is left to whoever builds it."""
    judge, key = {"transformer": (_transformer, "vace"), "vae": (_vae, "vae")}.get(component, (None, ""))
    told = judge(shapes) if judge else ""
    if told:
        raise WeightsError(f"{what}: {told}. What fits: {describe(need_of(key))}")


def _transformer(shapes: layouts.Shapes) -> str:
    patch = shapes.get("patch_embedding.weight")
    has_vace, has_base = (any(key.startswith(name) for key in shapes) for name in ("vace_blocks.0.", "blocks.0."))
    if has_vace and (patch is None or not has_base):
        return "it holds the VACE blocks alone (a module): add the text-to-video model of its size with --vace-base"
    return _channels(shapes)


def kind_of_base(shapes: layouts.Shapes) -> str:
    """What a model is that is to go under a module of VACE blocks, where it is no Wan text-to-video; else "".

    shapes: by diffusers' names, of which Wan's own first layer is one.
    """
    if "patch_embedding.weight" not in shapes or not any(key.startswith("blocks.0.") for key in shapes):
        return f"it is no Wan text-to-video model.{seems(shapes)}"
    return _channels(shapes)


def _channels(shapes: layouts.Shapes) -> str:
    """What another member of the family takes; "" for text to video and VACE."""
    patch = shapes.get("patch_embedding.weight")
    if patch is None or len(patch) != 5 or patch[1] == layouts.LATENT_CHANNELS:
        return ""
    head = _first(shapes, ("head.head.weight", "proj_out.weight"))
    out = head[0] // (layouts.PATCH[0] * layouts.PATCH[1] * layouts.PATCH[2]) if head else 0
    name = _CHANNELS.get((patch[1], out), "another model")
    return f"it takes {patch[1]} input channels ({name}), Wan VACE takes {layouts.LATENT_CHANNELS}"


def _vae(shapes: layouts.Shapes) -> str:
    weight = _first(shapes, ("post_quant_conv.weight", "conv2.weight"))
    if weight is None or weight[0] == layouts.LATENT_CHANNELS or not any(key.startswith("decoder.") for key in shapes):
        return ""
    name = " (the Wan 2.2 VAE)" if weight[0] == 48 else ""
    return f"it makes {weight[0]} latent channels{name}, Wan VACE takes {layouts.LATENT_CHANNELS} latent channels"


def _first(shapes: layouts.Shapes, keys: Sequence[str]) -> tuple[int, ...] | None:
    return next((tuple(shapes[key]) for key in keys if key in shapes), None)


def check_models(models: ModelPaths) -> None:
    """Hold the files of a run against each other by their headers; nothing of their weights is read.

    Raises WeightsError, InputError.
    """
    from .wan import load_transformer, load_vae, locate, read_source

    expert = models.vace_low is not None
    for path, base in ((models.vace, models.vace_base), (models.vace_low, models.vace_low_base)):
        if path is None:
            continue
        transformer: Any = load_transformer(path, device="meta", expert=expert, base=base)
        text = transformer.condition_embedder.text_embedder.linear_1.in_features
        if text != TEXT_WIDTH:
            raise WeightsError(
                f"{path} reads text of width {text}, UMT5-XXL's has {TEXT_WIDTH}. "
                f"What fits: {describe(need_of('vace'))}"
            )
    if models.vae is not None:
        load_vae(models.vae, device="meta")
    if models.text_encoder is not None:
        state = read_source(locate(Path(models.text_encoder), "text_encoder"), None, "meta")
        shapes = {key: shape_of(tensor) for key, tensor in state.items()}
        rows = _first(shapes, _EMBEDDINGS)
        if rows is not None and rows[-1] != TEXT_WIDTH:
            raise WeightsError(
                f"{models.text_encoder} writes text of width {rows[-1]}, Wan VACE reads {TEXT_WIDTH}. "
                f"What fits: {describe(need_of('text_encoder'))}"
            )
