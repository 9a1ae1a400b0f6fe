"""Orders to continue a clip: behind it, before it, between two, and how long."""

import pytest

from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.rules.plan import plan

pytestmark = pytest.mark.fast

BEHIND, BEFORE, BETWEEN = (((0, "first"),), ((0, "last"),), ((0, "first"), (1, "last")))


@pytest.mark.parametrize(
    ("text", "frames", "new"),
    [
        ("Continue <VIDPAD> for 3 seconds", BEHIND, 72),
        ("Make it longer <VIDPAD>", BEHIND, None),
        ("<VIDPAD> continue, he looks around before he jumps", BEHIND, None),
        ("go on with <VIDPAD> for 2 s, as never before", BEHIND, 48),
        ("prepend 2 seconds to <VIDPAD>", BEFORE, 48),
        ("Show me what led up to this <VIDPAD>, 2 seconds", BEFORE, 48),
        ("<VIDPAD> add 2 seconds at the beginning", BEFORE, 48),
        ("extend <VIDPAD> backwards by 1 second", BEFORE, 24),
        ("Fill the gap between <VIDPAD> and <VIDPAD>, 2 seconds", BETWEEN, 48),
        ("the 3 seconds before <VIDPAD>", BEFORE, 72),
        ("Generate the 2 seconds leading up to this clip <VIDPAD>", BEFORE, 48),
        ("What happens before <VIDPAD>, 3 seconds", BEFORE, 72),
        ("Show what happens before <VIDPAD>", BEFORE, None),
        ("\u7eed\u5199<VIDPAD>\u4e09\u79d2", BEHIND, 72),
        ("\u628a<VIDPAD>\u5ef6\u957f3\u79d2", BEHIND, 72),
        ("\u5728<VIDPAD>\u524d\u9762\u52a02\u79d2", BEFORE, 48),
        ("\u751f\u6210<VIDPAD>\u4e4b\u524d\u76843\u79d2", BEFORE, 72),
        ("<VIDPAD>\u5f00\u5934\u5f80\u524d\u5ef6\u957f\u4e24\u79d2", BEFORE, 48),
        ("\u5728<VIDPAD>\u548c<VIDPAD>\u4e4b\u95f4\u751f\u6210\u8fc7\u6e21\u89c6\u9891", BETWEEN, None),
    ],
)
def test_where_the_clip_stands(text, frames, new):
    made = plan(parse_pads(text))
    assert tuple((frame.medium, frame.place) for frame in made.frames) == frames
    assert made.num_frames == new and made.output == "video"
    assert not made.in_all


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("Extend <VIDPAD> to 10 seconds", 240),
        ("Continue <VIDPAD> until it is 8 s long", 192),
        ("Make <VIDPAD> 6 seconds long", 144),
        ("Make the 4 second clip <VIDPAD> last 10 seconds in total", 240),
        ("\u628a<VIDPAD>\u5ef6\u957f\u523010\u79d2", 240),
    ],
)
def test_a_length_of_all(text, frames):
    made = plan(parse_pads(text))
    assert made.frames and made.num_frames == frames and made.in_all


@pytest.mark.parametrize("text", ["What happens before <VIDPAD>?", "What happened before <VIDPAD>"])
def test_what_clearly_asks_is_a_question(text):
    assert plan(parse_pads(text)).output == "text"
