"""A Qwen2.5-VL in one file: the numbers of its folder to the bit, and what is refused, with the reason.

The models are random, of the released configuration in everything that no shape tells (heads of 128, 16 in the vision
tower, rotary tables), and tiny in what shapes do tell.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from unison_backend.errors import UnsupportedError, WeightsError
from unison_backend.media.from_files import FileMedia
from unison_backend.plan.prompt import parse_paths
from unison_backend.planner.answers import AnswerSettings
from unison_backend.planner.prompt.local.loading import load
from unison_backend.planner.prompt.local.model import LocalModel
from unison_backend.planner.prompt.planner import PromptPlanner
from unison_backend.planner.qwen import single_file
from unison_backend.planner.qwen.findings import check_planner_folder
from unison_backend.planner.qwen.loading import Qwen, load_qwen
from unison_backend.planner.qwen.planner import QwenPlanner
from unison_backend.weights import fp8
from unison_backend.weights.find import find

from ...tiny_chat_models import NAME, as_the_hub, in_one_file
from .folders import change, make_adapter

pytestmark = pytest.mark.usefixtures("offline")
LINEAR = ("_proj.weight", "qkv.weight", "attn.proj.weight", "mlp.0.weight", "mlp.2.weight")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, embedded: Path) -> Path:
    """As the hub has it, in bf16, with a head of its own."""
    return as_the_hub(embedded, tmp_path_factory.mktemp("single") / "qwen")


def scaled(weights: dict[str, Tensor], *, new: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(what the file holds, the same in bf16) with fp8 in linear layers, in the older or the newer form."""
    stored, plain = dict(weights), dict(weights)
    note = torch.frombuffer(bytearray(json.dumps({"format": "float8_e4m3fn"}).encode()), dtype=torch.uint8)
    for key in [key for key in weights if key.endswith(LINEAR)]:
        layer = key.removesuffix(".weight")
        scale = weights[key].abs().max().float() / 400
        stored[key] = (weights[key].float() / scale).to(torch.float8_e4m3fn)
        plain[key] = (stored[key].float() * scale).bfloat16()
        side = {"weight_scale": scale, "comfy_quant": note} if new else {"scale_weight": scale, "scale_input": scale}
        stored |= {f"{layer}.{name}": tensor.clone() for name, tensor in side.items()}
    assert len(stored) > len(weights) + 40
    return stored | ({} if new else {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}), plain


def outputs(qwen: Qwen, picture: bool = True) -> Tensor:
    """Logits of a text with a picture in it."""
    torch.manual_seed(1)
    media = [1033, *[1036] * 6, 1034] if picture else []
    ids = torch.tensor([[1025, 40, 41, *media, 300, 7, 512, 1026]])
    shown = {"pixel_values": torch.randn(24, 1176).bfloat16(), "image_grid_thw": torch.tensor([[1, 4, 6]])}
    types = {"mm_token_type_ids": (ids == 1036).long()}
    with torch.no_grad():
        try:
            made = qwen.model(input_ids=ids, **(shown if picture else {}), **types)
        except TypeError:  # transformers 4 takes no types
            made = qwen.model(input_ids=ids, **(shown if picture else {}))
    result: Tensor = made.logits.float()
    return result


@pytest.mark.parametrize("form", ["bf16", "fp8, older", "fp8, newer"])
def test_it_is_the_folders_model(folder: Path, tmp_path: Path, form: str) -> None:
    weights = load_file(folder / "model.safetensors")
    stored, plain = (weights, weights) if form == "bf16" else scaled(weights, new="newer" in form)
    reference = shutil.copytree(folder, tmp_path / "reference")
    save_file(plain, reference / "model.safetensors", metadata={"format": "pt"})
    file = in_one_file(folder, tmp_path / "models", stored)
    theirs, ours = load_qwen(reference), load_qwen(file)
    assert outputs(theirs).equal(outputs(ours)) and outputs(ours)[..., :-8].std() > 0.1
    assert ours.base.config.image_token_id == 1036 and ours.token_ids == theirs.token_ids
    assert bool(fp8.layers(ours.base)) == (form != "bf16")
    if form != "bf16":
        kept = set(fp8.layers(ours.base))
        assert "model.language_model.layers.1.self_attn.q_proj.weight" in kept and "lm_head.weight" not in kept
        assert sum("visual" in key for key in kept) >= 12
    question = parse_paths("What is this?")
    asked = [QwenPlanner(one).answer(question, None, AnswerSettings(max_new_tokens=8)) for one in (theirs, ours)]
    assert asked[0] == asked[1] != ""


