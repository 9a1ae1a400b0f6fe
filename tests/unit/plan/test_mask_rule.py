"""Media from mask sockets: whatever is made is an edit with one of them, and a mask is nothing but a mask."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unison_backend.demo import set as demo
from unison_backend.plan.mask_rule import check_masks, mask_edits
from unison_backend.plan.plan import Plan, PlanError, task_of
from unison_backend.plan.prompt import Medium, Prompt, bind_names
from unison_backend.plan.spec import resolve
from unison_backend.plan.tasks import MediaKind
from unison_backend.plan.tokens import parse
from unison_backend.planner.qwen.grammar import PlanGrammar
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.planner.qwen.planner import MAX_PLAN_TOKENS, QwenPlanner
from unison_backend.planner.qwen.processors import PlanProcessor
from unison_backend.planner.rules.plan import plan

KINDS: tuple[MediaKind, ...] = ("image", "video")
IMAGE, VIDEO = KINDS


@pytest.fixture(scope="module")
def qwen() -> Any:
    return load_qwen(demo.ensure_untrained().planner, dtype="fp32")


@pytest.fixture(scope="module")
def tokenizer(qwen: Any) -> Any:
    return qwen.tokenizer


def sockets(**kinds: MediaKind | int) -> dict[str, Medium | list[Medium]]:
    """Media by socket name: a kind is one medium, a number a batch of as many pictures."""
    return {
        name: [Medium("image", name=f"{name} #{i}") for i in range(kind)]
        if isinstance(kind, int)
        else Medium(kind, name=name, is_mask=name.startswith("mask"))
        for name, kind in kinds.items()
    }


def is_masked_edit(made: Plan, masks: Sequence[int]) -> bool:
    """An edit with one of `masks` in which no mask is anything else."""
    others = {made.source, made.control_medium, *made.references, *(frame.medium for frame in made.frames)}
    return str(made.task).endswith("_editing") and made.mask in masks and not others & set(masks)


@st.composite
def media_lists(draw: st.DrawFn, most: int = 7) -> tuple[list[MediaKind], list[int]]:
    """Kinds of media, and which of them are masks (at least one)."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=most))
    masks = draw(st.sets(st.sampled_from(range(len(kinds))), min_size=1, max_size=3))
    return kinds, sorted(masks)


# The rule itself


@pytest.mark.parametrize(
    ("kinds", "masks", "edits"),
    [
        ([IMAGE, IMAGE], [], []),
        ([IMAGE, IMAGE], [1], [(1, 0)]),
        ([VIDEO, IMAGE], [1], [(1, 0)]),
        ([VIDEO, VIDEO], [1], [(1, 0)]),
        ([IMAGE, VIDEO], [1], []),
        ([IMAGE, VIDEO, VIDEO], [1], [(1, 2)]),
        ([IMAGE, IMAGE, VIDEO], [1, 2], [(1, 0)]),
        ([IMAGE, VIDEO], [0, 1], []),
    ],
)
def test_a_mask_of_several_frames_fits_videos_only(kinds: list[MediaKind], masks: list[int], edits: list[Any]) -> None:
    assert list(mask_edits(kinds, masks)) == edits


@pytest.mark.parametrize(
    ("text", "kinds", "masks", "error"),
    [
        ("<CFI>", [IMAGE], [0], "mask without a picture or video"),
        ("<BORES>64,64<EORES><REF><CFI>", [IMAGE], [0], "mask without a picture or video"),
        ("<BOEDIT>0<EOEDIT><CFI>", [IMAGE, IMAGE], [0, 1], "mask without a picture or video"),
        ("<BOEDIT>1,0<EOEDIT><CFI>", [IMAGE, VIDEO], [1], "mask of several frames without a video"),
        ("<CFI>", [IMAGE, IMAGE], [1], "an edit with a mask: 1"),
        ("<REF><CFI>", [IMAGE, IMAGE], [1], "an edit with a mask: 1"),
        ("<BOFIDX>0<EOFIDX><CFV>", [IMAGE, IMAGE], [1], "an edit with a mask: 1"),
        ("<BOEDIT>0<EOEDIT><CFI>", [IMAGE, IMAGE], [1], "an edit with a mask: 1"),
        ("<BOEDIT>0,1<EOEDIT><CFI>", [IMAGE, IMAGE], [1], "an edit with a mask: 1"),
        ("<BOEDIT>1<EOEDIT><CFI>", [IMAGE, IMAGE], [1], "an edit with a mask: 1"),
        ("<BOEDIT>1,0<EOEDIT><REF><CFI>", [IMAGE, IMAGE, IMAGE], [1, 2], "a picture without another role"),
        ("<BOEDIT>1,0<EOEDIT><BOFIDX>0<EOFIDX><CFV>", [VIDEO, IMAGE, IMAGE], [1, 2], "0 have no other role"),
        ("<BOEDIT>1,0<EOEDIT><CTRL><CFI>", [IMAGE, IMAGE, IMAGE], [1, 2], "the mask of an edit and nothing else"),
        # The plan's own idea of its control medium, the first that fits, knows no masks.
        (
            "<BOEDIT>1,0<EOEDIT><CTRL><CFI>",
            [IMAGE, IMAGE, IMAGE, IMAGE],
            [1, 2],
            "the mask of an edit and nothing else",
        ),
        ("<BOEDIT>2,1<EOEDIT><CFI>", [IMAGE, IMAGE, IMAGE], [1, 2], "the mask of an edit and nothing else"),
    ],
)
def test_plans_that_misuse_a_mask_are_refused(text: str, kinds: list[MediaKind], masks: list[int], error: str) -> None:
    with pytest.raises(PlanError, match=error) as caught:
        parse(text, "", kinds, masks)
    assert caught.value.raw == text


