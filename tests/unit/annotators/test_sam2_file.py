"""SAM2 from one file: the same model as its folder's, strictly, and only of the released trunks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from unison_backend.annotators import sam2_file, segmenter
from unison_backend.annotators.segmenter import load_segmenter
from unison_backend.errors import WeightsError
from unison_backend.weights.original import SAM2

from ..published_files import published
from ..tiny_annotators import noise

SIDE = 128


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the hub has it, and the same weights in one file: everything as released but trunk and size."""
    import transformers
    from transformers import Sam2VideoConfig, Sam2VideoModel

    root = tmp_path_factory.mktemp("sam2")
    config = Sam2VideoConfig(
        vision_config=_vision(),
        **{"image_size": SIDE, "memory_attention_rope_feat_sizes": [SIDE // 16] * 2},
        prompt_encoder_config={"image_size": SIDE},
        enable_temporal_pos_encoding_for_object_pointers=True,
        enable_occlusion_spatial_embedding=True,
    )
    torch.manual_seed(0)
    model = Sam2VideoModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if (parameter.ndim == 1 and name.endswith("bias")) or parameter.abs().max() == 0:
                parameter.normal_(0, 0.05)
        twin = model.prompt_encoder.shared_embedding  # two places of one matrix in all released models
        twin.positional_embedding = model.shared_image_embedding.positional_embedding.clone()
        model.mask_decoder.pred_obj_score_head.proj_out.bias += 4  # else nothing is ever seen
    model.save_pretrained(root / "folder")
    name = "Sam2ImageProcessor" if hasattr(transformers, "Sam2ImageProcessor") else "Sam2ImageProcessorFast"
    size = {"height": SIDE, "width": SIDE}
    pictures = getattr(transformers, name)(size=size, mask_size={"height": SIDE // 4, "width": SIDE // 4})
    videos = transformers.Sam2VideoVideoProcessor(size=size)
    transformers.Sam2VideoProcessor(pictures, videos).save_pretrained(root / "folder")
    weights = load_file(root / "folder" / "model.safetensors")
    twin = "prompt_encoder.shared_embedding.positional_embedding"
    other = "shared_image_embedding.positional_embedding"
    place = weights.get(twin, weights.get(other))
    assert place is not None
    save_file(published(weights | {twin: place, other: place.clone()}, SAM2), root / "sam2.1_hiera_tiny.safetensors")
    return root


def _vision() -> dict[str, object]:
    backbone = {
        **{"model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1},
        **{"image_size": [SIDE] * 2, "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64]},
        **{"num_attention_heads_per_stage": [1, 2, 4, 8], "window_size_per_stage": [8, 4, 4, 4]},
        **{"global_attention_blocks": [3], "window_positional_embedding_background_size": [4, 4]},
    }
    return {
        **{"model_type": "sam2_vision_model", "backbone_config": backbone, "backbone_channel_list": [64, 32, 16, 8]},
        "backbone_feature_sizes": [[SIDE // n, SIDE // n] for n in (4, 8, 16)],
    }


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny trunk as one of those that were released."""
    trunk = sam2_file._Trunk(1, (8, 4, 4, 4), (3,))
    monkeypatch.setattr(sam2_file, "_TRUNKS", {(8, 5): trunk})
    monkeypatch.setattr(sam2_file, "SIDE", SIDE)


@pytest.mark.usefixtures("released")
def test_it_is_the_folders_model(tiny: Path, tmp_path: Path) -> None:
    file = tiny / "sam2.1_hiera_tiny.safetensors"
    folder, single = load_segmenter(tiny / "folder"), load_segmenter(file)
    theirs, ours = folder.model.state_dict(), single.model.state_dict()
    assert theirs.keys() == ours.keys()
    assert not [key for key in theirs if not theirs[key].equal(ours[key])]
    video = noise(3, 90, 120)
    box = [(20.0, 15.0, 90.0, 70.0)]
    assert single.segment(video[0], boxes=box).equal(folder.segment(video[0], boxes=box))
    tracked = single.track(video, 0, boxes=box)
    assert tracked.equal(folder.track(video, 0, boxes=box)) and tracked.any() and not tracked.all()

    torch.save({"model": load_file(file)}, tmp_path / "sam2.1_hiera_tiny.pt")
    pickled = load_segmenter(tmp_path / "sam2.1_hiera_tiny.pt", dtype="bf16")
    assert pickled.dtype == torch.bfloat16 and pickled.follows


@pytest.mark.usefixtures("released")
def test_what_lacks_something_is_refused(tiny: Path, tmp_path: Path) -> None:
    weights = load_file(tiny / "sam2.1_hiera_tiny.safetensors")
    segmenter.check(tiny / "sam2.1_hiera_tiny.safetensors")
    for key, told in (
        ("maskmem_tpos_enc", r"1 missing \(memory_temporal_positional_encoding\)"),
        ("image_encoder.trunk.pos_embed", "pos_embed"),
    ):
        file = tmp_path / "sam2_hiera_tiny.safetensors"
        save_file({name: tensor for name, tensor in weights.items() if name != key}, file)
        with pytest.raises(WeightsError, match=told):
            load_segmenter(file)
    save_file(weights | {"maskmem_tpos_enc": torch.zeros(3, 1, 1, 64)}, tmp_path / "sam2_wrong.safetensors")
    with pytest.raises(WeightsError, match=r"sam2_wrong.*1 of another shape \(memory_temporal"):
        load_segmenter(tmp_path / "sam2_wrong.safetensors")


def test_another_trunk_is_refused(tiny: Path) -> None:
    with pytest.raises(WeightsError, match="width 8 with 5 blocks; the released ones are tiny, small"):
        segmenter.check(tiny / "sam2.1_hiera_tiny.safetensors")


def test_files_are_found_behind_folders_that_follow(tiny: Path) -> None:
    names = ("sam2_hiera_tiny.safetensors", "sam2.1_hiera_large-fp16.safetensors", "sam_vit_h.pth", "sam2.txt")
    files = [Path("m/sam2") / name for name in names]
    assert list(segmenter.find(files)) == files[:2]
    assert list(segmenter.find([*files, tiny / "folder" / "config.json"])) == [tiny / "folder", *files[:2]]
    assert not list(segmenter.find([tiny / "folder" / "sam2.safetensors"]))  # a part of a folder
