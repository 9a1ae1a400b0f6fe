"""Multinomial logistic regression on named features, and the file that `planner.rules.linear` reads.

Full batches, L-BFGS, in float64 and in a fixed order: the same samples with the same libraries give the same bytes.
The model is fitted twice: to every feature that is seen often enough, then to the weightiest of them alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import replacing, writing
from ..planner.rules.linear import ZERO, fingerprint
from ..progress import Cancel, Progress, check, never, silent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PENALTY = 3e-6  # of squared weights, beside the mean loss of a sample
ROUNDS, MORE_ROUNDS = 100, 60
LEAST_SEEN = 2
_LIMIT = 127  # the largest weight, in steps of the scale
_IMPOSSIBLE = -1e9


@dataclass(frozen=True)
class Sample:
    """Features, the class they belong to, the classes that are possible at all, and how much the sample counts."""

    features: Collection[str]
    label: str
    among: Collection[str]
    weight: float = 1.0


def train(
    samples: Sequence[Sample], classes: Sequence[str], kept: int, out: Path, stage: str,
    progress: Progress = silent, cancel: Cancel = never, evened: float = 0.0,
) -> None:  # fmt: skip
    """Fit a model that keeps so many features, and write it, whole or not at all. Raises Cancelled, MediaError.

    evened: how far rare classes count as much as frequent ones, from 0 (each sample the same) to 1 (each class).
    """
    seen = Counter(mark for sample in samples for mark in set(map(fingerprint, sample.features)))
    marks = sorted(mark for mark, count in seen.items() if count >= LEAST_SEEN)
    fit = _Fit(samples, classes, evened, stage, progress, cancel)
    weights, bias = fit.fitted(marks, ROUNDS)
    if len(marks) > kept:
        import numpy as np

        order = np.sort(np.argsort(-np.abs(weights).max(1), kind="stable")[:kept])
        marks = [marks[place] for place in order]
        weights, bias = fit.fitted(marks, MORE_ROUNDS, (weights[order], bias))
    write(out, classes, marks, weights, bias)


class _Fit:
    """One training: what stays the same between its two fits."""

    def __init__(
        self,
        samples: Sequence[Sample],
        classes: Sequence[str],
        evened: float,
        stage: str,
        progress: Progress,
        cancel: Cancel,
    ) -> None:
        import numpy as np

        counts = Counter(sample.label for sample in samples)
        weights = np.array([sample.weight * counts[sample.label] ** -evened for sample in samples])
        self._weights = (weights / weights.sum())[:, None]

        self._samples, self._classes = samples, classes
        self._descent = Descent(stage, ROUNDS + MORE_ROUNDS, progress, cancel)
        self._truth = np.array([[float(name == sample.label) for name in classes] for sample in samples])
        self._allowed = np.array(
            [[0.0 if name in sample.among else _IMPOSSIBLE for name in classes] for sample in samples]
        )

    def fitted(
        self, marks: list[int], rounds: int, start: tuple[Floats, Floats] | None = None
    ) -> tuple[Floats, Floats]:
        """Weights [marks, classes] and bias [classes]."""
        import numpy as np

        shape = (len(marks), len(self._classes))
        given = rows_of((set(map(fingerprint, sample.features)) for sample in self._samples), marks)
        back = given.T.tocsr()

        def loss(values: Floats) -> tuple[float, Floats]:
            weights, bias = values[: -shape[1]].reshape(shape), values[-shape[1] :]
            scores = given @ weights + bias + self._allowed
            scores -= scores.max(1, keepdims=True)
            chances = np.exp(scores)
            chances /= chances.sum(1, keepdims=True)
            error = (chances - self._truth) * self._weights
            missed = -(np.log((chances * self._truth).sum(1, keepdims=True) + 1e-300) * self._weights).sum()
            slope = np.concatenate([(back @ error + PENALTY * weights).ravel(), error.sum(0)])
            return float(missed + PENALTY * (weights**2).sum() / 2), slope

        first = np.zeros(shape[0] * shape[1] + shape[1])
        if start is not None:
            first = np.concatenate([start[0].ravel(), start[1]])
        found = self._descent.lowest(loss, first, rounds)
        return found[: -shape[1]].reshape(shape), found[-shape[1] :]


def rows_of(found: Iterable[Collection[int]], marks: Sequence[int]) -> Any:
    """Fingerprints of features as sparse rows of length 1, a column for each of `marks`; empty where none is known."""
    from scipy.sparse import csr_matrix

    place = {mark: number for number, mark in enumerate(marks)}
    starts, places, values = [0], [], []
    for each in found:
        known = sorted({place[mark] for mark in each if mark in place})
        places += known
        values += [max(1, len(known)) ** -0.5] * len(known)
        starts.append(len(places))
    return csr_matrix((values, places, starts), shape=(len(starts) - 1, len(marks)))


class Descent:
    """L-BFGS that tells its rounds, over all fits of one training, and can be stopped between them."""

    def __init__(self, stage: str, most: int, progress: Progress, cancel: Cancel) -> None:
        self._stage, self._most, self._progress, self._cancel = stage, most, progress, cancel
        self._rounds = 0

    def lowest(self, loss: Callable[[Floats], tuple[float, Floats]], first: Floats, rounds: int) -> Floats:
        """The values at which `loss`, which gives its slope too, is lowest, from `first` on. Raises Cancelled."""
        from scipy.optimize import minimize

        options = {"maxiter": rounds, "maxcor": 6}
        found: Floats = minimize(loss, first, jac=True, method="L-BFGS-B", callback=self._told, options=options).x
        return found

    def _told(self, _: Any) -> None:
        self._rounds += 1
        check(self._cancel, self._stage)
        self._progress(self._stage, min(self._rounds, self._most), self._most)


def write(path: Path, classes: Sequence[str], marks: Sequence[int], weights: Floats, bias: Floats) -> None:
    """See `planner.rules.linear` for the form."""
    import numpy as np

    scale = float(np.abs(weights).max()) / _LIMIT or 1.0
    rounded = [round(float(value), 6) for value in bias]
    header = {"classes": list(classes), "scale": scale, "bias": rounded, "count": len(marks)}
    table = (np.round(weights / scale) + ZERO).astype(np.uint8)
    content = json.dumps(header).encode() + b"\n" + np.array(marks, dtype="<u4").tobytes() + table.tobytes()
    with replacing(path) as temporary, writing(path):
        temporary.write_bytes(content)
