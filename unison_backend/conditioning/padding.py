"""The zero rows of a text context at the price of three.

A text context is mostly padding: zero rows, which the transformer attends without a mask. All zero rows have the same
key and the same value, so attention over m of them is attention over a few of them whose exp(bias) add up to m, with
each bias added to that row's scores: softmax(q k + bias) v, exactly. One row with bias ln(m) would do in float32, but
bfloat16 rounds ln(2000) to 1/32, which is up to 1.6 % of the weight. So the first rows take what bfloat16 holds, each
rounded down, and the next one takes the rest: with three rows less than 1e-5 of m is off.

This module needs torch only: the standalone engine, training and a host's sampler share it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from .text_context import CONTEXT_ROWS

PAD_ROWS = 3
# Added to the scores of a row that has no weight: exp(-8192) is 0 in every dtype, and a finite bias, unlike minus
# infinity, leaves no attention kernel with 0 / 0. A power of two, so exact in half precision too.
NO_WEIGHT = -8192.0


class Collapsed(NamedTuple):
    """Rows [B, R, D] in the text's own dtype, and what is added to their scores: bias [B, R] float32, all finite."""

    rows: Tensor
    bias: Tensor


def live_rows(text: Tensor) -> Tensor:
    """Which rows of a text context [B, rows, D] are not all zeros: bool [B, rows]. They may stand anywhere."""
    return (text != 0).any(dim=-1)


def rows_needed(live: Tensor, multiple: int = 1) -> int:
    """Into how many rows contexts with these live rows (bool [B, rows]) collapse, all of one batch alike.

    Rounded up to a multiple: attention kernels like a mask whose rows are whole 16 bytes (8 in bfloat16). The result
    can exceed the rows that are there; then collapsing gains nothing.
    """
    alive = live.sum(dim=1)
    most = int((alive + (live.shape[1] - alive).clamp(max=PAD_ROWS)).max())
    return -(-most // multiple) * multiple


def collapse(text: Tensor, live: Tensor, length: int) -> Collapsed:
    """A text context [B, rows, D] as `length` rows: the live ones in order, then zero rows that stand for the others.

    live: `live_rows(text)`. length: at least `rows_needed(live)`. The rows keep dtype and device; a row's bias is cast
    to the dtype that attention runs in, and belongs to its own item of the batch.
    Raises InputError when `length` is too small.
    """
    counts = live.sum(dim=1).tolist()
    if length < rows_needed(live):
        raise InputError(f"a text context with {max(counts)} rows of text does not collapse into {length} rows")
    parts = [text[index, live[index]] for index in range(text.shape[0])]
    return pack(parts, [text.shape[1] - count for count in counts], length)


def pack(parts: Sequence[Tensor], paddings: Sequence[int], length: int) -> Collapsed:
    """B texts [n, D] without their padding as [B, length, D]; each has paddings[b] zero rows to stand for."""
    rows = parts[0].new_zeros(len(parts), length, parts[0].shape[1])
    bias = torch.zeros(len(parts), length, dtype=torch.float32, device=rows.device)
    for index, (part, padding) in enumerate(zip(parts, paddings, strict=True)):
        rows[index, : len(part)] = part
        bias[index, len(part) :] = torch.tensor(pad_biases(padding, length - len(part)))
    return Collapsed(rows, bias)


def pack_texts(parts: Sequence[Tensor], context_rows: int = CONTEXT_ROWS) -> Collapsed:
    """B texts [n, D] without their padding as they would collapse from contexts of `context_rows` rows.

    Raises InputError when one has more rows than that.
    """
    longest = max(len(part) for part in parts)
    if longest > context_rows:
        raise InputError(f"a text context has {longest} rows; at most {context_rows} fit")
    paddings = [context_rows - len(part) for part in parts]
    return pack(parts, paddings, max(len(p) + min(m, PAD_ROWS) for p, m in zip(parts, paddings, strict=True)))


def pad_biases(padding: int, rows: int) -> list[float]:
    """The biases of `rows` zero rows that stand for `padding` of them: their exp adds up to `padding`.

    In float32 to its last digits, in bfloat16 within 1e-5 of it. Raises InputError when they are too few for that.
    """
    if rows >= padding:
        return [0.0] * padding + [NO_WEIGHT] * (rows - padding)
    if rows < PAD_ROWS:
        raise InputError(f"{rows} rows cannot stand for {padding} rows of padding; {PAD_ROWS} can")
    biases: list[float] = []
    rest = float(padding)
    for _ in range(PAD_ROWS - 1):
        biases.append(_bfloat16_below(math.log(rest)))
        rest -= math.exp(biases[-1])
    biases.append(math.log(rest) if rest > 0 else NO_WEIGHT)
    return biases + [NO_WEIGHT] * (rows - len(biases))


def _bfloat16_below(value: float) -> float:
    """The largest bfloat16 number (8 significant bits) that is not above `value`."""
    step = math.ldexp(1.0, math.frexp(value)[1] - 8)
    return math.floor(value / step) * step
