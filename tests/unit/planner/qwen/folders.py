"""Qwen2.5-VL folders and adapters made for these tests, and what their models say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLForConditionalGeneration as Model

from ...tiny_chat_models import forget_signals

IDS = torch.tensor([[1025, 40, 41, 300, 1038, 7, 1050, 512, 1026]])
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SAVED = ["embed_tokens", "lm_head"]


def make_plain(source: Path, folder: Path) -> Path:
    shutil.copytree(source, folder)
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    change(folder / "config.json", tie_word_embeddings=True)
    forget_signals(folder)
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(read(path) | values), encoding="utf-8")


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits.float()


def make_adapter(
    base: Path, out: Path, *, rows: int = 0, save_embeddings: bool = False, **options: Any
) -> torch.Tensor:
    """Write a random LoRA as peft does, without this package; returns the training model's logits."""
    model: Any = Model.from_pretrained(base, dtype=torch.float32)
    if rows:
        model.resize_token_embeddings(rows, mean_resizing=False)
    untie = rows or options.get("modules_to_save") == SAVED
    if untie and model.config.tie_word_embeddings:
        model.config.tie_word_embeddings = model.config.get_text_config().tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    settings = {"r": 4, "lora_alpha": 8, "target_modules": LINEAR, "task_type": "CAUSAL_LM"} | options
    tuned = get_peft_model(model, LoraConfig(**settings))
    torch.manual_seed(7)
    whole = ("modules_to_save", "trainable_tokens", *(["embed_tokens", "lm_head"] if save_embeddings else []))
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name or any(part in name for part in whole):
                parameter += 0.05 * torch.randn_like(parameter)
    tuned.save_pretrained(out, save_embedding_layers=save_embeddings)
    return logits(tuned)


def same(a: torch.Tensor, b: torch.Tensor, tolerance: float = 1e-5) -> bool:
    return a.shape == b.shape and float((a - b).abs().max()) <= tolerance


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()
