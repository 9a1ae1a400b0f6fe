"""A Qwen2.5-VL folder or file, with or without a planning LoRA, as one module in memory.

What is unusual: everything that can be wrong with the files is found in their headers, before a weight is read; the
plan's 14 tokens are added when the tokenizer lacks them; and the head is untied, so that the tokens' rows for reading
and for writing are two matrices, as in the reference's merged checkpoint. Nothing is asked of the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ResourceError, UnisonError, UnsupportedError, WeightsError
from ...plan.tokens import ADDED_TOKENS
from ...progress import Progress, silent
from ...weights.folder import LOAD_ERRORS, first_line
from . import single_file
from .adapters import Adapter, attach, check_fit, read_adapter
from .beside import generation_of, load_processor, load_tokenizer
from .chat import pad_id
from .checkpoint import Folder, mark_tied, untie
from .options import options_of
from .way_back import read_way_back

if TYPE_CHECKING:
    import torch
    from torch import nn

    Device = torch.device | str

_STAGE = "loading the planner"
# The config's names for what stands around a medium and in its place.
_MEDIA_TOKENS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}


@dataclass
class Qwen:
    """A loaded Qwen2.5-VL, in eval mode and without gradients.

    model: Qwen2_5_VLForConditionalGeneration, inside a PeftModel when there is a LoRA. processor: for pictures and
    videos; None when it cannot be had, and `processor_problem` says why. token_ids: of the 14 added tokens.
    has_planning: the folder or the LoRA brings trained rows for them; without, they must never be decoded.
    adapter_removable: switching the LoRA off gives the base model back. adapter_answers: it is the other way round, the
    LoRA takes off one that is merged, and is on for answers alone.
    """

    model: Any
    tokenizer: Any
    processor: Any | None
    token_ids: dict[str, int]
    has_planning: bool
    adapter_removable: bool = True
    adapter_answers: bool = False
    processor_problem: UnisonError | None = None
    has_adapter: bool = field(init=False)

    def __post_init__(self) -> None:
        self.has_adapter = hasattr(self.model, "peft_config")
        if self.adapter_answers:
            self._switch(on=False)

    @property
    def base(self) -> Any:
        """The Qwen2_5_VLForConditionalGeneration; a LoRA's layers are inside it and at work."""
        return self.model.get_base_model() if self.has_adapter else self.model

    @property
    def language_model(self) -> Any:
        """Decoder layers and final norm, without the head."""
        return self.base.model.language_model

    @cached_property
    def module(self) -> nn.Module:
        """All weights as one plain module that takes attributes (transformers' own has a read-only `device`)."""
        from torch import nn

        return nn.ModuleDict({"qwen": self.model})

    @property
    def device(self) -> torch.device:
        """Where the weights are now."""
        device: torch.device = next(self.base.parameters()).device
        return device

    def to(self, device: Device) -> Qwen:
        """Move all weights. Raises UnsupportedError for 4 or 8 bit, ResourceError when the memory is too small."""
        import torch

        if getattr(self.base, "is_quantized", False):
            raise UnsupportedError("a 4-bit or 8-bit planner stays on the device it was loaded to; load it there")
        try:
            self.module.to(device)
        except torch.OutOfMemoryError as error:
            raise ResourceError(f"the planner does not fit into {device}'s memory; use bf16, 4bit or cpu") from error
        return self

    @contextmanager
    def without_adapter(self) -> Iterator[None]:
        """The base model's own weights inside the block, where the LoRA's kind allows it; else nothing changes."""
        if not (self.has_adapter and self.adapter_removable):
            yield
            return
        self._switch(on=self.adapter_answers)
        try:
            yield
        finally:
            self._switch(on=not self.adapter_answers)

    def _switch(self, *, on: bool) -> None:
        import torch

        if not on:
            self.model.base_model.disable_adapter_layers()
            return
        with torch.inference_mode():  # peft turns gradients on, which weights loaded in that mode refuse elsewhere
            self.model.base_model.enable_adapter_layers()
        self.model.requires_grad_(False)


