"""The manifest of a projector's training: which lines are samples, which are left out, and what is wrong with others.

All of it is looked at before a model is loaded, since encoding takes hours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, UnsupportedError
from ..plan import geometry
from ..plan.spec import DEFAULTS, Limits
from ..plan.tasks import Make, Task
from ..progress import Cancel, Progress, check, never, silent
from .processes import ALONE, Processes
from .sample_keys import file_key, key_of

if TYPE_CHECKING:
    from ..pipeline.planning import Planned
    from ..plan.geometry import MediaInfo

SAMPLE_VERSION = "3"  # raise it when the same pair makes another sample
ASKS = 0.97  # so sure is the reading of a question without a question mark
SHOWN = 10  # lines that are named of those that are wrong or left out
SHORTEST = 5  # frames of a video that is not a picture
_STAGE = "reading the manifest"
_MAKES: dict[str, Make] = {"image": "picture", "video": "video", "text": "answer"}
_MARKS = ("?", "\uff1f")


@dataclass(frozen=True)
class Pair:
    """One line of a manifest: an instruction (media as ###path###) and the picture or video that should come of it.

    folder: what paths in the instruction are relative to. task: what the line says it is. line: where it stands.
    """

    prompt: str
    target: Path
    folder: Path = Path()
    task: Task | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Ready:
    """A pair that makes a sample. key: of its words, plan, size and files. group: its task and language."""

    pair: Pair
    key: str
    group: tuple[str, str]


def read_manifest(path: Path) -> list[Pair]:
    """JSON lines of {"prompt": ..., "target": file}, and "task" where it is said; files are relative to the manifest.

    Raises InputError naming the line that is wrong or whose target is not there.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    pairs = [_pair(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not pairs:
        raise InputError(f"{path} has no lines; each is one prompt with its target")
    return pairs


def _pair(path: Path, number: int, line: str) -> Pair:
    where = f"{path}, line {number}"
    try:
        row = json.loads(line)
        prompt, target, task = row["prompt"], row["target"], row.get("task")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f'{where} is not of the form {{"prompt": ..., "target": ...}}') from None
    if not isinstance(prompt, str) or not isinstance(target, str):
        raise InputError(f"{where}: prompt and target have to be text")
    if task is not None and task not in list(Task):
        raise InputError(f'{where}: "task" is {task!r}; it is one of {", ".join(task for task in Task)}')
    file = path.parent / target
    if not file.is_file():
        raise InputError(f"{where}: its target {file} is not there")
    return Pair(prompt, file, path.parent, None if task is None else Task(task), number)


def make_ready(
    pairs: Sequence[Pair], limits: Limits = DEFAULTS, progress: Progress = silent, cancel: Cancel = never,
    processes: Processes = ALONE,
) -> tuple[list[Ready], list[str]]:  # fmt: skip
    """The pairs that make samples, and what is said of the others: questions make nothing and are left out.

    limits: what the models make where nothing is said. Each process reads its share. Raises InputError with the
    lines that cannot be samples (an edit without its mask, a file that is not there, a target of another kind or too
    short), and where nothing is left.
    """
    found: list[tuple[int, Ready | str | None, bool]] = []
    mine = processes.part(range(len(pairs)))
    for count, index in enumerate(mine, 1):
        check(cancel, _STAGE)
        found.append((index, *_look(pairs[index], limits, cancel)))
        progress(_STAGE, count, len(mine))
    found = sorted(processes.gathered(found), key=lambda one: one[0])
    if wrong := [told for _, told, _ in found if isinstance(told, str)]:
        raise InputError("\n".join(("these lines cannot be trained on:", *_first(wrong))))
    questions = [pairs[index] for index, told, _ in found if told is None]
    said = [*_of_questions(questions), *_of_turned([pairs[index] for index, _, is_turned in found if is_turned])]
    ready = [told for _, told, _ in found if isinstance(told, Ready)]
    if not ready:
        raise InputError("\n".join(("no line makes a picture or a video", *said)))
    return ready, said


def _look(pair: Pair, limits: Limits, cancel: Cancel) -> tuple[Ready | str | None, bool]:
    """A sample, what is wrong with the line, or None for a question; and whether the target decided what is made."""
    try:
        planned, is_turned = _read(pair, limits, cancel)
        if not planned.plan.task.is_generation:
            return None, False
        check_pair(pair, planned)
        return _ready(pair, planned), is_turned
    except (InputError, UnsupportedError) as error:
        return f"line {pair.line}: {error}", False


def _first(lines: Sequence[str]) -> list[str]:
    rest = len(lines) - SHOWN
    return [*(f"  {line}" for line in lines[:SHOWN]), *([f"  and {rest} more"] if rest > 0 else [])]


def _of_questions(pairs: Sequence[Pair]) -> Iterator[str]:
    if pairs:
        yield (
            f"left out: {_lines(pairs)}, which ask and make no picture or video (a caption that only reads like a "
            'question takes "task": "text_to_image" or "text_to_video" in its line)'
        )


def _of_turned(pairs: Sequence[Pair]) -> Iterator[str]:
    if pairs:
        yield f"{_lines(pairs)}: a picture or a video is made as the target is one, whatever the words alone would make"


def _lines(pairs: Sequence[Pair]) -> str:
    numbers = ", ".join(str(pair.line) for pair in pairs[:SHOWN])
    rest = len(pairs) - SHOWN
    return f"line{'s' if len(pairs) > 1 else ''} {numbers}{f' and {rest} more' if rest > 0 else ''}"


def plan_pair(pair: Pair, limits: Limits = DEFAULTS, cancel: Cancel = never) -> Planned:
    """What a pair's instruction makes, by the rules; a plan for an answer where it is a question.

    Words without media are a caption unless they ask: what they make is what the target is, in its shape and, for a
    video, as long as it is, where they name no size or length. Raises InputError for a "task" that the words and media
    do not make, and as `make_plan`.
    """
    return _read(pair, limits, cancel)[0]


def _read(pair: Pair, limits: Limits, cancel: Cancel) -> tuple[Planned, bool]:
    """`plan_pair`, and whether the target decided against what the words alone would have made."""
    from ..media.moving import shown_kind
    from ..pipeline.planning import make_plan
    from ..plan.prompt import parse_paths

    prompt = parse_paths(pair.prompt, pair.folder)
    kind = shown_kind(pair.target)
    limits = _shaped(limits, _info(pair.target), video=kind == "video")

    def planned(make: Make = "auto") -> Planned:
        return make_plan(prompt, limits=limits, make=make, cancel=cancel)

    if pair.task is not None:
        made = planned(_MAKES[pair.task.output])
        if made.plan.task != pair.task:
            raise InputError(
                f'its "task" is {pair.task}, but its words and media make {made.plan.task}: word it otherwise, name '
                "the files that it takes, or leave the task away"
            )
        return made, False
    made = planned()
    if prompt.media or made.plan.output == kind or _asks(pair.prompt, made):
        return made, False
    return planned(_MAKES[kind]), True


def _asks(text: str, made: Planned) -> bool:
    """Whether words without media are a question or an order for text, and no caption."""
    if made.plan.task.is_generation:
        return False
    return text.rstrip().endswith(_MARKS) or made.reading is None or made.reading.sure > ASKS


def _info(target: Path) -> MediaInfo:
    from ..media.from_files import FileMedia
    from ..media.moving import shown_kind
    from ..plan.prompt import Medium

    return FileMedia((Medium(shown_kind(target), path=str(target)),)).info(0)


def _shaped(limits: Limits, info: MediaInfo, *, video: bool) -> Limits:
    """`limits` in the target's shape, of no larger area, and no longer than it is."""
    width, height, _ = geometry.fit_to_source(info.width, info.height, 1, limits.width * limits.height)
    shaped = replace(limits, width=width, height=height)
    lengths = (geometry.round_length(count - 1) for count in range(limits.num_frames, SHORTEST - 1, -1))
    fitting = next((count for count in lengths if taken(info, count, limits.fps)[-1] < info.num_frames), None)
    return replace(shaped, num_frames=fitting) if video and fitting else shaped


def taken(info: MediaInfo, count: int, fps: Fraction | int) -> list[int]:
    """Which frames of a video are `count` frames at `fps`; they may lie beyond its end."""
    rate = float(info.fps or fps)
    return [int(index * rate / float(fps) + 1e-6) for index in range(count)]


def check_pair(pair: Pair, planned: Planned) -> None:
    """Raise where the plan cannot be made into a sample: an edit without a mask, another kind of target, a short one.

    Raises InputError, UnsupportedError.
    """
    from ..media.moving import shown_kind
    from ..sources.prepare import check_possible

    plan, spec = planned.plan, planned.spec
    if plan.source is not None and plan.mask is None and plan.borders is None and not plan.remakes_all:
        raise InputError(
            f"it edits {planned.media.label(plan.source)} without a mask; training takes one (white = change), as in "
            "'... with the mask ###mask.png###'"
        )
    check_possible(plan, planned.media, spec=spec)
    if not spec.is_complete:
        raise InputError("it holds media without files; write them as ###path###")
    check_target(pair.target, shown_kind(pair.target), _info(pair.target), spec.num_frames or 1, spec.fps)


def check_target(path: Path, kind: str, info: MediaInfo, frames: int, fps: Fraction | None) -> None:
    """Raise InputError where a target is of another kind than what is made, or shorter."""
    if kind == "image" and fps is not None:
        raise InputError(f"{path} is a picture, but its instruction makes a video")
    if kind == "video" and fps is None:
        raise InputError(f"{path} is a video, but its instruction makes a picture")
    if fps is not None and taken(info, frames, fps)[-1] >= info.num_frames:
        raise InputError(f"{path} has {info.num_frames} frames, its instruction asks for {frames} at {fps} a second")


def _ready(pair: Pair, planned: Planned) -> Ready:
    from ..planner.rules.detect import detect

    return Ready(pair, pair_key(pair, planned), (planned.plan.task.value, detect(planned.prompt.text)))


def pair_key(pair: Pair, planned: Planned) -> str:
    """The key of all that a pair's sample is made from, but for the models."""
    made = repr((replace(planned.plan, prompt="", raw=""), replace(planned.spec, reasons=())))
    paths = [pair.target, *(Path(medium.path) for medium in planned.prompt.media if medium.path)]
    return key_of([SAMPLE_VERSION, planned.prompt.text, made, *map(file_key, paths)])
