"""Folders of tiny random depth and pose models, as transformers writes them, with the settings of the released ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import (
    BeitConfig,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrResNetConfig,
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
    ZoeDepthConfig,
    ZoeDepthForDepthEstimation,
)

from .tiny_annotators import noise, write

SCALE = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
SCALE |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
HEIGHT, WIDTH = 45, 60
LABELS = {0: "person", 1: "bicycle", 2: "car"}


def _save(
    folder: Path, kind: Any, config: Any, processor: dict[str, Any], seed: int, likely: int | None = None
) -> Path:
    """likely: the class that a detector leans to."""
    folder.mkdir(parents=True, exist_ok=True)
    made, generator = kind(config).eval(), torch.Generator().manual_seed(seed)
    with torch.no_grad():  # weights that all matter, and are the same with every transformers
        for name, parameter in sorted(made.named_parameters()):
            inputs = parameter[0].numel() if parameter.ndim > 1 else 100
            values = torch.randn(parameter.shape, generator=generator) * max(inputs, 1) ** -0.5
            parameter.copy_(values + 1 if parameter.ndim == 1 and "norm" in name and "weight" in name else values)
            if likely is not None and "class_embed" in name and name.endswith("bias"):
                parameter[likely] += 2
    made.save_pretrained(folder)
    write(folder / "preprocessor_config.json", processor | SCALE)
    return folder


def _dinov2() -> Any:
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    stages = {"out_features": [f"stage{n}" for n in (1, 2, 3, 4)], "reshape_hidden_states": False}
    return Dinov2Config(**sizes, **stages)


def _dpt_processor(multiple: int, size: int = 56) -> dict[str, Any]:
    shape = {"size": {"height": size, "width": size}, "keep_aspect_ratio": True, "ensure_multiple_of": multiple}
    return {"image_processor_type": "DPTImageProcessor", "do_pad": False, "resample": 3} | shape


def make_depth_anything(folder: Path, seed: int = 0, *, metric: bool = False) -> Path:
    """Depth-Anything V2 (nearness), or its metric sister."""
    config = DepthAnythingConfig(
        backbone_config=_dinov2(),
        **{"reassemble_hidden_size": 16, "neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8},
        **{"head_hidden_size": 8, "depth_estimation_type": "metric" if metric else "relative", "max_depth": 20},
    )
    return _save(folder, DepthAnythingForDepthEstimation, config, _dpt_processor(14), seed)


def make_dpt(folder: Path, seed: int = 0) -> Path:
    """MiDaS's DPT, of its own ViT, as in Intel/dpt-large."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    neck = {"backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8}
    config = DPTConfig(**sizes, **neck, image_size=32)
    return _save(folder, DPTForDepthEstimation, config, _dpt_processor(32, 64) | {"keep_aspect_ratio": False}, seed)


def make_dpt_dinov2(folder: Path, seed: int = 0) -> Path:
    """DPT on DINOv2, as in facebook/dpt-dinov2-small-nyu: distances."""
    # the projection before the head is 256 wide, whatever is said
    neck = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 256, "add_projection": True}
    config = DPTConfig(backbone_config=_dinov2(), **neck)
    return _save(folder, DPTForDepthEstimation, config, _dpt_processor(14), seed)


