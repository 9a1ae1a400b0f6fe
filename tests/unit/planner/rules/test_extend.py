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
        ("续写<VIDPAD>三秒", BEHIND, 72),
        ("把<VIDPAD>延长3秒", BEHIND, 72),
        ("在<VIDPAD>前面加2秒", BEFORE, 48),
        ("生成<VIDPAD>之前的3秒", BEFORE, 72),
        ("<VIDPAD>开头往前延长两秒", BEFORE, 48),
        ("在<VIDPAD>和<VIDPAD>之间生成过渡视频", BETWEEN, None),
    ],
)
def test_where_the_clip_stands(text, frames, new):
    made = plan(parse_pads(text))
    assert tuple((frame.medium, frame.place) for frame in made.frames) == frames
    assert made.num_frames == new and made.output == "video"
