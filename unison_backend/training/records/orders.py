"""Records of the grammar: a plan is drawn, then worded, so that its tokens are right by construction."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Literal

from ...plan.plan import Frame, Plan
from ...plan.prompt import parse_pads
from ...plan.tasks import Task
from ..intent.sentences import intent_of
from ..planning_record import IMAGE_PAD, VIDEO_PAD, Language, Record
from ..planning_wording import tidy
from .grammar import Grammar

Maker = Callable[[Task, Grammar], Record]
_SPOKEN = re.compile(r"\b([Aa]) (?=(?:8\d*|11|18)\b|8\d*x|1[18]x)")  # numbers that begin with a vowel
BARE = 0.35  # of what is made from words alone, how often without an order
STILL_MASK = 0.3  # of video edits, how many have a picture as their mask


def order(task: Task, language: Language, random: Random, *, held_out: bool = False) -> Record:
    """One record of `task`, of one of its kinds."""
    kinds = KINDS.get(task, _ASKED)
    maker = random.choices([maker for maker, _ in kinds], [weight for _, weight in kinds])[0]
    return maker(task, Grammar(language, random, held_out))


def _made(
    task: Task, writer: Grammar, text: str, *, intent: str = "", keeps: bool = False, tokens: str | None = None,
    **fields: Any,
) -> Record:  # fmt: skip
    """The record of a text with its pads. fields: the plan's; tokens: in their place where no plan has them all."""
    text = _SPOKEN.sub(r"\1n ", tidy(text, writer))
    media = parse_pads(text).kinds
    said = Plan(task, media=media, prompt=text, **fields).tokens if tokens is None else tokens
    return Record(task, writer.language, text, said, media, intent or intent_of(task), keeps)


def _pad(task: Task) -> str:
    return VIDEO_PAD if task.output == "video" else IMAGE_PAD


def _words_alone(task: Task, writer: Grammar) -> Record:
    moving = task.output == "video"
    bare = not writer.held_out and writer.random.random() < BARE
    template = writer.pick(f"bare {task.output}") if bare else writer.template("text_to")
    fields, words = writer.output(task, template, timed=bare and "{noun}" not in template)
    what, keywords = writer.scene(moving, template), writer.pick("keywords").lstrip(", \uff0c")
    return _made(task, writer, template.format(what=what, keywords=keywords, **words), **fields)


def _goes_on(task: Task, writer: Grammar) -> Record:
    """A clip that is continued: the tokens say a video and what is new of it; that the clip leads, no token says."""
    template, by, said = writer.template("extend"), "", ""
    if writer.random.random() < 0.75:
        kind, frames, values = writer.numbers.length(writer.random)
        while kind not in ("seconds", "frames"):
            kind, frames, values = writer.numbers.length(writer.random)
        by = writer.pick("by", only=("{n}" if kind == "frames" else "{s}",)).format(**values)
        said = f"<BONF>{frames}<EONF>"
    return _made(task, writer, template.format(clip=VIDEO_PAD, by=by), intent="extend", tokens=said + "<CFV>")


def _with_mask(task: Task, writer: Grammar) -> Record:
    return _masked(task, writer, "editing")


def _with_kept(task: Task, writer: Grammar) -> Record:
    return _masked(task, writer, "keeps")


def _masked(task: Task, writer: Grammar, name: str) -> Record:
    template = writer.template(name)
    _, words = writer.output(task, template, measured=False)
    still = task.output == "image" or writer.random.random() < STILL_MASK
    edit = writer.pick("edits")
    text = template.format(source=_pad(task), mask=IMAGE_PAD if still else VIDEO_PAD, edit=edit, **words)
    mask, source = (0, 1) if template.index("{mask}") < template.index("{source}") else (1, 0)
    return _made(task, writer, text, keeps=name == "keeps", mask=mask, source=source)


def _without_mask(task: Task, writer: Grammar) -> Record:
    template = writer.template("editing without mask")
    _, words = writer.output(task, template, measured=False)
    edit, caption = writer.pick("edits"), writer.pick("captions")
    return _made(task, writer, template.format(source=_pad(task), edit=edit, caption=caption, **words), source=0)


def _outpainted(task: Task, writer: Grammar) -> Record:
    template = writer.template("outpaint")
    _, words = writer.output(task, template, measured=False)
    return _made(task, writer, template.format(source=_pad(task), **words), intent="outpaint", source=0)


