"""The plan grammar held to token by token: whatever the model's scores, what comes out is a plan that `parse` reads.

The state is the text so far, and `signals.parse` is the only judge of it. A field only ever takes media away from the
ones behind it, so a text of whole fields can still become a plan exactly when an end token makes it one now; where
masks demand an edit, when an edit and an end token do. Inside a field, payloads that name media are listed, and sizes
and lengths are matched with the numbers within their limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Any
from weakref import WeakKeyDictionary

from ...errors import WeightsError
from ...plan.mask_rule import check_mask_fits, mask_edits
from ...plan.plan import MAX_FRAMES, MAX_SIDE, MIN_FRAMES, MIN_SIDE, PLACE_VALUES, PlanError
from ...plan.tasks import Make, MediaKind
from ...plan.tokens import ADDED_TOKENS, parse
from .chat import pad_id

ENDS = ("<CFI>", "<CFV>")
FLAGS = ("<REF>", "<CTRL>")
CLOSERS = {token: token.replace("<BO", "<EO") for token in ADDED_TOKENS if token.startswith("<BO")}
SIGNALS = ADDED_TOKENS[:12]  # without the two pads

_STOPS = ("<|im_end|>", "<|endoftext|>")  # how Qwen ends a turn and a text
_OPEN = re.compile(r"(<BO\w+>)([0-9,]*)$")


@dataclass(frozen=True)
class Vocabulary:
    """The part of a tokenizer that plans and answers need.

    added: the 14 tokens. pieces: ids of all tokens of ASCII digits and commas alone. stops: ids that end a turn.
    holes: ids below `size` that no token has.
    """

    added: dict[str, int]
    pieces: dict[int, str]
    stops: tuple[int, ...]
    holes: tuple[int, ...]
    size: int


_known: WeakKeyDictionary[Any, Vocabulary] = WeakKeyDictionary()


def vocabulary(tokenizer: Any) -> Vocabulary:
    """What `tokenizer` holds for plans; raises WeightsError when it lacks something.

    Read once (a quarter of a second for Qwen's): tokens that join it after a successful read are not seen.
    """
    if tokenizer not in _known:
        _known[tokenizer] = _read(tokenizer)
    return _known[tokenizer]


def _read(tokenizer: Any) -> Vocabulary:
    added = {token: pad_id(tokenizer, token) for token in ADDED_TOKENS}
    ids: dict[str, int] = tokenizer.get_vocab()
    # Byte-level BPE writes ASCII digits and commas as themselves; a leading space or another digit looks different.
    spelled = {number: token for token, number in ids.items() if re.fullmatch(r"[0-9,]+", token)}
    pieces = {number: token for number, token in sorted(spelled.items()) if tokenizer.decode([number]) == token}
    if missing := [sign for sign in "0123456789," if sign not in pieces.values()]:
        raise WeightsError(f"the planner's tokenizer has no token for {missing[0]!r}; use a Qwen2.5-VL folder")
    stops = [tokenizer.eos_token_id, *(ids.get(token) for token in _STOPS)]
    if not any(number is not None for number in stops):
        raise WeightsError(f"the planner's tokenizer has none of {', '.join(_STOPS)}; use a Qwen2.5-VL folder")
    size = max(ids.values()) + 1
    holes = tuple(sorted(set(range(size)).difference(ids.values())))
    return Vocabulary(added, pieces, tuple(dict.fromkeys(i for i in stops if i is not None)), holes, size)


@dataclass(frozen=True)
class _Payloads:
    """What may stand in a field: `whole` payloads, and `starts` of them; a `pair` is two of them with a comma."""

    whole: frozenset[str]
    starts: frozenset[str]
    pair: bool = False

    @classmethod
    def of(cls, words: Iterable[str], pair: bool = False) -> _Payloads:
        whole = frozenset(words)
        return cls(whole, frozenset(word[:end] for word in whole for end in range(len(word) + 1)), pair)

    def holds(self, payload: str) -> bool:
        """Whether the field may close behind `payload`, which is a start."""
        return (payload.partition(",")[2] if self.pair else payload) in self.whole

    def begins(self, payload: str) -> bool:
        """Whether `payload` can be gone on with, or be closed."""
        if self.pair and "," in payload:
            first, _, payload = payload.partition(",")
            return first in self.whole and payload in self.starts
        return payload in self.starts


@cache
def _numbers(low: int, high: int, pair: bool = False) -> _Payloads:
    return _Payloads.of(map(str, range(low, high + 1)), pair)


_ENDS_OF: dict[Make, tuple[str, ...]] = {"picture": ("<CFI>",), "video": ("<CFV>",)}


class PlanGrammar:
    """The plans for one instruction with media of `kinds`, as sets of next ids.

    With `make` the first token must begin a plan, for a picture or a video where it says so; with "auto" a first token
    that is no signal token ends the planning, and the answer is a generation of its own. Any order of fields is as good
    as any other here. With `masks`, indices into `kinds`, every plan is an edit with one of them; where they fit
    nothing there is no plan. Raises WeightsError when the tokenizer lacks an added token, a digit or an end of turn,
    and PlanError when a plan is demanded and there is none.
    """

    def __init__(
        self, tokenizer: Any, kinds: Sequence[MediaKind], *, make: Make = "auto", masks: Sequence[int] = ()
    ) -> None:
        self.kinds, self.masks = tuple(kinds), tuple(masks)
        self.force_plan = make != "auto"
        self._ends = _ENDS_OF.get(make, ENDS)
        if self.force_plan:
            check_mask_fits(self.kinds, self.masks)
        self._mask_edits = [f"{mask},{source}" for mask, source in mask_edits(self.kinds, self.masks)]
        self._vocabulary = vocabulary(tokenizer)
        self._after_text: dict[str, dict[int, str]] = {}
        self._payloads: dict[tuple[str, str], _Payloads] = {}

    @property
    def added_ids(self) -> tuple[int, ...]:
        """The 14 added tokens in their order; none of them belongs in an answer."""
        return tuple(self._vocabulary.added.values())

    @property
    def signal_ids(self) -> tuple[int, ...]:
        """The 12 tokens of plans: the added ones without the two pads."""
        return tuple(self._vocabulary.added[token] for token in SIGNALS)

    @property
    def end_ids(self) -> tuple[int, ...]:
        """<CFI> and <CFV>: the last token of a plan."""
        return tuple(self._vocabulary.added[token] for token in ENDS)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """What ends a turn; all that may follow a plan, or a first token that says there is none."""
        return self._vocabulary.stops

    @property
    def barred_first(self) -> tuple[int, ...]:
        """Added tokens that cannot begin a plan for these media: pads, closing tokens, fields that lack a medium."""
        return tuple(number for number in self.added_ids if number not in self._after(""))

    @property
    def size(self) -> int:
        """Rows that the model's head must have: one more than the tokenizer's highest id."""
        return self._vocabulary.size

    def is_signal(self, token_id: int) -> bool:
        """Whether `token_id` is one of the 12 tokens of plans."""
        return token_id in self.signal_ids

    def allowed(self, generated: Sequence[int]) -> list[int] | None:
        """Ids that may follow `generated`, the ids behind the prompt; None for a free first token (`barred_first`).

        Never empty: behind the end token only `stop_ids`. Raises ValueError when `generated` left the grammar.
        """
        if not self.force_plan and not generated:
            return None
        if not self.force_plan and generated[0] not in self.added_ids:
            return list(self.stop_ids)
        text = ""
        for position, number in enumerate(generated):
            if text.endswith(ENDS):
                break
            following = self._after(text)
            if number not in following:
                raise ValueError(f"token {number} at position {position} cannot follow {text!r} in a plan")
            text += following[number]
        return list(self._after(text))

    def _after(self, text: str) -> dict[int, str]:
        """Ids that may follow `text`, each with the text it adds."""
        if text not in self._after_text:
            self._after_text[text] = self._find(text)
        return self._after_text[text]

    def _find(self, text: str) -> dict[int, str]:
        if text.endswith(ENDS):
            return dict.fromkeys(self._vocabulary.stops, "")
        if field := _OPEN.search(text):
            return self._inside(text[: field.start()], field[1], field[2])
        names = [end for end in self._ends if self._is_plan(text + end)]
        names += [flag for flag in FLAGS if self._is_alive(text + flag)]
        names += [opener for opener in CLOSERS if next(self._fitting(text, opener), None) is not None]
        return {self._vocabulary.added[name]: name for name in names}

    def _inside(self, before: str, opener: str, payload: str) -> dict[int, str]:
        """Ids that may follow the field `opener` with `payload` so far, behind the whole fields `before`."""
        payloads, closer = self._payloads_of(before, opener), CLOSERS[opener]
        found = {number: piece for number, piece in self._vocabulary.pieces.items() if payloads.begins(payload + piece)}
        return found | ({self._vocabulary.added[closer]: closer} if payloads.holds(payload) else {})

    def _payloads_of(self, before: str, opener: str) -> _Payloads:
        if opener == "<BORES>":
            return _numbers(MIN_SIDE, MAX_SIDE, pair=True)
        if opener == "<BONF>":
            return _numbers(MIN_FRAMES, MAX_FRAMES)
        if (before, opener) not in self._payloads:
            self._payloads[before, opener] = _Payloads.of(self._fitting(before, opener))
        return self._payloads[before, opener]

    def _fitting(self, before: str, opener: str) -> Iterator[str]:
        """Payloads with which `opener` may follow `before`; for sizes and lengths one that stands for all."""
        if opener == "<BOEDIT>":
            return self._edits(before)
        places = [",".join(map(str, values)) for count in range(1, len(PLACE_VALUES) + 1)
                  for values in permutations(PLACE_VALUES.values(), count)]  # fmt: skip
        payloads = {"<BORES>": [f"{MIN_SIDE},{MIN_SIDE}"], "<BONF>": [str(MIN_FRAMES)], "<BOFIDX>": places}[opener]
        return (payload for payload in payloads if self._is_alive(before + opener + payload + CLOSERS[opener]))

    def _edits(self, before: str) -> Iterator[str]:
        """Sources, and masks with sources. What else fits depends on their kinds alone, so each kind is tried once;
        with `masks` it also depends on where the other masks stand."""
        if self.masks:
            yield from (edit for edit in self._mask_edits if self._is_alive(f"{before}<BOEDIT>{edit}<EOEDIT>"))
            return
        alive: dict[tuple[MediaKind, ...], bool] = {}
        for count in (1, 2):
            for media in permutations(range(len(self.kinds)), count):
                kinds = tuple(self.kinds[index] for index in media)
                payload = ",".join(map(str, media))
                if kinds not in alive:
                    alive[kinds] = self._is_alive(f"{before}<BOEDIT>{payload}<EOEDIT>")
                if alive[kinds]:
                    yield payload

    def _is_alive(self, text: str) -> bool:
        """Whether whole fields can still become a plan."""
        edits = [""]
        if self.masks and "<BOEDIT>" not in text:
            edits = [f"<BOEDIT>{edit}<EOEDIT>" for edit in self._mask_edits]
        return any(self._is_plan(text + edit + end) for edit in edits for end in self._ends)

    def _is_plan(self, text: str) -> bool:
        try:
            return parse(text, media=self.kinds, masks=self.masks).task.is_generation
        except PlanError:
            return False
