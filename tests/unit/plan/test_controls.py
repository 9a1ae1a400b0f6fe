"""A further control kind is a row, a file and its words: everything that offers, checks, reads or makes maps takes it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from unison_backend.annotators import maps
from unison_backend.annotators.bind import map_maker
from unison_backend.annotators.maps.kinds import kind_file
from unison_backend.annotators.maps.make import make_map
from unison_backend.annotators.maps.statistics import is_plain
from unison_backend.cli.parser import make_parser
from unison_backend.plan.as_json import from_json, to_json
from unison_backend.plan.controls import CONTROLS, ControlKind, made_kinds, weighted_kinds
from unison_backend.plan.plan import Plan, PlanError
from unison_backend.plan.prompt import parse_pads
from unison_backend.plan.tasks import Task
from unison_backend.planner.rules import language
from unison_backend.planner.rules.plan import plan
from unison_backend.progress import never, silent
from unison_backend.sources.given import GivenSources
from unison_backend.weights.needs import ANNOTATOR_NEEDS

pytestmark = pytest.mark.fast


@pytest.fixture
def negative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A kind "negative" as its author would add it."""
    file: Any = ModuleType(f"{maps.__name__}.negative")
    file.looks_like = lambda frame: bool(is_plain(frame))
    file.make = lambda video, progress, cancel: 1 - video
    monkeypatch.setitem(sys.modules, file.__name__, file)
    monkeypatch.setitem(CONTROLS, "negative", ControlKind())
    shutil.copytree(language.LANGUAGES, tmp_path / "languages")
    with (tmp_path / "languages" / "en" / "controls.toml").open("a", encoding="utf-8") as rules:
        rules.write("\n[kind.negative]\npattern = '\\bphotographic negative\\b'\n")
    monkeypatch.setattr(language, "LANGUAGES", tmp_path / "languages")
    language.load.cache_clear()
    yield
    language.load.cache_clear()


@pytest.mark.usefixtures("negative")
def test_a_further_kind_is_taken_everywhere() -> None:
    assert "negative" in made_kinds()
    video = torch.rand(2, 16, 16, 3)
    made, told = make_map("negative", video, {})
    assert made.equal(1 - video) and told == "a negative map was made of the control input"
    assert map_maker({})("negative", video, silent, never)[0].equal(made)
    planned = plan(parse_pads("Make a picture of a castle that follows the photographic negative of <IMGPAD>."))
    assert (planned.task, planned.control) == (Task.IMAGE_CONTROL, "negative")
    assert from_json(to_json(planned)) == planned
    assert GivenSources(control="negative").control == "negative"
    options = make_parser(*[print] * 5).parse_args(
        ["run", "a castle", "--control", "a.png", "--control-kind", "negative"]
    )
    assert options.control_kind == "negative"


def test_without_its_row_it_is_refused() -> None:
    with pytest.raises(PlanError, match="control is 'negative'; allowed is map, canny"):
        Plan(task=Task.IMAGE_CONTROL, control="negative", media=("image",))
    with pytest.raises(SystemExit):
        make_parser(*[print] * 5).parse_args(["run", "a castle", "--control", "a.png", "--control-kind", "negative"])


def test_each_kind_has_what_its_row_says() -> None:
    for kind in made_kinds():
        file = kind_file(kind)
        parts = {"WHAT", "is_model", "is_meant", "find", "check", "load"} if kind in weighted_kinds() else {"make"}
        assert {name for name in parts | {"looks_like"} if not hasattr(file, name)} == set()
    assert {need.key for need in ANNOTATOR_NEEDS} == {"detector", "segmenter", *weighted_kinds()}


@pytest.mark.parametrize("name", ["en", "zh"])
def test_each_language_has_words_for_each_kind(name: str) -> None:
    assert {rule.name for rule in language.load(name).rules("controls.kind")} == set(CONTROLS)
