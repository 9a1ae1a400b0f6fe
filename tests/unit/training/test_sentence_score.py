"""Planners measured on sentences: what is compared, and what is not."""

import json
from pathlib import Path

import pytest

from unison_backend.cli import main
from unison_backend.errors import InputError
from unison_backend.plan.plan import Plan, PlanError
from unison_backend.plan.tasks import Task
from unison_backend.planner.base import PlanResult
from unison_backend.planner.prompt.plan_schema import EMPTY
from unison_backend.planner.rules.plan import RulesPlanner
from unison_backend.training.sentence_score import evaluate_sentences, is_same_thing, read_sets

from ..chat_server import serving

SETS = Path(__file__).parents[1] / "planner" / "rules" / "sentences"


class Always:
    """A planner of one plan; None: it fails."""

    def __init__(self, plan):
        self.made = plan

    def plan(self, prompt, **options):
        if self.made is None:
            raise PlanError("plan", "nothing", "a plan")
        return PlanResult(self.made)


def test_the_rules_on_sets_that_nobody_learned_from():
    score = evaluate_sentences(RulesPlanner(), read_sets([SETS / "en", SETS / "zh"], 400))
    assert sum(count for _, count in score.tasks.values()) == 400
    assert 0.6 < score.exact < 1
    right, count = score.fields["size"]
    assert right / count > 0.95
    assert score.wrong


ROW = {"prompt": "a kite, 480p", "intent": "picture", "width": 640, "height": 480}
PICTURE = {"task": Task.TEXT_TO_IMAGE, "width": 640, "height": 480}


@pytest.mark.parametrize(
    ("plan", "row", "field"),
    [
        (PICTURE, {}, None),
        (PICTURE | {"width": 720}, {}, "size"),
        ({"task": Task.TEXT_TO_IMAGE}, {}, "size"),
        (PICTURE | {"task": Task.TEXT_TO_VIDEO, "num_frames": 24}, {}, "kind"),
        (PICTURE | {"task": Task.TEXT_TO_VIDEO}, {"intent": "video", "num_frames": 24}, "num_frames"),
        (PICTURE, {"task": "text_to_video"}, "kind"),
        (PICTURE, {"intent": "video", "or": "picture"}, None),
        (PICTURE, {"intent": "ask", "or": "video"}, "kind"),
    ],
)
def test_what_a_sentence_says_is_compared(plan, row, field):
    score = evaluate_sentences(Always(Plan(**plan)), [ROW | row])
    assert score.exact == (field is None)
    if field:
        assert score.fields[field] == (0, 1)
    assert score.fields["target"] == (0, 0)


def test_an_error_is_wrong_in_every_field():
    score = evaluate_sentences(Always(None), [ROW])
    assert (score.exact, score.fields["kind"], score.fields["size"]) == (0, (0, 1), (0, 1))
    assert "nothing" in score.wrong[0][2]


def test_phrases_that_name_the_same_thing():
    assert is_same_thing("red car", "the red car")
    assert is_same_thing(None, None)
    assert not is_same_thing("red car", "house")
    assert not is_same_thing("car", None)


@pytest.mark.parametrize(
    "line", ["{", '{"prompt": "a"}', '{"prompt": 1, "intent": "ask"}', '{"prompt": "a", "intent": []}']
)
def test_what_is_no_sentence_is_named(tmp_path, line):
    file = tmp_path / "set.jsonl"
    file.write_text(f"{json.dumps(ROW)}\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"set\.jsonl:2 is no sentence"):
        read_sets([file], 10)
    with pytest.raises(InputError, match="no sentences"):
        read_sets([tmp_path / "none"], 10) if (tmp_path / "none").mkdir() is None else None


def test_a_server_is_measured_without_the_rules_in_its_place(capsys, tmp_path):
    file = tmp_path / "set.jsonl"
    file.write_text(f"{json.dumps(ROW)}\n{json.dumps(ROW | {'prompt': 'Create a picture, 480p'})}\n", encoding="utf-8")
    good = json.dumps(EMPTY | {"task": "text_to_image", "width": 640, "height": 480})
    with serving(good, "no plan") as stub:
        words = ["eval", "planner", "--planner", "server", "--server-url", stub.url, "--model", "tiny", "--wrong", "1"]
        assert main([*words, "--sentences", str(file)]) == 0
    table = capsys.readouterr().out
    assert "| **all** | 1 of 2, 50.0% |" in table
    assert "gave no plan that can be used, asked twice" in table
