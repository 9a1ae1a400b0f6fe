"""List what training refuses: the sentences that measure the intent model, and README's orders. Run it after adding a
set, and after changing README's orders.

python scripts/keep_apart.py
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from unison_backend.plan.kinds import VIDEO_SUFFIXES  # noqa: E402
from unison_backend.training.intent.sentences import KEPT_APART, fingerprint, list_apart  # noqa: E402
from unison_backend.training.planning_apart import README_ORDERS  # noqa: E402

SETS = ROOT / "tests" / "unit" / "planner" / "rules" / "sentences"
_ORDER = re.compile(r'unison (?:run|plan)(?: --json)? "([^"]{4,})"')
_FILE = re.compile("###(.*?)###")


def readme_orders(text: str) -> list[str]:
    """Every order that README gives, once, with pads in place of its files."""
    orders = [_FILE.sub(lambda file: _pad(file[1]), order) for order in _ORDER.findall(text)]
    return list(dict.fromkeys(orders))


def _pad(name: str) -> str:
    return "<VIDPAD>" if Path(name).suffix in VIDEO_SUFFIXES else "<IMGPAD>"


if __name__ == "__main__":
    KEPT_APART.write_text(list_apart(SETS.rglob("*.jsonl"), SETS), encoding="utf-8")
    marks = [fingerprint(order) for order in readme_orders((ROOT / "README.md").read_text(encoding="utf-8"))]
    README_ORDERS.write_text(json.dumps(marks, indent=0) + "\n", encoding="utf-8")
