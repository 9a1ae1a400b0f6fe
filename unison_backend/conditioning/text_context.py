"""Text context: T5 rows and projected tokens, zero-padded to 2048 rows.

Padding is not inert: the transformer attends every row without a mask, so the number of rows changes the picture
and both sides must have exactly as many as in the reference (module.py sets `text_len` to 2048).
"""

from __future__ import annotations

import html
import re
from importlib import resources
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

CONTEXT_ROWS = 2048
# A token is a few characters, runs of spaces and entities apart; mending a million takes 20 seconds.
_MOST_CHARACTERS = 50_000


def negative_prompt() -> str:
    """Wan's own negative prompt (Wan2.1 configs, `sample_neg_prompt`), used where none is given."""
    return resources.files(__package__).joinpath("negative_prompt.txt").read_text(encoding="utf-8")


def clean_text(text: str) -> str:
    """Text as T5 saw it in training: mended encoding, no HTML entities, one space between words; case is kept.

    Of a text without an end its beginning is cleaned, far more than the 511 tokens that are read.
    """
    import ftfy

    if len(text) > _MOST_CHARACTERS:
        text = re.sub(r"\s+", " ", html.unescape(html.unescape(text))).strip()[:_MOST_CHARACTERS]
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return re.sub(r"\s+", " ", text).strip()


def text_context(rows: Tensor, projected: Tensor | None = None, length: int = CONTEXT_ROWS) -> Tensor:
    """[1, length, D] float32 from T5 rows [n, D] and, on the positive side, projected tokens [1, k, D] behind them.

    Raises InputError when there are more than `length` rows or the widths differ.
    """
    import torch
    from einops import rearrange

    parts = [rows] if projected is None else [rows, projected[0].to(rows)]
    if len({part.shape[-1] for part in parts}) != 1:
        widths = " and ".join(str(part.shape[-1]) for part in parts)
        raise InputError(
            f"text rows and projected tokens have the widths {widths}: the projector is for another text encoder"
        )
    filled = torch.cat(parts)
    if filled.shape[0] > length:
        raise InputError(f"the text context has {filled.shape[0]} rows, at most {length} fit: shorten the instruction")
    padded = torch.nn.functional.pad(filled, (0, 0, 0, length - filled.shape[0]))
    return rearrange(padded, "row width -> 1 row width")
