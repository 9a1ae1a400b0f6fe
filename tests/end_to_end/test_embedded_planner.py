"""The embedded Qwen plans README's orders, and 60 of the same forms with numbers and things kept apart.

None of them is in the training data: README's are refused by their words, the others by their numbers or by the things
they name, of which training has none (`planning_apart.py`, `planning_shapes.py`).
"""

import re
from pathlib import Path
from random import Random

import pytest

from unison_backend.demo import set as demo
from unison_backend.demo.world.questions import question
from unison_backend.plan.prompt import parse_pads
from unison_backend.plan.tasks import Task
from unison_backend.planner.answers import AnswerSettings
from unison_backend.planner.choose import PlannerOptions, load_planner
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.planner.qwen.merging import merge
from unison_backend.planner.qwen.planner import QwenPlanner
from unison_backend.training.demo.qwen import media_of
from unison_backend.training.planning_apart import is_kept_apart
from unison_backend.training.planning_record import Record
from unison_backend.training.planning_score import evaluate
from unison_backend.training.planning_shapes import THINGS_APART, shape_order
from unison_backend.weights.find import ModelPaths

ROOT = Path(__file__).resolve().parents[2]
EXACT = 0.9  # the model card says how many it is
# README's orders, media as pads, and what they mean (each without tokens asks).
README = {
    "Create a 64x64 image of a red circle on a blue background.": "<BORES>64,64<EORES><CFI>",
    "Replace the square in <IMGPAD> with a green circle. The mask is <IMGPAD>.": "<BOEDIT>1,0<EOEDIT><CFI>",
    "Draw a yellow star on a purple background with the edge map <IMGPAD>.": "<CTRL><CFI>",
    "Create a 64x64 image of the star in <IMGPAD> at the left on a green background.":
        "<BORES>64,64<EORES><REF><CFI>",
    "Create a 64x64 video of a white circle moving to the right on a purple background, 9 frames.":
        "<BORES>64,64<EORES><BONF>9<EONF><CFV>",
    "Animate <IMGPAD>, 9 frames: the circle moves to the right.": "<BONF>9<EONF><BOFIDX>0<EOFIDX><CFV>",
    "Make the circle in <VIDPAD> yellow. The mask is <VIDPAD>.": "<BOEDIT>1,0<EOEDIT><CFV>",
    "Create a video of an orange triangle on a blue background that follows the edges in <VIDPAD>.": "<CTRL><CFV>",
    "Create a 64x64 video of the star in <IMGPAD> moving up on a black background, 9 frames.":
        "<BORES>64,64<EORES><BONF>9<EONF><REF><CFV>",
    "Which shape has three sides?": "",
    "Describe <IMGPAD> in one sentence.": "",
    "In which direction does the circle in <VIDPAD> move?": "",
    "I have an image <IMGPAD> and a mask <IMGPAD>. Put a piano in the masked area.": "<BOEDIT>1,0<EOEDIT><CFI>",
    "Based on the provided first frame <IMGPAD>, generate a 2 second video of rolling waves.":
        "<BONF>48<EONF><BOFIDX>0<EOFIDX><CFV>",
    "Make the bird in this video <VIDPAD> white. Here is the mask <VIDPAD>.": "<BOEDIT>1,0<EOEDIT><CFV>",
    "Based on this pose video <VIDPAD>, generate a video of a robot dancing.": "<CTRL><CFV>",
    "Create a video of this woman <IMGPAD> reading a letter.": "<REF><CFV>",
    "What is the person in <VIDPAD> holding?": "",
    "A vertical 3 second video of a fox in the snow.": "<BORES>720,1280<EORES><BONF>72<EONF><CFV>",
}  # fmt: skip
FORMS = {  # tasks whose orders are like README's, with what marks them as kept apart
    Task.TEXT_TO_IMAGE: 12, Task.IMAGE_REFERENCE: 10, Task.TEXT_TO_VIDEO: 12, Task.VIDEO_REFERENCE: 10,
    Task.IMAGE_TO_VIDEO: 8, Task.IMAGE_CONTROL: 4, Task.VIDEO_CONTROL: 4,
}  # fmt: skip