def test_a_second_mask_stays_without_a_role() -> None:
    made = parse("<BOEDIT>3,1<EOEDIT><REF><CFI>", "", [IMAGE, IMAGE, IMAGE, IMAGE], [2, 3])
    assert (made.mask, made.source, made.references, made.unused_media) == (3, 1, (0,), (2,))
    assert "picture 3 has no role in this plan" in [reason.text for reason in resolve(made).reasons]
    made = parse("<BOEDIT>3,0<EOEDIT><BOFIDX>0<EOFIDX><CTRL><CFV>", "", [VIDEO, IMAGE, IMAGE, IMAGE, VIDEO], [1, 3])
    assert (made.frames[0].medium, made.control_medium, made.unused_media) == (2, 4, (1,))


def test_answers_may_look_at_masks() -> None:
    assert parse("A cat.", "", [IMAGE], [0]).answer == "A cat."
    check_masks(Plan(task_of("text", [IMAGE]), media=(IMAGE,)), [0])


# Tokens


def decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False))


def ids_of(tokenizer: Any, text: str) -> list[int]:
    return [tokenizer.convert_tokens_to_ids(part) for part in re.findall(r"<\w+>|[0-9,]", text)]


def sampled(grammar: PlanGrammar, seed: int, scale: float) -> list[int]:
    """A plan from random scores through the processor, behind a prompt of two ids."""
    processor, ids = PlanProcessor(grammar, 2), [1, 2]
    generator = torch.Generator().manual_seed(seed)
    while len(ids) < 2 + MAX_PLAN_TOKENS and ids[-1] not in grammar.end_ids:
        scores = torch.randn(1, grammar.size, generator=generator) * scale
        weights = processor(torch.tensor([ids]), scores)[0].softmax(-1)
        ids.append(int(torch.multinomial(weights, 1, generator=generator)))
    return ids[2:]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_media=media_lists(), seed=st.integers(0, 2**31), scale=st.sampled_from([0.0, 1.0, 30.0]))
def test_whatever_the_scores_the_plan_is_an_edit_with_a_mask(
    tokenizer: Any, given_media: tuple[list[MediaKind], list[int]], seed: int, scale: float
) -> None:
    kinds, masks = given_media
    if not mask_edits(kinds, masks):
        with pytest.raises(PlanError, match=r"mask (without a picture or video|of several frames)") as caught:
            PlanGrammar(tokenizer, kinds, make="made", masks=masks)
        assert caught.value.field == "mask"
        return
    grammar = PlanGrammar(tokenizer, kinds, make="made", masks=masks)
    made = sampled(grammar, seed, scale)
    assert made[-1] in grammar.end_ids
    assert is_masked_edit(parse(decoded(tokenizer, made), "", kinds, masks), masks)


def plan_texts(count: int) -> list[list[str]]:
    """Fields of plans and of things that only look like plans."""
    indices = [str(i) for i in range(count)]
    edits = ["", *indices, *map(",".join, itertools.product(indices, repeat=2))]
    parts = (
        ["", "<BORES>64,64<EORES>"], ["", "<BOFIDX>0<EOFIDX>", "<BOFIDX>1,0<EOFIDX>"],
        ["", *(f"<BOEDIT>{edit}<EOEDIT>" for edit in edits if edit)], ["", "<REF>"], ["", "<CTRL>"], ["<CFI>", "<CFV>"],
    )  # fmt: skip
    return [list(filter(None, fields)) for fields in itertools.product(*parts)]


