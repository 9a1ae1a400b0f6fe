"""What is found in a models folder, by names, small files and headers alone."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from unison_backend.errors import InputError
from unison_backend.weights.adapter import planning_adapter
from unison_backend.weights.find import ModelPaths, find
from unison_backend.weights.needs import ANNOTATOR_NEEDS, NEEDS, VARIANTS, describe, need_of
from unison_backend.weights.roots import EXTRA_PATHS, extra_paths, roots

pytestmark = pytest.mark.fast

PLAIN = {"model_type": "qwen2_5_vl", "hidden_size": 2048, "tie_word_embeddings": True}


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write_header(file: Path, shapes: dict[str, list[int]]) -> None:
    """A safetensors file of which only the header is there."""
    header = json.dumps(
        {key: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]} for key, shape in shapes.items()}
    )
    file.write_bytes(struct.pack("<Q", len(header)) + header.encode())


def make_planner(folder: Path, **config: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(PLAIN | config), encoding="utf-8")
    return folder


def make_adapter(folder: Path, width: int = 2048, rows: bool = True, **config: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"} | config), encoding="utf-8")
    shapes = {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": [64, width]}
    if rows:
        shapes["base_model.model.model.embed_tokens.weight"] = [151936, width]
    write_header(folder / "adapter_model.safetensors", shapes)
    return folder


# Names of files that people have (notes on what circulates), and what they are.


@pytest.mark.parametrize(
    "name",
    [
        "wan2.1_vace_1.3B_fp16.safetensors",
        "VACE-Wan2.1-1.3B-Preview.safetensors",
        "Wan2_1-VACE_1_3B_bf16.safetensors",
        "wan2.1_vace_14B_fp16.safetensors",
        "wan2.1_vace_14B_fp8_e4m3fn.safetensors",
        "Wan2.1-VACE-14B.safetensors",
    ],
)
def test_a_vace_of_either_size_is_found(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"diffusion_models/wan/{name}")
    assert find(tmp_path).vace == tmp_path / "diffusion_models" / "wan" / name


@pytest.mark.parametrize(
    "name",
    [
        "wan2.1_t2v_14B_fp16.safetensors",
        "Wan2_1-VACE-module-14B_fp8_e4m3fn_scaled_KJ.safetensors",
        "Wan2_1-VACE_module_14B_bf16.safetensors",
        "wan_vace_14B_lora_rank64.safetensors",
        "wan2.2_fun_vace_high_noise_14B_fp8_scaled.safetensors",
        "Wan2.2-VACE-Fun-A14B-low-noise-Q5.safetensors",
        "wan2.1_vace_14B.txt",
    ],
)
def test_what_is_no_whole_vace_is_not_taken(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"diffusion_models/{name}")
    assert find(tmp_path).vace is None


def test_the_size_that_the_projector_knows_goes_first(tmp_path: Path) -> None:
    touch(tmp_path, "diffusion_models/wan2.1_vace_14B_fp16.safetensors", "unet/wan2.1_vace_1.3B_fp16.safetensors")
    assert find(tmp_path).vace == tmp_path / "unet" / "wan2.1_vace_1.3B_fp16.safetensors"


# The planner and its LoRA


def test_the_lora_beside_a_plain_planner_is_found(tmp_path: Path) -> None:
    planner = make_planner(tmp_path / "LLM" / "Qwen2.5-VL-3B-Instruct")
    lora = make_adapter(tmp_path / "unison" / "planning_lora")
    found = find(tmp_path)
    assert (found.planner, found.lora) == (planner, lora) and found.plans


@pytest.mark.parametrize(
    "adapter",
    [{"width": 3584}, {"rows": False}, {"peft_type": "IA3"}],
    ids=["for another width", "without rows for the tokens", "no LoRA"],
)
def test_a_lora_for_something_else_is_left(tmp_path: Path, adapter: dict[str, Any]) -> None:
    make_planner(tmp_path / "LLM" / "qwen")
    make_adapter(tmp_path / "loras" / "other", **adapter)
    mine = make_adapter(tmp_path / "loras" / "z_planning")
    assert find(tmp_path).lora == mine
    shutil.rmtree(mine)
    assert find(tmp_path).lora is None and not find(tmp_path).plans


def test_a_planner_with_planning_weights_takes_no_lora(tmp_path: Path) -> None:
    merged = make_planner(tmp_path / "LLM" / "merged", tie_word_embeddings=False)
    (merged / "tokenizer.json").write_text('"<BORES>"', encoding="utf-8")
    make_planner(tmp_path / "LLM" / "a_plain")
    make_adapter(tmp_path / "unison" / "planning_lora")
    found = find(tmp_path)
    assert (found.planner, found.lora) == (merged, None) and found.plans


def test_an_adapter_as_a_pickle_counts_by_what_it_says(tmp_path: Path) -> None:
    planner = make_planner(tmp_path / "qwen")
    for name, config, counts in (
        ("saved", {"modules_to_save": ["embed_tokens", "lm_head"]}, True),
        ("indices", {"trainable_token_indices": [5]}, True),
        ("plain", {}, False),
    ):
        folder = make_adapter(tmp_path / name, **config)
        (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
        assert planning_adapter(folder, planner) == counts, name
    assert not planning_adapter(tmp_path, planner)


def test_what_is_damaged_is_no_lora(tmp_path: Path) -> None:
    planner, lora = make_planner(tmp_path / "qwen"), make_adapter(tmp_path / "lora")
    for content in (b"", b"\xff" * 20, struct.pack("<Q", 4) + b"[1,2"):
        (lora / "adapter_model.safetensors").write_bytes(content)
        assert not planning_adapter(lora, planner)
    (lora / "adapter_config.json").write_text("{", encoding="utf-8")
    assert not planning_adapter(lora, planner)


# Folders


def test_comfyuis_own_list_of_folders_is_followed(tmp_path: Path) -> None:
    comfy, disk = tmp_path / "ComfyUI", tmp_path / "disk"
    touch(comfy, "models/vae/wan_2.1_vae.safetensors")
    touch(disk, "unet/wan2.1_vace_1.3B_fp16.safetensors", "te/umt5_xxl_fp16.safetensors", "v/a_wan_2.1_vae.safetensors")
    (comfy / EXTRA_PATHS).write_text(
        f"big:\n  base_path: {disk}\n  is_default: true\n  unet: |\n    nowhere\n    unet\n  clip: te\n"
        f"small:\n  vae: {disk / 'v'}\nempty:\n",
        encoding="utf-8",
    )
    found = find(comfy / "models")
    assert found.vace == disk / "unet" / "wan2.1_vace_1.3B_fp16.safetensors"
    assert found.text_encoder == disk / "te" / "umt5_xxl_fp16.safetensors"
    assert found.vae == comfy / "models" / "vae" / "wan_2.1_vae.safetensors"  # ComfyUI's own goes before the rest
    assert list(roots(comfy / "models", ("diffusion_models",))) == [
        *(disk / "nowhere", disk / "unet", comfy / "models" / "diffusion_models")
    ]
    assert not list((tmp_path / "ComfyUI" / "models").glob("unet"))


def test_the_list_beside_a_folder_that_is_no_hosts_is_left(tmp_path: Path) -> None:
    (tmp_path / EXTRA_PATHS).write_text(f"a:\n  vae: {tmp_path}\n", encoding="utf-8")
    (tmp_path / "mine").mkdir()
    assert list(roots(tmp_path / "mine", ("vae",))) == [tmp_path / "mine" / "vae"]


@pytest.mark.parametrize("text", ["a: [", "a: 3", "- 1", "\x00", "a:\n  - b"])
def test_a_list_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / EXTRA_PATHS).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"extra_model_paths\.yaml cannot be read as a list of model folders"):
        extra_paths(tmp_path / EXTRA_PATHS)


# The table


def test_every_key_is_a_path_of_a_run() -> None:
    assert {need.key for need in NEEDS} <= set(ModelPaths.__dataclass_fields__)


def test_what_is_downloaded_is_what_is_looked_for(tmp_path: Path) -> None:
    """Each file that has a name here is found under that name in the folder that it goes into."""
    for need in NEEDS:
        for download in need.downloads:
            assert download.folder.partition("/")[0] == need.folders[0]
            for file in download.files:
                touch(tmp_path, f"{download.folder}/{file.name}")
                assert getattr(find(tmp_path), need.key) == tmp_path / download.folder / file.name
    for file in VARIANTS[0].files:
        (tmp_path / "diffusion_models" / need_of("vace").file).unlink()
        touch(tmp_path, f"{VARIANTS[0].folder}/{file.name}")
        assert find(tmp_path).vace == tmp_path / VARIANTS[0].folder / file.name


def test_sums_are_whole_and_sizes_are_said() -> None:
    downloads = [part for need in (*NEEDS, *ANNOTATOR_NEEDS) for part in need.downloads]
    for part in (*downloads, *VARIANTS):
        assert part.licence and part.bytes > 1e6
        for file in part.files:
            assert file.sha256 is None or (len(file.sha256) == 64 and int(file.sha256, 16))
    assert sum(part.bytes for part in downloads) == pytest.approx(22.6e9, rel=0.05)
    assert "(4.3 GB) in models/diffusion_models/" in describe(need_of("vace"))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find(tmp_path / "none")


def test_a_text_encoder_with_its_tokenizer_inside_goes_first(tmp_path: Path) -> None:
    """Core's file holds one, kijai's does not; his name sorts before it."""
    touch(tmp_path, "text_encoders/umt5-xxl-enc-fp8_e4m3fn.safetensors")
    assert find(tmp_path).text_encoder == tmp_path / "text_encoders/umt5-xxl-enc-fp8_e4m3fn.safetensors"
    touch(tmp_path, "text_encoders/wan/umt5_xxl_fp8_e4m3fn_scaled.safetensors")
    assert find(tmp_path).text_encoder == tmp_path / "text_encoders/wan/umt5_xxl_fp8_e4m3fn_scaled.safetensors"
