"""An instruction and its files become a plan that is resolved: whoever plans, what the person set over it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..media.from_files import FileMedia
from ..media.moving import is_moving, shown_kind
from ..plan import overrides
from ..plan.length import Length
from ..plan.names import naming
from ..plan.plan import MAIN, Plan
from ..plan.prompt import Prompt
from ..plan.segments import Segmenting
from ..plan.spec import DEFAULTS, GenerationSpec, Limits, Reason, resolve
from ..plan.tasks import Make
from ..progress import Cancel, Progress, never, silent
from ..sources.given import GivenSources, put

if TYPE_CHECKING:
    from torch import Tensor

    from ..planner.base import Planner, PlanResult
    from ..planner.rules.intent_model import Reading

# So sure is a reading of words that order a picture or a video by name.
FIRM = 0.97


@dataclass(frozen=True)
class Planned:
    """An instruction's plan with its media, what will be made of it, and the planner's features if it has any."""

    prompt: Prompt
    plan: Plan
    spec: GenerationSpec
    media: FileMedia
    features: Tensor | None = None
    reading: Reading | None = None


def make_plan(
    prompt: Prompt,
    settings: dict[str, Any] | None = None,
    planner: Planner | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
    given: GivenSources | None = None,
    make: Make = "auto",
    length: Length = "reference",
    segmenting: Segmenting | None = None,
    limits: Limits = DEFAULTS,
) -> Planned:
    """Plan `prompt`, put the person's own `settings` and `given` files over it and resolve it against its files.

    planner: the rules planner by default. make: what is to come out of it, whatever the words seem to say. length:
    how much of a source video is made. segmenting: how a long video is made; None: at once. limits: what the
    models make where nothing is said.
    Raises PlanError, PromptError, InputError, MediaError, Cancelled.
    """
    from ..planner.by_motion import with_motion
    from ..planner.by_pixels import with_seen_mask
    from ..planner.rules.plan import RulesPlanner

    settings, given = settings or {}, _with_main_noun(given or GivenSources(), prompt)
    media = FileMedia(prompt.media)
    # Files are looked at first: a planner that is a model must not run for an instruction that cannot be made.
    _ = media.infos
    planner = planner or RulesPlanner()

    def ask(of: Prompt, make: Make = make) -> PlanResult:
        shown = FileMedia(of.media, media).to_show()
        return planner.plan(of, make=make, media=shown, progress=progress, cancel=cancel)

    def drafted(of: Prompt) -> Plan:
        return overrides.apply(ask(of).plan, settings, limits)

    # An edit's source moves, whatever the words alone would have made of it.
    edits = given.mask or given.mask_phrase or given.outpaint
    prompt = with_motion(prompt, _moving(prompt), None if edits else drafted)
    media = FileMedia(prompt.media, media)
    result = ask(prompt)
    if given.mask is None and given.mask_phrase is None and "mask" not in settings:
        result = with_seen_mask(result, prompt, ask, lambda index: media.look(index, cancel), make)
    if (wanted := _made_of_control(given, result)) and make == "auto" and "output" not in settings:
        result = ask(prompt, wanted)
        why = Reason("output", f"the control file is a {wanted}, so a {wanted} is made", is_warning=True)
        result = replace(result, notices=(why, *result.notices))
    # What is to be made is settled first: files beside words that ask for nothing would be media of a question.
    plan = overrides.apply(result.plan, {key: value for key, value in settings.items() if key == "output"})
    plan, media = put(plan, media, given)
    with naming(media.labels):
        plan = overrides.apply(plan, settings, limits)
    spec = resolve(
        plan, media.infos, limits, settings.get("fps"), labels=media.labels, length=length, segmenting=segmenting
    )
    return Planned(
        prompt=prompt,
        plan=plan,
        spec=replace(spec, reasons=(*result.notices, *spec.reasons)),
        media=media,
        features=result.features,
        reading=result.reading,
    )


def _with_main_noun(given: GivenSources, prompt: Prompt) -> GivenSources:
    """The word that is to be looked for, where the person leaves it to the instruction."""
    if given.mask_phrase != MAIN:
        return given
    from ..planner.rules.main_noun import main_noun

    return replace(given, mask_phrase=main_noun(prompt))


def _moving(prompt: Prompt) -> set[int]:
    """The pictures that are several frames."""
    return {i for i, m in enumerate(prompt.media) if m.kind == "image" and m.path and is_moving(Path(m.path))}


def _made_of_control(given: GivenSources, result: PlanResult) -> Make | None:
    """What a control file makes of words that do not say firmly whether they want a picture or a video."""
    if given.control_file is None or result.reading is None or result.reading.sure > FIRM:
        return None
    made: Make = "picture" if shown_kind(given.control_file) == "image" else "video"
    return made if result.reading.intent in ("picture", "video") and made != result.reading.intent else None
