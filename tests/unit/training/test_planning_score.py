"""How planners are counted: whole plans by task and language, fields where one of both plans has them."""

from dataclasses import replace
from random import Random

import pytest

from unison_backend.errors import Cancelled, PromptError
from unison_backend.plan.prompt import parse_pads
from unison_backend.plan.tasks import Task
from unison_backend.plan.tokens import parse
from unison_backend.planner.base import PlanResult
from unison_backend.planner.rules.plan import RulesPlanner
from unison_backend.training.planning_data import draw
from unison_backend.training.planning_record import Record
from unison_backend.training.planning_score import FIELDS, as_table, evaluate
from unison_backend.training.planning_wording import record_of


class Made:
    """A planner that writes what a table says for each prompt; None stands for a failure."""

    def __init__(self, table):
        self.table = table

    def plan(self, prompt, *, progress=None, cancel=None):
        text = self.table[prompt.text]
        if text is None:
            raise PromptError("no plan")
        return PlanResult(parse(text, prompt.text, prompt.kinds))


def records_of(*tasks):
    return [record_of(task, "en", Random(f"{task} {number}")) for number, task in enumerate(tasks)]


def test_a_planner_that_is_always_right():
    records = draw(36, seed=8)
    score = evaluate(Made({record.prompt: record.tokens for record in records}), records)
    assert score.exact == 1.0 and score.wrong == () and score.all == (36, 36)
    assert score.tasks == {task.value: (3, 3) for task in Task} and score.languages == {"en": (24, 24), "zh": (12, 12)}
    assert set(score.fields) == set(FIELDS) and all(right == count for right, count in score.fields.values())
    referring = sum("<REF>" in record.tokens for record in records)  # of the reference tasks, and of an edit
    assert score.fields["task"] == (36, 36) and score.fields["references"][1] == referring >= 6


def four():
    image, edit, video, question = records_of(
        Task.TEXT_TO_IMAGE, Task.IMAGE_EDITING, Task.TEXT_TO_VIDEO, Task.TEXT_UNDERSTANDING
    )
    return [
        replace(image, tokens="<BORES>64,48<EORES><CFI>"),
        replace(edit, prompt="<IMGPAD> <IMGPAD>", tokens="<BOEDIT>0,1<EOEDIT><CFI>", media=("image", "image")),
        replace(video, tokens="<BONF>48<EONF><CFV>", language="zh"),
        question,
    ]


def test_what_is_wrong_is_counted_by_task_language_and_field():
    records = four()
    said = {
        records[0].prompt: "<BORES>64,64<EORES><CFI>",  # the height is wrong
        records[1].prompt: "<BOEDIT>1,0<EOEDIT><CFI>",  # mask and source are swapped
        records[2].prompt: None,  # an error: nothing is right
        records[3].prompt: "",
    }
    seen = []
    score = evaluate(Made(said), records, progress=lambda *step: seen.append(step[1:]))
    assert score.exact == 0.25 and seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    wrong = {name: (0, 1) for name in ("text_to_image", "image_editing", "text_to_video")}
    assert score.tasks == wrong | {"text_understanding": (1, 1)}
    assert score.languages == {"en": (1, 3), "zh": (0, 1)}
    fields = {"task": (3, 4), "width": (1, 1), "height": (0, 1), "num_frames": (0, 1), "mask": (0, 1), "source": (0, 1)}
    assert score.fields == fields
    assert [expected for _, expected, _ in score.wrong] == [record.tokens for record in records[:3]]
    assert score.wrong[0][2] == "<BORES>64,64<EORES><CFI>" and score.wrong[2][2] == "no plan"


def test_a_field_that_no_plan_has_is_not_counted_as_right():
    """Orders without a word of frames say nothing about how frames are read, however many there are."""
    records = [record for record in draw(60, seed=1) if record.task is Task.TEXT_TO_IMAGE]
    score = evaluate(Made({record.prompt: "<CFI>" for record in records}), records)
    assert "frames" not in score.fields and "num_frames" not in score.fields
    sized = sum("<BORES>" in record.tokens for record in records)
    assert score.fields["width"] == (0, sized) and sized


def test_a_field_that_only_the_planner_has_is_wrong():
    (record,) = records_of(Task.TEXT_TO_VIDEO)
    record = replace(record, tokens="<CFV>")
    score = evaluate(Made({record.prompt: "<BONF>48<EONF><CFV>"}), [record])
    assert score.fields == {"task": (1, 1), "num_frames": (0, 1)}


def test_planners_stand_side_by_side():
    records = four()
    right = {record.prompt: record.tokens for record in records}
    scores = {"one": evaluate(Made(right), records), "two": evaluate(Made(right | {records[2].prompt: None}), records)}
    table = as_table(scores)
    assert table[:2] == ["| | one | two |", "|---|---|---|"]
    assert "| text_to_video | 1 of 1, 100.0% | 0 of 1, 0.0% |" in table
    assert "| language zh | 1 of 1, 100.0% | 0 of 1, 0.0% |" in table
    assert "| field num_frames | 1 of 1, 100.0% | 0 of 1, 0.0% |" in table
    assert table[-1] == "| **all** | 4 of 4, 100.0% | 3 of 4, 75.0% |" and not any("references" in row for row in table)


def test_counting_nothing_and_being_stopped():
    assert evaluate(Made({}), []).exact == 0.0
    with pytest.raises(Cancelled, match="evaluating"):
        evaluate(Made({}), draw(1), cancel=lambda: True)


def test_what_no_token_says_is_not_compared():
    """A clip that goes on: the rules planner makes it the first frame, which the tokens of a record cannot say."""
    said = Record(
        Task.TEXT_TO_VIDEO, "en", "Continue <VIDPAD> by 3 seconds", "<BONF>72<EONF><CFV>", ("video",), "extend"
    )
    plan = RulesPlanner().plan(parse_pads(said.prompt)).plan
    assert plan.task is Task.IMAGE_TO_VIDEO and plan.frames
    assert evaluate(RulesPlanner(), [said]).exact == 1.0
