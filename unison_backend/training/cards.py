"""Model and dataset cards in Hugging Face's format: a README.md with YAML in front, filled in from the training itself.

What stands in it is the same wherever it was made: names of files without their folders, no times, no machine.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from .. import __version__
from ..errors import MediaError, ResourceError
from ..files import replacing
from ..weights.adapter import ANSWERING_FOLDER
from .log import EVALUATIONS_FILE, read_log, read_rows

CARD_FILE = "README.md"
OURS = "unison"  # a tag that says that a card is this pack's, and may be written anew
_LIBRARIES = ("torch", "transformers", "peft", "accelerate", "diffusers", "safetensors")
_HUB_FOLDER = re.compile(r"models--([^/]+?)--([^/]+)")
_QWEN = re.compile(r"Qwen2\.5-VL-\d+B-Instruct")
_SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"))


@dataclass(frozen=True)
class Card:
    """What a recipe knows before it trains. base: models by name (`model_name`). data: what it is trained on, in words
    and numbers. use: command lines. front: more YAML. right: the figure that is a share of right ones, if one is."""

    title: str
    about: str
    base: Sequence[str]
    data: Mapping[str, object]
    use: Sequence[str]
    front: Mapping[str, Any] = field(default_factory=dict)

    def text(self, folder: Path, step: int, settings: Mapping[str, object]) -> str:
        """The card of the result after `step`, with what the log and the evaluations in `folder` say up to there."""
        log = [row for row in read_log(folder) if row["step"] <= step]
        looked = [row for row in read_rows(folder / EVALUATIONS_FILE) if row["step"] <= step]
        front = {"base_model": list(self.base) if len(self.base) > 1 else self.base[0], **self.front}
        front["tags"] = [OURS, *front.get("tags", ())]
        if looked:
            front["model-index"] = [_indexed(self.title, looked[-1])]
        parts = [
            _heading(self.title, self.about),
            _section("Data", _rows(self.data)),
            _section("Settings", _rows({"steps done": step, **settings})),
            _section("Figures", _figures(log, looked)),
            _section("Use", ["```", *self.use, "```"]),
            _section("Versions", _rows(versions())),
        ]
        return _card(front, parts)


def model_name(path: Path) -> str:
    """A model's name on the hub where its folder tells it, else the folder's or file's own name."""
    full = path.resolve()
    if hub := next((found for part in full.parts if (found := _HUB_FOLDER.fullmatch(part))), None):
        return f"{hub[1]}/{hub[2]}"
    name = full.name if full.is_dir() else full.stem
    return f"Qwen/{name}" if _QWEN.fullmatch(name) else name


