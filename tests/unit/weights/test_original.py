"""The tables of published files: every key of the authors' own models once, and nothing that they do not have.

`data/original_keys.json` was taken from the authors' code (sam2 1.1.0, depth-anything-v2 0.1.0): the keys of the smallest of each, block numbers folded, and how many of each there are.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from unison_backend.errors import WeightsError
from unison_backend.weights.original import SAM2, layout, read_original, to_hub

KEYS = json.loads((Path(__file__).parent / "data" / "original_keys.json").read_text(encoding="utf-8"))["keys"]


@pytest.mark.parametrize("name", KEYS)
def test_the_table_knows_each_key_once_and_no_other(name: str) -> None:
    table = layout(name)
    joined = {key for keys in table.join.values() for key in keys}
    used: set[re.Pattern[str]] = set()
    for folded in KEYS[name]:
        key = folded.replace("{n}", "0")
        rows = [pattern for pattern, _ in table.rows if pattern.fullmatch(key)]
        assert len(rows) + (key in joined) == 1, key
        used.update(rows)
    assert joined <= set(KEYS[name])
    assert used == {pattern for pattern, _ in table.rows}
    assert set(table.marks) <= {key.replace("{n}", "0") for key in KEYS[name]}


def sam2_state() -> dict[str, torch.Tensor]:
    keys = [key.replace("{n}", "0") for key in KEYS[SAM2]]
    return {key: torch.full((4, 2), float(number)) for number, key in enumerate(keys)}


def test_tensors_are_renamed_split_and_joined(tmp_path: Path) -> None:
    state = sam2_state()
    made = to_hub(state, SAM2, tmp_path)
    points = "sam_prompt_encoder.point_embeddings.{}.weight"
    assert made["prompt_encoder.point_embed.weight"].shape == (16, 2)
    assert made["prompt_encoder.point_embed.weight"][4:8].equal(state[points.format(1)])
    gaussian = state["sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]
    assert made["shared_image_embedding.positional_embedding"].equal(gaussian)
    assert made["prompt_encoder.shared_embedding.positional_embedding"].equal(gaussian)
    assert len(made) == len(state) - 3 + 1

    qkv = {"pretrained.blocks.7.attn.qkv.weight": torch.arange(6.0).reshape(6, 1)}
    parts = to_hub(qkv, "depth_anything", tmp_path)
    layer = "backbone.encoder.layer.7.attention.attention"
    assert [parts[f"{layer}.{part}.weight"].flatten().tolist() for part in ("query", "key", "value")] == [
        *([0, 1], [2, 3], [4, 5])
    ]


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    state = sam2_state()
    with pytest.raises(WeightsError, match=r"holds odd\.key, which no SAM2 has"):
        to_hub(state | {"odd.key": torch.ones(1)}, SAM2, tmp_path / "x.pt")
    del state["sam_prompt_encoder.point_embeddings.2.weight"]
    with pytest.raises(WeightsError, match=r"lacks sam_prompt_encoder\.point_embeddings\.2\.weight"):
        to_hub(state, SAM2, tmp_path / "x.pt")
    file = tmp_path / "sam2.safetensors"
    save_file({"ln_in.weight": torch.ones(1), "seq_adjust.weight": torch.ones(1)}, file)
    with pytest.raises(WeightsError, match=r"is no SAM2 as its authors published it. This seems to be a Unison proj"):
        read_original(file, SAM2)


def test_prefixes_and_wrappers_are_taken_off(tmp_path: Path) -> None:
    state = sam2_state()
    torch.save({"model": {f"module.{key}": tensor for key, tensor in state.items()}}, tmp_path / "sam2.pt")
    assert set(read_original(tmp_path / "sam2.pt", SAM2)) == set(state)