def test_it_plans_by_prompt_and_sees(folder: Path, tmp_path: Path) -> None:
    """With a tokenizer whose template takes texts only, as ComfyUI's."""
    file = in_one_file(folder, tmp_path / "models", load_file(folder / "model.safetensors"))
    small = tmp_path / "models" / single_file.TOKENIZER_FOLDER
    (small / "chat_template.json").unlink(missing_ok=True)
    turns = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    change(small / "tokenizer_config.json", chat_template=turns + "{{ '<|im_start|>assistant\\n' }}")
    model = LocalModel(load(file), file.name)
    Image.fromarray(np.full((56, 56, 3), 255, np.uint8)).save(tmp_path / "white.png")
    prompt = parse_paths(f"make ###{tmp_path}/white.png### blue")
    seen: list[float] = []
    hook = model.loaded.model.model.visual.register_forward_pre_hook(
        lambda module, given, named: seen.append([*given, *named.values()][0].float().mean().item()), with_kwargs=True
    )
    planner = PromptPlanner(model, by_rules=False, settings=AnswerSettings(4))
    result = planner.plan(prompt, make="picture", media=FileMedia(prompt.media))
    hook.remove()
    assert seen[0] > 1.5
    assert result.plan.task.is_generation and json.loads(result.plan.raw)["task"] == str(result.plan.task)


def test_a_shared_head_is_the_embedding(folder: Path, tmp_path: Path) -> None:
    """As the 3B: its file has no head."""
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    reference = shutil.copytree(folder, tmp_path / "reference")
    change(reference / "config.json", tie_word_embeddings=True)
    save_file(weights, reference / "model.safetensors", metadata={"format": "pt"})
    file = in_one_file(folder, tmp_path / "models", weights)
    assert outputs(load_qwen(file)).equal(outputs(load_qwen(reference)))
    make_adapter(reference, tmp_path / "lora")
    both = [load_qwen(path, tmp_path / "lora", dtype="fp32") for path in (reference, file)]
    assert all(qwen.has_adapter for qwen in both)
    assert outputs(both[0], picture=False).equal(outputs(both[1], picture=False))


def test_it_is_found_behind_a_folder_and_told_by_doctor(folder: Path, tmp_path: Path) -> None:
    file = in_one_file(folder, tmp_path / "models", scaled(load_file(folder / "model.safetensors"), new=False)[0])
    found = find(tmp_path / "models")
    assert found.planner == file and found.lora is None and not found.plans
    lines = check_planner_folder(file)
    assert "model type qwen2_5_vl, 2 layers x 256" in lines and "head of its own" in lines
    assert any(line.startswith("weights fp8, ") for line in lines)
    assert f"processor files of {tmp_path / 'models' / single_file.TOKENIZER_FOLDER}" in lines
    shutil.copytree(folder, tmp_path / "models" / "LLM" / "qwen")
    assert find(tmp_path / "models").planner == tmp_path / "models" / "LLM" / "qwen"


