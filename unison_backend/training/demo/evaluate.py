"""`unison eval demo`: what a trained embedded set gets right, each claim checked by pixels or by exact words.

Every generation runs as a person's would: the rules plan the instruction (in wordings that training never saw), the
pipeline prepares the sources, the engine samples with the default negative prompt, edits are composited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from ...demo.set import CFG, demo_set, ensure
from ...demo.world.canvas import SHIPPED, Canvas
from ...demo.world.names import renamed
from ...demo.world.questions import Question, Subject, question
from ...demo.world.reading import JUDGES, Judge
from ...demo.world.tasks import Example, example, kinds
from ...demo.world.wording import Language
from ...engine.settings import SamplingSettings
from ...engine.vace_context import to_signed
from ...errors import InputError
from ...plan.geometry import SIDE_MULTIPLE
from ...progress import Cancel, Progress, check, never, silent
from .judging import Judgement, judge
from .making import Models, load, make

QUESTIONS: tuple[Subject, ...] = ("text", "image", "video")
PLANNED = 10  # held-out plans for each count of examples
ASKED = 5  # questions for each
SEEN_THROUGH_VAE = ("text_to_image", "image_control", "text_to_video", "video_control")
_STAGE = "evaluating"


@dataclass(frozen=True)
class EvaluationSettings:
    """count: examples of each kind; steps, cfg, seed: of sampling; only: kinds to look at (empty: all).

    canvas: of pictures and videos that are asked for. judge: how outlines are read; by coverage takes a canvas that is
    drawn so (`Canvas.samples`).
    """

    count: int = 20
    steps: int = 20
    cfg: float = CFG
    seed: int = 0
    only: tuple[str, ...] = ()
    canvas: Canvas = SHIPPED
    judge: Judge = "threshold"

    def __post_init__(self) -> None:
        known = (*kinds(), *(f"questions {subject}" for subject in QUESTIONS), "planner", "projector", "vae")
        for kind in self.only:
            if kind not in known:
                raise InputError(f"there is no kind {kind!r}; the kinds are {', '.join(known)}")
        if self.count < 1:
            raise InputError(f"count is {self.count}; it has to be at least 1")
        if self.judge not in JUDGES:
            raise InputError(f"there is no judge {self.judge!r}; the judges are {' and '.join(JUDGES)}")
        canvas = self.canvas
        if canvas.width % SIDE_MULTIPLE or canvas.height % SIDE_MULTIPLE or min(canvas.width, canvas.height) < 32:
            raise InputError(
                f"the size is {canvas.width}x{canvas.height}; sides are multiples of {SIDE_MULTIPLE}, from 32 on"
            )
        if canvas.frames < 5 or (canvas.frames - 1) % 4:
            raise InputError(f"frames is {canvas.frames}; a video has 5, 9, 13 and so on")

    def wants(self, kind: str) -> bool:
        """Whether `kind` is to be looked at."""
        return not self.only or kind in self.only


@dataclass(frozen=True)
class Case:
    """One example and what was made of it, [T, H, W, 3] in 0..1, as it was judged."""

    number: int
    drawn: Example
    made: Tensor
    judgement: Judgement


@dataclass(frozen=True)
class Told:
    """Words that were asked for and came out wrong. medium [T, H, W, 3]: what a question is about."""

    asked: str
    wanted: str
    made: str
    medium: Tensor | None = None


@dataclass
class Row:
    """One kind's measures: name to how often it was right, of how many; and what that was counted in."""

    kind: str
    measures: dict[str, list[int]] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    wrong: list[Told] = field(default_factory=list)

    def add(self, found: dict[str, bool]) -> None:
        """Count one example's measures."""
        for name, right in found.items():
            pair = self.measures.setdefault(name, [0, 0])
            pair[0], pair[1] = pair[0] + bool(right), pair[1] + 1

    def look(self, number: int, drawn: Example, made: Tensor, by: Judge) -> None:
        """Judge what was made of one example, and keep both."""
        judgement = judge(drawn, made, by)
        self.add(judgement.right)
        self.cases.append(Case(number, drawn, made, judgement))


