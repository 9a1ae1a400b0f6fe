"""Media in messages: by what the person knows, never by an index."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from unison_backend.errors import PromptError
from unison_backend.plan import overrides
from unison_backend.plan.geometry import MediaInfo
from unison_backend.plan.names import by_name, name_of, naming
from unison_backend.plan.plan import PlanError
from unison_backend.plan.report import as_lines
from unison_backend.plan.spec import resolve
from unison_backend.plan.tokens import parse
from unison_backend.sources.prepare import check_possible

pytestmark = pytest.mark.fast

LABELS = ("a.mp4", "b.png (--reference)")
VIDEO = MediaInfo("video", 96, 64, tuple(Fraction(i, 8) for i in range(6)), Fraction(6, 8), notes=("it is converted",))
STILL = MediaInfo("image", 96, 64)


def test_a_medium_without_a_label_is_counted_within_its_kind() -> None:
    media = ("image", "video", "image")
    assert [name_of(i, media) for i in range(3)] == ["picture 1", "video 1", "picture 2"]
    assert [name_of(i, media, ("", "v.mp4")) for i in range(3)] == ["picture 1", "v.mp4", "picture 2"]


@pytest.mark.parametrize("labels", [LABELS, ()])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("tokens", ["<CTRL><CFV>", "<BONF>24<EONF><CTRL><REF><CFV>", "<BOEDIT>0<EOEDIT><CFV>"])
def test_reasons_and_lines_speak_of_names(tokens: str, known: bool, labels: tuple[str, ...]) -> None:
    plan = parse(tokens, "", ("video", "image"))
    spec = resolve(plan, (VIDEO, STILL) if known else (), labels=labels)
    told = "\n".join([*(reason.text for reason in spec.reasons), *as_lines(plan, spec, None, labels)])
    assert not re.search(r"medi(um|a) \d", told)
    assert ("a.mp4" if labels else "video 1") in told


def test_a_conversion_is_a_reason_with_the_name() -> None:
    spec = resolve(parse("<CTRL><CFV>", "", ("video",)), (VIDEO,), labels=LABELS)
    assert "a.mp4: it is converted" in [reason.text for reason in spec.reasons if reason.field == "media"]
    asked = resolve(parse("It jumps.", "", ("video",)), (VIDEO,), labels=LABELS)
    assert [reason.text for reason in asked.reasons] == ["a.mp4: it is converted"]


@pytest.mark.parametrize(
    ("tokens", "setting", "said"),
    [
        ("<BOEDIT>1<EOEDIT><CFI>", "mask=0", "a.mp4 is a moving mask (a video), and a still takes one picture"),
        ("<CFI>", "source=0", "a.mp4 is a video, and a picture is made"),
        ("<CFV>", "source=1", "b.png (--reference) is a picture, and an edited video is made from a video"),
        ("<CFI>", "references=0", "a.mp4 is a video, and references are pictures"),
    ],
)
def test_a_medium_of_the_wrong_kind_is_named(tokens: str, setting: str, said: str) -> None:
    plan = parse(tokens, "", ("video", "image"))
    with pytest.raises(PlanError) as caught, naming(LABELS):
        overrides.apply(plan, overrides.parse_settings([setting]))
    assert str(caught.value).startswith(said)


def test_what_cannot_be_done_names_the_medium() -> None:
    from unison_backend.errors import UnsupportedError

    with pytest.raises(UnsupportedError, match="edits video 1 without a mask"):
        check_possible(parse("<BOEDIT>0<EOEDIT><CFV>", "", ("video",)))


def test_media_go_by_the_names_of_their_sockets() -> None:
    labels = ("image1", "image1 #2", "video1", "")
    assert by_name("<video1>:first, IMAGE1:40", labels) == "2:first, 0:40"
    assert by_name("0,1", labels) == "0,1" and by_name("none", labels) == "none"
    with pytest.raises(PromptError, match="mask1 is none of this plan's media: image1, image1 #2, video1"):
        by_name("mask1", labels)