def load_qwen(
    folder: Path,
    lora: Path | None = None,
    *,
    dtype: str = "auto",
    attention: str = "auto",
    device: Device = "cpu",
    quantize: str | None = None,
    answering: bool = False,
    progress: Progress = silent,
    small: Path | None = None,
) -> Qwen:
    """The Qwen2.5-VL in `folder` (plain or merged) or one file, with the adapter in the folder `lora` switched on.

    dtype: auto (as stored), bf16, fp16, fp32. attention: auto (flash-attn on CUDA where installed, else sdpa), sdpa,
    eager, flash_attention_2. quantize: 4bit or 8bit, with bitsandbytes only.
    answering: a merged folder that brings what takes its LoRA off again (`way_back`) answers as its base does.
    small: where the tokenizer of one file may lie besides the usual places (`single_file.small_files`).
    Raises WeightsError naming what is wrong with the files or why the two do not fit, InputError for an unknown
    option, UnsupportedError for a library that is missing, ResourceError when the memory is too small.
    """
    progress(_STAGE, 0, 4)
    files = single_file.read_planner(folder, small)
    adapter = _adapter(files, lora, answering)
    options = options_of(files, dtype, attention, device, quantize)
    tokenizer, known = load_tokenizer(files.beside)
    ids = {token: pad_id(tokenizer, token) for token in ADDED_TOKENS}
    if adapter:
        check_fit(adapter, files, ids, len(tokenizer))
    progress(_STAGE, 1, 4)
    model = _load_model(files, options, tokenizer, adapted=adapter is not None)
    rows = files.embedding.shape[0]
    _resize(model, (adapter.rows if adapter else None) or max(rows, len(tokenizer)))
    if not (adapter and adapter.needs_tie):
        untie(model)
    progress(_STAGE, 2, 4)
    if adapter:
        model = attach(model, adapter)
    progress(_STAGE, 3, 4)
    processor, problem = load_processor(files, tokenizer)
    trained = known and not files.tied and max(ids.values()) < rows
    qwen = Qwen(
        model=model.eval().requires_grad_(False),
        tokenizer=tokenizer,
        processor=processor,
        token_ids=ids,
        has_planning=trained or bool(adapter and adapter.trains(ids.values())),
        adapter_removable=adapter is None or adapter.removable,
        adapter_answers=adapter is not None and lora is None,
        processor_problem=problem,
    )
    if quantize is None:
        qwen.to(device)
    progress(_STAGE, 4, 4)
    return qwen


def _adapter(files: Folder, lora: Path | None, answering: bool) -> Adapter | None:
    """The LoRA that is given; without one, what a merged folder answers with, if that is asked for and there."""
    if lora is not None:
        return read_adapter(lora)
    return read_way_back(files.path) if answering else None


def _load_file(files: Folder, options: dict[str, Any], tokenizer: Any, adapted: bool) -> Any:
    """A LoRA takes layers in 16 bit; without one those that are fp8 stay it."""
    import torch

    media = {name: pad_id(tokenizer, token) for name, token in _MEDIA_TOKENS.items()}
    try:
        model = single_file.load_model(
            files, media, options["dtype"], options["attn_implementation"], keep_fp8=not adapted
        )
    except (UnisonError, torch.OutOfMemoryError):
        raise
    except LOAD_ERRORS as error:
        raise WeightsError(f"{files.path} cannot be loaded as a Qwen2.5-VL: {first_line(error)}") from error
    model.generation_config = generation_of(files, tokenizer)
    return model


def _load_model(files: Folder, options: dict[str, Any], tokenizer: Any, *, adapted: bool) -> Any:
    """The model of a folder or a file. adapted: a LoRA comes onto it."""
    return _load_file(files, options, tokenizer, adapted) if files.small else _load_folder(files, options, tokenizer)


def _load_folder(files: Folder, options: dict[str, Any], tokenizer: Any) -> Any:
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    options = options | {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    options |= {"generation_config": generation_of(files, tokenizer)}
    try:
        config = Qwen2_5_VLConfig.from_pretrained(files.path, local_files_only=True)
        mark_tied(config, files.tied)
        loaded: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(files.path, config=config, **options)
    except torch.OutOfMemoryError as error:
        raise ResourceError("the planner does not fit into the device's memory; use 4bit or cpu") from error
    except LOAD_ERRORS as error:
        raise WeightsError(f"{files.path} cannot be loaded as a Qwen2.5-VL folder: {first_line(error)}") from error
    model, info = loaded
    for fault in ("missing", "unexpected"):
        if keys := sorted(info[f"{fault}_keys"]):
            raise WeightsError(f"{files.path}: {len(keys)} weights are {fault} ({', '.join(keys[:3])})")
    return model


def _resize(model: Any, rows: int) -> None:
    """Give embedding and head `rows` rows; new ones are the mean of the old, so that they neither shine nor vary."""
    import torch

    old = model.get_input_embeddings().weight.shape[0]
    if rows == old:
        return
    model.resize_token_embeddings(rows, mean_resizing=False)
    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            layer.weight[old:] = layer.weight[:old].float().mean(0).to(layer.weight.dtype)
