"""SAM2 and SAM2.1 from one file, as Meta (.pt) and kijai (.safetensors) publish them.

All sizes are read from shapes. What no shape tells (heads, windows, which blocks look at everything) is one row for
each of the four released trunks, known by its width and its number of blocks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from ..weights.original import SAM2, fill, read_original, to_hub

if TYPE_CHECKING:
    from torch import Tensor

_TRUNK = "image_encoder.trunk."
SIDE = 1024
"""Pixels: what every released one looks at."""


@dataclass(frozen=True)
class _Trunk:
    """What a trunk's shapes do not tell (sam2_hiera_*.yaml of the release)."""

    heads: int
    windows: tuple[int, ...]
    everywhere: tuple[int, ...]


_TRUNKS = {
    (96, 12): _Trunk(1, (8, 4, 14, 7), (5, 7, 9)),  # tiny
    (96, 16): _Trunk(1, (8, 4, 14, 7), (7, 10, 13)),  # small
    (112, 24): _Trunk(2, (8, 4, 14, 7), (12, 16, 20)),  # base plus
    (144, 48): _Trunk(2, (8, 4, 16, 8), (23, 33, 43)),  # large
}


def check(file: Path) -> None:
    """Raise WeightsError unless the file's header is that of a released SAM2."""
    state = read_original(file, SAM2, device="meta")
    config_of(state, file)
    to_hub(state, SAM2, file)


def load(file: Path, *, dtype: str) -> tuple[Any, Any]:
    """(Sam2VideoModel, its processor) of a file. Raises WeightsError for one that is no whole SAM2."""
    import transformers

    state = read_original(file, SAM2)
    config = config_of(state, file)
    model = fill(transformers.Sam2VideoModel, config, to_hub(state, SAM2, file), file, dtype=dtype)
    name = "Sam2ImageProcessor" if hasattr(transformers, "Sam2ImageProcessor") else "Sam2ImageProcessorFast"
    size, masks = {"height": SIDE, "width": SIDE}, {"height": SIDE // 4, "width": SIDE // 4}
    pictures = getattr(transformers, name)(size=size, mask_size=masks)
    videos: Any = transformers.Sam2VideoVideoProcessor
    return model, transformers.Sam2VideoProcessor(pictures, videos(size=size))


def config_of(state: Mapping[str, Tensor], file: Path) -> Any:
    """Sam2VideoConfig of the published keys and shapes; WeightsError where they are none of the released sizes."""
    from transformers import Sam2VideoConfig

    stages = _stages(state)
    try:
        width = state[f"{_TRUNK}patch_embed.proj.weight"].shape[0]
        background = list(state[f"{_TRUNK}pos_embed"].shape[2:])
    except KeyError as error:
        raise WeightsError(f"{file} lacks {error} of a SAM2; get the file again") from error
    trunk = _TRUNKS.get((width, sum(stages)))
    if trunk is None or len(stages) != len(trunk.windows):
        raise WeightsError(
            f"{file} is a SAM2 of width {width} with {sum(stages)} blocks; the released ones are tiny, small, "
            "base_plus and large: get one of these, or its folder with a config.json"
        )
    widths = [width << stage for stage in range(len(stages))]
    backbone = {
        **{"model_type": "sam2_hiera_det_model", "hidden_size": width, "image_size": [SIDE, SIDE]},
        **{"num_attention_heads": trunk.heads, "blocks_per_stage": stages, "embed_dim_per_stage": widths},
        "num_attention_heads_per_stage": [trunk.heads << stage for stage in range(len(stages))],
        "window_size_per_stage": list(trunk.windows),
        "global_attention_blocks": list(trunk.everywhere),
        "window_positional_embedding_background_size": background,
    }
    vision = {
        **{"model_type": "sam2_vision_model", "backbone_config": backbone},
        "backbone_channel_list": widths[::-1],
        "backbone_feature_sizes": [[SIDE // stride, SIDE // stride] for stride in (4, 8, 16)],
    }
    return Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"image_size": SIDE},
        image_size=SIDE,
        memory_attention_rope_feat_sizes=[SIDE // 16, SIDE // 16],
        enable_temporal_pos_encoding_for_object_pointers="obj_ptr_tpos_proj.weight" in state,
        enable_occlusion_spatial_embedding="no_obj_embed_spatial" in state,
    )


def _stages(state: Mapping[str, Tensor]) -> list[int]:
    """How many blocks each stage has: one that widens (`proj`) begins the next."""
    found = [re.fullmatch(rf"{re.escape(_TRUNK)}blocks\.(\d+)\.(norm1\.weight|proj\.weight)", key) for key in state]
    blocks = sorted({int(match[1]) for match in found if match and match[2] == "norm1.weight"})
    starts = sorted(int(match[1]) for match in found if match and match[2] == "proj.weight")
    edges = [0, *starts, len(blocks)]
    return [after - before for before, after in pairwise(edges)]