def evaluate(
    folder: Path | None, settings: EvaluationSettings, *, progress: Progress = silent, cancel: Cancel = never
) -> list[Row]:
    """Rows of every kind asked for. folder: a trained set (default: the embedded one)."""
    models = load(ensure(progress=progress) if folder is None else demo_set(folder))

    def made(drawn: Example, index: int, *, projected: bool = True) -> Tensor:
        sampling = SamplingSettings(settings.steps, settings.cfg, seed=settings.seed + index)
        return make(models, drawn, sampling, projected=projected, cancel=cancel)

    def renamed_made(drawn: Example, index: int, *, projected: bool = True) -> Tensor:
        return made(otherwise(drawn, index), index, projected=projected)

    before = [_Part(kind, kind, made) for kind in kinds() if settings.wants(kind)]
    behind = []
    if settings.wants("projector"):
        behind += [
            _Part("text_to_image, projector off", "text_to_image", partial(made, projected=False)),
            _Part("text_to_image, other names", "text_to_image", renamed_made),
            _Part("text_to_image, other names, projector off", "text_to_image", partial(renamed_made, projected=False)),
        ]
    if settings.wants("vae"):
        decoded = partial(_through_vae, models.engine)
        behind += [_Part(f"{kind}, VAE alone", kind, decoded) for kind in SEEN_THROUGH_VAE]
    total = len(before + behind) * settings.count
    rows = {}
    for number, part in enumerate(before + behind):
        rows[part.title] = row = Row(part.title)
        for index, drawn in examples(part.kind, settings, cancel):
            progress(_STAGE, number * settings.count + index, total)
            row.look(index, drawn, part.maker(drawn, index), settings.judge)
    words = [_questions(models, subject, settings, cancel) for subject in QUESTIONS
             if settings.wants(f"questions {subject}")]  # fmt: skip
    if settings.wants("planner"):
        words += _plans(models, settings, cancel)
    return [*(rows[part.title] for part in before), *words, *(rows[part.title] for part in behind)]


@dataclass(frozen=True)
class _Part:
    """Examples of one kind. maker: (example, its number) -> what is made of it [T, H, W, 3]."""

    title: str
    kind: str
    maker: Callable[[Example, int], Tensor]


def examples(kind: str, settings: EvaluationSettings, cancel: Cancel = never) -> Iterator[tuple[int, Example]]:
    """The examples of `kind` that a seed stands for, in wordings that training never saw."""
    for index in range(settings.count):
        check(cancel, _STAGE)
        seed = f"held out {kind} {settings.seed} {index}"
        yield index, example(kind, Random(seed), held_out=True, canvas=settings.canvas)


def otherwise(drawn: Example, number: int) -> Example:
    """The example with every colour and shape in its instruction called otherwise (`demo/world/names.py`)."""
    text = drawn.instruction
    language: Language = "en" if text.isascii() else "zh"
    return replace(drawn, instruction=renamed(text, Random(f"otherwise {number}"), language=language))


@torch.no_grad()
def _through_vae(engine: Any, drawn: Example, index: int) -> Tensor:
    """What should be made, encoded and decoded: better than this no video model can do with this VAE."""
    frames: Tensor = engine.decode(engine.encode(to_signed(drawn.target)))
    return frames


def _questions(models: Models, subject: Subject, settings: EvaluationSettings, cancel: Cancel) -> Row:
    from ...plan.prompt import parse_pads
    from ...planner.answers import AnswerSettings
    from .qwen import media_of

    row = Row(f"questions {subject}")
    for index in range(settings.count * ASKED):
        check(cancel, _STAGE)
        asked: Question = question(subject, Random(f"held out {subject} {settings.seed} {index}"), held_out=True)
        short = AnswerSettings(max_new_tokens=32)
        answer = models.planner.answer(parse_pads(asked.prompt), media_of(asked), short, cancel=cancel)
        right = answer == asked.answer
        row.add({"exact answer": right, asked.kind: right})
        if not right:
            row.wrong.append(Told(asked.prompt, asked.answer, answer, asked.medium))
    return row


def _plans(models: Models, settings: EvaluationSettings, cancel: Cancel) -> list[Row]:
    """Held-out plans of the plain templates, and of all wordings with any size and length."""
    from ..planning_data import draw, draw_plain
    from ..planning_score import evaluate as score

    count = settings.count * PLANNED
    rows = []
    for name, drawn in (("planner", draw_plain), ("planner, any size and length", draw)):
        result = score(models.planner, drawn(count, settings.seed, held_out=True), cancel=cancel)
        measures = {key: list(pair) for key, pair in {**result.tasks, **result.fields}.items()}
        wrong = [Told(*one) for one in result.wrong]
        rows.append(Row(name, {"exact plan": list(result.all)} | measures, wrong=wrong))
    return rows


def table(rows: Sequence[Row]) -> list[str]:
    """The rows as a Markdown table."""
    lines = ["| kind | measure | right | share |", "|---|---|---|---|"]
    for row in rows:
        for name, (right, count) in row.measures.items():
            lines.append(f"| {row.kind} | {name} | {right} of {count} | {right / max(1, count):.0%} |")
    return lines
