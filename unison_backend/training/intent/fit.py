"""All models of the rules planner from the pack's sentences, each to its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...plan.prompt import parse_pads
from ...planner.rules import mask_model, target_model
from ...planner.rules.detect import WHOLE
from ...planner.rules.intent_model import INTENTS, WEIGHTS, features, possible
from ...planner.rules.reading import read
from ...progress import Cancel, Progress, never, silent
from .. import linear
from . import masks, targets
from .drawn import drawn_edits, drawn_sentences
from .sentences import SENTENCES, Sentence, read_sentences, sentence_files

KEPT = 38_000  # features
FEWER = 2.0  # of languages that have fewer of them, a sentence counts as so many
TESTED = 2.0  # as often a sentence counts whose reading is a test
EVENED = 0.25  # there are more sentences of some intents than people ask for


def train_all(
    places: Sequence[Path], out: Path, progress: Progress = silent, cancel: Cancel = never
) -> tuple[int, tuple[Path, ...]]:
    """Train on the pack's sentences and those in `places`, and write the models into the folder `out`.

    How many sentences there were, and the files. Raises InputError, Cancelled, MediaError.
    """
    everywhere = (SENTENCES, *places)
    sentences, files = read_sentences(everywhere), sentence_files(everywhere)
    weights = (WEIGHTS, mask_model.WEIGHTS, mask_model.KEEPS_WEIGHTS, target_model.WEIGHTS, mask_model.SOURCES_WEIGHTS)
    paths = tuple(out / path.name for path in weights)
    train([*sentences, *drawn_sentences()], paths[0], progress, cancel)
    rows = masks.read_rows(files) + masks.rows_of(drawn_edits())
    masks.train(rows, paths[1], progress, cancel)
    masks.train_keeps(rows, paths[2], progress, cancel)
    masks.train_sources(rows, paths[4], progress, cancel)
    targets.train(targets.read_targets(files), paths[3], progress, cancel)
    return len(sentences), paths


def train(sentences: Sequence[Sentence], out: Path, progress: Progress = silent, cancel: Cancel = never) -> None:
    """Fit the intent model and write it to `out`, whole or not at all. Raises Cancelled, MediaError."""
    samples = [sample_of(sentence) for sentence in sentences if not sentence.teaches_no_kind]
    linear.train(samples, INTENTS, KEPT, out, "training the intent model", progress, cancel, EVENED)


def sample_of(sentence: Sentence) -> linear.Sample:
    """What the intent model sees of a sentence."""
    text, language = read(prompt := parse_pads(sentence.prompt))
    return linear.Sample(
        features=features(text.words, prompt.kinds),
        label=sentence.intent,
        among=possible(prompt.kinds),
        weight=sentence.weight
        * (1.0 if language.name in WHOLE else FEWER)
        * (TESTED if sentence.is_regression else 1.0),
    )
