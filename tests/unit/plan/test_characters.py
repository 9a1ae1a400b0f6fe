"""Half characters, which JSON and command lines can hold and no tokenizer takes: refused by name wherever text enters."""

from __future__ import annotations

from pathlib import Path

import pytest

from unison_backend.batch.job import Job
from unison_backend.batch.lines import BadLine, read_jobs
from unison_backend.cli import main
from unison_backend.errors import InputError
from unison_backend.plan.as_json import from_json, to_json
from unison_backend.plan.overrides import apply
from unison_backend.plan.plan import Plan, PlanError
from unison_backend.plan.prompt import Prompt, parse_pads
from unison_backend.plan.tasks import Task
from unison_backend.sources.given import GivenSources

HALF = "a \udc80 fox"
PLAN = Plan(Task.TEXT_TO_IMAGE, prompt="a fox")


@pytest.mark.parametrize("field", ["prompt", "raw", "target", "control"])
def test_plans(field: str) -> None:
    with pytest.raises(PlanError, match=f"{field}.*udc80"):
        from_json(to_json(PLAN) | {field: HALF})


def test_settings_phrases_and_instructions() -> None:
    for make in (
        lambda: apply(PLAN, {"prompt": HALF}),
        lambda: GivenSources(mask_phrase=HALF),
        lambda: parse_pads(HALF),
    ):
        with pytest.raises(InputError, match="udc80"):
            make()


@pytest.mark.parametrize("key", ["negative", "mask_phrase"])
def test_lines_of_a_batch(tmp_path: Path, key: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"prompt": "Draw a fox", "{key}": "a \\udc80 fox"}}\n')
    (line,) = read_jobs(tmp_path / "a.jsonl", Job(0, Prompt(("-",))))
    assert isinstance(line, BadLine) and key in line.why and "udc80" in line.why


@pytest.mark.parametrize("option", ["--negative", "--mask-phrase"])
def test_options(capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str) -> None:
    assert main(["run", "Draw a fox", "--out", str(tmp_path / "a.png"), option, HALF]) == 2
    said = capsys.readouterr().err
    assert option in said and "udc80" in said and "loading" not in said


def test_what_argparse_repeats_has_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["plan", "a", "--make", "x" * 5000], ["plan", "a", "--" + "x" * 5000], ["x" * 5000]):
        with pytest.raises(SystemExit):
            main(arguments)
        last = capsys.readouterr().err.splitlines()[-1]
        assert "xxx..." in last and len(last) < 1300
