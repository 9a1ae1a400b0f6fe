"""Untrained models of the real configurations, in this process: whatever they would say, what comes out is a plan."""

import json
import shutil

import llguidance
import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from scripts.try_plans_by_prompt import Restless, fault, strict_planner, untrained
from unison_backend.cli import main
from unison_backend.cli.common import planner_of
from unison_backend.cli.parser import make_parser
from unison_backend.demo import set as demo
from unison_backend.errors import Cancelled, UnisonError, UnsupportedError, WeightsError
from unison_backend.media.from_files import FileMedia
from unison_backend.plan.prompt import parse_pads, parse_paths
from unison_backend.planner.answers import AnswerSettings
from unison_backend.planner.choose import PlannerOptions, choose_planner
from unison_backend.planner.prompt.local.loading import is_vision_language_folder, load
from unison_backend.planner.prompt.local.model import LocalModel, harmless
from unison_backend.planner.prompt.planner import PromptPlanner
from unison_backend.planner.qwen.planner import QwenPlanner
from unison_backend.weights.find import ModelPaths

from ... import tiny_chat_models

assert llguidance.__version__  # the extra `prompt`, which the tests always have
WORDS = ("a red kite", "make <IMGPAD> blue", "animate <IMGPAD>, 2 s", "what is <VIDPAD>?", "<VIDPAD> as a sketch")


@pytest.fixture(scope="module")
def qwen25(tmp_path_factory):
    return demo.ensure_untrained(tmp_path_factory.mktemp("cache")).planner


@pytest.fixture(scope="module")
def qwen3(qwen25, tmp_path_factory):
    """A tiny Qwen3-VL with random weights and the small tokenizer of the other."""
    return tiny_chat_models.qwen3(qwen25, tmp_path_factory.mktemp("models") / "qwen3")


@pytest.mark.parametrize("family", ["qwen25", "qwen3"])
def test_whatever_an_untrained_model_says_is_a_plan(family, qwen25):
    """A few of the many that `scripts/try_plans_by_prompt.py` draws."""
    model = Restless(untrained(family, AutoTokenizer.from_pretrained(qwen25)), family, 3.0)
    found = [fault(strict_planner(model), model, parse_pads(words)) for words in WORDS[:2]]
    assert [problem for _, problem in found] == [""] * 2
    assert all(task for task, _ in found)


@pytest.mark.parametrize("family", ["qwen25", "qwen3"])
def test_pictures_are_looked_at(family, request, tmp_path):
    folder = request.getfixturevalue(family)
    model, answers = LocalModel(load(folder, dtype="fp32"), folder.name), []
    for shade in (0, 255):
        Image.fromarray(np.full((64, 64, 3), shade, np.uint8)).save(tmp_path / f"{shade}.png")
        prompt = parse_paths(f"what is in ###{tmp_path}/{shade}.png###?")
        seen = []
        hook = model.loaded.model.model.visual.register_forward_pre_hook(
            lambda module, given, named, seen=seen: seen.append([*given, *named.values()][0]), with_kwargs=True
        )
        PromptPlanner(model).answer(prompt, FileMedia(prompt.media), AnswerSettings(2))
        hook.remove()
        answers.append(seen[0].float().mean().item())
    assert answers[0] < answers[1]


def test_a_cancel_stops_at_the_next_token(qwen25):
    model = LocalModel(load(qwen25), "small")
    steps = []
    with pytest.raises(Cancelled):
        PromptPlanner(model).plan(
            parse_pads("a kite"), progress=lambda *step: steps.append(step), cancel=lambda: len(steps) > 5
        )
    assert len(steps) < 9


def test_typed_special_tokens_are_broken(qwen25):
    tokenizer = AutoTokenizer.from_pretrained(qwen25)
    text = harmless("<|im_end|><|image_pad|> and <CFI>", list(tokenizer.get_added_vocab()))
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert not {*ids} & {*tokenizer.get_added_vocab().values()}
    assert text.replace("\u200b", "") == "<|im_end|><|image_pad|> and <CFI>"


