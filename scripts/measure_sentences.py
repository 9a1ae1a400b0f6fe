"""What the rules planner reads of the sets that are kept apart, by set and field: the figures of docs/plan.md.

python scripts/measure_sentences.py [PATTERN]     such as en/1*.jsonl; all by default
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.unit.planner.rules.sentences import shares  # noqa: E402

FIELDS = ("intent", "size", "num_frames", "fps", "mask_source", "keeps", "target", "frames")


def main(pattern: str) -> None:
    """Print a row a set."""
    rows = [f"| set | {' | '.join(FIELDS)} |", f"|---|{'---|' * len(FIELDS)}"]
    for name, counts in shares(pattern=pattern).items():
        cells = [
            f"{right}/{count}" if count else "" for right, count in (counts.get(field, (0, 0)) for field in FIELDS)
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "*/*.jsonl")
