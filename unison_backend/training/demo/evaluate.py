"""`unison eval demo`: what a trained embedded set gets right, each claim checked by pixels or by exact words.

Every generation runs as a person's would: the rules plan the instruction (in wordings that training never saw), the
pipeline prepares the sources, the engine samples with the default negative prompt, edits are composited.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from ...demo.set import CFG, DemoSet, ensure
from ...demo.world.canvas import SHIPPED, Canvas
from ...demo.world.questions import Question, Subject, question
from ...demo.world.reading import Seen, overlap, read_frame
from ...demo.world.tasks import Example, example, kinds
from ...engine.vace_context import to_signed
from ...errors import InputError
from ...plan.geometry import SIDE_MULTIPLE
from ...plan.spec import resolve
from ...progress import Cancel, Progress, check, never, silent

NEAR = 0.12  # a centre is right within this, in widths and heights
AREA = 0.35  # an area is right within this share
WAY = 0.2  # a thing has moved when its centre went this far
FRAME_ERROR = 0.05  # mean absolute error of a given frame
KEPT = 2 / 255  # of pixels that an edit leaves alone
CONTROL_OVERLAP = 0.8
QUESTIONS: tuple[Subject, ...] = ("text", "image", "video")
PLANNED = 10  # held-out plans for each count of examples
SEEN_THROUGH_VAE = ("text_to_image", "image_control", "text_to_video", "video_control")


@dataclass(frozen=True)
class EvaluationSettings:
    """count: examples of each kind; steps, cfg, seed: of sampling; only: kinds to look at (empty: all).

    canvas: of pictures and videos that are asked for.
    """

    count: int = 20
    steps: int = 20
    cfg: float = CFG
    seed: int = 0
    only: tuple[str, ...] = ()
    canvas: Canvas = SHIPPED

    def __post_init__(self) -> None:
        known = (*kinds(), *(f"questions {subject}" for subject in QUESTIONS), "planner", "projector", "vae")
        for kind in self.only:
            if kind not in known:
                raise InputError(f"there is no kind {kind!r}; the kinds are {', '.join(known)}")
        if self.count < 1:
            raise InputError(f"count is {self.count}; it has to be at least 1")
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


@dataclass
class Row:
    """One kind's measures: name to how often it was right, of how many."""

    kind: str
    measures: dict[str, list[int]] = field(default_factory=dict)

    def add(self, found: dict[str, bool]) -> None:
        """Count one example's measures."""
        for name, right in found.items():
            pair = self.measures.setdefault(name, [0, 0])
            pair[0], pair[1] = pair[0] + bool(right), pair[1] + 1


@dataclass
class Models:
    """The loaded set. negative: the text context of the default negative prompt, the same for every example."""

    engine: Any
    encoder: Any
    projector: Any
    planner: Any
    negative: Tensor


def evaluate(
    folder: Path | None, settings: EvaluationSettings, *, pictures: Path | None = None,
    progress: Progress = silent, cancel: Cancel = never,
) -> list[Row]:  # fmt: skip
    """Rows of every kind asked for. folder: a trained set (default: the embedded one)."""
    from ...demo.set import demo_set

    models = load(ensure(progress=progress) if folder is None else demo_set(folder))
    wanted = [kind for kind in kinds() if settings.wants(kind)]
    rows = []
    for number, kind in enumerate(wanted):
        row, frames = Row(kind), []
        for index, drawn in _examples(kind, settings, cancel):
            progress("evaluating", number * settings.count + index, len(wanted) * settings.count)
            made = make(models, drawn, settings, seed=settings.seed + index, cancel=cancel)
            row.add(judge(drawn, made))
            frames.append((drawn, made))
        rows.append(row)
        if pictures is not None:
            write_sheet(pictures / f"{kind.replace(' ', '_')}.png", frames)
    rows += [
        _questions(models, subject, settings, cancel) for subject in QUESTIONS if settings.wants(f"questions {subject}")
    ]
    if settings.wants("planner"):
        rows += _plans(models, settings, cancel)
    if settings.wants("projector"):
        rows.append(_without_projector(models, settings, cancel))
    if settings.wants("vae"):
        rows += [_through_vae(models, kind, settings, cancel) for kind in SEEN_THROUGH_VAE]
    return rows


