"""Which of several candidates it is: one weight a feature, the same for every candidate (a conditional logit).

Full batches, L-BFGS, in float64 and in a fixed order, fitted twice, as `linear`; its file has a single class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..planner.rules.linear import fingerprint
from ..progress import Cancel, Progress, check, never, silent
from .linear import LEAST_SEEN, MORE_ROUNDS, ROUNDS, write

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
        self._stage, self._progress, self._cancel, self._rounds = stage, progress, cancel, 0

    def seen(self) -> list[int]:
        """Features that choices have often enough."""
        seen = Counter(mark for choice in self._marks for mark in {mark for each in choice for mark in each})
        return sorted(mark for mark, count in seen.items() if count >= LEAST_SEEN)

    def fitted(self, marks: Sequence[int], rounds: int, start: Floats | None = None) -> Floats:
        """Weights [marks]."""
        import numpy as np
        from scipy.optimize import minimize

        given = self._rows(marks)
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
        options = {"maxiter": rounds, "maxcor": 6}
        found: Floats = minimize(loss, first, jac=True, method="L-BFGS-B", callback=self._told, options=options).x
        return found

    def _told(self, _: Any) -> None:
        self._rounds += 1
        check(self._cancel, self._stage)
        self._progress(self._stage, min(self._rounds, ROUNDS + MORE_ROUNDS), ROUNDS + MORE_ROUNDS)

    def _rows(self, marks: Sequence[int]) -> Any:
        """The candidates' features as rows of length 1."""
        from scipy.sparse import csr_matrix

        place = {mark: number for number, mark in enumerate(marks)}
        starts, places, values = [0], [], []
        for each in (each for choice in self._marks for each in choice):
            found = [place[mark] for mark in each if mark in place]
            places += found
            values += [len(found) ** -0.5] * len(found)
            starts.append(len(places))
        return csr_matrix((values, places, starts), shape=(len(starts) - 1, len(marks)))
