"""The three models behind Wan VACE, from any file people have: transformer, VAE and UMT5 text encoder.

A path is a diffusers pipeline folder, one of its component folders, a folder as Wan published it, or a single file in
Wan's own or in diffusers' / HF's spelling, fp8 included. Sizes are read from the shapes in the file. Models are built
without memory, then take the file's tensors as they are: with `dtype=None` on the CPU nothing is copied.

dtype: None is as stored (fp8, which no layer computes in, becomes bfloat16); float16 and bfloat16 keep in float32 what
the libraries' `from_pretrained` keeps there: in the transformer `time_embedder`, `scale_shift_table`, `norm1..3` and
the rotary table, in UMT5 `wo` (with float16 only). device: "meta" gives shapes only. Every loader raises WeightsError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import wan_layouts as layouts
from .errors import WeightsError
from .weights import PICKLES, SAFETENSORS, assign, dequantize, load_state_dict, seems

if TYPE_CHECKING:
    import torch
    from diffusers import AutoencoderKLWan, WanVACETransformer3DModel
    from torch import Tensor
    from transformers import UMT5EncoderModel

    Device = torch.device | str
    State = dict[str, Tensor]

MAX_TOKENS = 512  # T5's context in Wan (text_len), the end token included
EOS = 1  # UMT5's `</s>`
SPIECE_KEY = "spiece_model"  # where ComfyUI keeps the sentencepiece file inside a text encoder's safetensors

_PREFIXES = ("module.", "model.diffusion_model.")
_ORIGINAL_NAMES = {"vae": "Wan2.1_VAE.pth", "text_encoder": "models_t5_umt5-xxl-enc-bf16.pth"}
_PREFERRED = ("diffusion_pytorch_model.safetensors", "model.safetensors")
_TOKENIZER_FILES = ("spiece.model", "tokenizer.model", "tokenizer.json")
_UNTYPED = "\ue000"  # a private character, in no instruction
_TOKENIZER_FOLDERS = (".", "tokenizer", "google/umt5-xxl")

# What a folder's config.json may add to a size that is read from shapes.
_EXTRAS = {
    "transformer": ("vace_layers", "eps", "rope_max_seq_len"),
    "vae": ("latents_mean", "latents_std"),
    "text_encoder": ("layer_norm_epsilon", "relative_attention_max_distance"),
}


def load_transformer(
    path: Path | str, *, dtype: torch.dtype | None = None, device: Device = "cpu"
) -> WanVACETransformer3DModel:
    """A Wan VACE transformer of any size (1.3B, 14B, ...) in eval mode, without gradients."""
    from diffusers import WanVACETransformer3DModel
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    source = _locate(Path(path), "transformer")
    state = _read(source, dtype, device)
    kind = seems(state)
    if "head.modulation" in state:
        convert: Callable[[State], State] = convert_wan_transformer_to_diffusers
        state = convert(state)
    config = _config(source, state, layouts.vace_config, kind)
    keep = WanVACETransformer3DModel._keep_in_fp32_modules or ()
    model: WanVACETransformer3DModel = _fill(WanVACETransformer3DModel, config, source, state, dtype, device, keep)
    if str(device) != "meta":
        _rebuild_rope(model, device)
    return model


def _rebuild_rope(model: Any, device: Device) -> None:
    """The rotary table is in no file, so it is still on meta: compute it."""
    rope = model.rope
    model.rope = type(rope)(rope.attention_head_dim, rope.patch_size, rope.max_seq_len).to(device)


def load_vae(path: Path | str, *, dtype: torch.dtype | None = None, device: Device = "cpu") -> AutoencoderKLWan:
    """A Wan 2.1 VAE (16 latent channels, 8x8 pixels, 4 frames) in eval mode. The reference runs it in float32."""
    from diffusers import AutoencoderKLWan
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    source = _locate(Path(path), "vae")
    state = _read(source, dtype, device)
    kind = seems(state)
    if "decoder.middle.0.residual.0.gamma" in state:
        convert: Callable[[State], State] = convert_wan_vae_to_diffusers
        state = convert(state)
    config = _config(source, state, layouts.vae_config, kind)
    model: AutoencoderKLWan = _fill(AutoencoderKLWan, config, source, state, dtype, device)
    return model


def load_text_encoder(path: Path | str, *, dtype: torch.dtype | None = None, device: Device = "cpu") -> TextEncoder:
    """A UMT5 encoder of any size with its tokenizer: from inside the file, beside it, or from a `tokenizer` folder."""
    import torch
    from transformers import UMT5Config, UMT5EncoderModel

    source = _locate(Path(path), "text_encoder")
    state = _read(source, dtype, device)
    spiece, kind = state.pop(SPIECE_KEY, None), seems(state)
    state = {layouts.umt5_hf_key(key): tensor for key, tensor in state.items()}
    state = {key: tensor for key, tensor in state.items() if not key.startswith(("decoder.", "lm_head."))}
    embedding = state.get("shared.weight", state.get("encoder.embed_tokens.weight"))
    if embedding is not None:  # one matrix under two names
        state["shared.weight"] = state["encoder.embed_tokens.weight"] = embedding
    config = _config(source, state, layouts.umt5_config, kind)
    encode = _tokenizer(source, bytes(spiece.cpu().numpy()) if spiece is not None else None, config["vocab_size"])
    keep = ("wo",) if dtype is torch.float16 else ()
    model: Any = _fill(lambda **c: UMT5EncoderModel(UMT5Config(**c)), config, source, state, dtype, device, keep)
    model.encoder.embed_tokens.weight = model.shared.weight
    return TextEncoder(model, encode)


class TextEncoder:
    """UMT5 as Wan uses it. The text is literal: a typed `</s>`, `<pad>` or `<extra_id_0>` is plain characters.

    model: the HF encoder. encode_ids: text -> ids without an end token.
    """

    def __init__(self, model: UMT5EncoderModel, encode_ids: Callable[[str], list[int]]) -> None:
        self.model = model
        self._encode_ids = encode_ids

    def tokenize(self, text: str) -> list[int]:
        """The ids of `text`, 1 to 512 of them: cut to 511, then the end id 1."""
        return [*self._encode_ids(text)[: MAX_TOKENS - 1], EOS]

    def encode(self, text: str) -> Tensor:
        """One row for each id of `tokenize`: [n, d_model] float32 on the model's device, no padding."""
        import torch

        ids = torch.tensor([self.tokenize(text)], device=self.model.device)
        with torch.no_grad():
            rows: Tensor = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return rows[0].float()


