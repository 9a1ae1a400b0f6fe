"""What an edit is about: the noun phrase that names the thing to find in the source, and how many are meant.

The phrase says what is there now, not what it becomes. `target` reads it from an instruction, in its words and its
language; `parse_target` makes of a phrase what a detector looks for: English, lower case, without "all" or "two".
Every order of the instruction gives a candidate, and the first that is no addition decides; an order about the whole
frame or the masked area leaves nothing to find.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from .language import Language, Text, load, nouns, simplified

# Characters of a phrase, of what is read behind a verb, and of a typed phrase.
_MOST, _OBJECT, _TYPED_MOST = 60, 200, 800
# Characters before a verb in which it is denied or turned into a noun ("without", "the").
_DENIAL = 14
# A medium, or the words for it, taken out of the text.
_MARK = "\ue801"
_CLAUSE = re.compile(r"[.!?;:()\[\]{}<>|\n]|(?<!\d),|,(?!\d)|(?<= )-+ ")
_EDGES = " \t\r\n.,;:!?'\"`*_#-/\\()[]{}<>|~\u3001\u3002\uff0c\u201c\u201d"
# A typed pad or the name of a socket is no word for a detector.
_TYPED = re.compile(r"<(?:(?:img|vid)pad|(?:image|video|mask)\d*)>", re.IGNORECASE)
# Chinese characters; a T-shirt is half of them.
_CJK = re.compile(r"(?:t(?=\u6064))?[\u3400-\u9fff]+")
_SPACE = re.compile(r"\s+")
# A phrase is translated and stripped until nothing changes; each round takes something away.
_ROUNDS = 80

_Kind = Literal["thing", "added", "skipped"]
# Kinds of Chinese words that a word like "behind" can follow.
_NAMES = ("people", "animals", "things", "unknown")
# Keys of the English verbs by what is done with their object, the longest match of a place first.
_VERBS = (
    *("target_reverse", "target_dress", "target_add", "target_remove", "target_generic"),
    *("target_replace", "target_turn", "target_make"),
)
# Keys of what tells in Chinese that several things are meant.
_SEVERAL = ("target_quantifier", "target_coordination", "target_several")
# What an order to edit says of the whole frame: what it becomes.
_BECOMES = ("into", "to", "as")


@dataclass(frozen=True)
class Target:
    """What to find. plural: all that are found, not only the best one."""

    phrase: str
    plural: bool


@dataclass(frozen=True)
class _Candidate:
    """The object of one order: where it stands, its words as said, and what is done with it.

    whole: nothing is to be found when the object is the whole frame; else the order only opens the instruction.
    """

    start: int
    words: str
    kind: _Kind = "thing"
    whole: bool = True


def target(text: Text, language: Language) -> Target | None:
    """The thing that the instruction edits, as said but without articles; None when it names none.

    The phrase keeps its quantifier ("all pedestrians", "two dogs"), so that it alone says how many are meant.
    """
    read = _chinese_target if language.name == "zh" else _english_target
    phrase = _clean(read(text.words, language))
    return Target(phrase, is_plural(phrase)) if phrase else None


def parse_target(target: str) -> Target:
    """A stored or typed phrase as a detector takes it: English as far as the words are known, without a quantifier."""
    phrase = _clean(target.lower())
    plural = is_plural(phrase)
    for _ in range(_ROUNDS):
        before = phrase
        phrase = _clean(_english_core(_CJK.sub(lambda m: f" {_translated(m.group())} ", phrase)))
        if phrase == before:
            break
    return Target(phrase, plural)


def is_plural(phrase: str) -> bool:
    """True when all that is found is meant: by a quantifier, "and", or the form of an English noun."""
    phrase = _clean(phrase.lower())
    if _CJK.search(phrase):
        simple, chinese = phrase.translate(simplified()), load("zh")
        return " and " in simple or any(chinese.search(key, simple) for key in _SEVERAL)
    english = load("en")
    phrase = _without(("target_lead",), phrase, english)
    if english.match("target_one_of", phrase):
        return False
    if english.match("target_quantifier", phrase):
        return True
    phrase = _without(("target_group",), phrase, english)
    stop = english.search("target_head_stop", phrase)
    head = (phrase[: stop.start()] if stop and stop.start() else phrase).strip()
    head = _without(("target_adjectives",), head, english)
    return " and " in head or _is_plural_noun(head.rpartition(" ")[2], english)


def _is_plural_noun(noun: str, english: Language) -> bool:
    """English morphology: irregular plurals, -s but not -ss or -us, no garments and tools in pairs."""
    if noun in english.words["not_plurals"]:
        return False
    if noun in english.words["plurals"] or noun.endswith(("men", "children", "people")):
        return True
    return len(noun) > 3 and noun.endswith("s") and not noun.endswith(("ss", "us", "'s", "is"))


def _clean(phrase: str) -> str:
    """`phrase` without pads, control and private characters, runs of spaces, and punctuation at its ends."""
    plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in _TYPED.sub(" ", phrase[:_TYPED_MOST]))
    return _SPACE.sub(" ", plain).strip(_EDGES)


def _is(key: str, phrase: str, language: Language) -> bool:
    return any(pattern.fullmatch(phrase) for pattern in language.patterns(key))


def _without(keys: tuple[str, ...], phrase: str, language: Language) -> str:
    """`phrase` without what the patterns of `keys` match at its start, as often as they do."""
    before = None
    while phrase != before:
        before = phrase
        for key in keys:
            if (match := language.match(key, phrase)) and match.end() < len(phrase):
                phrase = phrase[match.end() :]
    return phrase


def _cut(key: str, phrase: str, language: Language) -> str:
    """`phrase` up to the earliest match of `key`."""
    match = language.search(key, phrase)
    return phrase[: match.start()] if match else phrase


def _trimmed(key: str, phrase: str, language: Language) -> str:
    """`phrase` without what the patterns of `key` match in it, as often as they do, unless nothing would be left."""
    before = None
    while phrase != before:
        before = phrase
        for pattern in language.patterns(key):
            shorter = pattern.sub("", phrase)
            phrase = shorter if shorter.strip(_EDGES + _MARK) else phrase
    return phrase


def _shortened(phrase: str, language: Language) -> str:
    """`phrase` cut at its last boundary that keeps it within the limit."""
    if len(phrase) <= _MOST:
        return phrase
    ends = [m.start() for m in language.find("target_boundary", phrase) if 0 < m.start() <= _MOST]
    if not ends:
        return phrase[:_MOST].rsplit(" ", 1)[0]
    return phrase[: max(ends)]


def _decided(candidates: list[_Candidate], text: str, language: Language) -> tuple[str, bool]:
    """The phrase of the first candidate that names a thing, and whether to look no further without one."""
    added = set()
    for candidate in candidates:
        phrase = _thing(candidate.words, language)
        if candidate.kind == "added":
            added.add(phrase)
        if candidate.kind != "thing" or _is("target_skip", phrase, language):
            continue
        if _is_whole(candidate.words, phrase, language):
            if candidate.whole:
                return "", True
        elif _is("target_pronoun", phrase, language):
            if found := _antecedent(text[: candidate.start], language):
                return found, True
            if candidate.whole and phrase:
                return "", True
        elif phrase and phrase not in added:
            return phrase, True
    return "", False


def _is_whole(words: str, phrase: str, language: Language) -> bool:
    """True when the object is the whole frame, a medium, or the masked area."""
    said = words.strip(" ")
    medium = said.startswith(_MARK) and not phrase
    return medium or any(_is("target_whole", form, language) for form in (said, phrase))


def _antecedent(before: str, language: Language) -> str:
    """What a pronoun stands for: the last thing that was said to be there or to be wrong."""
    found = language.find("target_antecedent", before)
    for match in sorted(found, key=lambda m: (-m.start("np"), len(m.group("np")))):
        phrase = _thing(_object(match.group("np"), language), language)
        plain = phrase and not _is("target_pronoun", phrase, language) and not _is("target_skip", phrase, language)
        if plain and not _is_whole(match.group("np"), phrase, language):
            return phrase
    return ""


def _object(words: str, language: Language) -> str:
    return words if language.name == "zh" else _until_stop(words, language)


def _thing(words: str, language: Language) -> str:
    """The noun phrase in `words`, without what stands around it."""
    tidy = _chinese_thing if language.name == "zh" else _english_thing
    return _shortened(tidy(words, language), language).strip(_EDGES + _MARK)


# English: the verb first, its object behind it


def _english_target(words: str, language: Language) -> str:
    """What the verbs of `words` are about, else verbs in no list, else what something comes instead of."""
    text = _english_marked(words, language)
    candidates = _english_candidates(text, language)
    phrase, settled = _decided(candidates, text, language)
    if phrase or settled:
        return phrase
    known = any(candidate.kind != "thing" for candidate in candidates)
    for key in ("target_instead",) if known else ("target_open", "target_instead"):
        named = _named(key, text, language)
        # "Instead of black" names no thing.
        named = [c for c in named if not language.search("target_result", c.words.strip())]
        if phrase := _decided(named, text, language)[0]:
            return phrase
    return ""


def _english_marked(words: str, language: Language) -> str:
    """`words` with a mark for every medium and for words like "in the video"; quotations and masks dropped."""
    for key, mark in (("target_owner", " the "), ("target_media", f" {_MARK} "), ("target_mask", f" {_MARK} ")):
        for pattern in language.patterns(key):
            words = pattern.sub(mark, words)
    return re.sub("[ \ue800]+", " ", words)


def _english_candidates(text: str, language: Language) -> list[_Candidate]:
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


def _named(key: str, text: str, language: Language) -> list[_Candidate]:
    """The candidates that the patterns of `key` name outright, as their group "np"."""
    return [_Candidate(m.start("np"), _until_stop(m.group("np"), language), whole=False)
            for m in language.find(key, text)]  # fmt: skip


def _ordered(start: int, key: str, rest: str, language: Language) -> _Candidate:
    """The candidate of the verb of kind `key` at `start`, `rest` being what stands behind it."""
    clause = _CLAUSE.split(rest, maxsplit=1)[0]
    if key == "target_make":
        return _made(start, clause, language)
    if key == "target_turn" and not _separator(clause, language, hard=True) and "with" not in clause.split():
        return _made(start, clause, language)
    if key == "target_add":
        return _Candidate(start, _until_stop(clause, language), "added")
    whole = key != "target_generic"
    if key in ("target_replace", "target_turn", "target_generic"):
        cut = _separator(clause, language, hard=key == "target_turn")
        whole = whole or (cut is not None and cut.group() in _BECOMES)
        clause = clause[: cut.start()] if cut else clause
    elif key == "target_dress" and (cut := _separator(clause, language, key="target_dress_separator")):
        clause = clause[: cut.start()]
    return _Candidate(start, _until_stop(clause, language), whole=whole)


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


def _made(start: int, clause: str, language: Language) -> _Candidate:
    """The object of "make": what stands before the adjective, verb or noun that says what it becomes."""
    if language.match("target_new", clause.lstrip()):
        return _Candidate(start, _until_stop(clause, language), "added")
    end = len(clause)
    for match in sorted(language.find("target_result_start", clause), key=lambda m: m.start()):
        if not language.search("target_inside", clause[: match.start()]):
            end = match.start()
            break
    gets = [m for m in language.find("target_adding", clause) if m.start() <= end and clause[: m.start()].strip()]
    if gets:
        return _Candidate(start, clause[: gets[0].start()], "skipped")
    words = _until_stop(clause[:end], language).rstrip()
    while (result := language.search("target_result", words)) and _names(words[: result.start()], language):
        words = words[: result.start()].rstrip()
    return _Candidate(start, words)


def _names(words: str, language: Language) -> bool:
    """True when `words` name something and do not end in the middle of a phrase ("the man with the")."""
    last = words.strip().rpartition(" ")[2]
    return bool(last) and not _is("target_lead", last, language) and not language.search("target_inside", last + " ")


def _until_stop(words: str, language: Language) -> str:
    """`words` up to what cannot belong to the thing any more, and to an "and" that begins another order."""
    words = _joined_media(words, language)
    words = _cut("target_stop", words, language)
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
    lead = re.match(f"[ {_MARK}]*", words)
    start = lead.end() if lead else 0
    if _MARK in words[:start]:
        return _MARK
    rest = words[start:]
    for pattern in language.patterns("target_continues"):
        rest = pattern.sub("", rest)
    return rest.split(_MARK, maxsplit=1)[0]


def _english_thing(words: str, language: Language) -> str:
    """The phrase without articles, adverbs, and what of the thing is changed ("colour of"); quantifiers stay."""
    phrase = _SPACE.sub(" ", words.replace(_MARK, " ")).strip(_EDGES)
    before = None
    while phrase != before:
        before = phrase
        phrase = _trimmed("target_tail", phrase, language).strip(_EDGES)
        phrase = _without(("target_lead",), phrase, language)
        phrase = _trimmed("target_attribute", phrase, language)
    if (match := language.match("target_quantifier", phrase)) and not match.group("q").endswith(" of"):
        phrase = f"{match.group('q')} {phrase[match.end() :]}"
    return "" if language.match("target_lead", phrase + " ") else phrase


def _english_core(phrase: str) -> str:
    """A phrase of English words without articles and quantifiers; any background is "background"."""
    english = load("en")
    phrase = _without(("target_lead", "target_one_of", "target_quantifier", "target_group"), phrase, english)
    phrase = _trimmed("target_tail", _trimmed("target_article", phrase, english), english)
    return "background" if _is("target_background", phrase, english) else phrase


# Chinese: the object before its verb behind "ba", or behind the verb


def _chinese_target(words: str, language: Language) -> str:
    """What the orders of `words` are about; patterns read simplified characters, the phrase keeps its own."""
    simple = words.translate(simplified())
    said = str.maketrans({s: w for w, s in zip(words, simple, strict=True) if w != s})
    for key, mark in (("target_mask", ""), ("target_media", _MARK)):
        for pattern in language.patterns(key):
            simple = pattern.sub(mark, simple)
    simple = simple.replace("\ue800", "")
    candidates = sorted(_chinese_candidates(simple, language), key=lambda c: (c.start, -len(c.words)))
    return _decided(candidates, simple, language)[0].translate(said)


def _chinese_candidates(text: str, language: Language) -> list[_Candidate]:
    """The objects of all orders: behind "ba" or a verb, given something, made to do something, or named first."""
    candidates = []
    for key in ("target_moved", "target_order", "target_given", "target_let", "target_topic"):
        for match in language.find(key, text):
            if language.search("target_denied", text[max(0, match.start() - 6) : match.start("np")]):
                continue
            groups = match.groupdict()
            kind: _Kind = "added" if groups.get("add") else "skipped" if groups.get("skip") else "thing"
            whole = key not in ("target_order", "target_topic")
            candidates.append(_Candidate(match.start("np"), match.group("np"), kind, whole))
    return candidates + _open_candidates(text, {c.start for c in candidates}, language)


def _open_candidates(text: str, known: set[int], language: Language) -> list[_Candidate]:
    """Objects before verbs that no list holds: as many words behind "ba" as the dictionary has."""
    candidates = []
    for match in language.find("target_open", text):
        if match.start("np") in known:
            continue
        words = match.group("np").lstrip(_MARK)
        end = 0
        for token, kind in _tokens(words):
            if kind == "unknown":
                break
            end += len(token)
        if end < len(words) and not language.match("target_put", words[end:]):
            candidates.append(_Candidate(match.start("np"), words[:end]))
    return candidates


def _chinese_thing(words: str, language: Language) -> str:
    """The phrase without demonstratives and classifiers; one between place and noun becomes the particle "de"."""
    phrase = words
    before = None
    while phrase != before:
        before = phrase
        phrase = _trimmed("target_tail", phrase, language).strip(_EDGES)
        phrase = _without(("target_lead",), phrase, language)
        phrase = _trimmed("target_attribute", phrase, language)
    for pattern in language.patterns("target_middle"):
        phrase = pattern.sub("\u7684", phrase)
    return "" if _is("target_tail", phrase, language) or _is("target_lead", phrase, language) else phrase


# Chinese words for a detector that reads English


@dataclass(frozen=True)
class _Dictionary:
    """Chinese words by what they do in a phrase, and their English."""

    kinds: dict[str, str]
    english: dict[str, str]
    after: dict[str, str]
    longest: int


@lru_cache(maxsize=1)
def _dictionary() -> _Dictionary:
    data = nouns()
    kinds: dict[str, str] = {}
    english: dict[str, str] = {}
    for kind in ("places", "adjectives", "with", "things", "animals", "people"):
        for word, meaning in data[kind].items():
            kinds[word], english[word] = kind, meaning
    longest = max(map(len, [*kinds, *data["after"]]))
    return _Dictionary(kinds, english, data["after"], longest)


@dataclass
class _Phrase:
    """An English phrase under construction: words up to the head, what stands behind it, a verb that waits for "de".

    A word comes with whether it owns what follows, as people and animals do.
    """

    words: list[tuple[str, bool]]
    behind: list[str]
    verb: str = ""

    def said(self) -> str:
        """The words so far, with 's behind people and animals."""
        following = [*(word for word, _ in self.words[1:]), "and"]
        owned = (f"{word}'s" if owns and then != "and" else word
                 for (word, owns), then in zip(self.words, following, strict=False))  # fmt: skip
        return " ".join(owned)

    def close(self, preposition: str = "") -> None:
        """Turn the words so far into something that stands behind the head."""
        article = "the " if preposition and self.words else ""
        if preposition:
            self.verb = self.verb.removesuffix(" on")
        parts = (self.verb, preposition, article + self.said())
        self.behind.append(" ".join(part for part in parts if part))
        self.words, self.verb = [], ""

    def whole(self) -> str:
        if self.verb:
            self.close()
        return " ".join([part for part in (self.said(), *reversed(self.behind)) if part])


