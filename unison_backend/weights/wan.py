"""The three models behind Wan VACE, from any file people have: transformer, VAE and UMT5 text encoder.

A path is a diffusers pipeline folder, one of its component folders, a folder as Wan published it, or a single file in
Wan's own or in diffusers' / HF's spelling, fp8 included; GGUF too, but for the VAE. Sizes are read from the shapes in
the file. Models are built without memory, then take the file's tensors as they are: with `dtype=None` on the CPU
nothing is copied.

dtype: None is as stored (layers over fp8 and GGUF compute in bfloat16). The weights of linear layers stay in fp8 or in
GGUF's blocks where a file has them so (`fp8.Fp8Linear`, `gguf.GgufLinear`). float16 and bfloat16 keep in float32 what
the libraries' `from_pretrained` keeps there:
in the transformer `time_embedder`, `scale_shift_table`, `norm1..3` and the rotary table, in UMT5 `wo` (with float16
only). device: "meta" gives shapes only. Every loader raises WeightsError.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from . import wan_layouts as layouts
from .experts import refuse_expert
from .fit import assign, on_meta, seems, shape_of
from .folder import CONFIG, weight_map
from .kinds import check_kind, kind_of_base, own_part
from .small_json import read_json
from .state import GGUF, PICKLES, SAFETENSORS, SPIECE_KEY, dequantize, load_state_dict

if TYPE_CHECKING:
    import torch
    from diffusers import AutoencoderKLWan, WanVACETransformer3DModel
    from torch import Tensor

    Device = torch.device | str
    State = dict[str, Tensor]

_ORIGINAL_NAMES = {"vae": "Wan2.1_VAE.pth", "text_encoder": "models_t5_umt5-xxl-enc-bf16.pth"}
_PACKED = ("transformer", "text_encoder")  # components that may be GGUF
_FIRST = "patch_embedding.weight"
_PREFERRED = ("diffusion_pytorch_model.safetensors", "model.safetensors")

# What a folder's config.json may add to a size that is read from shapes.
_EXTRAS = {
    "transformer": ("vace_layers", "eps", "rope_max_seq_len"),
    "vae": ("latents_mean", "latents_std"),
    "text_encoder": ("layer_norm_epsilon", "relative_attention_max_distance"),
}


def load_transformer(
    path: Path | str, *, dtype: torch.dtype | None = None, device: Device = "cpu", expert: bool = False,
    base: Path | None = None,
) -> WanVACETransformer3DModel:  # fmt: skip
    """A Wan VACE transformer of any size (1.3B, 14B, ...) in eval mode, without gradients.

    expert: whether it may be one of two experts, whose other half the caller has too. base: the text-to-video model
    under it, where `path` is a module of VACE blocks alone.
    """
    if not expert:
        for part in (path, *([base] if base else [])):
            refuse_expert(Path(part))
    from diffusers import WanVACETransformer3DModel

    source = locate(Path(path), "transformer")
    if base is None:
        state = read_source(source, dtype, device)
        kind = seems(state)
        state = _by_diffusers_names(state)
    else:
        state, kind = _with_base(source, locate(base, "transformer"), dtype, device), ""
    config = model_config(source, state, layouts.vace_config, kind)
    keep = WanVACETransformer3DModel._keep_in_fp32_modules or ()
    model: WanVACETransformer3DModel = filled(WanVACETransformer3DModel, config, source, state, dtype, device, keep)
    if str(device) != "meta":
        _rebuild_rope(model, device)
    return model


def _by_diffusers_names(state: State) -> State:
    """A transformer's tensors, or a part's, in Wan's own spelling or diffusers', in the latter."""
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    if "head.modulation" not in state and not any(".self_attn." in key for key in state):
        return state
    convert: Callable[[State], State] = convert_wan_transformer_to_diffusers
    return convert(state)


def _with_base(source: Source, base: Source, dtype: torch.dtype | None, device: Device) -> State:
    """A module of VACE blocks and the text-to-video model under it, as one."""
    from .module import joined

    module, under = (_by_diffusers_names(read_source(part, dtype, device, whole=False)) for part in (source, base))
    if told := kind_of_base({key: shape_of(tensor) for key, tensor in under.items()}):
        raise WeightsError(f"--vace-base {base.path}: {told}; a Wan text-to-video model of the module's size fits")
    return joined(module, under, source.path, base.path)


def _rebuild_rope(model: Any, device: Device) -> None:
    """The rotary table is in no file, so it is still on meta: compute it."""
    rope = model.rope
    model.rope = type(rope)(rope.attention_head_dim, rope.patch_size, rope.max_seq_len).to(device)


def load_vae(path: Path | str, *, dtype: torch.dtype | None = None, device: Device = "cpu") -> AutoencoderKLWan:
    """A Wan 2.1 VAE (16 latent channels, 8x8 pixels, 4 frames) in eval mode. The reference runs it in float32."""
    from diffusers import AutoencoderKLWan
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    source = locate(Path(path), "vae")
    state = read_source(source, dtype, device)
    kind = seems(state)
    if "decoder.middle.0.residual.0.gamma" in state:
        convert: Callable[[State], State] = convert_wan_vae_to_diffusers
        state = convert(state)
    config = model_config(source, state, layouts.vae_config, kind)
    model: AutoencoderKLWan = filled(AutoencoderKLWan, config, source, state, dtype, device)
    return model


@dataclass(frozen=True)
class Source:
    """The files of one component, what a config.json beside them says, and where its tokenizer may lie."""

    component: str
    path: Path
    files: tuple[Path, ...]
    folder: Path

    @property
    def what(self) -> str:
        role = {"transformer": "a Wan VACE transformer", "vae": "a Wan 2.1 VAE", "text_encoder": "a UMT5 encoder"}
        return f"{self.path} as {role[self.component]}"


def locate(path: Path, component: str) -> Source:
    if not path.is_dir():
        return Source(component, path, (path,), path.parent)
    for folder in (path / component, path):
        original = folder / _ORIGINAL_NAMES.get(component, "")
        if original.is_file():
            return Source(component, path, (original,), folder)
        files = _weights_in(folder)
        if files:
            return Source(component, path, files, folder)
    raise WeightsError(
        f"{path} holds no {component} weights; give a file ({', '.join((*SAFETENSORS, *PICKLES, GGUF))}), a diffusers "
        f"pipeline folder with {component}/ in it, or that folder itself"
    )


def _weights_in(folder: Path) -> tuple[Path, ...]:
    """The weights files of one model in `folder`: the shards of its index, else its only (or its main) file."""
    for index in sorted(folder.glob("*.safetensors.index.json")) + sorted(folder.glob("*.bin.index.json")):
        return tuple(folder / name for name in sorted(set(weight_map(index).values())))
    for suffixes in (SAFETENSORS, PICKLES):
        files = sorted(file for file in folder.glob("*") if file.suffix.lower() in suffixes and file.is_file())
        main = [file for file in files if file.name in _PREFERRED]
        if len(files) > 1 and len(main) != 1:
            names = ", ".join(file.name for file in files[:3])
            raise WeightsError(f"{folder} holds several weights files ({names}, ...); give one of them")
        if files:
            return tuple(main or files)
    return ()


def read_source(source: Source, dtype: torch.dtype | None, device: Device, *, whole: bool = True) -> State:
    """All tensors of `source` and, on "meta", without data (except the tokenizer); fp8 stays for `filled` to place.

    whole: whether it has to be a whole model of its kind; else that is for the caller to see.
    """
    import torch

    state: State = {}
    for file in source.files:
        state |= load_state_dict(file, packed=source.component in _PACKED)
    state = own_part(state, source.component)
    if source.component == "transformer" and _FIRST not in state and source.path.suffix.lower() == GGUF and whole:
        raise WeightsError(
            f"{source.path} is an unfinished GGUF file: it has no {_FIRST}, which its maker's tool adds last (a tensor "
            "of five dimensions); get another one"
        )
    if whole:
        check_kind(source.component, {key: shape_of(tensor) for key, tensor in state.items()}, source.what)
    if str(device) == "meta":
        data = (SPIECE_KEY, "comfy_quant")
        state = {key: value if key.endswith(data) else on_meta(value) for key, value in state.items()}
    spiece = {key: state.pop(key) for key in (SPIECE_KEY,) if key in state}
    target = dtype or torch.bfloat16
    return dequantize(state, target, device=device, what=source.what, keep_fp8=source.component != "vae") | spiece


def model_config(
    source: Source, state: State, derive: Callable[[layouts.Shapes], dict[str, Any]], kind: str
) -> dict[str, Any]:
    """The model's arguments from the shapes in `state`, with the extras of a config.json beside the files.

    kind: the sentence on what the file seems to be, for the message.
    """
    try:
        config = derive({key: shape_of(tensor) for key, tensor in state.items()})
    except (LookupError, ValueError, ZeroDivisionError) as error:
        raise WeightsError(f"{source.what}: it is not one (missing or odd: {error}).{kind}") from error
    beside = source.folder / CONFIG
    given = read_json(beside) if source.path.is_dir() and beside.is_file() else {}
    return config | {key: given[key] for key in _EXTRAS[source.component] if given.get(key) is not None}


def filled(
    make: Callable[..., Any], config: Mapping[str, Any], source: Source, state: State,
    dtype: torch.dtype | None, device: Device, keep: Collection[str] = (),
) -> Any:  # fmt: skip
    """`make(**config)` built on meta, filled with `state`, in eval mode and without gradients."""
    import torch

    from . import fp8, gguf

    try:
        with torch.device("meta"):
            model = make(**config)
    except (ValueError, TypeError, LookupError) as error:
        raise WeightsError(f"{source.what}: its sizes fit no such model ({error}).{seems(state)}") from error
    state, scales = fp8.placed(model, state, dtype or torch.bfloat16, keep)
    layers = [key for key in state if fp8.stays(model, key, keep)]
    state, packed = gguf.placed(state, layers, torch.float32 if dtype else torch.bfloat16)
    everything = state | packed
    assign(model, everything, source.what, dtype=dtype, device=device, keep_fp32=keep, as_stored=scales, apart=packed)
    fp8.install(model, scales, dtype or torch.bfloat16)
    gguf.install(model, packed, dtype or torch.bfloat16)
    return model.eval().requires_grad_(False)