@dataclass(frozen=True)
class _Source:
    """The files of one component, what a config.json beside them says, and where its tokenizer may lie."""

    component: str
    path: Path
    files: tuple[Path, ...]
    folder: Path

    @property
    def what(self) -> str:
        role = {"transformer": "a Wan VACE transformer", "vae": "a Wan 2.1 VAE", "text_encoder": "a UMT5 encoder"}
        return f"{self.path} as {role[self.component]}"


def _locate(path: Path, component: str) -> _Source:
    if not path.is_dir():
        return _Source(component, path, (path,), path.parent)
    for folder in (path / component, path):
        original = folder / _ORIGINAL_NAMES.get(component, "")
        if original.is_file():
            return _Source(component, path, (original,), folder)
        files = _weights_in(folder)
        if files:
            return _Source(component, path, files, folder)
    raise WeightsError(
        f"{path} holds no {component} weights; give a file ({', '.join(SAFETENSORS + PICKLES)}), a diffusers pipeline "
        f"folder with {component}/ in it, or that folder itself"
    )


def _weights_in(folder: Path) -> tuple[Path, ...]:
    """The weights files of one model in `folder`: the shards of its index, else its only (or its main) file."""
    for index in sorted(folder.glob("*.safetensors.index.json")) + sorted(folder.glob("*.bin.index.json")):
        shards = _json(index).get("weight_map")
        shards = {str(name) for name in shards.values()} if isinstance(shards, dict) else set()
        if not shards or any(Path(name).name != name for name in shards):
            raise WeightsError(f"{index} is not an index of files in its own folder; download it again")
        return tuple(folder / name for name in sorted(shards))
    for suffixes in (SAFETENSORS, PICKLES):
        files = sorted(file for file in folder.glob("*") if file.suffix.lower() in suffixes and file.is_file())
        main = [file for file in files if file.name in _PREFERRED]
        if len(files) > 1 and len(main) != 1:
            names = ", ".join(file.name for file in files[:3])
            raise WeightsError(f"{folder} holds several weights files ({names}, ...); give one of them")
        if files:
            return tuple(main or files)
    return ()


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is not readable JSON ({error}); download it again") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} is not a JSON object; download it again")
    return content


def _read(source: _Source, dtype: torch.dtype | None, device: Device) -> State:
    """All tensors of `source` without fp8 and, on "meta", without data (except the tokenizer)."""
    import torch

    state: State = {}
    for file in source.files:
        state |= load_state_dict(file, prefixes=_PREFIXES)
    if str(device) == "meta":
        data = (SPIECE_KEY, "comfy_quant")
        state = {key: value if key.endswith(data) else value.to("meta") for key, value in state.items()}
    spiece = {key: state.pop(key) for key in (SPIECE_KEY,) if key in state}
    return dequantize(state, dtype or torch.bfloat16, device=device, what=source.what) | spiece


