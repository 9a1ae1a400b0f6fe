"""What `--explain` says: the rules by name with the words they matched, and what the models said."""

from __future__ import annotations

import pytest

from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.rules.explain import as_json, as_lines
from unison_backend.planner.rules.fired import Placed, recording
from unison_backend.planner.rules.plan import planned

pytestmark = pytest.mark.fast


def explained(text: str) -> dict:
    with recording() as trace:
        planned(parse_pads(text))
    return as_json(trace)


@pytest.mark.parametrize(
    ("text", "file", "name", "matched"),
    [
        ("Draw a fox, 640 x 480.", "any/sizes.toml", "sizes.pixels.times", "640 x 480"),
        ("A fox in 720p.", "any/sizes.toml", "sizes.lines.video_lines", "720p"),
        ("A film of a fox, 12 fps.", "en/lengths.toml", "lengths.rate.number_first", "12 fps"),
        ("A video of a fox, the first frame is <IMGPAD>.", "en/roles.toml", "roles.first.first_frame", "first frame"),
        ("\u751f\u62105\u79d2\u7684\u89c6\u9891", "zh/lengths.toml", None, "5\u79d2"),
        ("Ein Video von einem Fuchs, 5 Sekunden, Hochformat", "de/sizes.toml", "sizes.vertical.format", "hochformat"),
        ("Follow the depth of <VIDPAD>: a robot.", "en/controls.toml", "controls.kind.depth", "depth"),
    ],
)
def test_a_rule_is_named_with_its_file_and_the_place_of_its_words(text, file, name, matched):
    made = explained(text)
    found = [rule for rule in made["rules"] if rule["file"] == file and name in (None, rule["name"])]
    words = [rule for rule in found if matched in rule["matched"]]
    assert words, made["rules"]
    for rule in words:
        assert rule["why"]
        assert made["text"][slice(*rule["span"])] == rule["matched"]


def test_every_span_is_of_its_words():
    for text in (
        "Put the hat of <IMGPAD> on the man in <IMGPAD>, 5 seconds at 30 fps, square.",
        'In <VIDPAD>, "red car" of <IMGPAD> is the mask: replace it with a bus for 4 seconds.',
        "\u628a<IMGPAD>\u91cc\u7684\u7ea2\u8f66\u6362\u6389\uff0c<IMGPAD>\u662f\u8499\u7248",
    ):
        made = explained(text)
        spans = [rule for rule in made["rules"] if rule["span"] is not None]
        assert spans
        for rule in spans:
            assert made["text"][slice(*rule["span"])] == rule["matched"], rule


def test_what_the_models_said():
    made = explained("Replace the red car in <IMGPAD> with a bus. <IMGPAD> is the mask.")
    said = {model["model"]: model for model in made["models"]}
    assert said["kind of order"]["said"] == "edit"
    assert said["which medium is the mask"]["said"] == "medium 1"
    assert said["what is edited"]["said"] == "red car"
    assert said["what the mask marks"]["said"] == "what changes"
    assert all(0.5 < model["sure"] <= 1 for model in made["models"])


def test_lines_have_names_words_and_reasons():
    with recording() as trace:
        planned(parse_pads("A square video of a fox."))
    lines = "\n".join(as_lines(trace))
    assert "sizes.square.before_noun (en/sizes.toml): 'square video' at 2-14" in lines
    assert "the shape right before what is made" in lines


def test_nothing_is_written_down_unless_somebody_asks_and_the_plan_is_the_same():
    prompt = parse_pads("Put the hat of <IMGPAD> on the man in <IMGPAD>, 4 s at 30 fps.")
    plain = planned(prompt)
    with recording() as trace:
        assert planned(prompt) == plain
        count = len(trace.fired)
        assert planned(prompt) == plain
        assert len(trace.fired) == count > 0
    planned(prompt)
    assert len(trace.fired) == count


def test_a_slice_knows_where_it_stands():
    text = Placed.at("0123456789", 100)
    assert [part.start for part in (text[3:], text[3:5][1:], text[-2:])] == [103, 104, 108]  # type: ignore[attr-defined]
    assert text[3] == "3" and text[::2] == "02468"
