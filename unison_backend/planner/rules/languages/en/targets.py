"""What an English instruction edits: the verb first, its object behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...language import Language, load
from ...phrases import EDGES, MARK, SPACE, Candidate, cut, decided, is_, trimmed, without

# Characters of what is read behind a verb.
_OBJECT = 200
# Characters before a verb in which it is denied or turned into a noun ("without", "the").
_DENIAL = 14
_CLAUSE = re.compile(r"[.!?;:()\[\]{}<>|\n]|(?<!\d),|,(?!\d)|(?<= )-+ ")
# Keys of the English verbs by what is done with their object, the longest match of a place first.
_VERBS = (
    *("target_reverse", "target_dress", "target_add", "target_remove", "target_generic"),
    *("target_replace", "target_turn", "target_make"),
)
# What an order to edit says of the whole frame: what it becomes.
_BECOMES = ("into", "to", "as")


def english_target(words: str, language: Language) -> str:
    """What the verbs of `words` are about, else verbs in no list, else what something comes instead of."""
    text = english_marked(words, language)
    candidates = _english_candidates(text, language)
    phrase, settled = decided(candidates, text, language, _english_thing, _until_stop)
    if phrase or settled:
        return phrase
    known = any(candidate.kind != "thing" for candidate in candidates)
    for key in ("target_instead",) if known else ("target_open", "target_instead"):
        named = _named(key, text, language)
        # "Instead of black" names no thing.
        named = [c for c in named if not language.search("target_result", c.words.strip())]
        if phrase := decided(named, text, language, _english_thing, _until_stop)[0]:
            return phrase
    return ""


def english_phrases(words: str, language: Language) -> Iterator[str]:
    """All phrases behind an article or the like that name a thing and not the medium; those behind "the" first."""
    text = english_marked(words, language)
    for match in language.find("target_phrase", text):
        clause = _CLAUSE.split(text[match.start("np") : match.start("np") + _OBJECT], maxsplit=1)[0]
        found = _made(match.start(), clause, language)
        if phrase := decided([found], "", language, _english_thing, _until_stop)[0]:
            yield phrase


def english_marked(words: str, language: Language) -> str:
    """`words` with a mark for every medium and for words like "in the video"; quotations and masks dropped."""
    for key, mark in (("target_owner", " the "), ("target_media", f" {MARK} "), ("target_mask", f" {MARK} ")):
        for pattern in language.patterns(key):
            words = pattern.sub(mark, words)
    return re.sub("[ \ue800]+", " ", words)


def _english_candidates(text: str, language: Language) -> list[Candidate]:
    """The objects of all verbs that order an edit, and the subjects of which a change is said."""
    found: dict[int, tuple[int, str]] = {}
    for key in _VERBS:
        for match in language.find(key, text):
            if match.end() > found.get(match.start(), (0, ""))[0]:
                found[match.start()] = match.end(), key
    candidates = []
    for start, (end, key) in found.items():
        if not language.search("target_denied", text[max(0, start - _DENIAL) : start]):
            candidates.append(_ordered(start, key, text[end : end + _OBJECT], language))
    return sorted([*candidates, *_named("target_subject", text, language)], key=lambda c: c.start)


def _named(key: str, text: str, language: Language) -> list[Candidate]:
    """The candidates that the patterns of `key` name outright, as their group "np"."""
    return [Candidate(m.start("np"), _until_stop(m.group("np"), language), whole=False)
            for m in language.find(key, text)]  # fmt: skip


def _ordered(start: int, key: str, rest: str, language: Language) -> Candidate:
    """The candidate of the verb of kind `key` at `start`, `rest` being what stands behind it."""
    clause = _CLAUSE.split(rest, maxsplit=1)[0]
    if key == "target_make":
        return _made(start, clause, language)
    if key == "target_turn" and not _separator(clause, language, hard=True) and "with" not in clause.split():
        return _made(start, clause, language)
    if key == "target_add":
        return Candidate(start, _until_stop(clause, language), "added")
    whole = key != "target_generic"
    if key in ("target_replace", "target_turn", "target_generic"):
        parted = _separator(clause, language, hard=key == "target_turn")
        whole = whole or (parted is not None and parted.group() in _BECOMES)
        clause = clause[: parted.start()] if parted else clause
    elif key == "target_dress" and (parted := _separator(clause, language, key="target_dress_separator")):
        clause = clause[: parted.start()]
    return Candidate(start, _until_stop(clause, language), whole=whole)


def _separator(
    clause: str, language: Language, hard: bool = False, key: str = "target_separator"
) -> re.Match[str] | None:
    """What parts the thing from what it becomes: "into", "to"; "with" unless it only describes the thing.

    With `hard` "into", "to", "for" and "as" go before any "with" and "by".
    """
    found = [m for pattern in language.patterns(key) for m in pattern.finditer(clause)]
    firm = [m for m in found if m.group("hard")]
    if hard and firm:
        return firm[0]
    for number, match in enumerate(found):
        later = found[number + 1 :]
        behind = clause[match.end() :].lstrip()
        describes = language.match("target_definite", behind) or (
            later and later[0].group() == match.group() and len(clause[match.end() : later[0].start()].split()) < 3
        )
        if match.group("hard") or not later or not describes:
            return match
    return None


def _made(start: int, clause: str, language: Language) -> Candidate:
    """The object of "make": what stands before the adjective, verb or noun that says what it becomes."""
    if language.match("target_new", clause.lstrip()):
        return Candidate(start, _until_stop(clause, language), "added")
    end = len(clause)
    for match in sorted(language.find("target_result_start", clause), key=lambda m: m.start()):
        if not language.search("target_inside", clause[: match.start()]):
            end = match.start()
            break
    gets = [m for m in language.find("target_adding", clause) if m.start() <= end and clause[: m.start()].strip()]
    if gets:
        return Candidate(start, clause[: gets[0].start()], "skipped")
    words = _until_stop(clause[:end], language).rstrip()
    while (result := language.search("target_result", words)) and _names(words[: result.start()], language):
        words = words[: result.start()].rstrip()
    return Candidate(start, words)


def _names(words: str, language: Language) -> bool:
    """True when `words` name something and do not end in the middle of a phrase ("the man with the")."""
    last = words.strip().rpartition(" ")[2]
    return bool(last) and not is_("target_lead", last, language) and not language.search("target_inside", last + " ")


def _until_stop(words: str, language: Language) -> str:
    """`words` up to what cannot belong to the thing any more, and to an "and" that begins another order."""
    words = _joined_media(words, language)
    words = cut("target_stop", words, language)
    if (verb := language.search("target_aux", words)) and not language.search("target_relative", words[: verb.start()]):
        words = words[: verb.start()]
    for match in re.finditer(r"\band ", words):
        rest = words[match.end() :]
        if any(language.match(key, rest) for key in ("edit_head", "make_any", "make_image")) or language.match(
            "target_and", words[match.start() :]
        ):
            return words[: match.start()]
    return words


def _joined_media(words: str, language: Language) -> str:
    """`words` up to the first medium behind the thing's name; over one that only stands in between."""
    lead = re.match(f"[ {MARK}]*", words)
    start = lead.end() if lead else 0
    if MARK in words[:start]:
        return MARK
    rest = words[start:]
    for pattern in language.patterns("target_continues"):
        rest = pattern.sub("", rest)
    return rest.split(MARK, maxsplit=1)[0]


def _english_thing(words: str, language: Language) -> str:
    """The phrase without articles, adverbs, and what of the thing is changed ("colour of"); quantifiers stay."""
    phrase = SPACE.sub(" ", words.replace(MARK, " ")).strip(EDGES)
    before = None
    while phrase != before:
        before = phrase
        phrase = trimmed("target_tail", phrase, language).strip(EDGES)
        phrase = without(("target_lead",), phrase, language)
        phrase = trimmed("target_attribute", phrase, language)
    if (match := language.match("target_quantifier", phrase)) and not match.group("q").endswith(" of"):
        phrase = f"{match.group('q')} {phrase[match.end() :]}"
    return "" if language.match("target_lead", phrase + " ") else phrase


def english_core(phrase: str) -> str:
    """A phrase of English words without articles and quantifiers; any background is "background"."""
    english = load("en")
    phrase = without(("target_lead", "target_one_of", "target_quantifier", "target_group"), phrase, english)
    phrase = trimmed("target_tail", trimmed("target_article", phrase, english), english)
    return "background" if is_("target_background", phrase, english) else phrase
