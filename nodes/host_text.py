"""Text rows from a host CLIP as the reference's text encoder would give them: cleaned, unweighted, at most 512."""

from __future__ import annotations

from typing import Any

from ..unison_backend.conditioning.text_context import CONTEXT_ROWS, clean_text, text_context
from ..unison_backend.errors import InputError
from . import host

# Wan's text length (its configs, `text_len`), the end token among them.
MAX_TOKENS = 512
END_TOKEN = 1
ENCODER = "umt5xxl"
# Marks the projector's own rows, which are no text context by themselves.
PROJECTED = "unison_projected"

Conditioning = list[list[Any]]


def encode(clip: Any, text: str) -> tuple[Conditioning, bool]:
    """The rows of `text` without padding, [[rows [1, n, D], options], ...], and whether the text was cut.

    Raises InputError for a CLIP that is not Wan's.
    """
    tokens = clip.tokenize(clean_text(text), disable_weights=True)
    if ENCODER not in tokens:
        raise InputError(f"clip is no UMT5 ({', '.join(tokens)}): load umt5_xxl with Load CLIP, type wan")
    row = [pair for batch in tokens[ENCODER] for pair in batch]
    ends = [i for i, pair in enumerate(row) if isinstance(pair[0], int) and pair[0] == END_TOKEN]
    length = ends[-1] + 1 if ends else len(row)
    if length > MAX_TOKENS:
        tokens[ENCODER] = [[*row[: MAX_TOKENS - 1], row[ends[-1]]]] if ends else [row[:MAX_TOKENS]]
    encoded = clip.encode_from_tokens_scheduled(tokens)
    count = min(length, MAX_TOKENS)
    return [[rows[:, :count], options] for rows, options in encoded], length > MAX_TOKENS


def without_padding(conditioning: Conditioning) -> Conditioning:
    """Another node's conditioning without the zero rows at its end."""
    cut = []
    for rows, options in conditioning:
        filled = (rows != 0).any(-1).any(0).nonzero()
        count = int(filled.max()) + 1 if len(filled) else 1
        cut.append([rows[:, :count], options])
    return cut


def to_context(conditioning: Conditioning, projected: Conditioning | None = None) -> Conditioning:
    """Every entry with the projected tokens behind it, zero-padded to 2048 rows: native conditioning."""
    extra = None if projected is None else projected[0][0]
    made = []
    for rows, options in conditioning:
        if rows.shape[0] != 1:
            raise InputError(f"conditioning has a batch of {rows.shape[0]}: connect one prompt")
        context = text_context(rows[0].float(), extra, CONTEXT_ROWS)
        made.append([host.to_results(context), {key: options[key] for key in options if key != PROJECTED}])
    return made


def check_context(**sides: Conditioning | None) -> None:
    """Raise InputError for what a Text Context that is switched off lets through in its place: rows of no text."""
    for name, side in sides.items():
        if side is None or any(PROJECTED in options for _, options in side):
            raise InputError(
                f"{name} holds no text: Text Context is switched off (bypassed), or Projector is "
                f"connected here in its place. Switch it on (Ctrl+B), or connect {name} of Text Context"
            )