def make_dpt_hybrid(folder: Path, seed: int = 0) -> Path:
    """DPT with a convolutional stem, as in Intel/dpt-hybrid-midas."""
    bit = {"global_padding": "same", "layer_type": "bottleneck", "depths": [1, 1, 1], "num_groups": 4}
    bit |= {
        "embedding_dynamic_padding": True,
        "out_features": ["stage1", "stage2", "stage3"],
        "hidden_sizes": [32, 32, 64],
        "embedding_size": 32,
    }
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    neck = {"backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [32, 32, 16, 16], "fusion_hidden_size": 8}
    config = DPTConfig(
        **sizes, **neck, backbone_config={"model_type": "bit", **bit}, is_hybrid=True, image_size=64,
        backbone_featmap_shape=[1, 64, 4, 4], reassemble_factors=[1, 1, 1, 0.5],
    )  # fmt: skip
    return _save(folder, DPTForDepthEstimation, config, _dpt_processor(32, 64) | {"keep_aspect_ratio": False}, seed)


def make_zoedepth(folder: Path, seed: int = 0) -> Path:
    """ZoeDepth on BEiT, as in Intel/zoedepth-nyu: distances."""
    beit = BeitConfig(
        **{"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32},
        **{"image_size": 32, "patch_size": 16, "use_relative_position_bias": True, "reshape_hidden_states": False},
        out_features=[f"stage{n}" for n in (1, 2, 3, 4)],
    )
    config = ZoeDepthConfig(
        backbone_config=beit,
        **{"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8, "bottleneck_features": 8},
        **{"num_relative_features": 8, "bin_embedding_dim": 8, "num_attractors": [4, 2, 2, 1]},
        bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0, "name": "nyu"}],
    )
    processor = {"image_processor_type": "ZoeDepthImageProcessor", "do_pad": True, "size": {"height": 64, "width": 64}}
    processor |= {"ensure_multiple_of": 32, "keep_aspect_ratio": True, "resample": 2}
    return _save(folder, ZoeDepthForDepthEstimation, config, processor, seed)


def make_vitpose(folder: Path, seed: int = 0, *, experts: int = 1, labels: int = 17) -> Path:
    """A ViTPose for COCO's key points; experts over 1: a ViTPose+."""
    backbone = VitPoseBackboneConfig(
        **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": [64, 48]},
        **{"patch_size": [16, 16], "num_experts": experts, "part_features": 8, "mlp_ratio": 2},
        out_indices=[2],
    )
    config = VitPoseConfig(backbone_config=backbone, use_simple_decoder=True, num_labels=labels)
    processor = {"image_processor_type": "VitPoseImageProcessor", "do_affine_transform": True, "do_resize": False}
    processor |= {"size": {"height": 64, "width": 48}, "normalize_factor": 200.0}
    _save(folder, VitPoseForPoseEstimation, config, processor, seed)
    write(folder / "preprocessor_config.json", SCALE | processor)
    return folder


def make_rtdetr(folder: Path, seed: int = 0, labels: dict[int, str] | None = None) -> Path:
    """An RT-DETR, without a backbone to fetch."""
    backbone = RTDetrResNetConfig(
        **{"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "layer_type": "basic"},
        out_features=["stage2", "stage3", "stage4"],
    )
    config = RTDetrConfig(
        backbone_config=backbone,
        **{"encoder_in_channels": [8, 16, 16], "encoder_hidden_dim": 32, "d_model": 32, "num_queries": 20},
        **{"decoder_in_channels": [32, 32, 32], "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "decoder_layers": 2},
        **{"encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_denoising": 0},
        **{"id2label": labels or LABELS, "num_labels": len(labels or LABELS)},
    )
    processor = {"image_processor_type": "RTDetrImageProcessor", "size": {"height": 64, "width": 64}}
    _save(folder, RTDetrForObjectDetection, config, processor, seed, likely=0)
    write(folder / "preprocessor_config.json", processor | SCALE | {"do_normalize": False})
    return folder


def make_pose(folder: Path) -> Path:
    """Both of a pose model's folders."""
    make_vitpose(folder / "vitpose")
    make_rtdetr(folder / "detector")
    return folder


def make_raft(file: Path, seed: int = 0, *, large: bool = False) -> Path:
    """torchvision's RAFT with random weights; the architecture has one size each."""
    from torchvision.models.optical_flow import raft_large, raft_small

    torch.manual_seed(seed)
    state = (raft_large if large else raft_small)(weights=None).state_dict()
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, file)
    else:
        torch.save(state, file)
    return file


def make_all(root: Path) -> Path:
    """One of each kind; tests that change one copy it."""
    for make in (make_depth_anything, make_dpt, make_dpt_dinov2, make_dpt_hybrid, make_zoedepth):
        make(root / make.__name__)
    make_pose(root / "pose")
    make_raft(root / "raft.pth")
    return root


def clip(count: int = 3, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    """Frames that differ, of noise with a flat part."""
    frames = noise(count, height, width)
    frames[:, : height // 2] = 0.1
    return frames
