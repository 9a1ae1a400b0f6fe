"""Which medium is what, for each kind of order; for masks, what they belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...plan.borders import Borders
from ...plan.controls import Control
from ...plan.mask_rule import check_mask_fits, mask_edits
from ...plan.plan import WHOLE_FRAME, Frame, Place
from ...plan.prompt import MASK_WORDS
from ...plan.restyle import RESTYLE_BY
from ...plan.tasks import Output
from . import controls, measures, roles
from .borders import said_borders
from .firm import is_to_be_written, style_medium
from .intent_model import Intent
from .language import Language
from .mask_model import keeps, source_of
from .open_masks import FIRM, told_mask
from .roles import is_called
from .targets import excepted, somebody, target
from .text import Text

_ENDS: tuple[Place, ...] = ("first", "last")
_TOLD_APART = 32  # media of an instruction whose surroundings are read to find the one that is changed


@dataclass(frozen=True)
class Roles:
    """What is made, and which medium is what for it."""

    output: Output
    mask: int | None = None
    source: int | None = None
    frames: tuple[Frame, ...] = ()
    control: int | None = None
    control_kind: Control | None = None
    references: tuple[int, ...] = ()
    target: str | None = None
    borders: Borders | None = None
    mask_keeps: bool = False

    @property
    def taken(self) -> set[int]:
        named = (self.mask, self.source, self.control, *(frame.medium for frame in self.frames), *self.references)
        return {medium for medium in named if medium is not None}


def assigned(intent: Intent, text: Text, language: Language) -> Roles:
    """The roles of the media in an order of this kind."""
    return _BUILDERS[intent](text, language)


# One function an intent: text and language to the roles of the media.


def _ask(text: Text, language: Language) -> Roles:
    return Roles("text")


def _picture(text: Text, language: Language) -> Roles:
    return Roles("image")


def _video(text: Text, language: Language) -> Roles:
    return Roles("video")


def _edit(text: Text, language: Language) -> Roles:
    """A video before a picture; among several pictures the one that is changed; the others lend their look."""
    source = _worked_on(text, language)
    stays = excepted(text, language)
    sought = (target(text, language) or somebody(text, language)) if stays is None else stays
    if sought is not None and is_to_be_written(sought.phrase, text, language):
        sought = None
    return Roles(
        _kind(source, text),
        source=source,
        references=_rest(text, {source}),
        target=None if sought is None else sought.phrase,
        mask_keeps=stays is not None,
    )


def _restyle(text: Text, language: Language) -> Roles:
    """Without a mask nothing of a source would be kept: its shapes (for colours to come, its brightness) steer."""
    source = _worked_on(text, language, style_medium(text, language))
    by = "grey" if language.search("controls.colourise", text.value) else RESTYLE_BY
    return Roles(
        _kind(source, text), control=source, control_kind=by, references=_rest(text, {source}), target=WHOLE_FRAME
    )


def _outpaint(text: Text, language: Language) -> Roles:
    source = _worked_on(text, language)
    return Roles(_kind(source, text), source=source, borders=said_borders(text.value, language))


def _extend(text: Text, language: Language) -> Roles:
    """The clip that goes on is what the result begins with, or ends with; between two the second is its end."""
    clips = roles.media_of("video", text, set())
    leads_up = len(clips) == 1 and language.search("roles.earlier", text.value)
    places: tuple[Place, ...] = ("last",) if leads_up else _ENDS
    return Roles("video", frames=tuple(Frame(clip, place) for clip, place in zip(clips, places, strict=False)))


_SHOWS_NOBODY = ("canny", "depth")


def _control(text: Text, language: Language) -> Roles:
    """What is followed: what words call a map or say to follow, else the first video, else the first picture."""
    medium, kind = controls.control_input(text, language) or (_first_medium(text), controls.kind_said(text, language))
    output = _kind(medium, text)
    if output == "image" and (says_frames(text, language) or measures.length(text.value, language)):
        return _frames(text, language)
    frames = _frame_places(text, {medium}, language) if output == "video" else ()
    if output == "video" and not frames and language.search("roles.animate", text.value):
        frames = tuple(Frame(picture, "first") for picture in list(_rest(text, {medium}))[:1])
    taken = {medium, *(frame.medium for frame in frames)}
    return Roles(output, control=medium, control_kind=kind, frames=frames, references=_rest(text, taken))


def _frames(text: Text, language: Language) -> Roles:
    """Pictures that words call the first or last frame; else a lone picture is the first, two are both ends."""
    frames = _frame_places(text, set(), language)
    pictures = roles.media_of("image", text, set())
    if not frames:
        ends = _ENDS[: len(pictures)] if len(pictures) <= len(_ENDS) else _ENDS[:1]
        frames = tuple(Frame(picture, end) for picture, end in zip(pictures, ends, strict=False))
    taken = {frame.medium for frame in frames}
    steers = controls.control_input(text, language)
    if steers and text.kinds[steers[0]] == "video":
        return Roles("video", frames=frames, control=steers[0], control_kind=steers[1], references=_rest(text, taken))
    return Roles("video", frames=frames, references=_rest(text, taken))


def _reference_picture(text: Text, language: Language) -> Roles:
    """A lone picture of which only edges or depth are spoken of shows nobody who could appear: it steers."""
    if len(text.kinds) == 1 and (steers := controls.control_input(text, language)) and steers[1] in _SHOWS_NOBODY:
        return _control(text, language)
    return Roles("image", references=_rest(text, set()))


def _reference_video(text: Text, language: Language) -> Roles:
    """A video beside the pictures is followed if that is said, else it is what is edited."""
    videos = roles.media_of("video", text, set())
    pictures = _rest(text, set())
    if not videos:
        return Roles("video", references=pictures)
    if followed := controls.followed_motion(text, language):
        return Roles("video", control=followed[0], control_kind=followed[1], references=pictures)
    return _edit(text, language)


_BUILDERS: dict[Intent, Callable[[Text, Language], Roles]] = {
    "ask": _ask,
    "picture": _picture,
    "video": _video,
    "edit": _edit,
    "restyle": _restyle,
    "outpaint": _outpaint,
    "extend": _extend,
    "control": _control,
    "frames": _frames,
    "reference_picture": _reference_picture,
    "reference_video": _reference_video,
}


# Masks


def masked(masks: tuple[int, ...], text: Text, language: Language) -> Roles:
    """Media that are `masks` outright make an edit, as a mask said in words does."""
    edits = mask_edits(text.kinds, masks)
    if not edits:
        check_mask_fits(text.kinds, masks)
        return Roles("text")
    named = _named_mask(masks, text, language)
    edits = tuple(edit for edit in edits if edit[0] == named) or edits
    sources = sorted({source for _, source in edits})
    videos = [i for i in sources if text.kinds[i] == "video"]
    source = _source_beside(min(masks), videos or sources, text, language)
    mask = next(mask for mask, of in edits if of == source)
    return _with_mask(mask, source, text, language, also=masks)


def _named_mask(masks: tuple[int, ...], text: Text, language: Language) -> int | None:
    """The first of `masks` that words call the mask; words that bring in every unnamed one do not single it out."""
    for index, match in roles.linked("roles.mask", text, language):
        everyones = text.value.endswith(MASK_WORDS.lower(), 0, match.end())
        if index in masks and not everyones:
            return index
    return None


def said_mask(text: Text, language: Language, intent: Intent) -> Roles | None:
    """The edit that a medium makes which words call a mask, whatever verb is used; its source is the other medium."""
    if len(text.kinds) < 2:
        return None
    said = roles.said_mask(text, language)
    index, sure = _mask_in(intent, text, language, said)
    if index is None:
        return None
    rest = [i for i in range(len(text.kinds)) if i != index]
    kind = "video" if text.kinds[index] == "video" or any(text.kinds[i] == "video" for i in rest) else "image"
    fitting = [i for i in rest if text.kinds[i] == kind]
    if not fitting and index == said and sure >= FIRM:
        fitting = rest  # a moving mask of a still: the plan says that it is none
    return _with_mask(index, _source_beside(index, fitting, text, language), text, language) if fitting else None


def _mask_in(intent: Intent, text: Text, language: Language, said: int | None) -> tuple[int | None, float]:
    """The mask in an order of a kind, and how sure that is; in one that is no edit words have to call it firmly."""
    index, sure = told_mask(text, language, said)
    told = intent == "edit" or (index is not None and sure >= FIRM)
    return (index, sure) if told else (said, 1.0)


def _with_mask(mask: int, source: int, text: Text, language: Language, also: Sequence[int] = ()) -> Roles:
    sought = target(text, language)
    return Roles(
        _kind(source, text),
        mask=mask,
        source=source,
        references=_rest(text, {mask, source, *also}),
        target=None if sought is None else sought.phrase,
        mask_keeps=keeps(text.words, text.kinds),
    )


# Single media


def _kind(medium: int, text: Text) -> Output:
    return "video" if text.kinds[medium] == "video" else "image"


def _rest(text: Text, taken: set[int]) -> tuple[int, ...]:
    """The pictures that have no role yet."""
    return tuple(roles.media_of("image", text, taken))


def _first_medium(text: Text) -> int:
    return text.kinds.index("video") if "video" in text.kinds else 0


def _worked_on(text: Text, language: Language, not_this: int | None = None) -> int:
    """The medium that is changed: a video before a picture."""
    taken = set() if not_this is None else {not_this}
    videos = roles.media_of("video", text, taken)
    return source_by_rules(videos or roles.media_of("image", text, taken), text, language)


def _source_beside(mask: int, candidates: Sequence[int], text: Text, language: Language) -> int:
    """Of several media the source of an edit with a mask."""
    said = source_by_rules(candidates, text, language)
    if len(candidates) == 1:
        return said
    return source_of(text.words, text.kinds, mask, candidates, said, roles.counted(text.words, language))


def source_by_rules(candidates: Sequence[int], text: Text, language: Language) -> int:
    """Of several media the one that words call the source, else the one that something is put into."""
    among = set(candidates)
    said = next((i for i, _ in roles.linked("roles.source", text, language) if i in among), None)
    return said if said is not None else _put_into(candidates, text, language)


def _put_into(candidates: Sequence[int], text: Text, language: Language) -> int:
    """Of several media the one that something is put into; things come "from" the others."""
    positions = {index: position for position, index in text.pads}
    # Of a very long text the middle is not read, and the media in it have no place.
    candidates = [i for i in candidates if i in positions][:_TOLD_APART] or candidates[:1]
    if len(candidates) == 1:
        return candidates[0]
    lent = [i for i in candidates if is_called("origin", positions[i], text, language)]
    into = [i for i in candidates if is_called("destination", positions[i], text, language)]
    ranked = (_without(into, lent), _without(candidates, lent), into, candidates)
    return next(found for found in ranked if found)[0]


def _without(some: Sequence[int], others: Sequence[int]) -> list[int]:
    return [i for i in some if i not in others]


def _frame_places(text: Text, taken: set[int], language: Language) -> tuple[Frame, ...]:
    """Pictures that words call the first or last frame."""
    pictures = roles.media_of("image", text, taken)
    if len(pictures) >= 2 and language.search("roles.both", text.value):
        return (Frame(pictures[0], "first"), Frame(pictures[1], "last"))
    places: dict[int, Place] = {}
    for place in _ENDS:
        for index, _ in roles.linked(f"roles.{place}", text, language):
            if index in pictures and place not in places.values():
                places.setdefault(index, place)
    return tuple(Frame(index, places[index]) for index in sorted(places))


def says_frames(text: Text, language: Language) -> bool:
    """True when words call a picture the first or last frame of something."""
    return bool(_frame_places(text, set(), language))