@pytest.mark.parametrize("masks", [[1], [0, 2]])
@pytest.mark.parametrize(
    "kinds", [*itertools.product(KINDS, repeat=3), (IMAGE, IMAGE, IMAGE, IMAGE), (VIDEO, IMAGE, VIDEO, IMAGE)]
)
def test_exactly_what_parses_is_accepted(tokenizer: Any, kinds: Sequence[MediaKind], masks: list[int]) -> None:
    grammar, chance = PlanGrammar(tokenizer, kinds, masks=masks), random.Random(1)
    accepted = 0
    for parts in plan_texts(len(kinds)):
        *fields, end = parts
        text = "".join([*chance.sample(fields, len(fields)), end])
        try:
            good = is_masked_edit(parse(text, "", kinds, masks), masks)
            assert good, text
        except PlanError:
            good = False
        try:
            reached = grammar.allowed(ids_of(tokenizer, text)) == list(grammar.stop_ids)
        except ValueError:
            reached = False
        assert reached == good, text
        accepted += good
    assert bool(accepted) == bool(mask_edits(kinds, masks))


@pytest.mark.parametrize(
    ("kinds", "masks", "text", "yes", "no"),
    [
        ([IMAGE, IMAGE], [1], "", "<BORES> <BOEDIT>", "<CFI> <CFV> <REF> <CTRL> <BOFIDX> <BONF>"),
        ([VIDEO, IMAGE], [1], "", "<BORES> <BOEDIT> <BONF>", "<CFI> <CFV> <REF> <CTRL> <BOFIDX>"),
        ([IMAGE, IMAGE, IMAGE], [1], "", "<BORES> <BOEDIT> <REF> <CTRL>", "<CFI> <CFV> <BOFIDX> <BONF>"),
        ([IMAGE, IMAGE, IMAGE], [1, 2], "", "<BORES> <BOEDIT>", "<REF> <CTRL>"),
        ([VIDEO, IMAGE, IMAGE], [1], "<BOFIDX>0<EOFIDX>", "<BOEDIT> <BONF>", "<REF> <CFV>"),
        ([IMAGE, IMAGE, IMAGE], [1], "<BOEDIT>", "1", "0 2"),
        ([IMAGE, IMAGE, IMAGE], [1], "<BOEDIT>1,", "0 2", "1"),
        ([IMAGE, IMAGE, IMAGE], [1, 2], "<BOEDIT>", "1 2", "0"),
        ([IMAGE, IMAGE, IMAGE], [1, 2], "<BOEDIT>2,", "0", "1 2"),
        ([IMAGE, VIDEO, IMAGE], [1, 2], "<BOEDIT>", "2", "0 1"),
        ([IMAGE, IMAGE], [1], "<BOEDIT>1,0<EOEDIT>", "<CFI> <BORES>", "<CFV> <REF> <CTRL> <BOEDIT>"),
    ],
)
def test_what_masks_leave(
    tokenizer: Any, kinds: list[MediaKind], masks: list[int], text: str, yes: str, no: str
) -> None:
    allowed = PlanGrammar(tokenizer, kinds, make="made", masks=masks).allowed(ids_of(tokenizer, text))
    found = {tokenizer.decode([number]) for number in allowed or []}
    assert set(yes.split()) <= found and not found & set(no.split())


def test_a_mask_alone_leaves_the_answer(tokenizer: Any) -> None:
    grammar = PlanGrammar(tokenizer, [IMAGE], masks=[0])
    assert grammar.allowed([]) is None
    assert set(grammar.barred_first) == set(grammar.added_ids)
    scores = PlanProcessor(grammar, 0)(torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, grammar.size))
    assert torch.isneginf(scores[0, list(grammar.added_ids)]).all() and torch.isfinite(scores[0, 65])
    assert grammar.allowed([65]) == list(grammar.stop_ids)


def test_the_qwen_planner_keeps_the_rule(qwen: Any) -> None:
    prompt = bind_names("Make the cat white.", sockets(image1=IMAGE, image2=IMAGE, mask1=IMAGE, mask2=VIDEO))
    made = QwenPlanner(qwen).plan(make="made", prompt=prompt).plan
    assert is_masked_edit(made, prompt.masks) and made.mask == 2
    alone = bind_names("Draw a cat.", sockets(mask1=IMAGE))
    with pytest.raises(PlanError, match="mask without a picture or video"):
        QwenPlanner(qwen).plan(make="made", prompt=alone)
    assert not QwenPlanner(qwen).plan(alone).plan.task.is_generation


