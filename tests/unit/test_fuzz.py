"""The fuzzer's first cases of every kind, and what it found before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from unison_backend.batch.log import Log, Row
from unison_backend.engine.settings import parse_cache, parse_lora
from unison_backend.errors import InputError, UnisonError
from unison_backend.plan.as_json import from_json, to_json
from unison_backend.plan.borders import borders_from_json, parse_borders
from unison_backend.plan.plan import Plan, PlanError
from unison_backend.plan.prompt import parse_pads
from unison_backend.plan.tasks import Task
from unison_backend.planner.rules.reading import read

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="cases are ended by signals")
@pytest.mark.parametrize(
    ("kinds", "cases"), [(("tokens", "plans", "settings"), 300), (("lines", "prompts", "media"), 30)]
)
def test_a_short_run(kinds: tuple[str, ...], cases: int) -> None:
    chosen = [word for kind in kinds for word in ("--kind", kind)]
    done = subprocess.run(
        [sys.executable, "scripts/fuzz.py", *chosen, "--cases", str(cases)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == [f"{kind}: {cases} cases" for kind in kinds]


@pytest.mark.parametrize("text", ["1e99999999", "1e-99999999", "1E99999999", "1" * 5000, "1/0", "x"])
def test_numbers_without_an_end_in_plans(text: str) -> None:
    """The fraction of such a number takes minutes and gigabytes."""
    plan = to_json(Plan(Task.TEXT_TO_VIDEO, prompt="a fox"))
    with pytest.raises(PlanError, match="fps"):
        from_json(plan | {"fps": text})
    with pytest.raises(InputError, match="borders"):
        borders_from_json({"left": text})


def test_messages_have_an_end() -> None:
    plan = to_json(Plan(Task.TEXT_TO_IMAGE, prompt="a fox"))
    for make in (
        lambda: from_json(plan | {"width": "9" * 5000}),
        lambda: from_json(plan | {"x" * 5000: 1}),
        lambda: from_json(plan | {"borders": {"x" * 5000: 1}}),
        lambda: parse_borders("9" * 5000),
        lambda: parse_cache("easy:" + "a" * 5000),
        lambda: parse_lora("a.safetensors:" + "9" * 5000),
    ):
        with pytest.raises(InputError) as error:
            make()
        assert len(str(error.value)) < 800


def test_messages_and_rows_can_be_written(tmp_path: Path) -> None:
    """A name with half a character in it, as a command line can bring it: the log of a batch died of it."""
    assert str(UnisonError("a\udc80.png")) == "a\\udc80.png"
    log = Log(tmp_path)
    log.start([])
    log.add(Row(1, "", "refused", "a\udc80 fox", error="a\udc80"))
    log.close()
    (row,) = log.read()
    assert row.prompt == "a\udc80 fox"
    assert json.loads((tmp_path / "results.jsonl").read_text(encoding="utf-8"))["line"] == 1


def test_numbers_of_thousands_of_digits_are_read_no_further() -> None:
    """Patterns of numbers took seconds over them; what is read of one is as absurd as the whole."""
    text, _ = read(parse_pads("Draw a fox of " + "1" * 4000 + " pixels, 640x480."))
    assert "1" * 20 in text.value and "1" * 21 not in text.value and "640x480" in text.value
