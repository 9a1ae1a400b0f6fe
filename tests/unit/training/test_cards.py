"""Cards as Hugging Face's own reader reads them: filled in, and with nothing of this machine in them."""

import json

import pytest
from huggingface_hub import DatasetCard, ModelCard

from unison_backend import __version__
from unison_backend.training.cards import (
    CARD_FILE,
    Card,
    merged_card,
    model_name,
    read_card,
    versions,
    write_card,
    write_dataset_card,
)
from unison_backend.training.log import EVALUATIONS_FILE, LOG_FILE

CARD = Card("Planning LoRA", "A LoRA.", ["Qwen/Qwen2.5-VL-3B-Instruct"], {"records": 12, "files": "own.jsonl"},
            ["unison run"], {"library_name": "peft", "pipeline_tag": "image-text-to-text", "tags": ["lora"]})  # fmt: skip


def trained(folder):
    log = [{"step": step, "lr": 1e-4, "seconds_per_step": 3.21, "loss": 4 / step} for step in (20, 40, 60)]
    looked = [{"step": step, "exact": step / 100, "exact_en": 0.5} for step in (30, 60)]
    (folder / LOG_FILE).write_text("".join(json.dumps(row) + "\n" for row in log))
    (folder / EVALUATIONS_FILE).write_text("".join(json.dumps(row) + "\n" for row in looked))
    return folder


def test_a_model_card_has_base_data_settings_figures_and_versions(tmp_path):
    text = CARD.text(trained(tmp_path), 40, {"seed": 21, "weight_decay": 0.0, "betas": (0.9, 0.95), "start": ""})
    (tmp_path / CARD_FILE).write_text(text)
    data = ModelCard.load(tmp_path / CARD_FILE).data
    assert (data.base_model, data.library_name, data.tags) == (CARD.base[0], "peft", ["unison", "lora"])
    measured = {(one.metric_type, one.metric_value) for one in data.eval_results}
    assert measured == {("exact", 0.3), ("exact_en", 0.5)}  # of step 30: 60 is behind this result
    for line in ("| records | 12 |", "| seed | 21 |", "| weight decay | 0.0 |", "| steps done | 40 |", "| betas | (0.9, 0.95) |",
                 "| first | 20 | 0.2 |", "| last | 40 | 0.1 |", "| 30 | 0.3 | 0.5 |", f"| unison | {__version__} |"):  # fmt: skip
        assert line in text.splitlines(), line
    assert "start" not in text and "3.21" not in text and str(tmp_path) not in text
    assert {"python", "torch", "transformers", "peft"} <= versions().keys()


def test_a_card_of_a_result_that_was_never_measured_says_so(tmp_path):
    assert "Nothing was measured yet." in CARD.text(tmp_path, 0, {})


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models/Qwen2.5-VL-3B-Instruct", "Qwen/Qwen2.5-VL-3B-Instruct"),
        ("hub/models--Qwen--Qwen2.5-VL-7B-Instruct/snapshots/66285546", "Qwen/Qwen2.5-VL-7B-Instruct"),
        ("my-planner", "my-planner"),
    ],
)
def test_a_model_is_called_by_its_name_and_never_by_its_place(tmp_path, path, name):
    (tmp_path / path).mkdir(parents=True)
    assert model_name(tmp_path / path) == name
    assert model_name(tmp_path / "vace_1.3b.safetensors") == "vace_1.3b"


def test_a_merged_folders_card_tells_of_the_adapters_training(tmp_path):
    base, lora = tmp_path / "Qwen2.5-VL-3B-Instruct", tmp_path / "adapter"
    base.mkdir()
    lora.mkdir()
    write_card(lora, CARD.text(trained(tmp_path), 60, {"seed": 21}))
    text = merged_card(base, lora, as_base=True)
    (tmp_path / CARD_FILE).write_text(text)
    data = ModelCard.load(tmp_path / CARD_FILE).data
    assert (data.base_model, data.library_name) == ("Qwen/Qwen2.5-VL-3B-Instruct", "transformers")
    assert "| seed | 21 |" in text and "| 60 | 0.6 | 0.5 |" in text and text.count("## Use") == 1
    (lora / CARD_FILE).write_text("---\ntags: [other]\n---\n## Data\n| seed | 5 |\n")
    assert "seed" not in merged_card(base, lora, as_base=True)


def written(folder, name, held_out=False, own=0):
    (folder / name).write_text("")
    return write_dataset_card(
        folder / name, {"text_to_image": 90, "image_editing": 30}, own=own, seed=7, held_out=held_out
    )


def test_planning_data_in_one_folder_has_one_card_with_its_splits(tmp_path):
    written(tmp_path, "planning.jsonl", own=5)
    assert written(tmp_path, "held_out.jsonl", held_out=True) == tmp_path / CARD_FILE
    data = DatasetCard.load(tmp_path / CARD_FILE).data.to_dict()
    assert data["configs"][0]["data_files"] == [
        {"split": "test", "path": ["held_out.jsonl"]},
        {"split": "train", "path": ["planning.jsonl"]},
    ]
    assert (data["language"], data["size_categories"]) == (["en", "zh"], ["n<1K"])
    lines = (tmp_path / CARD_FILE).read_text().splitlines()
    assert "| records | 120 | 125 |" in lines and "| text_to_image | 90 | 90 |" in lines and "| own | 0 | 5 |" in lines
    (tmp_path / "held_out.jsonl").unlink()  # a file that is gone leaves the card
    written(tmp_path, "more.jsonl")
    assert list(read_card(tmp_path / CARD_FILE)[0]["unison"]) == ["more.jsonl", "planning.jsonl"]


@pytest.mark.parametrize("text", ["# My project\n", "---\ntags: [mine]\n---\nText\n", "---\n{broken\n---\n", ""])
def test_a_readme_that_is_not_ours_is_left_alone(tmp_path, text):
    (tmp_path / CARD_FILE).write_text(text)
    assert written(tmp_path, "planning.jsonl") == tmp_path / "planning.README.md"
    assert (tmp_path / CARD_FILE).read_text() == text
    written(tmp_path, "planning.jsonl", own=1)
    assert read_card(tmp_path / "planning.README.md")[0]["unison"]["planning.jsonl"]["own"] == 1
