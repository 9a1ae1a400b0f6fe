"""The rules planner's intent model trained on drawn planning records alone, and what it reads of the sets kept apart.

python scripts/measure_records.py [--count 40000] [--seed 0] [--wrong 20]

Trains into a temporary folder; the model that ships stays as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from unison_backend.plan.prompt import parse_pads  # noqa: E402
from unison_backend.planner.rules.intent_model import IntentModel, possible  # noqa: E402
from unison_backend.planner.rules.reading import read  # noqa: E402
from unison_backend.training.intent.fit import train  # noqa: E402
from unison_backend.training.intent.sentences import Sentence  # noqa: E402
from unison_backend.training.records.stream import stream  # noqa: E402

SETS = ROOT / "tests" / "unit" / "planner" / "rules" / "sentences"
LANGUAGES = ("en", "zh")  # of the records


def main(count: int, seed: int, wrong: int) -> None:
    """Print a row a set, and what was read otherwise."""
    sentences = [Sentence(record.prompt, record.intent) for record in stream(count, seed)]
    with tempfile.TemporaryDirectory() as folder:
        train(sentences, path := Path(folder) / "intent.weights")
        model = IntentModel(path)
        missed, counts = Counter(), Counter()
        told = []
        for file in sorted(file for language in LANGUAGES for file in (SETS / language).glob("*.jsonl")):
            name = f"{file.parent.name}/{file.stem}"
            for line in filter(None, file.read_text(encoding="utf-8").split("\n")):
                row = json.loads(line)
                prompt = parse_pads(row["prompt"])
                text, _ = read(prompt)
                got = model.read(text.words, prompt.kinds, possible(prompt.kinds)).intent
                for key in (name, f"all {file.parent.name}", "all"):
                    counts[key] += 1
                    missed[key] += got != row["intent"]
                if got != row["intent"]:
                    told.append(f"{name}: {row['intent']} read as {got}: {row['prompt']}")
    rows = [f"{name}: {counts[name] - missed[name]} of {counts[name]}, {1 - missed[name] / counts[name]:.1%}"
            for name in sorted(counts)]  # fmt: skip
    sys.stdout.write("\n".join([*rows, *told[:: max(1, len(told) // wrong)][:wrong]] if wrong else rows) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wrong", type=int, default=0, help="so many of those read otherwise")
    given = parser.parse_args()
    main(given.count, given.seed, given.wrong)
