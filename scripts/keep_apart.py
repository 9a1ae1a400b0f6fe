"""List the sentences that measure the intent model, so that its training refuses them. Run it after adding a set.

python scripts/keep_apart.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from unison_backend.training.intent.sentences import KEPT_APART, list_apart  # noqa: E402

SETS = ROOT / "tests" / "unit" / "planner" / "rules" / "sentences"

if __name__ == "__main__":
    KEPT_APART.write_text(list_apart(SETS.rglob("*.jsonl"), SETS), encoding="utf-8")