def like_readmes():
    """60 different orders in the shape world's wordings, numbers and things kept apart."""
    found = {}
    for task, count in FORMS.items():
        random, made = Random(f"like README's {task}"), {}
        while len(made) < count:
            record = shape_order(task, "en", random, apart=True)
            made[record.prompt] = record
        found |= made
    return list(found.values())


def readmes():
    records = []
    for prompt, tokens in README.items():
        media = parse_pads(prompt).kinds
        records.append(Record(task_of(tokens, media), "en", prompt, tokens, media))
    return records


def task_of(tokens, media):
    from unison_backend.plan.tokens import parse

    return parse(tokens, "", media).task


@pytest.fixture(scope="module")
def planner():
    files = demo.ensure()
    return QwenPlanner(load_qwen(files.planner, files.lora, dtype="fp32"))


def test_readmes_orders_are_these():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    orders = set(re.findall(r'unison (?:run|plan)(?: --json)? "([^"]{4,})"', text))
    pads = {re.sub("###(.*?)###", lambda m: "<VIDPAD>" if m[1].endswith(".mp4") else "<IMGPAD>", o) for o in orders}
    assert pads == README.keys()


def test_none_of_them_is_training_data():
    for record in readmes():
        assert is_kept_apart(record), record.prompt
    orders = like_readmes()
    assert len(orders) == 60 == len({r.prompt for r in orders})
    for record in orders:
        words = set(zip(record.prompt.split(), record.prompt.split()[1:], strict=False))
        named = {(a, b.strip(".,:;")) for a, b in words} & THINGS_APART
        assert is_kept_apart(record) or named, record.prompt


def test_nearly_all_of_readmes_orders_are_planned_exactly(planner):
    score = evaluate(planner, readmes())
    assert score.exact >= EXACT, score.wrong


def test_nearly_all_others_of_their_forms_are_planned_exactly(planner):
    score = evaluate(planner, like_readmes())
    assert score.exact >= EXACT, score.wrong
    wrong = {name: count - right for name, (right, count) in score.fields.items()}
    assert wrong["width"] <= 3 and wrong["num_frames"] <= 6, score.wrong


def answers(planner, **settings):
    """To 60 held-out questions: about nothing, pictures and clips."""
    drawn = [question(kind, Random(f"held out {kind} 0 {n}"), held_out=True)
             for kind in ("text", "image", "video") for n in range(20)]  # fmt: skip
    short = AnswerSettings(max_new_tokens=32, **settings)
    return [planner.answer(parse_pads(one.prompt), media_of(one), short) for one in drawn], [q.answer for q in drawn]


def test_merged_it_plans_as_before_and_answers_as_its_base(planner, tmp_path):
    files = demo.ensure()
    assert merge(files.planner, files.lora, tmp_path / "merged") is None
    merged = load_planner(PlannerOptions("qwen", dtype="fp32"), ModelPaths(planner=tmp_path / "merged"))
    expected, right = answers(QwenPlanner(load_qwen(files.planner, dtype="fp32")))
    made, _ = answers(merged)
    assert sum(one == other for one, other in zip(made, expected, strict=True)) >= 58
    assert sum(one == other for one, other in zip(made, right, strict=True)) >= 57
    orders = readmes()[:8]
    assert [merged.plan(parse_pads(r.prompt)).plan for r in orders] == [
        planner.plan(parse_pads(r.prompt)).plan for r in orders
    ]
    asked = parse_pads("Which shape has three sides?")
    assert merged.answer(asked) == "a triangle"
    assert merged.answer(asked, settings=AnswerSettings(max_new_tokens=8, keep_adapter=True)) == ""