# Words

TURN_RED = "\u628a\u8f66\u53d8\u6210\u7ea2\u8272"  # turn the car red


@pytest.mark.parametrize(
    ("text", "media", "tokens"),
    [
        ("Replace the sky in <image1> with <image2> <mask1>", {"image1": IMAGE, "image2": IMAGE, "mask1": IMAGE},
         "<BOEDIT>2,0<EOEDIT><REF><CFI>"),
        ("With <image1>, replace the sky in <image2>.", {"image1": IMAGE, "image2": IMAGE, "mask1": IMAGE},
         "<BOEDIT>2,1<EOEDIT><REF><CFI>"),
        ("Make the cat white.", {"image1": IMAGE, "mask1": IMAGE}, "<BOEDIT>1,0<EOEDIT><CFI>"),
        ("Turn the car red <video1> <mask1>", {"video1": VIDEO, "mask1": IMAGE}, "<BOEDIT>1,0<EOEDIT><CFV>"),
        ("Turn the car red, 3 seconds.", {"video1": VIDEO, "mask1": VIDEO}, "<BONF>72<EONF><BOEDIT>1,0<EOEDIT><CFV>"),
        (f"{TURN_RED} <video1> <mask1>", {"video1": VIDEO, "mask1": VIDEO}, "<BOEDIT>1,0<EOEDIT><CFV>"),
        (TURN_RED, {"image1": IMAGE, "mask1": IMAGE}, "<BOEDIT>1,0<EOEDIT><CFI>"),
        ("Create a video of a dog", {"image1": IMAGE, "mask1": IMAGE}, "<BOEDIT>1,0<EOEDIT><CFI>"),
        ("Animate <image1>, 640x480.", {"image1": IMAGE, "mask1": IMAGE}, "<BORES>640,480<EORES><BOEDIT>1,0<EOEDIT><CFI>"),
        ("Make it red.", {"image1": IMAGE, "video1": VIDEO, "mask1": IMAGE}, "<BOEDIT>2,1<EOEDIT><REF><CFV>"),
        # Words call another picture a mask, but the socket says which one it is.
        ("<image1> is the mask, <image2> the source.", {"image1": IMAGE, "image2": IMAGE, "mask1": IMAGE},
         "<BOEDIT>2,1<EOEDIT><REF><CFI>"),
        # Of several masks: the one that words call so, the one that stands in the text, the first that fits.
        ("Make it red, <mask2> is the mask.", {"image1": IMAGE, "mask1": IMAGE, "mask2": IMAGE}, "<BOEDIT>1,0<EOEDIT><CFI>"),
        ("<mask1> hides the dog; use <mask2> as the mask and make <image1> red.",
         {"image1": IMAGE, "mask1": IMAGE, "mask2": IMAGE}, "<BOEDIT>1,2<EOEDIT><CFI>"),
        ("Make it red in <mask2>.", {"image1": IMAGE, "mask1": IMAGE, "mask2": IMAGE}, "<BOEDIT>1,0<EOEDIT><CFI>"),
        ("Make it red.", {"image1": IMAGE, "mask1": IMAGE, "mask2": IMAGE}, "<BOEDIT>1,0<EOEDIT><CFI>"),
        ("Make it red.", {"image1": IMAGE, "mask1": VIDEO, "mask2": IMAGE}, "<BOEDIT>2,0<EOEDIT><CFI>"),
        ("Make it red.", {"video1": VIDEO, "mask1": VIDEO, "mask2": IMAGE}, "<BOEDIT>1,0<EOEDIT><CFV>"),
        # Every picture of a batch has a place of its own.
        ("Replace the sky in <image1> with <image2>.", {"image1": 3, "image2": IMAGE, "mask1": IMAGE},
         "<BOEDIT>4,0<EOEDIT><REF><CFI>"),
        ("What is in <image1>?", {"image1": IMAGE, "mask1": IMAGE}, ""),
    ],
)  # fmt: skip
def test_words_and_masks(text: str, media: dict[str, MediaKind | int], tokens: str) -> None:
    prompt = bind_names(text, sockets(**media))
    made = plan(prompt)
    assert made.tokens == tokens
    assert parse(tokens or "An answer.", made.prompt, made.media, prompt.masks).references == made.references


