"""Depth-Anything from one file: the same model as its folder's; V1, V2 and metres told apart by the name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from unison_backend.annotators.maps import depth, depth_file, flow
from unison_backend.annotators.maps.load import control_kind, load_control_model
from unison_backend.errors import WeightsError
from unison_backend.weights.original import DEPTH_ANYTHING

from ...published_files import published
from ...tiny_annotators import noise, write

NAME = "depth_anything_v2_vits_fp32.safetensors"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the hub has it, and the same weights in one file: everything as released but the width."""
    root = tmp_path_factory.mktemp("depth")
    backbone = Dinov2Config(
        **{"hidden_size": 64, "num_hidden_layers": 12, "num_attention_heads": 1, "image_size": 28, "patch_size": 14},
        **{"apply_layernorm": True, "reshape_hidden_states": False, "out_indices": [3, 6, 9, 12]},
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        **{"reassemble_hidden_size": 64, "neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8},
        head_hidden_size=8,
    )
    torch.manual_seed(0)
    model = DepthAnythingForDepthEstimation(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * max(parameter[0].numel(), 4) ** -0.5)
        model.head.conv3.bias.fill_(1)  # else the last ReLU leaves nothing
    model.save_pretrained(root / "folder")
    processor = {"image_processor_type": "DPTImageProcessor", "size": {"height": 28, "width": 28}, "resample": 3}
    processor |= {"keep_aspect_ratio": True, "ensure_multiple_of": 14, "do_pad": False, "do_rescale": True}
    processor |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "rescale_factor": 1 / 255}
    write(root / "folder" / "preprocessor_config.json", processor | {"do_resize": True, "do_normalize": True})
    save_file(published(load_file(root / "folder" / "model.safetensors"), DEPTH_ANYTHING), root / NAME)
    return root


def test_it_is_the_folders_model(tiny: Path, tmp_path: Path) -> None:
    folder, single = depth.load(tiny / "folder"), load_control_model(tiny / NAME)
    theirs, ours = folder.model.state_dict(), single.model.state_dict()
    assert theirs.keys() == ours.keys() and not [key for key in theirs if not theirs[key].equal(ours[key])]
    video = noise(2, 40, 60)
    made = single.depth(video)
    assert made.equal(folder.depth(video)) and made.std() > 0.1
    torch.save(load_file(tiny / NAME), tmp_path / "depth_anything_v2_vits.pth")
    assert depth.load(tmp_path / "depth_anything_v2_vits.pth").depth(video).equal(made)


@pytest.mark.parametrize(
    ("name", "layers", "kind", "far"),
    [
        ("depth_anything_v2_vits.pth", [3, 6, 9, 12], "relative", None),
        ("depth_anything_vits14.pth", [9, 10, 11, 12], "relative", None),
        ("depth_anything_v2_metric_hypersim_vits_fp32.safetensors", [3, 6, 9, 12], "metric", 20),
        ("depth_anything_v2_metric_vkitti_vits_fp32.safetensors", [3, 6, 9, 12], "metric", 80),
    ],
)
def test_the_name_says_what_no_shape_does(tiny: Path, name: str, layers: list[int], kind: str, far: int | None) -> None:
    config = depth_file.config_of(load_file(tiny / NAME), Path(name))
    assert list(config.backbone_config.out_indices) == layers and config.depth_estimation_type == kind
    assert far is None or config.max_depth == far


def test_what_is_none_is_refused(tiny: Path, tmp_path: Path) -> None:
    weights = load_file(tiny / NAME)
    depth.check(tiny / NAME)
    file = tmp_path / NAME
    for key in ("pretrained.norm.weight", "depth_head.projects.2.weight"):
        save_file({name: tensor for name, tensor in weights.items() if name != key}, file)
        with pytest.raises(WeightsError, match=r"depth_anything_v2.* (1 missing|lacks)"):
            depth.load(file)
    save_file({key: tensor for key, tensor in weights.items() if ".blocks.11." not in key}, file)
    with pytest.raises(WeightsError, match="width 64 with 11 layers"):
        depth.check(file)
    save_file({"ln_in.weight": torch.ones(1)}, file)
    with pytest.raises(WeightsError, match="is no Depth-Anything as its authors published it"):
        depth.check(file)


def test_files_are_found_behind_folders(tiny: Path) -> None:
    files = [Path("m/depthanything") / name for name in (NAME, "raft_small.pth", "depth_anything.txt")]
    assert list(depth.find([*files, tiny / "folder" / "config.json"])) == [tiny / "folder", files[0]]
    assert list(flow.find(files)) == [files[1]]
    assert control_kind(tiny / NAME) == "depth"
