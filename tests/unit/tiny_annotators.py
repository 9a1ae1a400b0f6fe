"""Folders of tiny random GroundingDINO and SAM2 models, as transformers writes them: whole in structure, a second to make."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoProcessor,
    Sam2Config,
    Sam2Model,
    Sam2Processor,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VideoProcessor,
    SwinConfig,
)

from unison_backend.annotators.detector import Detector

WORDS = [
    "a",
    "the",
    "cat",
    "dog",
    "person",
    "red",
    "blue",
    "car",
    "cars",
    "horse",
    "on",
    "with",
    "left",
    "right",
    "ball",
]
# The ids that transformers has as constants: phrases end at 1012 and 1029 (modeling_grounding_dino.py).
FIXED = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
VOCABULARY = 1030
SIZE = 128  # pixels a side that the tiny SAM2 looks at


def make_detector(folder: Path, seed: int = 0) -> Path:
    """A GroundingDINO of 30 queries for the words above and single letters."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(ord("b"), ord("z") + 1)]
    rest = iter([",", *WORDS, *letters, *(f"##{letter}" for letter in ["a", *letters])])
    tokens = [FIXED.get(n) or next(rest, f"[unused{n}]") for n in range(VOCABULARY)]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    write(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    write(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "GroundingDinoImageProcessor",
            "size": {"shortest_edge": 96, "longest_edge": 160},
            **{"do_resize": True, "do_rescale": True, "do_normalize": True, "do_pad": True},
        },
    )
    swin = SwinConfig(
        **{"image_size": 64, "window_size": 4, "embed_dim": 16, "out_indices": [2, 3, 4]},
        **{"depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2]},
    )
    bert = BertConfig(
        **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
        **{"intermediate_size": 64, "vocab_size": VOCABULARY},
    )
    config = GroundingDinoConfig(
        backbone_config=swin.to_dict(),
        text_config=bert.to_dict(),
        **{"d_model": 32, "num_queries": 30, "num_feature_levels": 4, "encoder_layers": 1, "decoder_layers": 2},
        **{"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "encoder_attention_heads": 4, "decoder_attention_heads": 4},
    )
    torch.manual_seed(seed)
    GroundingDinoForObjectDetection(config).eval().save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    GroundingDinoProcessor(AutoImageProcessor.from_pretrained(folder), tokenizer).save_pretrained(folder)
    return folder


def make_segmenter(folder: Path, seed: int = 0, *, memories: int = 7, pointers: int = 16) -> Path:
    """A SAM2 video model. memories, pointers: how many earlier frames it looks at (as in the released ones)."""
    folder.mkdir(parents=True, exist_ok=True)
    config = Sam2VideoConfig(
        **_sam_parts(),
        **{"image_size": SIZE, "num_maskmem": memories, "max_object_pointers_in_encoder": pointers},
        **{"memory_attention_hidden_size": 128, "memory_attention_num_layers": 1},
        **{"memory_attention_feed_forward_hidden_size": 64, "memory_attention_rope_feat_sizes": [SIZE // 16] * 2},
        **{"memory_encoder_hidden_size": 128, "memory_encoder_output_channels": 64, "mask_downsampler_embed_dim": 128},
        **{"memory_fuser_embed_dim": 128, "memory_fuser_intermediate_dim": 64},
        # SAM2.1's, without which the order of pointers means nothing
        **{"enable_temporal_pos_encoding_for_object_pointers": True, "enable_occlusion_spatial_embedding": True},
    )
    _random(Sam2VideoModel, config, seed).save_pretrained(folder)
    image, video = _sam_processors()
    Sam2VideoProcessor(image, video).save_pretrained(folder)
    return folder


def make_image_segmenter(folder: Path, seed: int = 0) -> Path:
    """A SAM2 for pictures alone (model type `sam2`)."""
    folder.mkdir(parents=True, exist_ok=True)
    _random(Sam2Model, Sam2Config(**_sam_parts()), seed).save_pretrained(folder)
    Sam2Processor(_sam_processors()[0]).save_pretrained(folder)
    return folder


def _random(model: Any, config: Any, seed: int) -> Any:
    """Weights that all matter, and are the same with every transformers."""
    made = model(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(made.named_parameters()):
            inputs = parameter[0].numel() if parameter.ndim > 1 else 100
            values = torch.randn(parameter.shape, generator=generator) * max(inputs, 1) ** -0.5
            parameter.copy_(values + 1 if parameter.ndim == 1 and name.endswith("weight") else values)
        place = torch.randn(made.shared_image_embedding.positional_embedding.shape, generator=generator)
        made.shared_image_embedding.positional_embedding = place
        made.prompt_encoder.shared_embedding.positional_embedding = place.clone()  # two places in all released models
    return made


def _sam_parts() -> dict[str, Any]:
    backbone = {
        **{"model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1, "image_size": [SIZE] * 2},
        **{"blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64]},
        **{"num_attention_heads_per_stage": [1, 1, 2, 2], "window_size_per_stage": [8, 4, 4, 4]},
        **{"global_attention_blocks": [3], "window_positional_embedding_background_size": [4, 4]},
    }
    vision = {
        **{"model_type": "sam2_vision_model", "backbone_config": backbone, "fpn_hidden_size": 128},
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[SIZE // n, SIZE // n] for n in (4, 8, 16)],
    }
    decoder = {"hidden_size": 128, "mlp_dim": 64, "num_attention_heads": 2, "iou_head_hidden_dim": 128}
    prompts = {"hidden_size": 128, "image_size": SIZE}
    return {"vision_config": vision, "prompt_encoder_config": prompts, "mask_decoder_config": decoder}


def _sam_processors() -> tuple[Any, Any]:
    sizes = {"size": {"height": SIZE, "width": SIZE}, "mask_size": {"height": SIZE // 4, "width": SIZE // 4}}
    name = "Sam2ImageProcessor" if hasattr(transformers, "Sam2ImageProcessor") else "Sam2ImageProcessorFast"
    image = getattr(transformers, name)(**sizes)
    return image, transformers.Sam2VideoVideoProcessor(size=sizes["size"])


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def change(path: Path, **values: Any) -> None:
    """Set top values of a JSON file."""
    write(path, json.loads(path.read_text(encoding="utf-8")) | values)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    """Pixels [..., 3] in 0..1 on the grid of 8 bits."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (*shape, 3), generator=generator) / 255


Look = Sequence[tuple[tuple[float, float, float, float], float]]


def script(monkeypatch: pytest.MonkeyPatch, detector: Detector, looks: Sequence[Look], words: int = 2) -> list[Any]:
    """Make the network answer its calls with `looks`, one after the other; gives the list of calls, which grows.

    A look is boxes (left, top, right, bottom as shares of the picture) with their scores; the score is that of the
    first `words` words.
    """
    calls: list[Any] = []

    def forward(**inputs: Any) -> Any:
        look = looks[len(calls)]
        calls.append(inputs)
        logits = torch.full((1, len(look), detector.model.config.max_text_len), float("-inf"))
        boxes = torch.zeros(1, len(look), 4)
        for i, ((left, top, right, bottom), score) in enumerate(look):
            logits[0, i, 1 : 1 + words] = torch.logit(torch.tensor(score, dtype=torch.float64)).float()
            boxes[0, i] = torch.tensor([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
        return SimpleNamespace(logits=logits, pred_boxes=boxes)

    monkeypatch.setattr(detector.model, "forward", forward)
    return calls
