"""Which words of a text are its phrase: scores of single words, added up to the score of every phrase it could be.

Unlike word for word (`linear`) the likelihood is that of whole phrases, so what is trained is what is chosen. Full
batches, L-BFGS, in float64 and in a fixed order, fitted twice, as `linear`; its file has a class a part of the phrase.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..planner.rules.linear import fingerprint
from ..progress import Cancel, Progress, never, silent
from .linear import LEAST_SEEN, Descent, rows_of, write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PENALTY = 1e-5  # of squared weights, beside the mean loss of a text
ROUNDS, MORE_ROUNDS = 150, 100
BEGIN, INSIDE, BEHIND = range(3)  # the places of the classes


@dataclass(frozen=True)
class Marked:
    """A text: the features of each word, the phrases that are possible, and how right each of them is, from 0 to 1.

    A phrase is (first word, word behind it). With none of them right, no phrase is.
    """

    words: Sequence[Collection[str]]
    phrases: Sequence[tuple[int, int]]
    right: Sequence[float]


def train(
    texts: Sequence[Marked], classes: Sequence[str], kept: int, out: Path, stage: str,
    progress: Progress = silent, cancel: Cancel = never,
) -> None:  # fmt: skip
    """Fit a model that keeps so many features, and write it, whole or not at all. Raises Cancelled, MediaError.

    classes: the names of what a word can be to a phrase: its beginning, inside it, behind it.
    """
    import numpy as np

    seen = Counter(mark for text in texts for word in text.words for mark in set(map(fingerprint, word)))
    marks = sorted(mark for mark, count in seen.items() if count >= LEAST_SEEN)
    fit = _Fit(texts, stage, progress, cancel)
    weights, bias = fit.fitted(marks, ROUNDS)
    if len(marks) > kept:
        order = np.sort(np.argsort(-np.abs(weights).max(1), kind="stable")[:kept])
        marks = [marks[place] for place in order]
        weights, bias = fit.fitted(marks, MORE_ROUNDS, (weights[order], bias))
    write(out, classes, marks, weights, bias)


class _Fit:
    """One training: what stays the same between its two fits."""

    def __init__(self, texts: Sequence[Marked], stage: str, progress: Progress, cancel: Cancel) -> None:
        import numpy as np

        self._texts = texts
        self._descent = Descent(stage, ROUNDS + MORE_ROUNDS, progress, cancel)
        begins, ends, right, owners = [], [], [], []
        row = 0
        for number, text in enumerate(texts):
            # No phrase at all is one more choice, of score 0; it is taken to be the row -1 to the row -1.
            chosen = [*text.right, 0.0 if any(text.right) else 1.0]
            begins += [*(row + first for first, _ in text.phrases), -1]
            ends += [*(row + behind for _, behind in text.phrases), -1]
            right += chosen
            owners += [number] * len(chosen)
            row += len(text.words) + 1  # and a row for what is behind the last word
        self._begins, self._ends, self._owners = np.array(begins), np.array(ends), np.array(owners)
        self._is_phrase = (self._begins >= 0).astype(np.float64)
        self._starts = np.searchsorted(self._owners, np.arange(len(texts)))
        with np.errstate(divide="ignore"):
            self._right = np.maximum(np.log(np.array(right)), -1e9)

    def fitted(
        self, marks: list[int], rounds: int, start: tuple[Floats, Floats] | None = None
    ) -> tuple[Floats, Floats]:
        """Weights [marks, classes] and bias [classes]."""
        import numpy as np

        shape = (len(marks), 3)
        # An empty row behind each text: what is behind its last word.
        words = (set(map(fingerprint, word)) for text in self._texts for word in (*text.words, ()))
        given = rows_of(words, marks)
        back = given.T.tocsr()

        def loss(values: Floats) -> tuple[float, Floats]:
            weights, bias = values[:-3].reshape(shape), values[-3:]
            missed, slope = self._loss(given @ weights + bias)
            return missed + PENALTY * (weights**2).sum() / 2, np.concatenate(
                [(back @ slope + PENALTY * weights).ravel(), slope.sum(0)]
            )

        first = np.zeros(shape[0] * 3 + 3)
        if start is not None:
            first = np.concatenate([start[0].ravel(), start[1]])
        found = self._descent.lowest(loss, first, rounds)
        return found[:-3].reshape(shape), found[-3:]

    def _loss(self, scores: Floats) -> tuple[float, Floats]:
        """The mean loss of a text at scores [words, classes], and its slope [words, classes]."""
        import numpy as np

        inside = np.concatenate([[0.0], np.cumsum(scores[:, INSIDE])])
        begins, ends = self._begins, self._ends
        values = scores[begins, BEGIN] + inside[ends] - inside[begins + 1] + scores[ends, BEHIND]
        values *= self._is_phrase
        total, chances = self._shares(values)
        best, wanted = self._shares(values + self._right)
        error = (chances - wanted) * self._is_phrase / len(self._texts)
        slope = np.zeros_like(scores)
        np.add.at(slope[:, BEGIN], begins, error)
        np.add.at(slope[:, BEHIND], ends, error)
        steps = np.zeros(len(scores) + 1)
        np.add.at(steps, begins + 1, error)
        np.add.at(steps, ends, -error)
        slope[:, INSIDE] = np.cumsum(steps)[:-1]
        return float((total - best).mean()), slope

    def _shares(self, values: Floats) -> tuple[Floats, Floats]:
        """By text: the logarithm of the sum of all choices' odds; and the share of each choice."""
        import numpy as np

        best = np.maximum.reduceat(values, self._starts)
        odds = np.exp(values - best[self._owners])
        sums = np.add.reduceat(odds, self._starts)
        return best + np.log(sums), odds / sums[self._owners]
