"""The rules planner: no weights, milliseconds, English and Chinese.

It reads language, not examples: what is asked (`intent`), which medium is what (`roles`), which size and length are
said (`measures`); this file puts the three together under the grammar of plans.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...plan.controls import Control
from ...plan.mask_rule import check_mask_fits, check_masks, mask_edits
from ...plan.plan import Frame, Place, Plan, is_whole_frame, task_of
from ...plan.prompt import MASK_WORDS, Prompt
from ...plan.tasks import Output
from ...progress import Cancel, Progress, never, silent
from ..base import PlanResult
from . import controls, measures, roles
from .intent import Verdict, intent, named_output
from .language import Language, read
from .targets import target
from .text import Text

# Characters behind a medium in which a noun still names what it shows ("<pad> this cartoon figure").
_NEAR = 12


@dataclass
class _Roles:
    """Media by role while the rules work them out."""

    mask: int | None = None
    source: int | None = None
    frames: list[Frame] = field(default_factory=list)
    control: int | None = None
    control_kind: Control | None = None
    references: list[int] = field(default_factory=list)

    @property
    def taken(self) -> set[int]:
        named = {self.mask, self.source, self.control} - {None}
        return {i for i in named if i is not None} | {f.medium for f in self.frames} | set(self.references)


def plan(prompt: Prompt) -> Plan:
    """The plan of an instruction by rules alone.

    With masks among the media whatever is ordered is an edit with one of them. Raises `PlanError` for sizes and
    lengths beyond the limits, and for an order with masks that fit nothing.
    """
    text, language = read(prompt)
    verdict = intent(text, language)
    found = _Roles()
    if prompt.masks:
        output = _assign_masked(found, prompt.masks, verdict, text, language)
    else:
        output = _assign(found, verdict, text, language)
    if output == "text":
        return Plan(task_of("text", prompt.kinds),
                    prompt=prompt.text, media=prompt.kinds)  # fmt: skip
    size = measures.size(text.value, language)
    length = measures.length(text.value, language) if output == "video" else None
    task = task_of(output, prompt.kinds, edit=found.source is not None, control=found.control is not None,
                   frames=bool(found.frames), reference=bool(found.references))  # fmt: skip
    width, height = size or (None, None)
    sought = target(text, language) if found.source is not None else None
    if found.mask is not None and sought and is_whole_frame(sought.phrase):
        sought = None
    made = Plan(
        task=task,
        width=width,
        height=height,
        num_frames=length,
        frames=tuple(found.frames),
        mask=found.mask,
        source=found.source,
        references=tuple(found.references),
        control=found.control_kind,
        target=sought.phrase if sought else None,
        answer=None,
        prompt=prompt.text,
        media=prompt.kinds,
    )
    check_masks(made, prompt.masks)
    return made


def _assign(found: _Roles, verdict: Verdict | None, text: Text, language: Language) -> Output:
    """Fill `found` and tell what is to be made; "text" when nothing is."""
    if verdict is not None and verdict.kind == "ask":
        return "text"
    if not text.kinds:
        return _textual(verdict, text, language)
    output = verdict.output if verdict else None
    if _mask(found, text, language):
        return _edit_output(found, text)
    if steers := controls.control_input(verdict, output, text, language):
        found.control, found.control_kind = steers
    if verdict is None and found.control is None and not _frames(found, verdict, text, language):
        return _without_order(found, text, language)
    if verdict and verdict.kind == "edit" and "video" not in text.kinds and _said_frames(text, language):
        verdict = Verdict("make", "video")
    if verdict and verdict.kind in ("edit", "transform") and (found.control is None or verdict.kind == "edit"):
        found.control = found.control_kind = None
        return _edit(found, text, language)
    output = (
        "video"
        if found.frames
        else output or named_output(text.value, language) or _output_of_media(found, verdict, text, language)
    )
    if output == "video":
        _frames(found, verdict, text, language)
        _free_video(found, text, language)
    found.references = list(roles.media_of("image", text, found.taken))
    return output if found.source is None else _edit_output(found, text)


def _assign_masked(
    found: _Roles, masks: tuple[int, ...], verdict: Verdict | None, text: Text, language: Language
) -> Output:
    """Media that are `masks` outright make an edit of everything but a question, as a mask said in words does."""
    if verdict is not None and verdict.kind == "ask":
        return "text"
    edits = mask_edits(text.kinds, masks)
    if not edits:
        if _assign(found, verdict, text, language) != "text":
            check_mask_fits(text.kinds, masks)
        return "text"
    named = _named_mask(masks, text, language)
    edits = tuple(edit for edit in edits if edit[0] == named) or edits
    sources = sorted({source for _, source in edits})
    videos = [i for i in sources if text.kinds[i] == "video"]
    found.source = _source(videos or sources, text, language)
    found.mask = next(mask for mask, source in edits if source == found.source)
    found.references = list(roles.media_of("image", text, found.taken.union(masks)))
    return _edit_output(found, text)


def _named_mask(masks: tuple[int, ...], text: Text, language: Language) -> int | None:
    """The first of `masks` that words call the mask; words that bring in every unnamed one do not single it out."""
    for index, match in roles.linked("mask", text, language):
        everyones = text.value.endswith(MASK_WORDS.lower(), 0, match.end())
        if index in masks and not everyones and not language.search("mask_reject", match.group()):
            return index
    return None


def _textual(verdict: Verdict | None, text: Text, language: Language) -> Output:
    """No media: an order for a picture or a video, or a question."""
    if verdict is None:
        named = named_output(text.value, language)
        if named is None and measures.length(text.value, language) and measures.size(text.value, language):
            return "video"
        return named or ("image" if language.search("as_style", text.value) else "text")
    if verdict.output:
        return verdict.output
    if named := named_output(text.value, language):
        return named
    return "video" if _moves(text, language) else "image"


def _moves(text: Text, language: Language) -> bool:
    """True when a length is said or the camera moves."""
    return bool(measures.length(text.value, language) or language.search("camera", text.value))


def _mask(found: _Roles, text: Text, language: Language) -> bool:
    """A mask among the media makes an edit, whatever verb is used; its source is the other medium."""
    if len(text.kinds) < 2:
        return False
    for index, match in roles.linked("mask", text, language):
        if language.search("mask_reject", match.group()):
            continue
        rest = [i for i in range(len(text.kinds)) if i != index]
        kind = "video" if text.kinds[index] == "video" or any(text.kinds[i] == "video" for i in rest) else "image"
        fitting = [i for i in rest if text.kinds[i] == kind]
        if not fitting:
            continue
        found.mask = index
        found.source = _source(fitting, text, language)
        found.references = list(roles.media_of("image", text, found.taken))
        return True
    return False


def _edit_output(found: _Roles, text: Text) -> Output:
    assert found.source is not None
    return "video" if text.kinds[found.source] == "video" else "image"


def _edit(found: _Roles, text: Text, language: Language) -> Output:
    """An edit without a mask: a video before a picture; among several pictures the one that is changed."""
    videos = list(roles.media_of("video", text, found.taken))
    candidates = videos or list(roles.media_of("image", text, found.taken))
    found.source = _source(candidates, text, language)
    found.references = list(roles.media_of("image", text, found.taken))
    return _edit_output(found, text)


def _source(candidates: list[int], text: Text, language: Language) -> int:
    """Of several media the one that words call the source, else the one that something is put into."""
    said = [i for i, _ in roles.linked("source", text, language) if i in candidates]
    return said[0] if said else _target(candidates, text, language)


def _target(candidates: list[int], text: Text, language: Language) -> int:
    """Of several media the one that something is put into; things come "from" the others."""
    positions = {index: position for position, index in text.pads}
    # Of a very long text the middle is not read, and the media in it have no place.
    candidates = [i for i in candidates if i in positions] or candidates[:1]
    if len(candidates) == 1:
        return candidates[0]
    lent = [i for i in candidates if language.search("origin", roles.around(text, positions[i])[0])
            or language.match("origin_post", roles.around(text, positions[i])[1])]  # fmt: skip
    into = [i for i in candidates if language.search("destination", roles.around(text, positions[i])[0])
            or language.match("destination_post", roles.around(text, positions[i])[1])]  # fmt: skip
    kept = [i for i in into if i not in lent] or [i for i in candidates if i not in lent] or into or candidates
    return kept[0]


def _frames(found: _Roles, verdict: Verdict | None, text: Text, language: Language) -> bool:
    """Pictures that are the first or last frame, said as such or set in motion."""
    if found.frames:
        return True
    places: dict[int, Place] = {}
    for place in ("first", "last"):
        for index, _ in roles.linked(place, text, language):
            if text.kinds[index] == "image" and index not in found.taken and place not in places.values():
                places.setdefault(index, place)  # type: ignore[arg-type]
    pictures = list(roles.media_of("image", text, found.taken))
    if language.search("both", text.value) and len(pictures) >= 2:
        places = {pictures[0]: "first", pictures[1]: "last"}
    moved = verdict is not None and (verdict.kind == "animate" or verdict.output == "video")
    if not places and len(pictures) == 1 and moved and _is_scene(verdict, pictures[0], text, language):
        places = {pictures[0]: "first"}
    found.frames = [Frame(index, places[index]) for index in sorted(places)]
    return bool(places)


def _said_frames(text: Text, language: Language) -> bool:
    """True when words call a picture the first or last frame of something."""
    return any(
        text.kinds[index] == "image" for place in ("first", "last") for index, _ in roles.linked(place, text, language)
    )


def _is_scene(verdict: Verdict | None, index: int, text: Text, language: Language) -> bool:
    """True when the picture itself is meant to move, not the person or thing in it."""
    if verdict is not None and verdict.kind == "animate":
        return True
    position = next((p for p, i in text.pads if i == index), len(text.value))
    before, behind = roles.around(text, position)
    if language.search("reference", before) or language.search("reference", behind[:_NEAR]):
        return False
    return bool(language.search("from_scene", before) or language.match("from_scene_post", behind))


def _free_video(found: _Roles, text: Text, language: Language) -> None:
    """A video without a role in an order for a video: it is followed if that is said, else edited."""
    videos = list(roles.media_of("video", text, found.taken))
    if videos and found.control is None:
        if language.search("motion_follow", text.value):
            found.control, found.control_kind = videos[0], "pose"
        else:
            found.source = videos[0]


def _output_of_media(found: _Roles, verdict: Verdict | None, text: Text, language: Language) -> Output:
    """What is made when no noun says it: a frame or a length means a video, a control map its own kind."""
    if found.control is not None:
        return "video" if text.kinds[found.control] == "video" else "image"
    if found.frames or (verdict and verdict.kind == "animate") or _said_frames(text, language):
        return "video"
    return "video" if "video" in text.kinds or _moves(text, language) else "image"


def _without_order(found: _Roles, text: Text, language: Language) -> Output:
    """No verb orders anything: the roles and the named medium decide, else it is a question."""
    named = named_output(text.value, language)
    if named is None and language.search("edit_state", text.value):
        return _edit(found, text, language)
    if named is None and not language.search("as_style", text.value):
        return "text"
    if named == "video":
        _frames(found, Verdict("make", "video"), text, language)
        _free_video(found, text, language)
        if found.source is not None:
            return _edit_output(found, text)
    found.references = list(roles.media_of("image", text, found.taken))
    return named or "image"


class RulesPlanner:
    """The rules as a `Planner`; it has no features."""

    def plan(self, prompt: Prompt, *, progress: Progress = silent, cancel: Cancel = never) -> PlanResult:
        """See `plan`; it takes a millisecond, so there is nothing to show or to stop."""
        return PlanResult(plan(prompt))
