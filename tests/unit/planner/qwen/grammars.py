"""What the tests of grammar and processors share: tokenizers, and how ids become plans."""

from __future__ import annotations

import itertools
import os
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from unison_backend.plan.plan import PlanError
from unison_backend.plan.tasks import MediaKind
from unison_backend.plan.tokens import ADDED_TOKENS, parse
from unison_backend.planner.qwen.grammar import PlanGrammar, vocabulary
from unison_backend.planner.qwen.planner import MAX_PLAN_TOKENS
from unison_backend.planner.qwen.processors import PlanProcessor

KINDS: tuple[MediaKind, ...] = ("image", "video")
SHORT_LISTS = [kinds for count in range(4) for kinds in itertools.product(KINDS, repeat=count)]
STOPS = ("<|im_end|>", "<|endoftext|>")


def built(
    *, numbers: Sequence[str] = (), without: Sequence[str] = (), special: Sequence[str] = (*STOPS, *ADDED_TOKENS)
) -> Any:
    """A byte-level BPE tokenizer with `numbers` as merged tokens and without the tokens of `without`."""
    vocabulary_ids: dict[str, int] = {}
    merges: list[tuple[str, str]] = []
    for sign in sorted(set(pre_tokenizers.ByteLevel.alphabet()).difference(without)):
        vocabulary_ids[sign] = len(vocabulary_ids)
    for number in sorted(numbers, key=len):
        for end in range(2, len(number) + 1):
            if number[:end] not in vocabulary_ids:
                merges.append((number[: end - 1], number[end - 1]))
                vocabulary_ids[number[:end]] = len(vocabulary_ids)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary_ids, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in special if t not in without])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


# Numbers of two and three digits, commas with digits on either side, and what only looks like a number.
NUMBERS = [str(number) for number in range(10, 1000)]
MIXED = (
    ",4",
    ",48",
    "640,",
    "0,1",
    "1,0",
    "1,0,",
    ",,",
    "1280,720",
    "\u01206",
    "4\u0120",
    "6a",
    "-1",
    "00",
    "01",
    "16.",
)


def host_folder() -> Path:
    host = Path(os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
    return host / "comfy" / "text_encoders" / "qwen25_tokenizer"


def ids_of(tokenizer: Any, text: str) -> list[int]:
    """Ids of a plan's text, digits and commas one by one."""
    return [tokenizer.convert_tokens_to_ids(part) for part in re.findall(r"<\w+>|[0-9,]", text)]


def cut(tokenizer: Any, text: str, chance: random.Random) -> list[int]:
    """Ids of a plan's text, digits and commas cut at random into tokens that the tokenizer has."""
    found = vocabulary(tokenizer)
    ids = {piece: number for number, piece in found.pieces.items()} | found.added
    made = []
    for part in re.findall(r"<\w+>|[0-9,]+", text):
        while part:
            size = chance.choice([n for n in range(1, len(part) + 1) if part[:n] in ids])
            made.append(ids[part[:size]])
            part = part[size:]
    return made


def following(grammar: PlanGrammar, tokenizer: Any, text: str) -> set[str]:
    """The texts of the tokens that may follow `text`."""
    allowed = grammar.allowed(ids_of(tokenizer, text))
    assert allowed
    return {tokenizer.decode([number]) for number in allowed}


def accepts(grammar: PlanGrammar, ids: Sequence[int]) -> bool:
    try:
        return grammar.allowed(ids) == list(grammar.stop_ids)
    except ValueError:
        return False


def is_plan(text: str, kinds: Sequence[MediaKind]) -> bool:
    try:
        return parse(text, media=kinds).task.is_generation
    except PlanError:
        return False


def decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False))


def sampled(tokenizer: Any, grammar: PlanGrammar, generator: torch.Generator, scale: float = 1.0) -> list[int]:
    """A plan drawn from random scores through the processor, behind a prompt of three ids."""
    processor, ids = PlanProcessor(grammar, 3), [1, 2, 3]
    while len(ids) < 3 + MAX_PLAN_TOKENS and ids[-1] not in grammar.end_ids:
        scores = processor(torch.tensor([ids]), torch.randn(1, grammar.size + 5, generator=generator) * scale)[0]
        left = scores.isfinite().nonzero().flatten()
        ids.append(int(left[torch.multinomial(scores[left].softmax(-1), 1, generator=generator)]))
    return ids[3:]


def random_kinds(chance: random.Random, most: int = 12) -> list[MediaKind]:
    return [chance.choice(KINDS) for _ in range(chance.choice([0, 1, 1, 2, 2, 3, 4, most]))]
