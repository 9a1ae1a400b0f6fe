"""What an instruction asks for: an answer, something new, an edit, or a picture set in motion.

Every sentence gets a verdict from the verb that heads one of its clauses and from that verb's object. English puts
the verb first and the head noun before "of"; Chinese puts the head noun last; the two are read by two functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ...plan.tasks import Output
from .language import Language
from .text import Text

Kind = Literal["ask", "make", "edit", "animate", "transform"]

_SENTENCE = re.compile(r"(?<=[.!?;\u3002])(?=\s|[^\d\s.])|\n")
_CLAUSE = re.compile(
    r"(?:[,()\u3001]|(?<!\d):|:(?!\d))\s*| - |\b(?:and|then|to|so|but|by|also|please)\b\s*|(?<=[\ue000-\ue7ff])\s*"
)
_CHINESE_CLAUSE = re.compile(r"[,;!?\u3002\u3001]|(?<!\d):|:(?!\d)")
_LEADING = re.compile(r"^[\s,.:;!?()\-*\ue000-\ue7ff]+")
_FIRST_PAD = "\ue000"
_WORD = re.compile(r"[\w'-]+")


@dataclass(frozen=True)
class Verdict:
    """What one sentence asks. `output` is None where it does not say; `firm` when a verb orders it outright."""

    kind: Kind
    output: Output | None = None
    firm: bool = True


def intent(text: Text, language: Language) -> Verdict | None:
    """The verdict on the whole instruction; None when no sentence orders or asks anything."""
    if language.search("text_limit", text.value):
        return Verdict("ask", "text")
    judge = _chinese if language.name == "zh" else _english
    verdicts = [v for s in _SENTENCE.split(text.value) if s and s.strip() for v in judge(s, text, language)]
    orders = [v for v in verdicts if v.kind != "ask" and v.firm]
    if text.kinds and (new := language.search("new_medium", text.value)) and not any(v.kind == "ask" for v in verdicts):
        return Verdict("make", noun_class(new.group("noun"), language))
    asks = [v for v in verdicts if v.kind == "ask"]
    if asks and asks[0].firm:
        # Behind a question or a writing task only an outright order to make something new counts.
        orders = [v for v in orders if v.kind in ("make", "animate") and v.output is not None]
    if orders:
        return _strongest(orders, verdicts, text, language)
    if asks and (any(v.firm for v in asks) or language.name == "zh" or not named_output(text.value, language)):
        return asks[0]
    loose = next((v for v in verdicts if v.kind != "ask"), None)
    return Verdict("make", named_output(text.value, language) or loose.output, firm=False) if loose else None


def _strongest(orders: list[Verdict], verdicts: list[Verdict], text: Text, language: Language) -> Verdict:
    """Setting in motion before edit before make; an output said anywhere among the orders is kept."""
    made = any(v.kind == "make" and v.output for v in orders)
    for kind in ("animate",) if made else ("animate", "transform", "edit"):
        if found := next((v for v in orders if v.kind == kind), None):
            return found
    outputs = [v.output for v in [*orders, *verdicts] if v.kind == "make" and v.output]
    return Verdict("make", outputs[0] if outputs else named_output(text.value, language))


def named_output(text: str, language: Language) -> Output | None:
    """The medium that the result is said to be somewhere in the text ("as a short clip", "one image, horizontal")."""
    for pattern in language.patterns("as_medium"):
        kinds = [noun_class(m.group("noun"), language) for m in pattern.finditer(text)]
        if named := [kind for kind in kinds if kind in ("image", "video")]:
            return named[-1]
    return None


def noun_class(phrase: str, language: Language) -> Output | None:
    """Whether the noun that ends `phrase` is a picture, a video or a piece of writing."""
    phrase = phrase.strip()
    for kind in ("text", "video", "image"):
        if any(p.search(phrase) for p in language.patterns(f"{kind}_head")):
            return kind  # type: ignore[return-value]
    return None


def _clauses(sentence: str) -> Iterator[str]:
    yield sentence
    for match in _CLAUSE.finditer(sentence):
        yield sentence[match.end() :]


def _strip_leads(clause: str, language: Language) -> str:
    """`clause` without pads, punctuation and politeness in front of its verb."""
    before = None
    while clause != before:
        before = clause
        clause = _LEADING.sub("", clause)
        if match := language.match("lead", clause):
            clause = clause[match.end() :]
    return clause


def _english(sentence: str, text: Text, language: Language) -> Iterator[Verdict]:
    """The first clause that asks or orders decides; an order behind "and" adds to it."""
    has_media = bool(text.kinds)
    if "image" in text.kinds and language.search("animate", sentence) and not _asks_first(sentence, language):
        yield Verdict("animate", "video")
        return
    if asked := language.search("asked_for", sentence):
        yield Verdict("make", noun_class(asked.group("noun"), language))
        return
    # "<pad> is the mask" says what a medium is; with a question mark it asks.
    labels = sentence.lstrip()[:1] >= _FIRST_PAD and not sentence.rstrip().endswith("?")
    for number, clause in enumerate(_clauses(sentence)):
        rest = _strip_leads(clause, language)
        if has_media and number == 0 and language.match("edit_asked", rest):
            yield Verdict("edit")
            return
        before = _before_clause(sentence, clause)
        if before.rstrip().endswith(" to") and not language.match("purpose", _LEADING.sub("", before)):
            continue
        opens = number == 0 or not _WORD.search(before)
        opens = opens or _is_adjunct(before, language)
        if not opens and sentence.rstrip().endswith("?") and language.match("question_word", rest):
            opens = True
        if labels and language.match("ask_aux", rest):
            opens = False
        if verdict := _english_clause(rest, opens or before.rstrip().endswith(":"), has_media, language):
            if verdict.kind == "ask" and language.match("subject", _LEADING.sub("", before)):
                continue  # "The edges in <pad> give the outline: ..."
            yield verdict
            if verdict.kind == "ask" or verdict.output:
                return


def _before_clause(sentence: str, clause: str) -> str:
    return sentence[: len(sentence) - len(clause)]


def _is_adjunct(before: str, language: Language) -> bool:
    """True when `before` is one preposition phrase or condition up to its comma, so that the main clause follows."""
    before = _LEADING.sub("", before).rstrip()
    return before.count(",") <= 1 and before.endswith((",", ":")) and language.match("adjunct", before) is not None


def _asks_first(sentence: str, language: Language) -> bool:
    rest = _strip_leads(sentence, language)
    return any(language.match(key, rest) for key in ("ask_head", "ask_aux"))


def _english_clause(rest: str, opens: bool, has_media: bool, language: Language) -> Verdict | None:
    if has_media and opens and language.match("edit_asked", rest):
        return Verdict("edit")
    if opens and any(language.match(key, rest) for key in ("ask_head", "np_text")):
        return Verdict("ask", "text")
    if opens and language.match("ask_aux", rest):
        # Without a question mark it may be a condition ("Were this a winter scene, ...").
        return Verdict("ask", "text", firm="?" in rest)
    if verdict := _order(rest, has_media, language):
        return verdict
    if opens and language.match("aux_head", rest):
        return Verdict("ask", "text", firm=False)
    if opens and (match := language.match("np_start", rest)):
        return Verdict("make", noun_class(match.group("noun"), language), firm=False)
    return None


def _order(rest: str, has_media: bool, language: Language) -> Verdict | None:
    """The order that the verb at the start of `rest` gives."""
    made = {key: language.match(key, rest) for key in ("make_any", "make_image", "make_video", "want")}
    edited = language.match("edit_head", rest) if has_media else None
    if any(made.values()):
        key, verb = max(((k, m) for k, m in made.items() if m), key=lambda pair: pair[1].end())
        if edited and edited.end() > verb.end():
            # "Paint over" and "cut out" are no ways to make something.
            return Verdict("edit")
        if verdict := _made(key, verb, rest, has_media, language):
            return verdict
    if has_media and language.match("transform_head", rest):
        return Verdict("transform")
    return Verdict("edit") if edited else None


def _made(key: str, verb: re.Match[str], rest: str, has_media: bool, language: Language) -> Verdict | None:
    """The verdict on a making verb by its object."""
    after = rest[verb.end() :]
    determiner = language.match("determiner", after)
    start = determiner.end() if determiner else 0
    stop = language.search("np_stop", after[start:])
    phrase = after[: start + stop.start()] if stop else after
    kind = noun_class(phrase, language)
    if kind == "text":
        return Verdict("ask", "text")
    if kind:
        return Verdict("make", kind)
    definite = language.match("definite", phrase.strip() or after.strip())
    if (
        has_media
        and language.match("make_edit", verb.group())
        and definite
        and not language.match("measure_only", after.strip())
        and not (key == "make_image" and language.match("from_reference", after.strip()))
    ):
        return Verdict("edit")
    if key == "want":
        return None
    inside = list(language.find("medium_inside", phrase))
    if inside:
        return Verdict("make", noun_class(inside[-1].group(), language))
    default: dict[str, Output] = {"make_image": "image", "make_video": "video"}
    if key in default:
        return Verdict("make", default[key])
    return Verdict("make") if phrase.strip() else None


def _chinese(sentence: str, text: Text, language: Language) -> Iterator[Verdict]:
    """Question words and writing verbs first, then setting in motion, editing, making, clause by clause."""
    if asked := language.search("asked_for", sentence):
        yield Verdict("make", noun_class(asked.group("noun"), language))
        return
    polite = language.search("polite", sentence) if not language.search("ask_sure", sentence) else None
    asks_outright = not polite and (sentence.rstrip().endswith("?") or language.search("ask_end", sentence))
    if asks_outright or (not polite and language.match("ask_head", _strip_leads(sentence, language))):
        yield Verdict("ask", "text")
        return
    if not polite and language.search("ask_weak", sentence):
        yield Verdict("ask", "text", firm=False)
    if "image" in text.kinds and language.search("animate", sentence):
        yield Verdict("animate", "video")
        return
    edits = False
    for clause in _CHINESE_CLAUSE.split(sentence):
        # A question word behind an order belongs to the scene ("..., then he asks what her name is").
        if not polite and language.search("ask_any", clause):
            yield Verdict("ask", "text")
            return
        verdicts = list(_chinese_clause(clause, text, language)) or _wanted(clause, sentence, language)
        if edits and language.match("export", clause):
            continue  # "..., output a 1:1 picture": that of the edit
        edits = edits or any(v.kind == "edit" for v in verdicts)
        yield from verdicts
        if any(v.kind == "ask" or (v.output and v.firm) for v in verdicts):
            return


def _chinese_clause(clause: str, text: Text, language: Language) -> Iterator[Verdict]:
    if language.search("write", clause) or language.match("ask_head", _strip_leads(clause, language)):
        yield Verdict("ask", "text")
        return
    has_media = bool(text.kinds)
    if has_media and (match := language.search("transform", clause)):
        becomes = _chinese_object(clause[match.start() :], language)
        yield Verdict("make", "video") if becomes == "video" and "video" not in text.kinds else Verdict("transform")
        return
    if has_media and (edited := language.search("edit", clause)) and not _is_told(edited, clause, language):
        yield Verdict("edit")
        return
    for key, default in (("make_video", "video"), ("make_image", "image"), ("make_any", None), ("want", None)):
        match = language.search(key, clause)
        if match is None:
            continue
        kind = _chinese_object(clause[match.end() :] or clause, language)
        if kind == "text":
            yield Verdict("ask", "text")
        elif kind or default or key == "make_any":
            yield Verdict("make", kind or default)  # type: ignore[arg-type]
        if kind or default:
            return
    if language.match("np_start", _LEADING.sub("", clause)):
        yield Verdict("make", _chinese_object(clause, language), firm=False)


def _wanted(clause: str, sentence: str, language: Language) -> list[Verdict]:
    """What is wanted in `clause` and named only further on: "I need one of a train in the desert, a photo"."""
    wanted = language.search("want_one", clause)
    kind = _chinese_object(sentence[sentence.index(clause) + wanted.start() :], language) if wanted else None
    return [Verdict("make", kind)] if kind in ("image", "video") else []


def _is_told(edited: re.Match[str], clause: str, language: Language) -> bool:
    """True when the edit only happens in what is to be made: "make a video of a cat that pulls the curtain open"."""
    made = language.search("make_any", clause)
    behind = clause.rstrip("\u3002.! ")
    return bool(
        made
        and made.end() <= edited.start()
        and any(pattern.search(behind) for key in ("video_head", "image_head") for pattern in language.patterns(key))
    )


def _chinese_object(phrase: str, language: Language) -> Output | None:
    """The head noun: right behind a measure word when a clause follows it, else the last medium noun."""
    if match := language.search("measured", phrase):
        return noun_class(match.group("noun"), language)
    inside = sorted(language.find("medium_inside", phrase), key=lambda m: m.end())
    return noun_class(inside[-1].group(), language) if inside else None
