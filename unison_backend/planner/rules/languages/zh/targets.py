"""What a Chinese instruction edits: the object before its verb behind "ba", or behind the verb."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...language import Language, simplified
from ...phrases import EDGES, MARK, Candidate, Kind, decided, is_, trimmed, without
from .translation import tokens


def _as_it_is(words: str, language: Language) -> str:
    return words


def chinese_target(words: str, language: Language) -> str:
    """What the orders of `words` are about; patterns read simplified characters, the phrase keeps its own."""
    simple = words.translate(simplified())
    said = str.maketrans({s: w for w, s in zip(words, simple, strict=True) if w != s})
    simple = chinese_marked(simple, language)
    candidates = sorted(_chinese_candidates(simple, language), key=lambda c: (c.start, -len(c.words)))
    return decided(candidates, simple, language, _chinese_thing, _as_it_is)[0].translate(said)


def chinese_marked(simple: str, language: Language) -> str:
    """`simple` with a mark for every medium and the words for it; quotations and masks dropped."""
    for key, mark in (("target_mask", ""), ("target_media", MARK)):
        for pattern in language.patterns(key):
            simple = pattern.sub(mark, simple)
    return simple.replace("\ue800", "")


def chinese_phrases(words: str, language: Language) -> Iterator[str]:
    """The objects of all orders, in order, and last what is added; they are simplified."""
    text = chinese_marked(words.translate(simplified()), language)
    candidates = sorted(_chinese_candidates(text, language), key=lambda c: (c.kind == "added", c.start, -len(c.words)))
    for candidate in candidates:
        if phrase := decided([replace(candidate, kind="thing")], "", language, _chinese_thing, _as_it_is)[0]:
            yield phrase


def _chinese_candidates(text: str, language: Language) -> list[Candidate]:
    """The objects of all orders: behind "ba" or a verb, given something, made to do something, or named first."""
    candidates = []
    for key in ("target_moved", "target_order", "target_given", "target_let", "target_topic"):
        for match in language.find(key, text):
            if language.search("target_denied", text[max(0, match.start() - 6) : match.start("np")]):
                continue
            groups = match.groupdict()
            kind: Kind = "added" if groups.get("add") else "skipped" if groups.get("skip") else "thing"
            whole = key not in ("target_order", "target_topic")
            candidates.append(Candidate(match.start("np"), match.group("np"), kind, whole))
    return candidates + _open_candidates(text, {c.start for c in candidates}, language)


def _open_candidates(text: str, known: set[int], language: Language) -> list[Candidate]:
    """Objects before verbs that no list holds: as many words behind "ba" as the dictionary has."""
    candidates = []
    for match in language.find("target_open", text):
        if match.start("np") in known:
            continue
        words = match.group("np").lstrip(MARK)
        end = 0
        for token, kind in tokens(words):
            if kind == "unknown":
                break
            end += len(token)
        if end < len(words) and not language.match("target_put", words[end:]):
            candidates.append(Candidate(match.start("np"), words[:end]))
    return candidates


def _chinese_thing(words: str, language: Language) -> str:
    """The phrase without demonstratives and classifiers; one between place and noun becomes the particle "de"."""
    phrase = words
    before = None
    while phrase != before:
        before = phrase
        phrase = trimmed("target_tail", phrase, language).strip(EDGES)
        phrase = without(("target_lead",), phrase, language)
        phrase = trimmed("target_attribute", phrase, language)
    for pattern in language.patterns("target_middle"):
        phrase = pattern.sub("\u7684", phrase)
    return "" if is_("target_tail", phrase, language) or is_("target_lead", phrase, language) else phrase