def test_without_the_library_it_says_what_to_install(qwen25, monkeypatch):
    monkeypatch.setattr("unison_backend.planner.prompt.local.held.can_hold", lambda: False)
    with pytest.raises(UnsupportedError, match=r"pip install llguidance \(the extra `prompt`\)"):
        choose_planner(PlannerOptions("prompt", folder=qwen25), ModelPaths())


def test_auto_asks_a_model_that_is_named_and_has_no_planning_weights(qwen25, qwen3, monkeypatch):
    named = choose_planner(PlannerOptions(folder=qwen3, answers=AnswerSettings(1)), ModelPaths(planner=qwen3))
    assert isinstance(named, PromptPlanner) and named.why == "planned by prompt: qwen3 has no planning weights"
    only_found = choose_planner(PlannerOptions(), ModelPaths(planner=qwen3))
    (told,) = only_found.plan(parse_pads("a kite")).notices
    assert told.text == "the rules plan: qwen3 has no planning weights; `--planner prompt` has it plan all the same"
    assert isinstance(choose_planner(PlannerOptions(folder=qwen25), ModelPaths(planner=qwen25)), QwenPlanner)
    assert choose_planner(PlannerOptions(), ModelPaths()).plan(parse_pads("a kite")).notices == ()
    monkeypatch.setattr("unison_backend.planner.prompt.local.held.can_hold", lambda: False)
    (told,) = choose_planner(PlannerOptions(folder=qwen3), ModelPaths(planner=qwen3)).plan(parse_pads("a kite")).notices
    assert told.text.endswith("planning by prompt takes llguidance: pip install llguidance (the extra `prompt`)")


def test_which_folders_are_offered(qwen25, qwen3, tmp_path):
    assert is_vision_language_folder(qwen25) and is_vision_language_folder(qwen3)
    for name, config in {
        "clip": {"architectures": ["CLIPModel"], "vision_config": {}},
        "text": {"architectures": ["T5ForConditionalGeneration"]},
        "odd": {"architectures": "ForConditionalGeneration", "vision_config": {}},
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
        assert not is_vision_language_folder(tmp_path / name)
    assert not is_vision_language_folder(tmp_path)


def test_folders_that_are_none(qwen25, tmp_path, capsys):
    folder = shutil.copytree(qwen25, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}), encoding="utf-8")
    with pytest.raises(WeightsError, match="is a model of type 'bert'"):
        load(folder)
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.py"}}), encoding="utf-8")
    with pytest.raises(WeightsError, match="asks to run code"):
        load(folder)
    assert main(["plan", "a kite", "--planner", "prompt"]) == 2
    assert "--planner prompt takes --planner-folder" in capsys.readouterr().err


def test_a_folder_with_missing_weights_is_refused(qwen3, tmp_path):
    folder = shutil.copytree(qwen3, tmp_path / "other")
    weights = load_file(folder / "model.safetensors")
    del weights["model.language_model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"1 weights are missing \(model.language_model.norm.weight\)"):
        load(folder)


def test_options_that_do_not_go_together(qwen3, tmp_path):
    for options, told in (
        (PlannerOptions("prompt", folder=qwen3, quantize="4bit"), "4bit takes a Qwen2.5-VL"),
        (PlannerOptions("prompt", folder=qwen3, lora=qwen3), "which --planner-lora brings: leave one out"),
        (PlannerOptions("prompt", folder=tmp_path / "none"), "is not there"),
    ):
        with pytest.raises(UnisonError, match=told):
            choose_planner(options, ModelPaths())


def test_the_command_line_takes_a_models_folder(qwen25, tmp_path):
    (tmp_path / "unison").mkdir()
    shutil.copytree(qwen25, tmp_path / "unison" / "small")
    options = make_parser(*[print] * 5).parse_args(["plan", "a kite", "--planner", "prompt", "--models", str(tmp_path)])
    planner = planner_of(options)
    assert isinstance(planner, PromptPlanner)
    assert planner.model.name == "small"
