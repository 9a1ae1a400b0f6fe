"""The sets that are kept apart: the planner is not made with them, and does not read less of them than it did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unison_backend.errors import InputError
from unison_backend.training.intent.sentences import KEPT_APART as LIST
from unison_backend.training.intent.sentences import list_apart, read_sentences

from .sentences import KEPT_APART, shares
from .shown import Shown

# What is read of each kind over both languages and both sets, a little below what was measured (docs/plan.md).
LEAST = {
    "ordinary": {"intent": 0.95},
    "sloppy": {"intent": 0.93},
    "imperatives": {"intent": 0.96, "target": 0.93},
    "prompts": {"intent": 0.94, "size": 0.97},
    "questions": {"intent": 0.98},
    "masks": {"intent": 0.98, "mask_source": 0.90, "keeps": 0.95},
    "files": {"intent": 0.96, "mask_source": 0.70},  # by words alone; names and pixels tell more
    "lengths": {"intent": 0.94, "size": 0.96, "num_frames": 0.95, "fps": 0.97},
    "targets": {"intent": 0.97, "target": 0.90},
    "captions": {"intent": 0.91, "target": 0.84},
    "text": {"intent": 0.96},
    "colloquial": {"intent": 0.80, "target": 0.72},
    "mixed": {"intent": 0.93, "size": 0.97, "num_frames": 0.93, "mask_source": 0.85},
}


@pytest.mark.parametrize("kind", LEAST)
def test_no_less_is_read_than_was(kind: str) -> None:
    total: dict[str, list[int]] = {}
    for counts in shares(pattern=f"*/*_{kind}.jsonl").values():
        for name, (right, count) in counts.items():
            have = total.setdefault(name, [0, 0])
            have[0], have[1] = have[0] + right, have[1] + count
    read = {name: right / count for name, (right, count) in total.items()}
    for name, least in LEAST[kind].items():
        assert read[name] >= least, f"{kind}: of {name} {read[name]:.1%} are read (least {least:.0%}); all: {read}"


@pytest.mark.parametrize(("field", "least"), [("intent", 0.97), ("mask_source", 0.93)])
def test_with_the_files_at_hand_hardly_a_mask_is_missed(tmp_path: Path, field: str, least: float) -> None:
    """Set 28, whose files have names too, with pictures drawn for it: masks of ten kinds, and photographs."""
    found = [counts[field] for counts in shares(pattern="*/28_files.jsonl", reads=Shown(tmp_path).read).values()]
    right, count = (sum(numbers) for numbers in zip(*found, strict=True))
    assert right / count >= least, f"{right} of {count}"


def test_training_refuses_every_line_of_them(tmp_path: Path) -> None:
    for file in sorted(KEPT_APART.rglob("*.jsonl")):
        with pytest.raises(InputError, match="kept apart for measuring"):
            read_sentences((file,))
    line = json.loads((KEPT_APART / "en" / "01_ordinary.jsonl").read_text(encoding="utf-8").splitlines()[0])
    other = tmp_path / "mine.jsonl"
    other.write_text(json.dumps({"prompt": f"  {line['prompt'].upper()} ", "intent": "ask"}) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.jsonl, line 1 stands in en/01_ordinary\.jsonl"):
        read_sentences((other,))


def test_the_list_is_that_of_the_files() -> None:
    assert LIST.read_text(encoding="utf-8") == list_apart(KEPT_APART.rglob("*.jsonl"), KEPT_APART)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: not of the form"),
        ('{"prompt": "a"}', "line 1: not of the form"),
        ('{"prompt": "a", "intent": "sing"}', "intent is 'sing'; it is one of ask, picture"),
        ("", "no sentences there"),
    ],
)
def test_sentences_that_cannot_be_read_are_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_sentences((tmp_path,))
