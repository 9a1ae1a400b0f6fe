"""Which of several candidates it is: one weight a feature, the same for every candidate (a conditional logit).

Full batches, L-BFGS, in float64 and in a fixed order, fitted twice, as `linear`; its file has a single class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..planner.rules.linear import fingerprint
from ..progress import Cancel, Progress, never, silent
from .linear import LEAST_SEEN, MORE_ROUNDS, ROUNDS, Descent, rows_of, write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PENALTY = 1e-5  # of squared weights, beside the mean loss of a choice


@dataclass(frozen=True)
class Choice:
    """The features of each candidate, and the number of the right one."""

    candidates: Sequence[Collection[str]]
    right: int


def train(
    choices: Sequence[Choice], name: str, kept: int, out: Path, stage: str,
    progress: Progress = silent, cancel: Cancel = never,
) -> None:  # fmt: skip
    """Fit a model that keeps so many features, and write it, whole or not at all. Raises Cancelled, MediaError.

    name: the file's one class, what a candidate is scored as.
    """
    import numpy as np

    fit = _Fit(choices, stage, progress, cancel)
    weights = fit.fitted(marks := fit.seen(), ROUNDS)
    if len(marks) > kept:
        order = np.sort(np.argsort(-np.abs(weights), kind="stable")[:kept])
        marks = [marks[place] for place in order]
        weights = fit.fitted(marks, MORE_ROUNDS, weights[order])
    write(out, (name,), marks, weights[:, None], np.zeros(1))


class _Fit:
    """One training: what stays the same between its two fits."""

    def __init__(self, choices: Sequence[Choice], stage: str, progress: Progress, cancel: Cancel) -> None:
        import numpy as np

        self._marks = [[sorted(set(map(fingerprint, each))) for each in choice.candidates] for choice in choices]
        self._sizes = np.array([len(choice.candidates) for choice in choices])
        self._starts = np.concatenate([[0], np.cumsum(self._sizes)[:-1]])
        self._right = self._starts + np.array([choice.right for choice in choices])
        self._descent = Descent(stage, ROUNDS + MORE_ROUNDS, progress, cancel)

    def seen(self) -> list[int]:
        """Features that choices have often enough."""
        seen = Counter(mark for choice in self._marks for mark in {mark for each in choice for mark in each})
        return sorted(mark for mark, count in seen.items() if count >= LEAST_SEEN)

    def fitted(self, marks: Sequence[int], rounds: int, start: Floats | None = None) -> Floats:
        """Weights [marks]."""
        import numpy as np

        given = rows_of((each for choice in self._marks for each in choice), marks)
        back = given.T.tocsr()
        count = len(self._sizes)

        def loss(weights: Floats) -> tuple[float, Floats]:
            scores = given @ weights
            scores -= np.repeat(np.maximum.reduceat(scores, self._starts), self._sizes)
            chances = np.exp(scores)
            chances /= np.repeat(np.add.reduceat(chances, self._starts), self._sizes)
            missed = -float(np.log(chances[self._right] + 1e-300).sum()) / count
            chances[self._right] -= 1
            slope = back @ chances / count + PENALTY * weights
            return missed + PENALTY * float(weights @ weights) / 2, slope

        first = np.zeros(len(marks)) if start is None else start
        return self._descent.lowest(loss, first, rounds)
