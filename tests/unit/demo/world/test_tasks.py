"""Examples of the shape world: their instructions mean what they are, and the pipeline prepares their sources."""

import json
import string
from fractions import Fraction
from importlib.resources import files
from random import Random

import pytest
import torch

from unison_backend.annotators.bind import map_maker
from unison_backend.demo.world.canvas import Canvas
from unison_backend.demo.world.shapes import COLOURS, MOTIONS, PLACES, SAMPLES, SHAPES
from unison_backend.demo.world.tasks import FRAMES, SIDE, continued, example, kinds, meanings
from unison_backend.demo.world.wording import NOTHING
from unison_backend.media.from_tensors import TensorMedia, footage, still
from unison_backend.plan.plan import Frame
from unison_backend.plan.prompt import parse_pads
from unison_backend.plan.segments import Segment
from unison_backend.plan.spec import resolve
from unison_backend.planner.rules.plan import RulesPlanner
from unison_backend.sources.clips import GREY
from unison_backend.sources.prepare import Annotators, prepare
from unison_backend.sources.segmented import Segmented

SEEDS = range(4)
WAYS = [(kind, language, held_out) for kind in kinds() for language in ("en", "zh") for held_out in (False, True)]
EDITS = [kind for kind in kinds() if "editing" in kind]


def drawn(kind, language="en", held_out=False, seed=0):
    return example(kind, Random(f"{kind} {language} {held_out} {seed}"), held_out=held_out, language=language)


def as_media(made):
    """The example's media as the pipeline takes them; clips at 24 a second, as instructions count frames."""
    labels = [str(number) for number in range(len(made.media))]
    items = [
        still(pixels[0], label) if len(pixels) == 1 else footage(pixels, Fraction(24), label)
        for pixels, label in zip(made.media, labels, strict=True)
    ]
    return TensorMedia.of(labels, items)


def planned(made):
    return RulesPlanner().plan(parse_pads(made.instruction)).plan


@pytest.mark.parametrize(("kind", "language", "held_out"), WAYS)
def test_the_rules_plan_what_the_example_is(kind, language, held_out):
    for seed in SEEDS:
        made = drawn(kind, language, held_out, seed)
        plan = planned(made)
        assert plan.task == made.task == kind.split()[0], made.instruction
        if f"{SIDE}" in made.instruction:
            assert (plan.width, plan.height) == (SIDE, SIDE), made.instruction
        said = str(FRAMES) in made.instruction
        assert plan.num_frames == (FRAMES if said else None), made.instruction
        places = {"first": ("first",), "last": ("last",), "both": ("first", "last")}.get(kind.split()[-1], ())
        assert plan.frames == tuple(Frame(index, place) for index, place in enumerate(places))
        assert plan.references == ((0,) if "reference" in kind else ())
        assert (plan.control is not None) == ("control" in kind)
        assert len(plan.media) == len(made.media)


