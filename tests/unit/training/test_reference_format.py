"""Which signal tokens the reference's parser reads as they are meant, form by form."""

import pytest

from unison_backend.plan.prompt import parse_pads
from unison_backend.plan.tokens import parse
from unison_backend.training.planning_record import Record
from unison_backend.training.reference_format import unreadable


def record(tokens, prompt=""):
    kinds = parse_pads(prompt).kinds
    return Record(parse(tokens, prompt, kinds).task, "en", prompt, tokens, kinds)


@pytest.mark.parametrize(
    ("tokens", "prompt", "reason"),
    [
        ("<CFI>", "a fox", None),
        ("<BORES>640,480<EORES><BONF>72<EONF><CFV>", "a fox, 640x480, 3 s", None),
        ("<BOEDIT>1,0<EOEDIT><CFI>", "<IMGPAD> with the mask <IMGPAD>: a hat", None),
        ("<BOEDIT>0,1<EOEDIT><CFV>", "<VIDPAD> is the mask of <VIDPAD>: no hat", None),
        ("<BOEDIT>0<EOEDIT><CFI>", "<IMGPAD> no hat", "edits without a mask"),
        ("<BOEDIT>0<EOEDIT><CFV>", "<VIDPAD> no hat", "edits without a mask"),
        ("<BOFIDX>0<EOFIDX><CFV>", "<IMGPAD> she smiles", None),
        ("<BOFIDX>0,1<EOFIDX><CFV>", "from <IMGPAD> to <IMGPAD>", "first and last frame together"),
        ("<CTRL><CFV>", "a dancer as in the pose video <VIDPAD>", None),
        ("<CTRL><CFI>", "a house along the edges <IMGPAD>", "control of a picture"),
        ("<REF><CFI>", "him <IMGPAD> on a boat", None),
        ("<REF><CFI>", "him <IMGPAD> and her <IMGPAD> on a boat", "several media of one role"),
        ("<REF><CTRL><CFV>", "him <IMGPAD> as in the pose video <VIDPAD>", "several roles at once"),
        ("<BONF>72<EONF><CFV>", "3 seconds more of <VIDPAD>", "clips that go on"),
        ("", "<IMGPAD> <IMGPAD> What differs?", None),
    ],
)
def test_forms(tokens, prompt, reason):
    assert unreadable(record(tokens, prompt)) == reason
