"""A plain Qwen2.5-VL and Unison's LoRA in a models folder plan without being named."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from unison_backend.demo import set as demo
from unison_backend.plan.tokens import ADDED_TOKENS


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


@pytest.fixture
def models(tmp_path):
    """The embedded planner as the hub has the 3B (head tied, no planning tokens), and its LoRA in a folder beside."""
    built = demo.ensure()
    folder = tmp_path / "models" / "LLM" / "Qwen2.5-VL-3B-Instruct"
    shutil.copytree(built.planner, folder)
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    change(folder / "config.json", tie_word_embeddings=True)
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    kept = [entry for entry in tokenizer["added_tokens"] if entry["content"] not in ADDED_TOKENS]
    change(folder / "tokenizer.json", added_tokens=kept)
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    decoder = config["added_tokens_decoder"].items()
    change(
        folder / "tokenizer_config.json",
        added_tokens_decoder={number: token for number, token in decoder if token["content"] not in ADDED_TOKENS},
        additional_special_tokens=[t for t in config["additional_special_tokens"] if t not in ADDED_TOKENS],
    )
    shutil.copytree(built.lora, tmp_path / "models" / "unison" / "planning_lora")
    return tmp_path / "models"


def test_the_lora_is_found_and_plans(unison, models):
    built = demo.ensure()
    text = "Make a video of a red circle that moves to the right."
    named = ("--planner", "qwen", "--planner-folder", built.planner, "--planner-lora", built.lora)
    found = json.loads(unison("plan", text, "--models", models, "--json")[1])
    assert found["plan"]["raw"] == json.loads(unison("plan", text, *named, "--json")[1])["plan"]["raw"]
    assert found["reading"] is None  # the rules say how they read

    told = unison("doctor", "--models", models)[1]
    assert f"found    Unison's planning LoRA: {models / 'unison' / 'planning_lora'}" in told
    assert "planning tokens from the LoRA, which fits" in told

    shutil.rmtree(models / "unison")
    assert json.loads(unison("plan", text, "--models", models, "--json")[1])["reading"]
    assert "planning tokens absent" in unison("doctor", "--models", models)[1]


def test_a_lora_of_another_base_is_said_to_be_one(unison, models):
    lora = models / "unison" / "planning_lora" / "adapter_model.safetensors"
    weights = load_file(lora)
    layer = next(key for key in weights if "layers.0" in key and "q_proj.lora_A" in key)
    save_file({key.replace("layers.0.", "layers.70.") if key == layer else key: t for key, t in weights.items()}, lora)
    told = unison("doctor", "--models", models)[1]
    assert "from the LoRA, which does not fit" in told and "for another architecture" in told