def versions() -> dict[str, str]:
    """This pack's, Python's and the libraries' versions."""
    found = {"unison": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write_card(folder: Path, text: str) -> None:
    """The card of what lies in `folder`. Raises ResourceError."""
    try:
        with replacing(folder / CARD_FILE) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except (OSError, MediaError) as error:
        raise ResourceError(f"{folder / CARD_FILE} cannot be written ({error}); make room there") from error


def merged_card(base: Path, lora: Path, *, as_base: bool) -> str:
    """The card of a folder that `unison merge` made, with what the adapter's own card says of its training.

    as_base: it brings the adapter with which it answers as its base does.
    """
    front = {
        "base_model": model_name(base),
        "base_model_relation": "finetune",
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": [OURS],
    }
    about = (
        f"{model_name(base)} with the planning LoRA {lora.resolve().name} merged into its weights: it writes Unison's "
        "plans as signal tokens. "
    )
    about += (
        f"The adapter in `{ANSWERING_FOLDER}` takes the LoRA off again: with it on, the answers are those of the base. "
        "ComfyUI-Unison does so by itself; others load it with PEFT. Without it the answers may be the base's or not."
        if as_base
        else "The adapter cannot be switched off any more, so its answers may be those of the base or not."
    )
    trained, body = read_card(lora / CARD_FILE)
    parts = [_heading("Merged planner", about)]
    if OURS in trained.get("tags", ()):
        parts += [part for part in re.split(r"(?m)^(?=## )", body) if part.startswith(("## Data", "## Sett", "## Fig"))]
    use = ["```", 'unison run "..." --planner-folder THIS_FOLDER --models ...', "```"]
    return _card(front, [*parts, _section("Use", use), _section("Versions", _rows(versions()))])


def write_dataset_card(path: Path, tasks: Mapping[str, int], *, own: int, seed: int, held_out: bool) -> Path:
    """The card of planning data, beside `path`; further files in that folder get into the same card.

    tasks: records by task; own: the person's among them. A README.md that is not this pack's is left as it is: the
    card is then `<name>.README.md`. Returns where it is. Raises ResourceError.
    """
    place = path.parent / CARD_FILE
    if place.exists() and OURS not in read_card(place)[0].get("tags", ()):
        place = path.parent / f"{path.stem}.{CARD_FILE}"
    files: dict[str, Any] = read_card(place)[0].get("unison", {})
    files[path.name] = {"split": "test" if held_out else "train", "records": sum(tasks.values()) + own, "own": own,
                        "seed": seed, "unison": __version__, "tasks": dict(tasks)}  # fmt: skip
    files = {name: about for name, about in sorted(files.items()) if (path.parent / name).is_file()}
    text = _dataset_text(files)
    try:
        with replacing(place) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except (OSError, MediaError) as error:
        raise ResourceError(f"{place} cannot be written ({error}); make room there") from error
    return place


def _dataset_text(files: Mapping[str, Mapping[str, Any]]) -> str:
    count = sum(about["records"] for about in files.values())
    splits: dict[str, list[str]] = {}
    for name, about in files.items():
        splits.setdefault(about["split"], []).append(name)
    front = {
        "language": ["en", "zh"],
        "task_categories": ["image-text-to-text"],
        "size_categories": [next((size for most, size in _SIZES if count < most), "1M<n<10M")],
        "tags": [OURS],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": paths} for split, paths in splits.items()],
            }
        ],
        "unison": {name: dict(about) for name, about in files.items()},
    }
    text = (
        "Instructions for pictures, videos, edits and questions, each with the signal tokens that it means, as chats "
        "(`messages`). `<IMGPAD>` and `<VIDPAD>` stand where media stand. Drawn from templates, from sentences that "
        "people wrote and from orders of a world of shapes; about a third is Chinese. No instruction of `test` is in "
        "a wording of `train`. A question's answer is empty: leave those records out where a training would learn it."
    )
    names = list(dict.fromkeys(task for each in files.values() for task in each["tasks"]))
    table = [f"| | {' | '.join(files)} |", "|---" * (1 + len(files)) + "|"]
    for row in ("split", "records", "own", "seed"):
        table.append(f"| {row} | {' | '.join(str(each[row]) for each in files.values())} |")
    table += [
        f"| {task} | {' | '.join(str(each['tasks'].get(task, 0)) for each in files.values())} |" for task in names
    ]
    use = ["```", "unison train planner --base Qwen2.5-VL-3B-Instruct --data planning.jsonl --out planner", "```"]
    return _card(front, [_heading("Planning data", text), _section("Files", table), _section("Use", use)])


def read_card(path: Path) -> tuple[dict[str, Any], str]:
    """A card's YAML and its text; nothing where there is none or it cannot be read."""
    try:
        found = re.match(r"---\n(.*?)\n---\n(.*)", path.read_text(encoding="utf-8"), re.DOTALL)
        front = yaml.safe_load(found[1]) if found else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}, ""
    return (front, found[2]) if found and isinstance(front, dict) else ({}, "")


def _card(front: Mapping[str, Any], parts: Iterable[str]) -> str:
    head = yaml.safe_dump(dict(front), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{head}---\n\n" + "\n".join(part.strip("\n") + "\n" for part in parts)


def _heading(title: str, about: str) -> str:
    return f"# {title}\n\n{about}\n"


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *lines, ""])


def _rows(values: Mapping[str, object]) -> list[str]:
    shown = {name.replace("_", " "): value for name, value in values.items() if value not in ("", None)}
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in shown.items())]


def _figures(log: Sequence[Mapping[str, float]], looked: Sequence[Mapping[str, float]]) -> list[str]:
    """First and last line of the log, and each evaluation."""
    lines = []
    if log:
        terms = [name for name in log[-1] if name not in ("step", "lr", "seconds_per_step")]
        lines += ["| while training | steps to | " + " | ".join(terms) + " |", "|---" * (2 + len(terms)) + "|"]
        for label, row in (("first", log[0]), ("last", log[-1])):
            lines.append(
                f"| {label} | {row['step']} | " + " | ".join(f"{row.get(name, 0):.5g}" for name in terms) + " |"
            )
    if looked:
        names = [name for name in looked[-1] if name != "step"]
        lines += ["", "| held out, after step | " + " | ".join(names) + " |", "|---" * (1 + len(names)) + "|"]
        lines += [
            f"| {row['step']} | " + " | ".join(f"{row.get(name, 0):.5g}" for name in names) + " |" for row in looked
        ]
    return lines or ["Nothing was measured yet."]


def _indexed(title: str, row: Mapping[str, float]) -> dict[str, Any]:
    """An evaluation as Hugging Face's model index has it."""
    metrics = [{"type": name, "value": value, "name": f"held-out {name.replace('_', ' ')}"}
               for name, value in row.items() if name != "step"]  # fmt: skip
    result = {"task": {"type": "image-text-to-text"}, "dataset": {"name": "held out", "type": "held-out"},
              "metrics": metrics}  # fmt: skip
    return {"name": title, "results": [result]}
