"""A linear model over named features, read with the standard library.

The file: a line of JSON (classes, scale, bias, count), then `count` ascending fingerprints of features (4 bytes each,
little-endian), then a byte a class for each of them.
"""

from __future__ import annotations

import json
import math
import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

ZERO = 128  # the byte that stands for a weight of 0

Class = TypeVar("Class")


def softmax(scores: Mapping[Class, float]) -> dict[Class, float]:
    """The share of each class, in their order; together 1."""
    best = max(scores.values())
    odds = {name: math.exp(score - best) for name, score in scores.items()}
    total = sum(odds.values())
    return {name: value / total for name, value in odds.items()}


def fingerprint(feature: str) -> int:
    """32 bits that tell one feature from another."""
    return zlib.crc32(feature.encode("utf-8", "surrogatepass"))


class LinearModel:
    """Scores of classes for a set of features; features that training did not keep count for nothing."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        end = content.index(b"\n") + 1
        header = json.loads(content[:end])
        self.classes: tuple[str, ...] = tuple(header["classes"])
        self._scale: float = header["scale"]
        self._bias: list[float] = header["bias"]
        self._known = array("I")
        if self._known.itemsize != 4:  # no platform that Python runs on today
            raise ValueError("a fingerprint takes 4 bytes")
        rows = end + 4 * header["count"]
        self._known.frombytes(content[end:rows])
        if sys.byteorder == "big":
            self._known.byteswap()
        self._rows = content[rows:]

    def knows(self, feature: str) -> bool:
        """Whether training kept a feature."""
        mark = fingerprint(feature)
        place = bisect_left(self._known, mark)
        return place < len(self._known) and self._known[place] == mark

    def scores(self, features: Iterable[str]) -> dict[str, float]:
        """The score of each class: its bias, and the sum of the kept features' weights over the root of their count."""
        wide, known = len(self.classes), self._known
        found = []
        for mark in set(map(fingerprint, features)):
            place = bisect_left(known, mark)
            if place < len(known) and known[place] == mark:
                found.append(self._rows[place * wide : (place + 1) * wide])
        if not found:
            return dict(zip(self.classes, self._bias, strict=True))
        scale = self._scale / math.sqrt(len(found))
        sums = map(sum, zip(*found, strict=True))
        return {
            name: bias + scale * (total - ZERO * len(found))
            for name, bias, total in zip(self.classes, self._bias, sums, strict=True)
        }
