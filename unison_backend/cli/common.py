"""What the commands share: exit statuses, what is said where, and options as values."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import InputError, ResourceError
from ..progress import Progress, silent
from .server import server_of

if TYPE_CHECKING:
    from pathlib import Path

    from ..annotators.bind import AnnotatorPaths
    from ..pipeline.planning import Planned
    from ..plan.segments import Segmenting
    from ..plan.spec import Limits
    from ..plan.tasks import Make
    from ..planner.answers import AnswerSettings
    from ..planner.base import Planner
    from ..planner.choose import PlannerOptions
    from ..sources.given import GivenSources
    from ..sources.masks import MaskOptions

# The engine's kernels by the planner's names; SageAttention is the engine's only.
_KERNELS = {"flash": "flash_attention_2", "sage": "sdpa"}

DONE, FAILED, BAD_INPUT = 0, 1, 2


def planner_of(options: argparse.Namespace, progress: Progress = silent) -> Planner:
    """The planner of the options. Without a word of models it is the rules, and nothing heavy is imported."""
    from ..demo.fallback import find_planner
    from ..weights.find import named_folder

    named = options.models or options.planner_folder or named_folder()
    server = server_of(options)
    if options.planner in ("prompt", "server") or (options.planner == "auto" and server is not None and not named):
        from ..planner.choose import prompt_planner

        return prompt_planner(planner_options(options), progress)
    if options.planner == "rules" or (options.planner == "auto" and not named):
        from ..planner.rules.plan import RulesPlanner

        return RulesPlanner()
    from ..planner.choose import choose_planner

    found = find_planner(options.models, options.planner_folder, progress)
    return choose_planner(planner_options(options), found, progress)


def limits_of(options: argparse.Namespace) -> Limits:
    """What the models of the run make where nothing is said."""
    from ..demo.fallback import is_embedded
    from ..demo.fallback import limits_of as own

    files = ("vace", "vae", "text_encoder", "projector", "planner_folder", "planner_lora")
    return own(embedded=is_embedded(options.models, {key: getattr(options, key, None) for key in files}))


def segmenting_of(options: argparse.Namespace, limits: Limits) -> Segmenting:
    """How a long video is made: as the person says, else as the models of the run can. Raises InputError."""
    from ..plan.segments import Segmenting

    return Segmenting.chosen(options.segment, options.overlap, limits.num_frames)


def planner_options(options: argparse.Namespace) -> PlannerOptions:
    """The options that a planner's weights take."""

    from ..planner.choose import PlannerOptions

    return PlannerOptions(
        name=options.planner,
        lora=options.planner_lora,
        dtype=options.dtype,
        attention=_KERNELS.get(options.attention, options.attention),
        quantize=options.quantize,
        device=options.device,
        server=server_of(options),
        folder=options.planner_folder or (_found_planner(options) if options.planner == "prompt" else None),
        answers=answer_settings(options),
    )


def _found_planner(options: argparse.Namespace) -> Path | None:
    """The Qwen2.5-VL of a models folder that is named."""
    from ..weights.find import find, named_folder

    folder = options.models or named_folder()
    return None if folder is None else find(folder).planner


def answer_settings(options: argparse.Namespace) -> AnswerSettings:
    """How answers are given; `unison plan` has no options for it."""
    from ..planner.answers import AnswerSettings

    if not hasattr(options, "max_new_tokens"):
        return AnswerSettings()
    return AnswerSettings(options.max_new_tokens, options.temperature, options.seed, options.keep_lora)


def annotator_paths(options: argparse.Namespace) -> AnnotatorPaths:
    """Annotators that are named, and from the models folder those that are not."""
    from ..annotators.bind import AnnotatorPaths
    from ..weights.find import named_folder

    paths = AnnotatorPaths(options.detector, options.segmenter, tuple(options.control_model), options.threshold)
    return paths.completed(options.models or named_folder())


def mask_options(options: argparse.Namespace) -> MaskOptions:
    """What becomes of a mask. Raises InputError for values out of range."""
    from ..sources.masks import MaskOptions

    return MaskOptions(options.mask_fill, options.mask_grow, options.mask_blur, options.mask_scale)


def given_sources(options: argparse.Namespace) -> GivenSources:
    """Files and borders given beside the instruction."""

    from ..plan.borders import parse_borders
    from ..sources.given import GivenSources

    return GivenSources(
        mask=options.mask,
        mask_phrase=options.mask_phrase,
        control_file=options.control,
        control=options.control_kind,
        references=tuple(options.reference),
        first_frame=options.first_frame,
        last_frame=options.last_frame,
        mask_invert=options.mask_invert,
        outpaint=None if options.outpaint is None else parse_borders(options.outpaint),
    )


def prompt_of(text: str | None) -> Any:
    """The instruction with its media, `-` from standard input. Raises PromptError, InputError."""

    from ..plan.prompt import files_named, parse_paths

    if text is None:
        raise InputError("no instruction: write it behind the command, in quotes")
    prompt = parse_paths(sys.stdin.read() if text == "-" else text)
    for name in files_named(prompt):
        note(f"note: {name} is a file here, but stands in the instruction as words: did you mean ###{name}###?")
    return prompt


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """What `--set` says, by field."""

    from ..plan.overrides import parse_settings

    return parse_settings([part for group in options.set for part in group])


def make_of(options: argparse.Namespace) -> Make:
    """What is to come out, whatever the words seem to say."""
    made: Make = options.make
    return "made" if made == "auto" and options.force_plan else made


def reading_of(planned: Planned) -> dict[str, Any] | None:
    """How the rules took the words, for reports."""
    reading = planned.reading
    if reading is None:
        return None
    return {"intent": reading.intent, "sure": round(reading.sure, 3), "other": reading.other}


_muted = False
_ending: Callable[[int], tuple[bool, int]] | None = None


def mute() -> None:
    """From now on this process says nothing but why it fails: another one does for it."""
    global _muted
    _muted = True


def end_together(ending: Callable[[int], tuple[bool, int]]) -> None:
    """This process is one of several: `ending` says whether it is the one to say why they end, and their status."""
    global _ending
    _ending = ending


def put(text: str) -> None:
    """Text of the result, on standard output. Raises ResourceError when it cannot be written, BrokenPipeError."""
    if _muted:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ResourceError(f"standard output cannot be written ({error.strerror}): send it elsewhere") from error


def say(text: str) -> None:
    """A line of the result, on standard output. Raises as `put`."""
    put(text + "\n")


def note(text: str) -> None:
    """A line about the run, on standard error; nobody may be there to read it."""
    if not _muted:
        _write_line(text)


def complain(text: str, status: int = FAILED) -> int:
    """What went wrong, in one line on standard error; the exit status. Of several processes of one result the first
    that fails speaks, and all have its status."""
    speaks, status = (True, status) if _ending is None else _ending(status)
    if speaks:
        _write_line(f"unison: {text}")
    return status


def _write_line(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text + "\n")
