"""Sizes and lengths that planning data says: drawn as a plan's numbers, with what the words for them need.

Some numbers are kept apart for measuring (`is_apart`): the embedded models' own size and length, 64x64 and 9 frames,
and every size and length with the same remainder. Who reads them has learned to read numbers, not to remember some.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any, Protocol

from ..defaults import PLAN_FPS
from ..plan.geometry import round_half_up
from ..planner.rules.measures import RATIOS, RESOLUTIONS, SHAPES

PLAIN_SIZES = (320, 384, 448, 480, 512, 576, 640, 704, 720, 768, 832, 896, 960, 1024, 1080, 1280)
_MOULD, _REST = 17, 64 + 3 * 64  # sizes kept apart
_COUNTS, _COUNT = 13, 9  # numbers of frames kept apart
# Below 64 a bare "AxB" may be a grid; the rules planner reads it as a size only where the words say so.
SMALLEST_BARE = 64
RATES = (12, 15, 16, 24, 25, 30, 50, 60)
TENTHS = (2, 4, 5, 5, 5, 6, 8)  # of a second, behind the point

Said = dict[str, Any]


class Numbers(Protocol):
    """Draws a size and a length. Of each: its kind (which list of words says it), plan's numbers, the words' fields."""

    def size(self, random: Random) -> tuple[str, tuple[int, int], Said]:
        """Kind, (width, height), fields."""
        ...

    def length(self, random: Random) -> tuple[str, int, Said]:
        """Kind, frames, fields."""
        ...


def is_apart(width: int | None = None, height: int | None = None, frames: int | None = None) -> bool:
    """Whether this size or number of frames is kept for measuring (64x64 and 9 frames are)."""
    size = width is not None and height is not None and (width + 3 * height - _REST) % _MOULD == 0
    return size or (frames is not None and frames % _COUNTS == _COUNT)


@dataclass(frozen=True)
class Plain:
    """The few sizes and lengths that the rules planner's own models were trained with."""

    def size(self, random: Random) -> tuple[str, tuple[int, int], Said]:
        """Kind, (width, height), fields."""
        kind = random.choice(["explicit", "explicit", "explicit", "lines", "horizontal", "vertical", "square", "ratio"])
        if kind == "explicit":
            width, height = (random.choice(PLAIN_SIZES) for _ in range(2))
            return kind, (width, height), {"w": width, "h": height}
        return named_size(kind, random)

    def length(self, random: Random) -> tuple[str, int, Said]:
        """Kind, frames, fields."""
        if random.random() < 0.35:
            frames = random.randint(16, 240)
            return "frames", frames, {"n": frames}
        seconds = random.randint(1, 12)
        return "seconds", seconds * PLAN_FPS, {"s": seconds}


@dataclass(frozen=True)
class Wide:
    """Any size and length, small ones and squares more often. apart: only those kept apart, only others, None: all.

    words: numbers up to twelve in the language's words, for seconds.
    """

    words: tuple[str, ...]
    apart: bool | None = False

    def size(self, random: Random) -> tuple[str, tuple[int, int], Said]:
        """Kind, (width, height), fields."""
        kind = "explicit" if self.apart or random.random() < 0.75 else random.choice(
            ["lines", "horizontal", "vertical", "square", "ratio"]
        )  # fmt: skip
        if kind != "explicit":
            return named_size(kind, random)
        while True:
            width, height = any_size(random)
            if self.apart in (None, is_apart(width, height)):
                return kind, (width, height), {"w": width, "h": height}

    def length(self, random: Random) -> tuple[str, int, Said]:
        """Kind, frames, fields."""
        if self.apart or random.random() < 0.55:
            while True:
                frames = random.randint(2, 30) if random.random() < 0.55 else random.randint(31, 320)
                if self.apart in (None, is_apart(frames=frames)):
                    return "frames", frames, {"n": frames}
        return self._seconds(random)

    def _seconds(self, random: Random) -> tuple[str, int, Said]:
        if random.random() < 0.06:
            return "one second", PLAN_FPS, {}
        if random.random() < 0.25:
            spoken = Fraction(random.randint(0, 8) * 10 + random.choice(TENTHS), 10)
            return "seconds", round_half_up(spoken * PLAN_FPS), {"s": f"{float(spoken):g}"}
        seconds = random.randint(2, 12) if random.random() < 0.8 else random.choice((14, 15, 16, 18, 20, 24, 30))
        if seconds < len(self.words) and random.random() < 0.3:
            return "spelled", seconds * PLAN_FPS, {"word": self.words[seconds], "s": seconds}
        return "seconds", seconds * PLAN_FPS, {"s": seconds}


def any_size(random: Random) -> tuple[int, int]:
    """Width and height, each 16 to 2048; small ones, squares and multiples of 16 are frequent."""
    drawn = random.random()
    if drawn < 0.2:
        width, height = (random.choice(PLAIN_SIZES) for _ in range(2))
    elif drawn < 0.6:
        width, height = (random.randint(2, 16) * 16 if random.random() < 0.6 else random.randint(16, 256) for _ in "wh")
    else:
        width, height = (
            random.randint(4, 128) * 16 if random.random() < 0.6 else random.randint(64, 2048) for _ in "wh"
        )
    return (width, width) if random.random() < 0.3 else (width, height)


def named_size(kind: str, random: Random) -> tuple[str, tuple[int, int], Said]:
    """A size of the meaning table that has a name."""
    if kind == "lines":
        lines = random.choice(sorted(RESOLUTIONS))
        return kind, RESOLUTIONS[lines], {"lines": lines}
    if kind == "ratio":
        ratio = random.choice(sorted(RATIOS))
        return kind, RATIOS[ratio], {"rw": ratio[0], "rh": ratio[1]}
    return kind, SHAPES[kind], {}
