"""Depth, pose and flow models in folders and files: older and other forms, and what is refused with which words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from unison_backend.annotators.maps.depth import load as load_depth
from unison_backend.annotators.maps.flow import FlowModel
from unison_backend.annotators.maps.flow import load as load_flow
from unison_backend.annotators.maps.load import control_kind, load_control_model
from unison_backend.annotators.maps.pose import load as load_pose
from unison_backend.errors import UnsupportedError, WeightsError

from ... import tiny_control_models as tiny
from ...tiny_annotators import change
from ...tiny_control_models import clip

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_all(tmp_path_factory.mktemp("control"))


@pytest.fixture(scope="module")
def flow(folder: Path) -> FlowModel:
    return load_flow(folder / "raft.pth")


@pytest.mark.parametrize("name", ["make_depth_anything", "make_dpt", "pose/vitpose"])
def test_runs_in_float32_whatever_is_stored(folder: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(folder / name, tmp_path / "bf16"))
    state = {key: value.bfloat16() for key, value in load_file(copy / "model.safetensors").items()}
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    change(copy / "config.json", dtype="bfloat16")
    model = load_pose(copy, folder / "pose" / "detector") if "pose" in name else load_depth(copy)
    assert {p.dtype for p in model.model.parameters()} == {torch.float32}


def test_older_folders(folder: Path, tmp_path: Path) -> None:
    """What Intel's folders have, which are older than the library's present form: no rescaling, one number as size."""
    copy = Path(shutil.copytree(folder / "make_dpt", tmp_path / "old"))
    change(copy / "preprocessor_config.json", feature_extractor_type="DPTFeatureExtractor", size=64)
    state = load_file(copy / "model.safetensors")
    unused = [key for key in state if "fusion_stage.layers.0.residual_layer1" in key]
    assert unused
    save_file(
        {k: v for k, v in state.items() if k not in unused}, copy / "model.safetensors", metadata={"format": "pt"}
    )
    video = clip(2)
    assert load_depth(copy).depth(video).equal(load_depth(folder / "make_dpt").depth(video))


def without_some(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["head.conv1.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (
            lambda f: change(f / "config.json", model_type="sam2"),
            "of type 'sam2'; a depth model is 'depth_anything' or",
        ),
        (lambda f: change(f / "config.json", backbone="facebook/dinov2-small", backbone_config=None), "from elsewhere"),
        (lambda f: change(f / "config.json", use_pretrained_backbone=True), "takes a backbone from elsewhere"),
        (lambda f: change(f / "config.json", use_timm_backbone=True), "takes a backbone from elsewhere"),
        (lambda f: change(f / "config.json", auto_map={}), "asks to run code"),
        (lambda f: (f / "preprocessor_config.json").unlink(), "has no preprocessor_config.json; download"),
        (lambda f: change(f / "preprocessor_config.json", image_processor_type="None"), "cannot be read as a"),
        (lambda f: (f / "model.safetensors").unlink(), "has no model.safetensors; download the complete folder"),
        (lambda f: (f / "model.safetensors").write_bytes(b"version https://git-lfs"), "Git LFS pointer"),
        (without_some, r"1 weights are missing \(head.conv1.weight\); download it again"),
        (lambda f: change(f / "config.json", fusion_hidden_size=32), "cannot be loaded as a"),
    ],
)
def test_refused_depth_folders(folder: Path, tmp_path: Path, damage: Callable[[Path], Any], message: str) -> None:
    copy = Path(shutil.copytree(folder / "make_depth_anything", tmp_path / "copy"))
    damage(copy)
    with pytest.raises(WeightsError, match=message) as error:
        load_depth(copy)
    assert str(copy) in str(error.value)


def test_pose_folders_are_found_by_name_and_by_type(folder: Path, tmp_path: Path) -> None:
    named = load_pose(folder / "pose")
    shutil.copytree(folder / "pose" / "vitpose", tmp_path / "a")
    shutil.copytree(folder / "pose" / "detector", tmp_path / "b")
    (tmp_path / "notes.txt").touch()
    assert load_pose(tmp_path).make_map(clip())[0].equal(named.make_map(clip())[0])
    assert load_control_model(tmp_path).kind == "pose"
    apart = load_pose(folder / "pose" / "vitpose", folder / "pose" / "detector")
    assert apart.make_map(clip())[0].equal(named.make_map(clip())[0])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda p: shutil.rmtree(p / "vitpose"),
            "has no folder with a ViTPose in it; what it takes: .*usyd-community",
        ),
        (
            lambda p: shutil.rmtree(p / "detector"),
            "has no folder with a RT-DETR in it; what it takes: .*PekingU/rtdetr_r50vd",
        ),
        (
            lambda p: tiny.make_vitpose(p / "vitpose", labels=21),
            "finds 21 key points; get a ViTPose that finds COCO's 17",
        ),
        (lambda p: tiny.make_rtdetr(p / "detector", labels={0: "cat", 1: "dog", 2: "car"}), "does not know persons"),
        (lambda p: (p / "detector" / "model.safetensors").unlink(), "detector has no model.safetensors"),
    ],
)
def test_refused_pose_folders(folder: Path, tmp_path: Path, damage: Callable[[Path], Any], message: str) -> None:
    copy = Path(shutil.copytree(folder / "pose", tmp_path / "copy"))
    damage(copy)
    with pytest.raises(WeightsError, match=message) as error:
        load_pose(copy)
    assert str(copy) in str(error.value)


@pytest.mark.parametrize("load", [load_depth, load_pose, load_control_model])
def test_not_there(load: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not there"):
        load(tmp_path / "none")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("large", [False, True])
def test_both_rafts_in_both_forms(tmp_path: Path, suffix: str, large: bool) -> None:
    file = tiny.make_raft(tmp_path / f"raft{suffix}", large=large)
    model = load_flow(file).model
    assert hasattr(model, "mask_predictor") and (model.mask_predictor is not None) == large


def test_other_forms_of_raft(flow: FlowModel, tmp_path: Path) -> None:
    """Saved from several GPUs, in half precision, or without the counters that only training reads."""
    state = flow.model.state_dict()
    video = clip(2)
    for name, other in {
        "gpus": {f"module.{key}": value for key, value in state.items()},
        "plain": {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")},
    }.items():
        torch.save(other, tmp_path / f"{name}.pth")
        assert load_flow(tmp_path / f"{name}.pth").flow(video).equal(flow.flow(video))
    torch.save({key: value.half() for key, value in state.items()}, tmp_path / "half.pth")
    half = load_flow(tmp_path / "half.pth")
    assert {p.dtype for p in half.model.parameters()} == {torch.float32}
    torch.testing.assert_close(half.flow(video).mean(), flow.flow(video).mean(), rtol=0.1, atol=0.1)


@pytest.mark.parametrize(
    ("name", "told", "fits"),
    [
        ("dw-ll_ucoco_384.onnx", "is an ONNX network", "pose maps: ViTPose with RT-DETR"),
        ("dw-ll_ucoco_384_bs5.torchscript.pt", "is a TorchScript program", "pose maps: ViTPose with RT-DETR"),
        ("yolox_l.onnx", "is an ONNX network", "pose maps: ViTPose with RT-DETR"),
        ("vitpose-b.pth", "is a pose network by its name", "pose maps: ViTPose with RT-DETR"),
        ("raft_small.torchscript.pt", "is a TorchScript program", "flow maps: RAFT"),
        ("depth_anything_v2_vits.onnx", "is an ONNX network", "depth maps: Depth-Anything"),
    ],
)
def test_other_forms_are_refused_by_name(tmp_path: Path, name: str, told: str, fits: str) -> None:
    file = tmp_path / name
    torch.save({"weight": torch.zeros(1)}, file)
    assert control_kind(file) == ""
    with pytest.raises(WeightsError, match=told) as error:
        load_control_model(file)
    assert str(file) in str(error.value) and f"What fits for {fits}" in str(error.value)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"weight": torch.zeros(2)},
            "is no RAFT in torchvision's form; what it takes: RAFT: raft_small_C_T_V2-01064c6d.pth",
        ),
        ({"module.fnet.conv1.weight": torch.zeros(2)}, "is no RAFT in torchvision's form"),  # princeton-vl's own
    ],
)
def test_refused_raft_files(tmp_path: Path, state: dict[str, Any], message: str) -> None:
    torch.save(state, tmp_path / "raft.pth")
    with pytest.raises(WeightsError, match=message) as error:
        load_flow(tmp_path / "raft.pth")
    assert str(tmp_path / "raft.pth") in str(error.value) and "models/unison/" in str(error.value)


def test_damaged_raft_files(flow: FlowModel, tmp_path: Path) -> None:
    state = dict(flow.model.state_dict())
    del state["update_block.flow_head.conv1.weight"]
    torch.save(state, tmp_path / "raft.pth")
    with pytest.raises(WeightsError, match=r"as a RAFT.*update_block.flow_head.conv1.weight"):
        load_flow(tmp_path / "raft.pth")
    (tmp_path / "raft.pth").write_bytes(b"")
    with pytest.raises(WeightsError, match="is empty"):
        load_flow(tmp_path / "raft.pth")
    with pytest.raises(WeightsError, match="does not exist"):
        load_control_model(tmp_path / "none.pth")


def test_flow_without_torchvision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torchvision.models.optical_flow", None)
    with pytest.raises(UnsupportedError, match="flow takes torchvision, which cannot be used here"):
        load_flow(folder / "raft.pth")


def test_what_is_no_control_model(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(WeightsError, match=r"is a model of type 'bert'; a control model is .*ZoeDepth.*ViTPose.*RAFT"):
        load_control_model(tmp_path)
    with pytest.raises(WeightsError, match=r"is a model of type 'vitpose'; .*the folders of a ViTPose and an RT-DETR"):
        load_control_model(folder / "pose" / "vitpose")
    (tmp_path / "file.txt").touch()
    with pytest.raises(WeightsError, match="is no model"):
        load_control_model(tmp_path / "file.txt")