ORDERS = (
    "Make the cat white.",
    "Turn the car red",
    "Replace the sky with a sunset, 640x480.",
    "Create a video of a dog",
    "Create an image of a dog in the style of this picture.",
    "Animate this picture.",
    "Make a 3 second clip that follows the pose of the dancer.",
    "Remove the person, please",
    "Generate a picture from this depth map",
    "Use it as the first frame of a video.",
    TURN_RED,
    "\u751f\u6210\u4e00\u6bb5\u5c0f\u72d7\u5954\u8dd1\u7684\u89c6\u9891",  # make a video of a running puppy
    "\u628a\u5929\u7a7a\u6362\u6210\u5915\u9633",  # replace the sky by a sunset
    "\u8bf7\u628a\u732b\u6539\u6210\u767d\u8272",  # please make the cat white
)
QUESTIONS = ("What is in this picture?", "How many cats are there", "\u8fd9\u662f\u4ec0\u4e48\uff1f", "Write a poem.")
SOCKET_KINDS = {
    "image1": [IMAGE],
    "image2": [IMAGE],
    "video1": [VIDEO],
    "video2": [VIDEO],
    "mask1": [IMAGE, VIDEO],
    "mask2": [IMAGE, VIDEO],
}


@st.composite
def instructions(draw: st.DrawFn, texts: Sequence[str], media: bool) -> Prompt:
    """One of `texts` with masks and, if `media`, pictures and videos; some sockets are named behind the text."""
    masks = draw(st.sets(st.sampled_from(["mask1", "mask2"]), min_size=1))
    others = draw(st.sets(st.sampled_from([n for n in SOCKET_KINDS if n[0] != "m"]), min_size=1)) if media else set()
    kinds: dict[str, MediaKind | int] = {n: draw(st.sampled_from(SOCKET_KINDS[n])) for n in sorted(masks | others)}
    if "image1" in kinds:
        kinds["image1"] = draw(st.integers(1, 4))
    named = draw(st.lists(st.sampled_from(sorted(kinds)), max_size=4))
    return bind_names(" ".join([draw(st.sampled_from(texts)), *(f"<{name}>" for name in named)]), sockets(**kinds))


@settings(max_examples=500, deadline=None)
@given(instructions([*ORDERS, *QUESTIONS], media=True))
def test_with_something_to_edit_it_is_an_answer_or_an_edit(prompt: Prompt) -> None:
    if not mask_edits(prompt.kinds, prompt.masks):
        return
    made = plan(prompt)
    assert not made.task.is_generation or is_masked_edit(made, prompt.masks)
    assert parse(made.tokens or "An answer.", made.prompt, made.media, prompt.masks).tokens == made.tokens


@settings(max_examples=200, deadline=None)
@given(instructions(ORDERS, media=True))
def test_every_order_with_something_to_edit_is_an_edit(prompt: Prompt) -> None:
    if mask_edits(prompt.kinds, prompt.masks):
        assert is_masked_edit(plan(prompt), prompt.masks)
    else:
        with pytest.raises(PlanError, match="mask of several frames without a video"):
            plan(prompt)


@settings(max_examples=200, deadline=None)
@given(instructions(ORDERS, media=False))
def test_an_order_with_nothing_but_masks_is_refused(prompt: Prompt) -> None:
    with pytest.raises(PlanError, match="mask without a picture or video") as caught:
        plan(prompt)
    assert caught.value.field == "mask"


@pytest.mark.parametrize("text", QUESTIONS)
@pytest.mark.parametrize(
    "media", [{"mask1": IMAGE}, {"image1": IMAGE, "mask1": IMAGE}, {"video1": VIDEO, "mask1": VIDEO, "mask2": IMAGE}]
)
def test_questions_are_answered(text: str, media: dict[str, MediaKind | int]) -> None:
    assert not plan(bind_names(text, sockets(**media))).task.is_generation


@pytest.mark.parametrize("order", ["Make the cat red. ", "Create a video. "])
def test_media_in_the_unread_middle_of_a_text_are_no_obstacle(order: str) -> None:
    text = order + "word, " * 1500 + "<image1> <image2>" + " word," * 1500
    prompt = bind_names(text, sockets(image1=IMAGE, image2=IMAGE, mask1=IMAGE))
    assert plan(prompt).tokens == "<BOEDIT>2,0<EOEDIT><REF><CFI>"
    assert plan(bind_names(text, sockets(image1=IMAGE, image2=IMAGE))).task.is_generation
    assert plan(bind_names(text.replace("<image2>", ""), sockets(image1=IMAGE))).task.is_generation
