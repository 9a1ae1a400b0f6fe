"""The grammar of orders: lists of texts, in which `[name]` stands for an entry of another list.

`<language>/words.toml` has things, places, looks and styles; `<language>/orders.toml` wordings, beside those of the
templates (`planning_templates.json`, `planning_wordings.json`). Of every long list of words a tenth is kept for
held-out records, and no held-out wording is drawn for training.
"""

from __future__ import annotations

import re
import sys
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..planning_record import Language
from ..planning_wording import Writer, templates

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent
LONG = 20  # entries; of a list that has more, some are kept
KEPT_OF, KEPT_CHOSEN = 10, 0.5  # one in so many is kept, and how often a held-out record takes one
HELD_OUT = " held out"  # at the end of a list's name
_NOT_LETTERS = re.compile(r"[\[{][^\]}]*[\]}]|\W")
ORDERS = ("do", "could you")
_GOES_ON = re.compile(r"\{what\}(?: ?[^\W\d_]| \{| ?\[)")
_SYMBOL = re.compile(r"\[([a-z ]+)\]")
_ARTICLE = re.compile(r"\ba~ (?=([A-Za-z]+))")
_PLURAL = re.compile(r"(\w+)~s")
_SOUNDS = re.compile(r"[aeio]|hour|u(?!ni|se)", re.IGNORECASE)  # after which English says "an"


def has_grammar() -> bool:
    """Whether the lists are here; the registry's archive is without them."""
    return (FOLDER / "en").is_dir()


@cache
def lists(language: Language) -> dict[str, Any]:
    """All lists of a language by name: words in place of the templates' own, wordings beside them."""
    found = dict(templates(wide=True)[language])
    found |= read_lists(language, "words")
    for name, texts in read_lists(language, "orders").items():
        found[name] = [*found.get(name, ()), *texts]
    for name in [name for name in found if name.endswith(HELD_OUT)]:
        trained = {letters(text) for text in found[name.removesuffix(HELD_OUT)]}
        found[name] = [text for text in found[name] if letters(text) not in trained]
    return found


def letters(text: str) -> str:
    """A wording without its fields, signs and spaces: two that differ in these alone are one."""
    return _NOT_LETTERS.sub("", text)


def read_lists(language: Language, name: str) -> dict[str, list[str]]:
    """The lists of one file."""
    text = (FOLDER / language / f"{name}.toml").read_text(encoding="utf-8")
    read: dict[str, list[str]] = tomllib.loads(text)
    return read


@cache
def open_lists(language: Language, held_out: bool) -> dict[str, Any]:
    """The lists as records of one part take them: training without the words that are kept, held-out ones with both."""
    return {name: _open(texts, held_out) for name, texts in lists(language).items()}


def _open(texts: Any, held_out: bool) -> Any:
    if not isinstance(texts, list) or len(texts) < LONG or any("{" in text for text in texts):
        return texts
    kept = [text for text in texts if is_kept(text)]
    others = [text for text in texts if not is_kept(text)]
    return (kept or others, others) if held_out else others


def is_kept(text: str) -> bool:
    """Whether a word of a long list is kept for held-out records; what stands for others is not."""
    return "[" not in text and zlib.crc32(text.encode()) % KEPT_OF == 0


@dataclass
class Grammar(Writer):
    """Draws words of one language; `pick` and what builds on it fill every symbol."""

    wide: bool = True

    @property
    def words(self) -> dict[str, Any]:
        return open_lists(self.language, self.held_out)

    def pick(self, *path: str, only: Any = ()) -> str:
        """One of the texts at `path`, filled. only: those that have one of these in them."""
        if len(path) == 1 and not only:
            return self.filled(self._one(path[0]))
        return self.filled(super().pick(*path, only=only))

    def filled(self, text: str) -> str:
        """`text` with an entry for every symbol, English articles and plurals as their words want them."""
        while "[" in text:
            text = _SYMBOL.sub(self._filling, text)
        if "~" in text:
            text = _PLURAL.sub(lambda match: plural(match[1]), text)
            text = _ARTICLE.sub(lambda match: "an " if _SOUNDS.match(match[1]) else "a ", text)
        return text

    def _filling(self, symbol: re.Match[str]) -> str:
        """An entry for a symbol; an order amid a sentence begins with a small letter."""
        one, before = self._one(symbol[1]), symbol.string[: symbol.start()].rstrip()
        if symbol[1] in ORDERS and before and before[-1] not in ".!?:>" and not one.startswith(("I ", "I'")):
            one = one[:1].lower() + one[1:]
        return one

    def scene(self, moving: bool, template: str = "") -> str:
        """What is to be seen; with a style where the template does not go on behind it."""
        what = self.pick("moving scenes" if moving else "scenes")
        return what if _GOES_ON.search(template) else what + self.pick("styles")

    def _one(self, name: str) -> str:
        texts = self.words[name]
        if isinstance(texts, tuple):
            texts = texts[self.random.random() >= KEPT_CHOSEN]
        return str(self.random.choice(texts))


def plural(word: str) -> str:
    """Of a regular English noun, and of those few that the lists have."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if re.search("(?:s|x|ch|sh)$", word):
        return word + "es"
    return word[:-1] + "ies" if re.search("[^aeiou]y$", word) else word + "s"


_IRREGULAR = {
    "goose": "geese", "sheep": "sheep", "moose": "moose", "bison": "bison", "woman": "women", "man": "men",
    "fisherman": "fishermen", "businessman": "businessmen", "postman": "postmen", "bookshelf": "bookshelves",
    "dice": "dice", "glasses": "glasses", "child": "children", "scarf": "scarves",
}  # fmt: skip
