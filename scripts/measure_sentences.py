"""What the rules planner reads of the sets that are kept apart, by set and field: the figures of docs/plan.md.

python scripts/measure_sentences.py [PATTERN] [--pixels]     such as en/1*.jsonl; all by default

--pixels: with files for the media, masks of ten kinds and photographs, as the product has them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.unit.planner.rules.sentences import read, shares  # noqa: E402

FIELDS = ("intent", "size", "num_frames", "fps", "mask_source", "keeps", "target", "frames")


def main(pattern: str, *, pixels: bool) -> None:
    """Print a row a set."""
    with TemporaryDirectory() as folder:
        if pixels:
            from tests.unit.planner.rules.shown import Shown

            found = shares(pattern=pattern, reads=Shown(Path(folder)).read)
        else:
            found = shares(pattern=pattern, reads=read)
    rows = [f"| set | {' | '.join(FIELDS)} |", f"|---|{'---|' * len(FIELDS)}"]
    for name, counts in found.items():
        cells = [
            f"{right}/{count}" if count else "" for right, count in (counts.get(field, (0, 0)) for field in FIELDS)
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("pattern", nargs="?", default="*/*.jsonl")
    parser.add_argument("--pixels", action="store_true")
    options = parser.parse_args()
    main(options.pattern, pixels=options.pixels)