@pytest.mark.parametrize("task", ["text_to_image", "text_to_video", "image_reference", "video_reference"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_where_no_medium_decides_size_and_length_are_said(task, language):
    for held_out in (False, True):
        plan = planned(drawn(task, language, held_out))
        assert (plan.width, plan.height) == (SIDE, SIDE)
        assert plan.num_frames == (FRAMES if "video" in task else None)


@pytest.mark.parametrize("kind", EDITS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_mask_and_source_are_the_media_that_they_are(kind, language):
    orders = set()
    for held_out in (False, True):
        for seed in SEEDS:
            made = drawn(kind, language, held_out, seed)
            plan = planned(made)
            orders.add((plan.mask, plan.source))
            mask = made.media[plan.mask]
            assert set(mask.unique().tolist()) == {0.0, 1.0}
            assert torch.equal(mask.amax(-1), made.sources.mask)
            keeping = made.sources.mask < 0.5
            assert torch.equal(made.media[plan.source][keeping], made.sources.video[keeping])
    assert orders <= {(0, 1), (1, 0)} and (1, 0) in orders
    assert (0, 1) in orders or language == "en"  # in English the source's word always comes first


@pytest.mark.parametrize(("kind", "language", "held_out"), WAYS)
def test_the_pipeline_prepares_the_same_sources_to_the_bit(kind, language, held_out):
    for seed in SEEDS:
        made = drawn(kind, language, held_out, seed)
        media, plan = as_media(made), planned(made)
        spec = resolve(plan, media.infos)
        assert (spec.width, spec.height, spec.num_frames) == (SIDE, SIDE, len(made.target))
        # Edges are said, so the plan asks for a canny map; what is given is one already and is left as it is.
        sources = prepare(plan, spec, media, annotators=Annotators(make_map=map_maker({})))
        assert torch.equal(sources.video, made.sources.video)
        assert torch.equal(sources.mask, made.sources.mask)
        assert len(sources.references) == len(made.sources.references)
        assert all(map(torch.equal, sources.references, made.sources.references))
        assert len(made.media) == len(parse_pads(made.instruction).media)


@pytest.mark.parametrize("kind", ["image_control", "video_control"])
def test_every_edge_map_is_taken_for_one(kind):
    """Made anew, a map of a map would have two lines for each."""
    for seed in range(40):
        made = drawn(kind, seed=seed)
        shown, said = map_maker({})("canny", made.media[0], lambda *_: None, lambda: False)
        assert torch.equal(shown, made.sources.video) and "already" in said


@pytest.mark.parametrize("kind", EDITS)
def test_an_edit_changes_its_mask_alone_and_something_in_it(kind):
    for seed in range(12):
        made = drawn(kind, seed=seed)
        source = made.media[planned(made).source]
        inside = made.sources.mask > 0.5
        assert torch.equal(made.target[~inside], source[~inside])
        assert torch.equal(made.sources.video[~inside], source[~inside])
        assert (made.sources.video[inside] == GREY).all()
        assert (made.target - source).abs().amax() > 0.05
        assert 0.01 < inside.float().mean() < 0.9
        if kind.endswith("remove") and not made.scene.things:
            assert (made.target == torch.tensor(COLOURS[made.scene.background])).all()


@pytest.mark.parametrize("which", ["first", "last", "both"])
def test_a_given_frame_is_kept_and_the_rest_is_made(which):
    made = drawn(f"image_to_video {which}")
    given = [index for index, name in ((0, "first"), (FRAMES - 1, "last")) if which in (name, "both")]
    for index in range(FRAMES):
        assert (made.sources.mask[index] == float(index not in given)).all()
        expected = made.target[index] if index in given else torch.full((SIDE, SIDE, 3), GREY)
        assert torch.equal(made.sources.video[index], expected)


@pytest.mark.parametrize("kind", kinds())
def test_shapes_and_ranges(kind):
    made = drawn(kind)
    length = FRAMES if made.task.output == "video" else 1
    assert made.target.shape == made.sources.video.shape == (length, SIDE, SIDE, 3)
    assert made.sources.mask.shape == (length, SIDE, SIDE)
    for pixels in (made.target, made.sources.video, *made.media, *made.sources.references):
        assert pixels.dtype == torch.float32 and pixels.min() >= 0 and pixels.max() <= 1


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("held_out", [False, True])
def test_a_seed_names_an_example(kind, held_out):
    one, same, other = (example(kind, Random(seed), held_out=held_out) for seed in (5, 5, 6))
    assert (one.instruction, one.meaning, one.scene) == (same.instruction, same.meaning, same.scene)
    assert torch.equal(one.target, same.target) and torch.equal(one.sources.video, same.sources.video)
    assert not torch.equal(one.target, other.target)


def test_every_value_of_a_meaning_is_reached():
    reached = {name: set() for name in meanings()}
    for kind in kinds():
        for seed in range(45):
            meaning = example(kind, Random(seed)).meaning
            for name in reached:
                reached[name].add(getattr(meaning, name))
    assert {name: set(values) for name, values in meanings().items()} == reached


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("held_out", [False, True])
def test_what_is_meant_is_said_and_every_colour_said_is_meant(kind, held_out):
    words = {name: (name,) for name in (*COLOURS, *SHAPES, *MOTIONS, *PLACES)}
    words |= {"small": ("small",), "medium": ("",), "large": ("large", "big"), "centre": ("",)}  # the usual is unsaid
    for seed in range(12):
        made = drawn(kind, held_out=held_out, seed=seed)
        for name in ("colour", "shape", "background", "size", "place", "motion"):
            value = getattr(made.meaning, name)
            assert value == NOTHING or any(word in made.instruction for word in words[value]), (name, made.instruction)
        said = {word for word in made.instruction.replace(".", " ").replace(",", " ").split() if word in COLOURS}
        assert said == {made.meaning.colour, made.meaning.background} - {NOTHING}


def text_of(template):
    """A template's own text between its fields, without what every template has."""
    return tuple(part for part, *_ in string.Formatter().parse(template) if part)


def test_held_out_templates_are_never_trained_on():
    words = json.loads(files("unison_backend.demo.world").joinpath("words.json").read_text(encoding="utf-8"))
    for language in words.values():
        names = [name for name in language if name.endswith(" held out")]
        assert len(names) == 12
        trained = {text_of(text) for name in names for text in language[name.removesuffix(" held out")]}
        for name in names:
            assert not trained & {text_of(text) for text in language[name]}


def test_held_out_texts_never_occur_in_training():
    for kind in kinds():
        for language in ("en", "zh"):
            trained = {drawn(kind, language, False, seed).instruction for seed in range(8)}
            assert not trained & {drawn(kind, language, True, seed).instruction for seed in range(8)}


CANVASES = [Canvas(64, 96, 9, SAMPLES), Canvas(96, 64, 17, SAMPLES), Canvas(64, 64, 17)]


@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize("kind", kinds())
def test_on_any_canvas_the_pipeline_prepares_the_same(kind, canvas):
    for seed, language in ((0, "en"), (1, "zh")):
        made = example(kind, Random(f"{kind} {seed}"), language=language, canvas=canvas)
        frames = canvas.frames if made.task.output == "video" else 1
        assert made.canvas == canvas and made.target.shape == (frames, canvas.height, canvas.width, 3)
        media, plan = as_media(made), planned(made)
        spec = resolve(plan, media.infos)
        assert (spec.width, spec.height, spec.num_frames) == (canvas.width, canvas.height, frames), made.instruction
        sources = prepare(plan, spec, media, annotators=Annotators(make_map=map_maker({})))
        assert torch.equal(sources.video, made.sources.video) and torch.equal(sources.mask, made.sources.mask)
        assert all(map(torch.equal, sources.references, made.sources.references))


def test_the_shipped_canvas_is_what_no_canvas_means():
    for kind in kinds():
        one, same = (example(kind, Random(3), **options) for options in ({}, {"canvas": Canvas(64, 64, 9, 1)}))
        assert one.instruction == same.instruction and torch.equal(one.target, same.target)
        assert torch.equal(one.sources.video, same.sources.video) and torch.equal(one.sources.mask, same.sources.mask)


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.startswith(("video_editing", "video_control"))])
@pytest.mark.parametrize("kept", [1, 5])
def test_what_goes_on_from_kept_frames_is_a_segment_as_the_engine_is_given_it(kind, kept):
    whole = drawn(kind)
    made = continued(whole, kept)
    before = Segment(0, kept)
    given = Segmented(whole.sources, (before, Segment(0, FRAMES)), (whole.target[:kept],)).part()
    assert torch.equal(made.sources.video, given.video) and torch.equal(made.sources.mask, given.mask)
    assert (made.sources.mask[:kept] == 0).all() and torch.equal(made.sources.mask[kept:], whole.sources.mask[kept:])
    assert torch.equal(made.sources.video[:kept], whole.target[:kept]) and torch.equal(made.target, whole.target)
    assert not torch.equal(whole.sources.video[:kept], whole.target[:kept])  # the whole one stays as it was


@pytest.mark.parametrize("kept", [0, FRAMES])
def test_some_frames_are_kept_and_some_are_made(kept):
    with pytest.raises(ValueError, match=f"{kept} frames cannot be kept of {FRAMES}"):
        continued(drawn("video_control"), kept)
