"""A trace as a person reads it: what the models said, and which rules matched which words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .fired import Fired, Trace
from .text import QUOTE, VIDEO_BASE

_MARK = re.compile(f"[\ue000-\ue7ff]|{QUOTE}")


def as_json(trace: Trace) -> dict[str, Any]:
    """`language`, `text` as the rules read it, `models` and `rules`, each with the `span` of its words in `text`.

    Media stand in the text as `<image>` and `<video>`, quotations as `"..."`. A span is null where the words are of a
    phrase that was taken out of the text.
    """
    return {
        "language": trace.language,
        "text": shown(trace.text),
        "models": [{"model": one.model, "said": one.said, "sure": round(one.sure, 3)} for one in trace.judged],
        "rules": [_rule(fired, trace) for fired in _in_order(trace)],
    }


def as_lines(trace: Trace) -> Iterator[str]:
    """The same in lines."""
    made = as_json(trace)
    if made["text"]:
        yield f"words    {made['text']}  ({made['language']})"
    for model in made["models"]:
        yield f"model    {model['model']}: {model['said']} ({model['sure']:.0%})"
    for rule in made["rules"]:
        place = "" if rule["span"] is None else f" at {rule['span'][0]}-{rule['span'][1]}"
        yield f"rule     {rule['name']} ({rule['file']}): {rule['matched']!r}{place}"
        yield f"         {rule['why']}"


def shown(text: str) -> str:
    """Text as read, with media and quotations as a person writes them."""
    return _MARK.sub(lambda match: _written(match.group()), text)


def _written(mark: str) -> str:
    if mark == QUOTE:
        return '"..."'
    return "<video>" if ord(mark) >= VIDEO_BASE else "<image>"


def _in_order(trace: Trace) -> list[Fired]:
    """By place in the text; what has none comes last, and is left out where the same words have one."""
    known = {(fired.rule.label, fired.matched) for fired in trace.fired if fired.span is not None}
    told = [f for f in trace.fired if f.span is not None or (f.rule.label, f.matched) not in known]
    return sorted(told, key=lambda fired: (fired.span is None, fired.span or (0, 0)))


def _rule(fired: Fired, trace: Trace) -> dict[str, Any]:
    return {
        "name": fired.rule.label,
        "file": fired.rule.file,
        "why": fired.rule.written.get("why", ""),
        "matched": shown(fired.matched),
        "span": None if fired.span is None else [len(shown(trace.text[:place])) for place in fired.span],
    }
