"""GroundingDINO from its authors' one file: groundingdino_swint_ogc.pth, groundingdino_swinb_cogcoor.pth.

All sizes are read from shapes. The file holds no words: it was trained with those of BERT (base, uncased), which lie in
`bert/vocab.txt`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from ..weights.original import GROUNDING_DINO, fill, read_original, to_hub

if TYPE_CHECKING:
    from torch import Tensor

ATTENTION = {"": "eager", "text_config": "sdpa"}
"""By part of the model. The words are read phrase by phrase with a mask of yes and no, which transformers 5's eager
attention adds to the scores instead of applying it: every phrase would then be read together with all others."""
VOCABULARY = Path(__file__).parent / "bert" / "vocab.txt"
_WORDS = 30522
_SWIN = "backbone.0.layers."
_HEAD, _POINTS = 64, 4  # BERT's width of a head, and where a head of the detector looks: the same in every release
_WINDOWS = (7, 12)  # of swint and swinb
_PICTURE = 32  # windows a side of the pictures that a Swin was made for
# What transformers computes itself (4.57 counts it as missing), and a norm that it has and does not use.
_COMPUTED = ("relative_position_index", "swin.layernorm.")


def check(file: Path) -> None:
    """Raise WeightsError unless the file's header is that of a released GroundingDINO."""
    state = read_original(file, GROUNDING_DINO, device="meta")
    config_of(state, file)
    to_hub(state, GROUNDING_DINO, file)


def load(file: Path) -> tuple[Any, Any]:
    """(GroundingDinoForObjectDetection, its processor) of a file. Raises WeightsError for one that is none."""
    from transformers import (  # type: ignore[attr-defined]
        BertTokenizerFast,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
    )

    state = read_original(file, GROUNDING_DINO)
    config, hub = config_of(state, file), to_hub(state, GROUNDING_DINO, file)
    options: dict[str, Any] = {"dtype": "float32", "computed": _COMPUTED, "attn_implementation": ATTENTION}
    model = fill(GroundingDinoForObjectDetection, config, hub, file, **options)
    tokenizer: Any = BertTokenizerFast(str(VOCABULARY), do_lower_case=True)
    return model, GroundingDinoProcessor(GroundingDinoImageProcessor(), tokenizer)  # type: ignore[no-untyped-call]


def config_of(state: Mapping[str, Tensor], file: Path) -> Any:
    """GroundingDinoConfig of the published keys and shapes; WeightsError where they are none of the released kinds."""
    from transformers import GroundingDinoConfig

    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    try:
        return GroundingDinoConfig(
            backbone_config=_swin(shapes, file), text_config=_bert(shapes, file), **_detector(shapes)
        )
    except KeyError as error:
        raise WeightsError(f"{file} lacks {error} of a GroundingDINO; get the file again") from error
    except (IndexError, ValueError, ZeroDivisionError) as error:
        raise WeightsError(f"{file} has shapes that no GroundingDINO has ({error}); get the file again") from error


Shapes = Mapping[str, tuple[int, ...]]


def _swin(shapes: Shapes, file: Path) -> Any:
    from transformers import SwinConfig

    stages = range(_count(shapes, _SWIN))
    tables = [shapes[f"{_SWIN}{stage}.blocks.0.attn.relative_position_bias_table"] for stage in stages]
    window = (math.isqrt(max((rows for rows, _ in tables), default=0)) + 1) // 2
    if window not in _WINDOWS:
        raise WeightsError(
            f"{file} is a GroundingDINO whose windows are {window} a side; the released ones are swint (7) and swinb "
            "(12): get one of these, or its folder with a config.json"
        )
    sizes: dict[str, Any] = {
        **{"image_size": _PICTURE * window, "window_size": window, "out_indices": [2, 3, 4]},
        "embed_dim": shapes["backbone.0.patch_embed.proj.weight"][0],
        "depths": [_count(shapes, f"{_SWIN}{stage}.blocks.") for stage in stages],
        "num_heads": [heads for _, heads in tables],
    }
    return SwinConfig(**sizes)


def _bert(shapes: Shapes, file: Path) -> Any:
    from transformers import BertConfig

    rows, width = shapes["bert.embeddings.word_embeddings.weight"]
    if rows != _WORDS or width % _HEAD:
        raise WeightsError(
            f"{file} reads {rows} words of width {width}, and the vocabulary of the released ones has {_WORDS} (BERT, "
            "base, uncased): get one of these, or its folder with its own vocabulary"
        )
    sizes: dict[str, Any] = {
        **{"vocab_size": rows, "hidden_size": width, "num_attention_heads": width // _HEAD},
        "num_hidden_layers": _count(shapes, "bert.encoder.layer."),
        "intermediate_size": shapes["bert.encoder.layer.0.intermediate.dense.weight"][0],
        "max_position_embeddings": shapes["bert.embeddings.position_embeddings.weight"][0],
    }
    return BertConfig(**sizes)


def _detector(shapes: Shapes) -> dict[str, Any]:
    levels, width = shapes["transformer.level_embed"]
    sizes = {"d_model": width, "num_feature_levels": levels, "num_queries": shapes["transformer.tgt_embed.weight"][0]}
    for part, looks in (("encoder", "self_attn"), ("decoder", "cross_attn")):
        first = f"transformer.{part}.layers.0."
        sizes |= {
            f"{part}_layers": _count(shapes, f"transformer.{part}.layers."),
            f"{part}_ffn_dim": shapes[f"{first}linear1.weight"][0],
            f"{part}_attention_heads": shapes[f"{first}{looks}.attention_weights.weight"][0] // (levels * _POINTS),
        }
    return sizes


def _count(shapes: Shapes, stem: str) -> int:
    """How many numbers stand behind `stem` in the keys."""
    found = (re.match(rf"{re.escape(stem)}(\d+)\.", key) for key in shapes)
    return len({match[1] for match in found if match})