def _translated(run: str) -> str:
    """Chinese characters as English words as far as the dictionary has them; the rest stays as it is."""
    language = load("zh")
    simple = run.translate(simplified())
    said = str.maketrans({s: w for w, s in zip(run, simple, strict=True) if w != s})
    for pattern in language.patterns("target_quantifier"):
        simple = pattern.sub("", simple)
    phrase = _Phrase([], [])
    tokens = list(_tokens(simple))
    for number, (token, kind) in enumerate(tokens):
        _take(phrase, token, kind, [k for _, k in tokens[number + 1 :]])
    return phrase.whole().translate(said)


def _take(phrase: _Phrase, token: str, kind: str, later: list[str]) -> None:
    """Put one word of a Chinese phrase in its English place."""
    english = _dictionary().english.get(token, token)
    if kind == "mark" or (kind == "of" and not phrase.verb):
        return
    if kind == "of":
        phrase.close()
    elif kind == "after":
        phrase.close(_dictionary().after[token])
    elif kind == "places":
        phrase.behind.append(english)
    elif kind == "with" and "of" in later:
        # "The mask that the dancer wears" is the dancer's.
        phrase.verb = "" if later[0] == "of" else english
    elif kind == "and":
        phrase.words.append(("and", False))
    else:
        phrase.words.append((english, kind in ("people", "animals")))


