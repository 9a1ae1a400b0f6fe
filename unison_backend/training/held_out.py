"""What is held out of training or asked of a planner: drawn over all groups alike, never the first lines."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from random import Random

from ..errors import InputError


def spread(groups: Sequence[Hashable], count: int, seed: int = 0) -> list[int]:
    """`count` indices into `groups`, of each group nearly its share of them, drawn by `seed`; in rising order.

    groups: what each item belongs to, such as (task, language).
    """
    random = Random(f"spread {seed}")
    order = list(range(len(groups)))
    random.shuffle(order)
    order.sort(key=lambda index: str(groups[index]))  # stable: within a group as shuffled
    count = min(count, len(order))
    return sorted(order[int((place + 0.5) * len(order) / count)] for place in range(count))


def held_out_count(count: int, share: float) -> int:
    """How many of `count` samples a share is; raises InputError where one above 0 is none of them, or all."""
    held = round(count * share)
    if share and not 0 < held < count:
        raise InputError(
            f"--held-out {share:g} of {count} samples is {held} of them; give a larger or smaller share, more samples, "
            "or 0 to measure nothing"
        )
    return held


def hold_out(groups: Sequence[Hashable], share: float, seed: int = 0) -> list[int]:
    """The indices that only evaluate, drawn over `groups`; none where `share` is 0. Raises InputError as the above."""
    count = held_out_count(len(groups), share)
    return spread(groups, count, seed) if count else []
