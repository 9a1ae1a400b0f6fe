"""`unison data`, `train` and `eval` from the command line; the recipes themselves have tests of their own."""

import argparse
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from unison_backend.cli import embedded, main
from unison_backend.cli import training as cli_training
from unison_backend.conditioning.projector import load_projector
from unison_backend.demo import set as demo
from unison_backend.demo.fallback import is_embedded, resolve_models
from unison_backend.demo.world.reading import JUDGES
from unison_backend.errors import InputError
from unison_backend.media.write import write_image
from unison_backend.training.demo.stages import STAGES
from unison_backend.training.projector import SCHEDULE


def test_the_stages_and_judges_offered_are_trainings_own():
    assert tuple(STAGES) == embedded.STAGES
    assert JUDGES == embedded.JUDGES


def test_help_takes_no_torch():
    code = "import sys; from unison_backend.cli import main\ntry: main(['train', 'demo', '--help'])\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--share" in done.stdout


def test_planning_data_with_your_own_among_it(tmp_path, capsys):
    own = {"messages": [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hello."}]}
    (tmp_path / "own.jsonl").write_text(json.dumps(own) + "\n")
    out = tmp_path / "data" / "planning.jsonl"
    assert main(["data", "planning", "--count", "24", "--out", str(out), "--mix", str(tmp_path / "own.jsonl")]) == 0
    assert "25 records (text_understanding 2, " in capsys.readouterr().out
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 25 and rows.count(own) == 1
    assert 0 < rows.index(own) < 24  # among the others, not behind them
    card = (out.parent / "README.md").read_text()
    assert "| own | 1 |" in card and "| text_to_image | 2 |" in card and str(tmp_path) not in card
    assert sum("<CF" in row["messages"][1]["content"] for row in rows) == 18


def test_planning_data_without_the_packs_sentences_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("unison_backend.training.planning_sentences.has_sentences", lambda: False)
    assert main(["data", "planning", "--count", "12", "--out", str(tmp_path / "one.jsonl")]) == 0
    assert "sentences that people wrote are not in this copy" in capsys.readouterr().out
    monkeypatch.setattr("unison_backend.training.records.grammar.has_grammar", lambda: False)
    assert main(["data", "planning", "--count", "12", "--out", str(tmp_path / "one.jsonl")]) == 0
    assert "the grammar and the sentences are in the repository" in capsys.readouterr().out
    monkeypatch.undo()
    monkeypatch.setattr("unison_backend.training.records.overlap.TRAINED", 600)
    assert main(["data", "planning", "--count", "12", "--held-out", "--out", str(tmp_path / "two.jsonl")]) == 0
    told = capsys.readouterr().out
    assert "sentences" not in told and "also stand in 600 training records" in told and "runs of four words" in told


def test_planning_data_for_the_reference_says_what_was_left_out(tmp_path, capsys):
    out = tmp_path / "planning.jsonl"
    assert main(["data", "planning", "--count", "120", "--reference-format", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert f"{len(rows)} records" in told and f"{120 - len(rows)} left out" in told and "edits without a mask" in told
    tokens = [row["messages"][1]["content"] for row in rows]
    assert tokens and not [text for text in tokens if "<CTRL>" in text and "<CFI>" in text]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "planning", "--count", "0", "--out", "x.jsonl"], "--count is 0"),
        (["train", "planner", "--base", "none", "--data", "none.jsonl", "--out", "x"], "none.jsonl cannot be read"),
        (["train", "projector", "--data", "none.jsonl", "--out", "x"], "none.jsonl cannot be read"),
        (["train", "projector", "--data", "x", "--out", "x", "--held-out", "1"], "held-out share is 1"),
        (["train", "projector", "--data", "x", "--out", "x", "--log-with", "paper"], "there is no such tracker"),
        (["train", "planner", "--base", "x", "--data", "x", "--out", "x", "--early-stop", "2"], "takes --eval-every"),
        (["train", "projector", "--data", "x", "--out", "x", "--text-dropout", "2"], "--text-dropout is 2"),
        (["train", "demo", "--out", "x", "--share", "2"], "share is 2"),
        (["eval", "planner", "--rules", "--count", "0"], "--count is 0"),
        (["eval", "demo", "--width", "70"], "the size is 70x64; sides are multiples of 16"),
        (["eval", "demo", "--frames", "12"], "frames is 12; a video has 5, 9, 13"),
        (["eval", "planner", "--rules", "--data", "none.jsonl"], "none.jsonl cannot be read"),
        (["eval", "demo", "--only", "cats"], "no kind 'cats'"),
        (["eval", "demo", "--count", "0"], "count is 0"),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and len(error.splitlines()) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_lora_from_data_to_plans(tmp_path, capsys):
    """Data, training, a stop, going on, evaluation: the commands of docs/training.md on the small Qwen."""
    base, data, out = str(demo.ensure_untrained().planner), str(tmp_path / "data.jsonl"), str(tmp_path / "lora")
    assert main(["data", "planning", "--count", "60", "--out", data]) == 0
    command = ["train", "planner", "--base", base, "--data", data, "--out", out, "--rank", "8", "--alpha", "16"]
    schedule = ["--lr", "0.003", "--batch", "4", "--dtype", "fp32", "--keep", "0"]
    watching = ["--eval-every", "20", "--eval-count", "2", "--log-with", "csv", "--save-every", "20"]
    assert main([*command, *schedule, *watching, "--steps", "40"]) == 0
    said = capsys.readouterr().out.strip()
    assert said.endswith("adapter") and "best held-out exact: " in said
    made = {str(path.relative_to(out)) for path in (tmp_path / "lora").rglob("*") if path.is_file()}
    assert {"log.csv", "log.png", "evaluations.jsonl", "best/adapter_config.json"} <= made
    assert "checkpoints/step-000020/adapter_model.safetensors" in made
    losses = [json.loads(line)["loss"] for line in (tmp_path / "lora" / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    assert main(["eval", "planner", "--base", base, "--lora", f"{out}/adapter", "--count", "12", "--wrong", "2"]) == 0
    table = capsys.readouterr().out
    assert "| **all** | " in table and " of 12, " in table and "| language zh | " in table


def test_a_projector_from_pictures_on_the_embedded_set(tmp_path, capsys, monkeypatch):
    """Samples are made once, some are held out, and what was used again is said."""
    monkeypatch.setattr("unison_backend.training.projector_run.PICTURE_STEPS", 2)
    rows = []
    for number, (name, prompt) in enumerate(
        (("red", "Draw a red circle."), ("blue", "Draw a blue star."), ("again", "\u753b\u4e00\u4e2a\u5706"))
    ):
        write_image(tmp_path / f"{name}.png", np.full((64, 64, 3), number / 4, dtype=np.float32))
        rows.append({"prompt": prompt, "target": f"{name}.png"})
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    out = tmp_path / "projector"
    command = ["train", "projector", "--data", str(tmp_path / "pairs.jsonl"), "--out", str(out), "--hidden", "32"]
    command += ["--held-out", "0.4", "--steps", "2", "--warmup", "1", "--eval-every", "2", "--eval-pictures", "1"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "3 samples were encoded, 0 were there already" in said and "held out: 1 of 3 samples (text_to_image " in said
    assert load_projector(out / "projector.safetensors").state_dict()["seq_adjust.weight"].any()
    assert [path.name for path in sorted((out / "pictures").iterdir())] == ["prompts.txt", "step-000002.png"]
    card = (out / "README.md").read_text()
    assert "| pairs | 3 |" in card and "| of these held out | 1 |" in card and str(tmp_path) not in card
    before = {file: file.stat().st_mtime_ns for file in (out / "samples").iterdir()}
    assert len(before) == 3 and main(command) == 0
    assert "0 samples were encoded, 3 were there already" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in (out / "samples").iterdir()} == before
    assert main([*command, "--seed", "5"]) == 2
    assert "trained otherwise" in capsys.readouterr().err
    made = [made_with(tmp_path / "plain.png"), made_with(tmp_path / "own.png", out / "projector.safetensors")]
    assert made[0] != made[1]


def made_with(path, projector=None):
    """The pixels of a red circle on the embedded set, with another projector than its own."""
    command = ["run", "Create a 64x64 image of a red circle.", "--out", str(path), "--steps", "2", "--seed", "1"]
    assert main([*command, *(["--projector", str(projector)] if projector else [])]) == 0
    return Image.open(path).tobytes()


def test_a_projector_goes_with_the_lora_that_it_was_trained_with(tmp_path, capsys, monkeypatch):
    """The planning weights are looked at before anything is encoded."""
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.png", np.full((64, 64, 3), 0.5, dtype=np.float32))
    rows = [{"prompt": "a circle", "target": "a.png"}, {"prompt": "What is it?", "target": "b.png"}]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    files, out = demo.ensure(), tmp_path / "out"
    command = ["train", "projector", "--data", str(tmp_path / "pairs.jsonl"), "--out", str(out), "--held-out", "0"]
    command += ["--steps", "1", "--warmup", "0", "--hidden", "8"]
    base, plain = ["--planner-folder", str(files.planner)], tmp_path / "plain"
    plain.mkdir()
    for name in ("config.json", "tokenizer.json"):  # Qwen2.5-VL as it is published: without the plan's tokens
        text = (files.planner / name).read_text(encoding="utf-8")
        (plain / name).write_text(text.replace("<BORES>", "<B>"), encoding="utf-8")
    for options, message in (
        (["--planner-folder", str(plain)], "has no planning weights"),
        (["--planner-lora", str(tmp_path / "none")], "--planner-lora: "),
        ([*base, "--planner-lora", str(tmp_path)], "is no planning LoRA for"),
    ):
        assert main([*command, *options]) == 2
        assert message in capsys.readouterr().err and not out.exists()
    assert main([*command, *base, "--planner-lora", str(files.lora)]) == 0
    said = capsys.readouterr().out
    assert "left out: line 2, which ask" in said and "1 samples were encoded" in said
    with monkeypatch.context() as patch:
        patch.setattr("unison_backend.weights.find.has_planning_weights", lambda _: False)
        given = {"projector": out / "projector.safetensors", "planner": files.planner}
        models = resolve_models(None, given)
        assert models.demo and models.projector is None and "no planner with planning weights" in models.notices[-1]
        models = resolve_models(None, given | {"lora": files.lora})
    assert models.demo and models.projector == out / "projector.safetensors"
    assert (models.planner, models.lora) == (files.planner, files.lora)
    assert not is_embedded(None, {"planner_folder": files.planner})


def schedule_of(*arguments):
    parser = argparse.ArgumentParser()
    cli_training.add(parser.add_subparsers())
    options = parser.parse_args(["train", "projector", "--data", "x", "--out", "y", *arguments])
    return cli_training._schedule(options, SCHEDULE)


def test_schedule_options_say_what_they_change(capsys):
    assert schedule_of() == SCHEDULE and capsys.readouterr().out == ""
    assert schedule_of("--steps", "100").warmup == 10
    assert "the warm-up is 10 steps, a tenth of --steps; the recipe's is 200" in capsys.readouterr().out
    given = schedule_of("--steps", "100", "--warmup", "3", "--ema", "0.5", "--weight-decay", "0", "--allow-change")
    assert (given.warmup, given.ema, given.weight_decay, given.allow_change) == (3, 0.5, 0, True)
    assert capsys.readouterr().out == ""
    with pytest.raises(InputError, match="warmup is 200 of 100 steps"):
        schedule_of("--steps", "100", "--warmup", "200")


def test_planners_are_measured_side_by_side_on_your_own_file(tmp_path, capsys):
    rows = [{"prompt": "Draw a fox.", "tokens": "<CFI>"}, {"prompt": "\u753b\u4e00\u53ea\u732b", "tokens": "<CFV>"}]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    command = ["eval", "planner", "--data", str(tmp_path / "own.jsonl"), "--planner", "rules", "--planner", "qwen"]
    base = ["--base", str(demo.ensure_untrained().planner), "--wrong", "1"]
    assert main([*command, *base]) == 0
    said = capsys.readouterr().out
    assert "| | rules | qwen |" in said and "| **all** | 1 of 2, 50.0% | " in said
    assert "| language en | 1 of 1, 100.0% | " in said and "| language zh | 0 of 1, 0.0% | " in said
    assert "rules: \u753b\u4e00\u53ea\u732b\n  expected <CFV>\n  made     <CFI>" in said


def test_the_rules_are_measured_the_same_way(capsys):
    assert main(["eval", "planner", "--rules", "--count", "120"]) == 0
    share = float(capsys.readouterr().out.split("**all**")[1].split(",")[1].strip().rstrip("% |\n"))
    assert share >= 95
