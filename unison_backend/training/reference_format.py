"""Which plans the reference's own script reads as they are meant.

Its parser (inference.py, the table in docs/reference.md) knows fewer forms than ours. What it would stop at, pass over
or take for something else is named here, so that data for it can leave such records out.
"""

from __future__ import annotations

import re

from .planning_record import Record

_EDIT = re.compile("<BOEDIT>([0-9,]+)<EOEDIT>")
_FRAMES = re.compile("<BOFIDX>([0-9,]+)<EOFIDX>")
_ROLES = ("<BOEDIT>", "<BOFIDX>", "<REF>", "<CTRL>")


def unreadable(record: Record) -> str | None:
    """Why the reference's parser does not read a record's tokens as they are meant; None where it does.

    Questions have no tokens, which it reads as an answer.
    """
    tokens = record.tokens
    if not tokens:
        return None
    edit, frames = _EDIT.search(tokens), _FRAMES.search(tokens)
    roles = sum(role in tokens for role in _ROLES)
    reasons = {
        "edits without a mask": edit is not None and "," not in edit[1],  # it takes two numbers apart, mask and source
        "first and last frame together": frames is not None and "," in frames[1],  # one number, for the first medium
        # Looked for in videos alone: the map would be passed over.
        "control of a picture": "<CTRL>" in tokens and "<CFI>" in tokens,
        "several roles at once": roles > 1,  # each takes the first medium
        "several media of one role": len(record.media) > 1 and edit is None,  # the first alone is used
        "clips that go on": bool(record.media) and not roles,  # no token says them
    }
    return next((reason for reason, holds in reasons.items() if holds), None)