def test_where_its_tokenizer_may_lie(tmp_path: Path) -> None:
    file = tmp_path / "ComfyUI" / "models" / "text_encoders" / NAME
    with pytest.raises(WeightsError, match="holds no tokenizer, and none lies beside it: `unison download qwen-tok"):
        single_file.small_files(file)

    def put(folder: Path, *names: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / name).write_text("{}", encoding="utf-8")
        return folder

    hosts = put(tmp_path / "ComfyUI/comfy/text_encoders/qwen25_tokenizer", "merges.txt", "vocab.json")
    assert single_file.small_files(file) == hosts
    given = put(tmp_path / "given", "tokenizer.json")
    assert single_file.small_files(file, given) == given
    assert single_file.small_files(file, tmp_path / "none") == hosts
    fetched = put(tmp_path / "ComfyUI/models" / single_file.TOKENIZER_FOLDER, "tokenizer.json")
    assert single_file.small_files(file, given) == fetched
    own = put(file.with_suffix(""), "tokenizer.json")
    assert single_file.small_files(file, given) == own


@pytest.mark.parametrize("made", ["from_folder", "standard"])
def test_pictures_are_prepared_as_the_hub_says(folder: Path, tmp_path: Path, made: str) -> None:
    """A tokenizer alone, as ComfyUI brings it, is enough to look at pictures."""
    file = in_one_file(folder, tmp_path / "models", load_file(folder / "model.safetensors"))
    if made == "standard":
        (tmp_path / "models" / single_file.TOKENIZER_FOLDER / "preprocessor_config.json").unlink()
    qwen = load_qwen(file)
    assert qwen.processor is not None and qwen.processor.tokenizer is qwen.tokenizer
    picture = torch.randint(0, 256, (3, 57, 90), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    shown = qwen.processor.image_processor(images=[picture], return_tensors="pt")
    theirs = load_qwen(folder).processor
    assert theirs is not None
    expected = theirs.image_processor(images=[picture], return_tensors="pt")
    assert shown["pixel_values"].equal(expected["pixel_values"])
    assert shown["image_grid_thw"].tolist() == expected["image_grid_thw"].tolist()


def changed(weights: dict[str, Tensor], without: str = "", **given: Tensor) -> dict[str, Tensor]:
    kept = {key: tensor for key, tensor in weights.items() if not (without and key.startswith(without))}
    return kept | {key.replace("__", "."): tensor for key, tensor in given.items()}


WIDE = torch.zeros(4, 3584, dtype=torch.bfloat16)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"without": "visual."}, r"is the text part of a Qwen2\.5 without its vision tower"),
        (
            {"without": "lm_head", "model__embed_tokens__weight": WIDE},
            r"lacks the head \(lm_head\.weight\).*width 3584",
        ),
        ({"without": "model.norm"}, r"1 missing \(model\.language_model\.norm\.weight\)"),
        ({"model__odd__weight": torch.ones(2)}, r"1 unexpected \(model\.language_model\.odd\.weight\)"),
        ({"model__norm__weight": torch.ones(5)}, r"of another shape \(model\.language_model\.norm\.weight is \[5\]"),
        ({"without": "visual.merger.mlp.2"}, r"lacks 'visual\.merger\.mlp\.2\.weight' of a Qwen2\.5-VL"),
        ({"without": "model."}, "is no Qwen2.5-VL"),
        ({"model__embed_tokens__weight": torch.ones(9)}, r"has shapes that no Qwen2\.5-VL has"),
        ({"visual__patch_embed__proj__weight": torch.ones(4, 4)}, r"has shapes that no Qwen2\.5-VL has"),
        ({"model__layers__0__mlp__up_proj__weight_scale_2": torch.ones(1)}, "is quantised as nvfp4"),
    ],
)
def test_what_is_not_whole_is_refused(folder: Path, tmp_path: Path, change: Any, told: str) -> None:
    weights = changed(load_file(folder / "model.safetensors"), **change)
    with pytest.raises(WeightsError, match=told) as error:
        load_qwen(in_one_file(folder, tmp_path, weights))
    assert NAME in str(error.value)


def test_a_file_is_not_made_smaller_here(folder: Path, tmp_path: Path) -> None:
    file = in_one_file(folder, tmp_path, load_file(folder / "model.safetensors"))
    with pytest.raises(UnsupportedError, match="4bit takes"):
        load_qwen(file, quantize="4bit")