def _examples(kind: str, settings: EvaluationSettings, cancel: Cancel) -> Iterator[tuple[int, Example]]:
    """The examples of `kind` that a seed stands for, in wordings that training never saw."""
    for index in range(settings.count):
        check(cancel, "evaluating")
        seed = f"held out {kind} {settings.seed} {index}"
        yield index, example(kind, Random(seed), held_out=True, canvas=settings.canvas)


def load(files: DemoSet) -> Models:
    """The set's models on the CPU in float32, loaded like anyone's."""
    from ...conditioning.projector import load_projector
    from ...conditioning.text_context import clean_text, negative_prompt, text_context
    from ...conditioning.text_encoder import load_text_encoder
    from ...engine.engine import Engine
    from ...planner.qwen.loading import load_qwen
    from ...planner.qwen.planner import QwenPlanner

    encoder = load_text_encoder(files.text_encoder, dtype=torch.float32)
    return Models(
        Engine.load(files.vace, files.vae, torch.device("cpu")),
        encoder,
        load_projector(files.projector),
        QwenPlanner(load_qwen(files.planner, files.lora, dtype="fp32")),
        text_context(encoder.encode(clean_text(negative_prompt()))),
    )


def make(
    models: Models, drawn: Example, settings: EvaluationSettings, *, seed: int, projected: bool = True,
    cancel: Cancel = never,
) -> Tensor:  # fmt: skip
    """The example's instruction made into frames [T, H, W, 3], as the pipeline makes it."""
    from ...annotators.bind import map_maker
    from ...conditioning.projector import project
    from ...conditioning.text_context import clean_text, text_context
    from ...engine.settings import SamplingSettings
    from ...media.from_tensors import TensorMedia, footage, still
    from ...plan.prompt import parse_pads
    from ...planner.rules.plan import RulesPlanner
    from ...sources.composite import composite
    from ...sources.masks import FEATHER
    from ...sources.prepare import Annotators, prepare

    prompt = parse_pads(drawn.instruction)
    items = [
        still(medium[0], "picture") if len(medium) == 1 else footage(medium, Fraction(24), "clip")
        for medium in drawn.media
    ]
    media = TensorMedia.of([f"medium {index}" for index in range(len(items))], items)
    plan = RulesPlanner().plan(prompt).plan
    # Edge maps are recognised as what they are and left alone.
    maps = Annotators(make_map=map_maker({}))
    sources = prepare(plan, resolve(plan, media.infos), media, silent, cancel, annotators=maps)
    features = models.planner.features(prompt, cancel=cancel)
    tokens = project(models.projector, features) if projected else None
    positive = text_context(models.encoder.encode(clean_text(prompt.text)), tokens)
    sampling = SamplingSettings(settings.steps, settings.cfg, seed=seed)
    frames: Tensor = models.engine.generate(sources, positive, models.negative, sampling, cancel=cancel)
    if plan.source is None:
        return frames
    return composite(frames, sources.video, sources.mask, FEATHER)


