"""The embedded model set as the host's own objects: MODEL, CLIP, VAE, and the pack's planner and projector."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import folder_paths

from ..unison_backend.demo import set as demo
from ..unison_backend.progress import Progress
from . import guidance, planner_socket


def ensure(progress: Progress) -> demo.DemoSet:
    """The set in the host's user folder (or where UNISON_CACHE says), built on first use."""
    given = os.environ.get(demo.CACHE_VARIABLE)
    return demo.ensure(Path(given) if given else Path(folder_paths.get_user_directory()) / "unison", progress)


def model(files: demo.DemoSet) -> Any:
    """The VACE transformer as MODEL, which the host detects like the real one, with the guidance that suits it."""
    import comfy.sd

    return guidance.marked(comfy.sd.load_diffusion_model(str(files.vace)), demo.CFG, demo.FRAMES)


def vae(files: demo.DemoSet) -> Any:
    """The Wan VAE as VAE."""
    import comfy.sd
    import comfy.utils

    loaded = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(files.vae)))
    loaded.throw_exception_if_invalid()
    return loaded


def clip(files: demo.DemoSet) -> Any:
    """The UMT5 encoder as CLIP. The host's loader knows the full size only, so its classes are given ours."""
    import comfy.sd
    import comfy.utils
    from comfy.text_encoders.wan import WanT5Tokenizer

    state = comfy.utils.load_torch_file(str(files.text_encoder))
    spiece = state.pop("spiece_model")

    target = SimpleNamespace(clip=_text_model(_text_config(state)), tokenizer=WanT5Tokenizer, params={})
    parameters = comfy.utils.calculate_parameters(state)
    return comfy.sd.CLIP(target, tokenizer_data={"spiece_model": spiece}, parameters=parameters, state_dict=[state])


def _text_config(state: dict[str, Any]) -> dict[str, Any]:
    """The encoder's sizes, read from its weights, in the host's words."""
    from ..unison_backend.weights.wan_layouts import umt5_config

    config = umt5_config({key: tuple(tensor.shape) for key, tensor in state.items()})
    sizes = {key: config[key] for key in ("num_layers", "d_model", "d_kv", "num_heads", "d_ff", "vocab_size")}
    return {**sizes, "dense_act_fn": "gelu_pytorch_tanh", "is_gated_act": True, "model_type": "umt5"}


def _text_model(config: dict[str, Any]) -> type:
    """The host's UMT5 classes with `config` in place of the XXL one."""
    from comfy import sd1_clip
    from comfy.text_encoders.t5 import T5

    class Encoder(sd1_clip.SDClipModel):
        def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: Any = None, **_: Any) -> None:
            super().__init__(
                device=device,
                dtype=dtype,
                textmodel_json_config=config,
                model_class=T5,
                special_tokens={"end": 1, "pad": 0},
                enable_attention_masks=True,
                zero_out_masked=True,
                model_options=model_options or {},
            )

    class TextModel(sd1_clip.SD1ClipModel):
        def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: Any = None) -> None:
            super().__init__(device=device, dtype=dtype, name="umt5xxl", clip_model=Encoder,
                             model_options=model_options or {})  # fmt: skip

    return TextModel


def planner(files: demo.DemoSet, progress: Progress) -> planner_socket.PlannerModel:
    """The embedded Qwen: the rules plan, it gives features and answers."""
    loaded = planner_socket.load_planner(files.planner, files.lora, plans=False, progress=progress)
    return replace(loaded, embedded=True)


def projector(files: demo.DemoSet) -> planner_socket.ProjectorModel:
    """The embedded projector."""
    return planner_socket.load_projector(files.projector)