def _config(
    source: _Source, state: State, derive: Callable[[layouts.Shapes], dict[str, Any]], kind: str
) -> dict[str, Any]:
    """The model's arguments from the shapes in `state`, with the extras of a config.json beside the files.

    kind: the sentence on what the file seems to be, for the message.
    """
    try:
        config = derive({key: tuple(tensor.shape) for key, tensor in state.items()})
    except (LookupError, ValueError, ZeroDivisionError) as error:
        raise WeightsError(f"{source.what}: it is not one (missing or odd: {error}).{kind}") from error
    beside = source.folder / "config.json"
    given = _json(beside) if source.path.is_dir() and beside.is_file() else {}
    return config | {key: given[key] for key in _EXTRAS[source.component] if given.get(key) is not None}


def _fill(
    make: Callable[..., Any], config: Mapping[str, Any], source: _Source, state: State,
    dtype: torch.dtype | None, device: Device, keep: Collection[str] = (),
) -> Any:  # fmt: skip
    """`make(**config)` built on meta, filled with `state`, in eval mode and without gradients."""
    import torch

    try:
        with torch.device("meta"):
            model = make(**config)
    except (ValueError, TypeError, LookupError) as error:
        raise WeightsError(f"{source.what}: its sizes fit no such model ({error}).{seems(state)}") from error
    assign(model, state, source.what, dtype=dtype, device=device, keep_fp32=keep)
    return model.eval().requires_grad_(False)


def _tokenizer(source: _Source, spiece: bytes | None, rows: int) -> Callable[[str], list[int]]:
    """Text -> ids of the tokenizer inside the file (`spiece`) or the first one found; it has at most `rows` ids."""
    if spiece is not None:
        return _sentencepiece(spiece, rows, f"{source.path}: {SPIECE_KEY}")
    for file in _tokenizer_files(source):
        if file.suffix == ".json":
            return _tokenizer_json(file, rows)
        return _sentencepiece(file.read_bytes(), rows, str(file))
    raise WeightsError(
        f"{source.path} has no tokenizer: put UMT5's spiece.model (google/umt5-xxl) into {source.folder}, "
        "or use ComfyUI's umt5_xxl_*.safetensors, which hold it"
    )


def _tokenizer_files(source: _Source) -> Iterator[Path]:
    folders = [source.folder / name for name in _TOKENIZER_FOLDERS]
    if source.folder.name == source.component:
        folders.append(source.folder.parent / "tokenizer")
    for folder in folders:
        yield from (folder / name for name in _TOKENIZER_FILES if (folder / name).is_file())


def _sentencepiece(model: bytes, rows: int, what: str) -> Callable[[str], list[int]]:
    from sentencepiece import SentencePieceProcessor

    try:
        processor = SentencePieceProcessor(model_proto=layouts.literal_pieces(model))
    except (RuntimeError, LookupError, ValueError) as error:
        raise WeightsError(f"{what} is not a sentencepiece model ({error}); download it again") from error
    _check_tokenizer(processor.get_piece_size(), processor.eos_id(), rows, what)
    return lambda text: list(processor.encode(text, out_type=int, add_bos=False, add_eos=False))


def _tokenizer_json(path: Path, rows: int) -> Callable[[str], list[int]]:
    """A `tokenizers` file whose special pieces no text can be.

    Its `encode_special_tokens` alone is not enough: special tokens are pieces of the unigram model as well, so a typed
    `</s>` still becomes id 1 (measured, transformers 4.57 and 5). They keep their ids under names that cannot be typed.
    """
    from tokenizers import Tokenizer

    content = _json(path)
    try:
        special = {token["content"] for token in content.pop("added_tokens", None) or ()}
        pieces = content["model"]["vocab"]
        eos = next((index for index, (piece, _) in enumerate(pieces) if piece == "</s>"), None)
        content["model"]["vocab"] = [[_UNTYPED + text if text in special else text, score] for text, score in pieces]
        content |= {"post_processor": None, "truncation": None, "padding": None}
        tokenizer = Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # tokenizers raises the bare class
        raise WeightsError(f"{path} is not a unigram tokenizer ({error}); put spiece.model there instead") from error
    _check_tokenizer(len(pieces), eos, rows, str(path))
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


def _check_tokenizer(size: int, eos: int | None, rows: int, what: str) -> None:
    if size > rows or eos != EOS:
        found = f"{what} has {size} pieces and end id {eos}"
        raise WeightsError(f"{found}: not the tokenizer of an encoder with {rows} rows and end id {EOS}")