def judge(drawn: Example, made: Tensor) -> dict[str, bool]:
    """Whether each thing that the example's instruction asks for is to be seen in `made`."""
    if made.shape != drawn.target.shape:
        return {"size and length": False}
    found = {"size and length": True}
    task = drawn.task.value
    if task.endswith("editing"):
        return found | _judge_edit(drawn, made)
    middle = made[len(made) // 2]
    seen, thing = read_frame(middle), drawn.scene.things[-1]
    found |= {"colour": seen.colour == thing.colour, "shape": seen.shape == thing.shape}
    found["colour and shape"] = found["colour"] and found["shape"]
    found["background"] = seen.background == drawn.scene.background
    if task == "text_to_image":
        wanted = read_frame(drawn.target[0])
        found["place"] = _near(seen, wanted)
        found["size"] = abs(seen.area / max(1, wanted.area) - 1) < AREA
    if task.endswith("control"):
        outline = torch.stack([read_frame(frame).outline for frame in made]).float()
        found["follows the edges"] = overlap(outline, drawn.canvas.silhouette(thing, len(made))) >= CONTROL_OVERLAP
    if len(made) > 1 and drawn.meaning.motion != "nothing":
        found["motion"] = motion_of(made) == drawn.meaning.motion
    if task == "image_to_video":
        given = [index for index in range(len(made)) if bool((drawn.sources.mask[index] == 0).all())]
        errors = [(made[index] - drawn.target[index]).abs().mean().item() for index in given]
        found["given frames"] = max(errors) <= FRAME_ERROR
    return found


def _judge_edit(drawn: Example, made: Tensor) -> dict[str, bool]:
    """Outside the mask nothing changed; inside stands what was asked for, in every frame that is looked at."""
    mask = drawn.sources.mask
    outside = _far_from(mask)
    kept = bool(((made - drawn.target).abs().amax(-1)[outside] <= KEPT).all())
    middle = len(made) // 2
    seen = read_frame(made[middle], mask[middle])
    if drawn.meaning.colour == "nothing":
        wrong = (made[middle] - drawn.target[middle]).abs().mean(-1)[mask[middle] > 0.5].mean().item()
        return {"outside untouched": kept, "asked change": wrong <= FRAME_ERROR}
    colour, shape = seen.colour == drawn.meaning.colour, seen.shape == drawn.meaning.shape
    return {"outside untouched": kept, "colour": colour, "shape": shape, "asked change": colour and shape}


def _far_from(mask: Tensor) -> Tensor:
    """Pixels beyond the composite's feather."""
    from torch.nn import functional

    from ...sources.masks import FEATHER

    reach = 2 * FEATHER + 1
    return functional.max_pool2d(mask[:, None], reach, 1, FEATHER)[:, 0] == 0


def _near(one: Seen, other: Seen) -> bool:
    return abs(one.x - other.x) < NEAR and abs(one.y - other.y) < NEAR


def motion_of(frames: Tensor) -> str:
    """Which way the thing goes from the first frame to the last."""
    first, last = read_frame(frames[0]), read_frame(frames[-1])
    if first.colour is None or last.colour is None:
        return "nothing"
    dx, dy = last.x - first.x, last.y - first.y
    if max(abs(dx), abs(dy)) < WAY:
        return "still"
    if abs(dx) > abs(dy):
        return "right" if dx > 0 else "left"
    return "down" if dy > 0 else "up"


def _questions(models: Models, subject: Subject, settings: EvaluationSettings, cancel: Cancel) -> Row:
    from ...plan.prompt import parse_pads
    from ...planner.answers import AnswerSettings
    from .qwen import media_of

    row = Row(f"questions {subject}")
    for index in range(settings.count * 5):
        check(cancel, "evaluating")
        asked: Question = question(subject, Random(f"held out {subject} {settings.seed} {index}"), held_out=True)
        short = AnswerSettings(max_new_tokens=32)
        answer = models.planner.answer(parse_pads(asked.prompt), media_of(asked), short, cancel=cancel)
        right = answer == asked.answer
        row.add({"exact answer": right, asked.kind: right})
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
        right, total = (sum(pair[index] for pair in result.tasks.values()) for index in (0, 1))
        rows.append(Row(name, {"exact plan": [right, total]} | measures))
    return rows


def _without_projector(models: Models, settings: EvaluationSettings, cancel: Cancel) -> Row:
    """Text to image once more without the projected tokens."""
    row = Row("text_to_image, projector off")
    for index, drawn in _examples("text_to_image", settings, cancel):
        made = make(models, drawn, settings, seed=settings.seed + index, projected=False, cancel=cancel)
        row.add(judge(drawn, made))
    return row


def _through_vae(models: Models, kind: str, settings: EvaluationSettings, cancel: Cancel) -> Row:
    """What should be made, encoded and decoded: better than this no video model can do with this VAE."""
    row = Row(f"{kind}, VAE alone")
    for _, drawn in _examples(kind, settings, cancel):
        with torch.no_grad():
            row.add(judge(drawn, models.engine.decode(models.engine.encode(to_signed(drawn.target)))))
    return row


def table(rows: Sequence[Row]) -> list[str]:
    """The rows as a Markdown table."""
    lines = ["| kind | measure | right | share |", "|---|---|---|---|"]
    for row in rows:
        for name, (right, count) in row.measures.items():
            lines.append(f"| {row.kind} | {name} | {right} of {count} | {right / max(1, count):.0%} |")
    return lines


def write_sheet(path: Path, frames: Sequence[tuple[Example, Tensor]]) -> None:
    """What was wanted above what was made: first, middle and last frame of each example."""
    from ...media.write import write_image

    columns = []
    for drawn, made in frames:
        for index in sorted({0, len(made) // 2, len(made) - 1}):
            columns.append(torch.cat([drawn.target[index], made[index]]))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, torch.cat(columns, dim=1).numpy())
