"""GroundingDINO from one file: the same model as its folder's, strictly, with the words that it was trained with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from unison_backend.annotators import detector, detector_file
from unison_backend.annotators.detector import Detector, load_detector
from unison_backend.errors import WeightsError
from unison_backend.weights.original import GROUNDING_DINO

from ..published_files import published
from ..tiny_annotators import noise

pytestmark = pytest.mark.usefixtures("offline")
NAME = "groundingdino_swint_ogc.pth"
_LAYERS = 2


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the hub has it, and the same weights in one file: everything as released but depths and widths."""
    from transformers import (
        BertConfig,
        BertTokenizerFast,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        SwinConfig,
    )

    root = tmp_path_factory.mktemp("detector")
    swin = SwinConfig(
        **{"image_size": 224, "window_size": 7, "embed_dim": 16, "out_indices": [2, 3, 4]},
        **{"depths": [1, 2, 1, 1], "num_heads": [1, 1, 2, 4]},
    )
    bert = BertConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=1, intermediate_size=96)
    config = GroundingDinoConfig(
        backbone_config=swin.to_dict(),
        text_config=bert.to_dict(),
        **{"d_model": 32, "num_queries": 30, "encoder_layers": 1, "decoder_layers": _LAYERS},
        **{"encoder_ffn_dim": 64, "decoder_ffn_dim": 96, "encoder_attention_heads": 4, "decoder_attention_heads": 8},
    )
    torch.manual_seed(0)
    model = GroundingDinoForObjectDetection(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.normal_(float(name.endswith("weight")), 0.1)
            elif parameter.abs().max() == 0:
                parameter.normal_(0, 0.1)
    model.save_pretrained(root / "folder")
    words = BertTokenizerFast(str(detector_file.VOCABULARY), do_lower_case=True)
    GroundingDinoProcessor(GroundingDinoImageProcessor(), words).save_pretrained(root / "folder")
    torch.save({"model": _as_published(load_file(root / "folder" / "model.safetensors"))}, root / NAME)
    return root


def _as_published(hub: dict[str, Tensor]) -> dict[str, Tensor]:
    """With every copy of what is shared, and what the authors' files hold besides."""
    computed = (".swin.layernorm.", "relative_position_index")  # what this or that transformers writes besides
    used = {key: tensor for key, tensor in hub.items() if not any(part in key for part in computed)}
    made = published(used, GROUNDING_DINO)
    for key in [key for key in made if key.startswith("bbox_embed.0.")]:
        rest = key.removeprefix("bbox_embed.0.")
        made |= {f"bbox_embed.{n}.{rest}": made[key] for n in range(_LAYERS)}
        made |= {f"transformer.decoder.bbox_embed.{n}.{rest}": made[key] for n in range(_LAYERS)}
    for key in [key for key in made if key.endswith("relative_position_bias_table")]:
        made[key.replace("bias_table", "index")] = torch.zeros(49, 49, dtype=torch.long)
    width = made["bert.embeddings.word_embeddings.weight"].shape[1]
    pooler = {"bert.pooler.dense.weight": torch.ones(width, width), "bert.pooler.dense.bias": torch.ones(width)}
    rest = {"label_enc.weight": torch.ones(4, 2), "bert.embeddings.position_ids": torch.arange(512)[None]}
    return {f"module.{key}": tensor for key, tensor in (made | pooler | rest).items()}


def logits(found: Detector, text: str) -> tuple[Tensor, Tensor]:
    pixels = noise(96, 128).movedim(-1, 0)[None] * 2 - 1
    words = found.processor.tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        output = found.model(pixel_values=pixels, pixel_mask=torch.ones(1, 96, 128, dtype=torch.long), **words)
    return output.logits, output.pred_boxes


def test_it_is_the_folders_model(tiny: Path) -> None:
    detector.check(tiny / NAME)
    folder, single = load_detector(tiny / "folder"), load_detector(tiny / NAME)
    theirs, ours = folder.model.state_dict(), single.model.state_dict()
    assert theirs.keys() == ours.keys()
    other = [key for key in theirs if not theirs[key].equal(ours[key])]
    assert all(".swin.layernorm." in key for key in other)  # which nothing reads
    told = "red car. a dog."
    for one, other in zip(logits(folder, told), logits(single, told), strict=True):
        assert one.equal(other) and one[one.isfinite()].std() > 1e-4
    shown = noise(60, 80)
    for processor in (folder.processor, single.processor):
        assert processor.tokenizer("Zebras!")["input_ids"] == [101, 29145, 2015, 999, 102]
    pictures = [made.processor.image_processor(shown.movedim(-1, 0), return_tensors="pt") for made in (folder, single)]
    assert pictures[0]["pixel_values"].equal(pictures[1]["pixel_values"])


def test_the_words_are_berts() -> None:
    """The sum is that of the file as Google published it."""
    told = hashlib.sha256(detector_file.VOCABULARY.read_bytes()).hexdigest()
    assert told == "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"


def rewritten(tiny: Path, folder: Path, **changes: Any) -> Path:
    """The published file with other tensors; None takes one out."""
    weights = torch.load(tiny / NAME)["model"]
    weights = {key.removeprefix("module."): tensor for key, tensor in weights.items()}
    given = weights | {key.replace("__", "."): tensor for key, tensor in changes.items()}
    file = folder / "groundingdino_changed.safetensors"
    save_file({key: tensor.clone() for key, tensor in given.items() if tensor is not None}, file)
    return file


TABLES = {f"backbone__0__layers__{n}__blocks__0__attn__relative_position_bias_table": None for n in range(4)}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"transformer__decoder__norm__weight": None}, r"1 missing \(model.decoder.layer_norm.weight\)"),
        ({"transformer__tgt_embed__weight": None}, r"lacks 'transformer.tgt_embed.weight' of a GroundingDINO"),
        ({"feat_map__weight": torch.ones(3, 64)}, r"1 of another shape \(model.text_projection.weight\)"),
        ({"transformer__level_embed": torch.ones(4)}, "has shapes that no GroundingDINO has"),
        ({"odd__key": torch.ones(1)}, "holds odd.key, which no GroundingDINO has"),
        ({key: torch.ones(81, 1) for key in TABLES}, r"windows are 5 a side; the released ones are swint \(7\)"),
        (
            {"bert__embeddings__word_embeddings__weight": torch.ones(21128, 64)},
            "reads 21128 words of width 64, and the vocabulary of the released ones has 30522",
        ),
    ],
)
def test_what_is_not_a_released_one_is_refused(tiny: Path, tmp_path: Path, changes: Any, told: str) -> None:
    with pytest.raises(WeightsError, match=told):
        load_detector(rewritten(tiny, tmp_path, **changes))


def test_another_model_is_refused_by_what_it_is(tmp_path: Path) -> None:
    state = {"image_encoder.trunk.pos_embed": torch.ones(1), "sam_mask_decoder.iou_token.weight": torch.ones(1)}
    save_file(state, tmp_path / "groundingdino.safetensors")
    with pytest.raises(
        WeightsError, match=r"is no GroundingDINO as its authors published it\. This seems to be a SAM2"
    ):
        load_detector(tmp_path / "groundingdino.safetensors")


def test_files_are_found_behind_folders(tiny: Path) -> None:
    names = (NAME, "groundingdino_swinb_cogcoor.pth", "GroundingDINO_SwinT_OGC.cfg.py", "dino.pth")
    files = [Path("m/grounding-dino") / name for name in names]
    assert list(detector.find(files)) == files[:2]
    assert list(detector.find([*files, tiny / "folder" / "config.json"])) == [tiny / "folder", *files[:2]]