def _restyled(task: Task, writer: Grammar) -> Record:
    template = writer.template("restyle")
    _, words = writer.output(task, template, measured=False)
    return _made(task, writer, template.format(source=_pad(task), **words), intent="restyle", control="map")


def _along_with_reference(task: Task, writer: Grammar) -> Record:
    """Of two pictures the tokens make the first the map, so that it has to stand first."""
    template = writer.template("reference control")
    while task.output == "image" and template.index("{control}") > template.index("{reference}"):
        template = writer.template("reference control")
    first = template.index("{reference}") < template.index("{control}")
    return _controlled(task, writer, template, references=(0 if first else 1,))


def _along_map(task: Task, writer: Grammar) -> Record:
    return _controlled(task, writer, writer.template("control"))


def _along_medium(task: Task, writer: Grammar) -> Record:
    return _controlled(task, writer, writer.template("map made"))


def _controlled(task: Task, writer: Grammar, template: str, **more: Any) -> Record:
    fields, words = writer.output(task, template)
    pad, what = _pad(task), writer.scene(task.output == "video", template)
    text = template.format(control=pad, source=pad, reference=IMAGE_PAD, map=writer.pick("maps"),
                           place=writer.pick("places"), what=what, **words)  # fmt: skip
    return _made(task, writer, text, control="map", **fields, **more)


def _with_reference(task: Task, writer: Grammar) -> Record:
    return _referring(task, writer, "reference")


def _with_references(task: Task, writer: Grammar) -> Record:
    return _referring(task, writer, "references")


def _referring(task: Task, writer: Grammar, name: str) -> Record:
    template, moving = writer.template(name), task.output == "video"
    fields, words = writer.output(task, template)
    place = writer.pick("places")
    if moving and writer.random.random() < 0.6:
        place += (", " if writer.language == "en" else "\uff0c") + writer.pick("actions")
    text = template.format(reference=IMAGE_PAD, what=writer.scene(moving, template), place=place, **words)
    return _made(task, writer, text, references=tuple(range(template.count("{reference}"))), **fields)


_FRAMES: dict[str, tuple[Literal["first", "last"], ...]] = {
    "first": ("first",), "last": ("last",), "both": ("first", "last"),
}  # fmt: skip


def _from_frames(task: Task, writer: Grammar) -> Record:
    which = writer.random.choice(("first", "first", "first", "last", "both"))
    template = writer.template(which)
    fields, words = writer.output(task, template)
    text = template.format(frame=IMAGE_PAD, what=writer.scene(True, template), **words)
    return _made(task, writer, text, frames=tuple(Frame(n, place) for n, place in enumerate(_FRAMES[which])), **fields)


def _asked(task: Task, writer: Grammar) -> Record:
    text = writer.template(f"questions {task.value.split('_')[0]}").format(
        image=IMAGE_PAD,
        video=VIDEO_PAD,
        thing=writer.pick("one thing"),
        place=writer.pick("places"),
        country=writer.pick("countries"),
        x=writer.random.randint(2, 90 if task.value.startswith("video") else 2000),
        y=writer.random.randint(2, 240),
    )
    return _made(task, writer, text)


_ASKED: Sequence[tuple[Maker, float]] = ((_asked, 1.0),)
_CONTROL = ((_along_map, 0.4), (_restyled, 0.4), (_along_medium, 0.14), (_along_with_reference, 0.06))
_EDIT = ((_with_mask, 0.35), (_with_kept, 0.05), (_without_mask, 0.45), (_outpainted, 0.15))
_REFERENCE = ((_with_reference, 0.85), (_with_references, 0.15))
KINDS: dict[Task, Sequence[tuple[Maker, float]]] = {
    Task.TEXT_TO_IMAGE: ((_words_alone, 1.0),),
    Task.TEXT_TO_VIDEO: ((_words_alone, 0.93), (_goes_on, 0.07)),
    Task.IMAGE_EDITING: _EDIT,
    Task.VIDEO_EDITING: _EDIT,
    Task.IMAGE_CONTROL: _CONTROL,
    Task.VIDEO_CONTROL: _CONTROL,
    Task.IMAGE_REFERENCE: _REFERENCE,
    Task.VIDEO_REFERENCE: _REFERENCE,
    Task.IMAGE_TO_VIDEO: ((_from_frames, 1.0),),
}
