"""The plan grammar: whatever a model's scores, a plan comes out; and no plan that `parse` reads is out of reach."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers
from transformers import LogitsProcessorList

from unison_backend.errors import WeightsError
from unison_backend.plan.plan import Plan
from unison_backend.plan.tasks import MediaKind, Task
from unison_backend.plan.tokens import ADDED_TOKENS, parse
from unison_backend.planner.qwen.grammar import PlanGrammar, vocabulary
from unison_backend.planner.qwen.planner import MAX_PLAN_TOKENS
from unison_backend.planner.qwen.processors import PlanProcessor, WithoutSignals

from .grammars import (
    KINDS,
    SHORT_LISTS,
    STOPS,
    accepts,
    built,
    cut,
    decoded,
    following,
    ids_of,
    is_plan,
    random_kinds,
    sampled,
)

# Every decode is a plan


def check_sampled(tokenizer: Any, count: int) -> None:
    chance, generator = random.Random(7), torch.Generator().manual_seed(7)
    tokens: set[str] = set()
    for number in range(count):
        kinds = random_kinds(chance)
        grammar = PlanGrammar(tokenizer, kinds, make="made")
        text = decoded(tokenizer, made := sampled(tokenizer, grammar, generator, scale=(0.0, 1.0, 30.0)[number % 3]))
        plan = parse(text, media=kinds)
        assert plan.task.is_generation, text
        assert made[-1] in grammar.end_ids and len(made) <= MAX_PLAN_TOKENS
        assert not re.search(r"\b0[0-9]|\s", text)
        tokens.update(re.findall(r"<\w+>", text))
    assert tokens == set(ADDED_TOKENS[:12])


def test_a_thousand_random_media_lists_give_a_thousand_plans(demo: Any) -> None:
    check_sampled(demo, 1000)


def test_merged_digits_give_plans(merged: Any) -> None:
    check_sampled(merged, 300)


def test_the_tokenizer_of_a_comfyui_host_gives_plans(host: Any) -> None:
    check_sampled(host, 40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.sampled_from(KINDS), max_size=25), data=st.data())
def test_no_choice_leads_into_a_dead_end(merged: Any, kinds: list[MediaKind], data: st.DataObject) -> None:
    grammar, ids = PlanGrammar(merged, kinds, make="made"), list[int]()
    while not ids or ids[-1] not in grammar.end_ids:
        allowed = grammar.allowed(ids)
        assert allowed and len(ids) < MAX_PLAN_TOKENS
        ids.append(data.draw(st.sampled_from(allowed)))
    assert is_plan(decoded(merged, ids), kinds)
    assert grammar.allowed(ids) == list(grammar.stop_ids)


@cache
def model(folder: Path) -> Any:
    from transformers import Qwen2_5_VLForConditionalGeneration

    return Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()


def generated(model: Any, prompt: list[list[int]], processor: Callable[..., Any], **options: Any) -> list[list[int]]:
    ids = torch.tensor(prompt)
    with torch.no_grad():
        made = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), logits_processor=[processor], **options
        )
    return [row[ids.shape[1] :] for row in made.tolist()]


@pytest.mark.parametrize("options", [{"do_sample": False}, {"do_sample": True, "temperature": 3.0, "top_k": 0}])
def test_the_models_own_generate_gives_plans(folder: Path, demo: Any, options: dict[str, Any]) -> None:
    torch.manual_seed(5)
    chance = random.Random(5)
    for _ in range(8):
        kinds = random_kinds(chance)
        grammar = PlanGrammar(demo, kinds, make="made")
        prompts = [[chance.randrange(1000) for _ in range(9)] for _ in range(3)]
        rows = generated(
            model(folder), prompts, PlanProcessor(grammar, 9), max_new_tokens=MAX_PLAN_TOKENS,
            eos_token_id=[*grammar.end_ids, *grammar.stop_ids], pad_token_id=grammar.stop_ids[-1], **options,
        )  # fmt: skip
        for row in rows:
            last = next(position for position, number in enumerate(row) if number in grammar.end_ids)
            assert is_plan(decoded(demo, row[: last + 1]), kinds)


def test_generate_stops_behind_a_first_token_that_is_no_signal(folder: Path, demo: Any) -> None:
    grammar = PlanGrammar(demo, ["image"])
    options = {"eos_token_id": [*grammar.end_ids, *grammar.stop_ids], "pad_token_id": grammar.stop_ids[-1]}
    forced = [torch.full((1, 1), 0)]

    class Word(PlanProcessor):
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            forced.append(scores)
            if input_ids.shape[1] == self.prompt_length:
                scores[:, 65] = 1000.0
            return super().__call__(input_ids, scores)

    (row,) = generated(model(folder), [[1, 2, 3]], Word(grammar, 3), do_sample=False, max_new_tokens=30, **options)
    assert row[0] == 65 and len(row) == 2 and row[1] in grammar.stop_ids


def test_transformers_takes_the_processors_as_they_are(demo: Any) -> None:
    both = LogitsProcessorList([PlanProcessor(PlanGrammar(demo, [], make="made"), 0), WithoutSignals(demo)])
    assert torch.isinf(both(torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, len(demo)))).all()


def test_free_decoding_hardly_ever_gives_a_plan(demo: Any) -> None:
    """From a random signal token; <CFI> and <CFV> are left out as they are whole plans by themselves."""
    chance, found = random.Random(3), 0
    grammar = PlanGrammar(demo, [])
    for _ in range(1000):
        kinds, ids = random_kinds(chance), [chance.choice(grammar.signal_ids[2:])]
        while len(ids) < MAX_PLAN_TOKENS and ids[-1] not in (*grammar.end_ids, *grammar.stop_ids):
            ids.append(chance.randrange(grammar.size))
        found += is_plan(decoded(demo, ids), kinds)
    assert found < 50


# Every plan can be said


FRAMES = ("", "0", "1", "0,1", "1,0", "0,0", "2", "0,1,0")


def field(token: str, payload: str) -> list[str]:
    return [f"<BO{token}>{payload}<EO{token}>"] if payload else []


def texts(count: int) -> Iterator[list[str]]:
    """Fields of plans and of things that only look like plans for `count` media, in canonical order."""
    indices = [str(i) for i in range(count + 1)]
    edits = ["", *indices, *map(",".join, itertools.product(indices, repeat=2)), *(["0,1,2"] if count else [])]
    for size, length, frames, edit, reference, control, end in itertools.product(
        ["", "16,4096"], ["", "2400"], FRAMES, edits, ["", "<REF>"], ["", "<CTRL>"], ["<CFI>", "<CFV>"]
    ):
        yield [
            *field("RES", size), *field("NF", length), *field("FIDX", frames), *field("EDIT", edit),
            *filter(None, [reference, control]), end,
        ]  # fmt: skip


@pytest.mark.parametrize("kinds", [kinds for kinds in SHORT_LISTS if len(kinds) < 3])
def test_exactly_what_parses_is_accepted(merged: Any, demo: Any, kinds: Sequence[MediaKind]) -> None:
    """In canonical and in shuffled order, cut into tokens of one character or more."""
    chance = random.Random(len(kinds))
    single, many = (PlanGrammar(t, kinds, make="made") for t in (demo, merged))
    accepted = 0
    for parts in texts(len(kinds)):
        good = is_plan("".join(parts), kinds)
        accepted += good
        *fields, end = parts
        shuffled = [*chance.sample(fields, len(fields)), end]
        for tokenizer, grammar, order in ((demo, single, parts), (merged, many, shuffled)):
            assert accepts(grammar, cut(tokenizer, "".join(order), chance)) == good, (order, kinds)
    assert accepted >= 6


@pytest.mark.parametrize("kinds", [kinds for kinds in SHORT_LISTS if len(kinds) == 3])
def test_exactly_what_parses_is_accepted_with_three_media(demo: Any, kinds: Sequence[MediaKind]) -> None:
    chance, grammar = random.Random(3), PlanGrammar(demo, kinds, make="made")
    for parts in chance.sample(list(texts(3)), 800):
        *fields, end = parts
        text = "".join([*chance.sample(fields, len(fields)), end])
        assert accepts(grammar, ids_of(demo, text)) == is_plan(text, kinds), (text, kinds)


def test_many_media_are_counted_in_two_digits(merged: Any) -> None:
    kinds: list[MediaKind] = ["image"] * 11 + ["video"]
    grammar, chance = PlanGrammar(merged, kinds, make="made"), random.Random(2)
    for mask, source in itertools.product(range(-1, 14), range(14)):
        text = f"<BOEDIT>{f'{mask},' if mask >= 0 else ''}{source}<EOEDIT>"
        for end in ("<CFI>", "<CFV>"):
            assert accepts(grammar, cut(merged, text + end, chance)) == is_plan(text + end, kinds), text + end


def test_plans_of_the_rules_are_accepted(tokenizer: Any) -> None:
    """Canonical text, as the tokenizer itself cuts it."""
    plans = [
        Plan(media=("image", "video", "image"), task=Task(task), **fields)  # type: ignore[arg-type]
        for task, fields in [
            ("text_to_image", {"width": 4096, "height": 16}),
            (
                "video_editing",
                {"width": 640, "height": 480, "num_frames": 72, "mask": 0, "source": 1, "references": (2,)},
            ),
            ("image_editing", {"mask": 2, "source": 0}),
        ]
    ]
    for plan in plans:
        assert plan.tokens
        grammar = PlanGrammar(tokenizer, plan.media, make="made")
        assert accepts(grammar, tokenizer(plan.tokens, add_special_tokens=False).input_ids), plan.tokens


@pytest.mark.parametrize(
    ("before", "after", "low", "high"),
    [
        ("<BORES>", ",16<EORES><CFI>", 16, 4096),
        ("<BORES>4096,", "<EORES><CFV>", 16, 4096),
        ("<BONF>", "<EONF><CFV>", 1, 2400),
    ],
)
def test_numbers_are_those_within_the_limits(demo: Any, before: str, after: str, low: int, high: int) -> None:
    grammar = PlanGrammar(demo, [], make="made")
    taken = [n for n in range(high + 20) if accepts(grammar, ids_of(demo, f"{before}{n}{after}"))]
    assert taken == list(range(low, high + 1))
    for wrong in ("", "016", "0", "00", "4096,", ",", "16,16", "99999", "160000"):
        assert not accepts(grammar, ids_of(demo, before + wrong + after)), wrong


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("<BORES>", "1 2 3 4 5 6 7 8 9"),
        ("<BORES>1", "0 1 2 3 4 5 6 7 8 9"),
        ("<BORES>16", "0 1 2 3 4 5 6 7 8 9 ,"),
        ("<BORES>409", "0 1 2 3 4 5 6 ,"),
        ("<BORES>4096", ","),
        ("<BORES>16,409", "0 1 2 3 4 5 6 <EORES>"),
        ("<BONF>240", "0 <EONF>"),
        ("<BONF>2400", "<EONF>"),
    ],
)
def test_digits_one_by_one(demo: Any, text: str, allowed: str) -> None:
    assert following(PlanGrammar(demo, []), demo, text) == set(allowed.split())


def test_merged_pieces_stay_within_the_limits(merged: Any) -> None:
    grammar = PlanGrammar(merged, ["image", "image"])
    found = following(grammar, merged, "<BORES>1")
    assert {"10", "99", "640", "1", "6"} <= found and not {",4", "0,1", ",", "-1", " 6", "6a"} & found
    assert "00" in found and ",48" in following(grammar, merged, "<BORES>640")
    assert {"640,", "1280,720"} <= (first := following(grammar, merged, "<BORES>"))
    assert not {"01", "00", "0,1", ",,"} & first
    assert following(grammar, merged, "<BOFIDX>") == {"0", "1", "0,", "1,", "0,1", "1,0"}
    assert following(grammar, merged, "<BOEDIT>") == {"0", "1", "0,", "1,", "0,1", "1,0"}
    assert following(grammar, merged, "<BOEDIT>0") == {",", "<EOEDIT>"}


# Exclusions, one by one

IMAGE, VIDEO, BOTH = ["image"], ["video"], ["image", "video"]


@pytest.mark.parametrize(
    ("kinds", "text", "yes", "no"),
    [
        ([], "", "<CFI> <CFV> <BORES> <BONF>", "<BOFIDX> <BOEDIT> <REF> <CTRL>"),
        (IMAGE, "", "<BOFIDX> <BOEDIT> <REF> <CTRL>", "<EORES> <EONF> <EOFIDX> <EOEDIT> <IMGPAD> <VIDPAD>"),
        (VIDEO, "", "<BOEDIT> <CTRL>", "<BOFIDX> <REF>"),
        ([], "<BONF>9<EONF>", "<CFV>", "<CFI> <BONF>"),
        (IMAGE, "<BOFIDX>0<EOFIDX>", "<CFV>", "<CFI> <BOFIDX> <REF> <CTRL> <BOEDIT>"),
        (BOTH, "<BOFIDX>0<EOFIDX>", "<CTRL> <BOEDIT>", "<REF>"),
        (["image", "image"], "<BOFIDX>0<EOFIDX>", "<REF>", "<CTRL> <BOEDIT>"),
        (["image", "image"], "<BOFIDX>0,1<EOFIDX>", "<CFV>", "<REF>"),
        (IMAGE, "<BOFIDX>0", "<EOFIDX>", ", 1"),
        (["image", "image"], "<BOFIDX>0,", "1", "0"),
        (["image", "image"], "<BOFIDX>1,", "0", "1"),
        (IMAGE, "<BOEDIT>", "0", "1"),
        (IMAGE, "<BOEDIT>0", "<EOEDIT>", ", 0"),
        (IMAGE, "<BOEDIT>0<EOEDIT>", "<CFI>", "<CFV> <BONF> <BOFIDX> <REF> <CTRL> <BOEDIT>"),
        (VIDEO, "<BOEDIT>0<EOEDIT>", "<CFV> <BONF>", "<CFI> <CTRL> <REF>"),
        (BOTH, "<BOEDIT>0,", "1", "0 2"),
        (BOTH, "<BOEDIT>1", "<EOEDIT>", ","),
        (["video", "video"], "<BOEDIT>1,0<EOEDIT>", "<CFV>", "<CFI> <CTRL>"),
        (BOTH, "<BONF>9<EONF><BOEDIT>", "0 1", "2"),
        (BOTH, "<BONF>9<EONF><BOEDIT>0", ",", "<EOEDIT>"),
        (IMAGE, "<REF>", "<CFI> <CFV> <BONF>", "<REF> <CTRL> <BOEDIT> <BOFIDX>"),
        (BOTH, "<REF>", "<CTRL> <BOEDIT>", "<BOFIDX>"),
        (BOTH, "<REF><CTRL>", "<CFV>", "<CFI> <BOEDIT>"),
        (BOTH, "<CTRL>", "<CFI> <CFV> <BOFIDX> <REF> <BONF>", "<CTRL>"),
        (BOTH, "<CTRL><BOFIDX>1<EOFIDX>", "<CFV>", "<CFI> <REF> <BOEDIT>"),
        ([], "<BORES>16,16<EORES>", "<CFI> <CFV> <BONF>", "<BORES> <EORES>"),
        ([], "<CFI>", "<|im_end|> <|endoftext|>", "<CFV> <BORES>"),
    ],
)
def test_what_one_token_excludes(demo: Any, kinds: list[MediaKind], text: str, yes: str, no: str) -> None:
    found = following(PlanGrammar(demo, kinds, make="made"), demo, text)
    assert set(yes.split()) <= found and not found & set(no.split())


# The first token and the end


def test_a_free_first_token_is_anything_but_a_plans_impossible_beginning(demo: Any) -> None:
    grammar = PlanGrammar(demo, ["video"])
    assert grammar.allowed([]) is None
    scores = torch.randn(2, len(demo) + 9)
    left = PlanProcessor(grammar, 4)(torch.zeros(2, 4, dtype=torch.long), scores)
    barred = [t for t in ADDED_TOKENS if t.startswith("<EO") or t in ("<IMGPAD>", "<VIDPAD>", "<REF>", "<BOFIDX>")]
    assert sorted(grammar.barred_first) == sorted(demo.convert_tokens_to_ids(barred))
    assert torch.isneginf(left[:, list(grammar.barred_first)]).all()
    kept = [number for number in range(scores.shape[1]) if number not in grammar.barred_first]
    assert torch.equal(left[:, kept], scores[:, kept])


def test_behind_a_first_token_without_signal_planning_stops(demo: Any) -> None:
    grammar = PlanGrammar(demo, ["image"])
    for first in (0, 40, grammar.stop_ids[0], len(demo) + 3):
        assert grammar.allowed([first]) == grammar.allowed([first, 7, 8]) == list(grammar.stop_ids)
    with pytest.raises(ValueError, match="token 0 at position 0"):
        PlanGrammar(demo, ["image"], make="made").allowed([0])


def test_behind_the_end_only_ends_of_turn(tokenizer: Any) -> None:
    grammar = PlanGrammar(tokenizer, [])
    stops = [tokenizer.convert_tokens_to_ids(token) for token in STOPS]
    for end in grammar.end_ids:
        assert set(stops) <= set(grammar.stop_ids)
        assert grammar.allowed([end]) == grammar.allowed([end, stops[0], stops[1], stops[1]]) == list(grammar.stop_ids)


@pytest.mark.parametrize("text", ["<EORES>", "<IMGPAD>", "<REF>", "<BORES>,", "<BORES>16<EORES>", "<BONF>9<EONF><CFI>"])
def test_ids_outside_the_grammar_are_named(demo: Any, text: str) -> None:
    ids = ids_of(demo, text)
    with pytest.raises(ValueError, match=f"token {ids[-1]} at position {len(ids) - 1} cannot follow"):
        PlanGrammar(demo, []).allowed(ids)


def test_what_is_handed_out_may_be_changed(demo: Any) -> None:
    grammar = PlanGrammar(demo, [], make="made")
    first = grammar.allowed([])
    assert first
    first.clear()
    assert grammar.allowed([])


# The tokenizer


def test_ids_come_from_the_tokenizer(tokenizer: Any) -> None:
    grammar = PlanGrammar(tokenizer, [])
    assert tokenizer.convert_ids_to_tokens(list(grammar.added_ids)) == list(ADDED_TOKENS)
    assert grammar.signal_ids == grammar.added_ids[:12] and grammar.end_ids == grammar.added_ids[:2]
    assert [n for n in range(len(tokenizer)) if grammar.is_signal(n)] == sorted(grammar.signal_ids)
    pieces = vocabulary(tokenizer).pieces
    assert all(re.fullmatch("[0-9,]+", piece) and tokenizer.decode([n]) == piece for n, piece in pieces.items())
    assert set("0123456789,") <= set(pieces.values())


def test_only_ascii_digits_and_commas_are_pieces(merged: Any) -> None:
    pieces = set(vocabulary(merged).pieces.values())
    assert {"640", ",48", "1280,720", "00"} <= pieces
    assert not {" 6", "4 ", "6a", "-1", "16."} & pieces
    wide = built(numbers=["".join(pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str("\uff16")[0][0])])
    assert wide.decode(wide("\uff16").input_ids) == "\uff16" and len(vocabulary(wide).pieces) == 11


@pytest.mark.parametrize("token", ADDED_TOKENS)
def test_a_missing_added_token_is_named(token: str) -> None:
    with pytest.raises(WeightsError, match=f"does not know {token}"):
        PlanGrammar(built(without=[token]), [])


@pytest.mark.parametrize("sign", ["7", ","])
def test_a_missing_digit_is_named(sign: str) -> None:
    with pytest.raises(WeightsError, match=f"no token for '{sign}'"):
        PlanGrammar(built(without=[sign]), [])


def test_a_missing_end_of_turn_is_named() -> None:
    with pytest.raises(WeightsError, match=r"none of <\|im_end\|>"):
        PlanGrammar(built(special=ADDED_TOKENS), [])


def test_a_tokenizer_that_lacked_a_token_is_read_again() -> None:
    grown = built(special=[*STOPS, *ADDED_TOKENS[:5]])
    with pytest.raises(WeightsError):
        PlanGrammar(grown, [])
    grown.add_special_tokens({"additional_special_tokens": list(ADDED_TOKENS)})
    assert PlanGrammar(grown, []).size == len(grown)
    assert vocabulary(grown) is vocabulary(grown)


def test_importing_the_grammar_loads_neither_torch_nor_transformers() -> None:
    code = "import sys, unison_backend.planner.qwen.grammar; print(*{'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[4])
    assert done.returncode == 0 and done.stdout.strip() == "", done.stderr