def _tokens(run: str) -> Iterator[tuple[str, str]]:
    """Words of a Chinese phrase and what each does; what the dictionary lacks comes as one word, kind "unknown"."""
    known: list[tuple[str, str]] = []
    position = 0
    while position < len(run):
        word, kind = _word_at(run, position, bool(known) and known[-1][1] in _NAMES)
        if known and "unknown" in (kind, known[-1][1]) and _sticks(known[-1], (word, kind)):
            known[-1] = known[-1][0] + word, "unknown"
        else:
            known.append((word, kind))
        position += len(word)
    yield from known


def _sticks(left: tuple[str, str], right: tuple[str, str]) -> bool:
    """A single character beside an unknown one is a part of an unknown word, not a word of its own."""
    return all(len(word) == 1 or kind == "unknown" for word, kind in (left, right)) and not (
        {left[1], right[1]} & {"of", "and", "after", "mark"}
    )


def _word_at(run: str, position: int, behind_noun: bool) -> tuple[str, str]:
    """The longest word at `position`, and what it does there."""
    dictionary = _dictionary()
    for length in range(min(dictionary.longest, len(run) - position), 0, -1):
        word = run[position : position + length]
        if behind_noun and word in dictionary.after:
            return word, "after"
        if word in dictionary.kinds:
            return word, dictionary.kinds[word]
    word = run[position]
    return word, {"\u7684": "of", "\u4eec": "mark"}.get(word, "and" if _is_and(word) else "unknown")


def _is_and(word: str) -> bool:
    return any(pattern.fullmatch(word) for pattern in load("zh").patterns("target_coordination"))
