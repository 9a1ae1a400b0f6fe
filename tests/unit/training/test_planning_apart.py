"""What measures is in no training record: README's orders, the sets kept apart, their numbers."""

import importlib.util
import json
from pathlib import Path

from unison_backend.plan.tasks import Task
from unison_backend.training.intent.sentences import fingerprint
from unison_backend.training.planning_apart import README_ORDERS, is_kept_apart
from unison_backend.training.planning_data import draw
from unison_backend.training.planning_record import Record

ROOT = Path(__file__).resolve().parents[3]
SETS = ROOT / "tests" / "unit" / "planner" / "rules" / "sentences"


def script():
    spec = importlib.util.spec_from_file_location("keep_apart", ROOT / "scripts" / "keep_apart.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def readme_orders():
    return script().readme_orders((ROOT / "README.md").read_text(encoding="utf-8"))


def test_the_list_is_readmes():
    orders = readme_orders()
    assert len(orders) >= 18 and "Which shape has three sides?" in orders
    assert json.loads(README_ORDERS.read_text()) == [fingerprint(order) for order in orders]


def record(prompt, tokens="<CFI>"):
    return Record(Task.TEXT_TO_IMAGE, "en", prompt, tokens)


def test_orders_sets_and_numbers_are_refused():
    assert all(is_kept_apart(record(order)) for order in readme_orders())
    for file in SETS.rglob("0[1-3]_*.jsonl"):
        line = json.loads(file.read_text(encoding="utf-8").split("\n")[0])
        assert is_kept_apart(record(line["prompt"])), file
    assert is_kept_apart(record("A picture, 64x64.", "<BORES>64,64<EORES><CFI>"))
    assert is_kept_apart(record("9 frames of it", "<BONF>9<EONF><CFV>"))
    assert not is_kept_apart(record("9 frames of it", "<BONF>10<EONF><CFV>"))
    # Two seconds are 48 frames: what a second is has to be learned, no number of frames is.
    assert is_kept_apart(record("48 frames", "<BONF>48<EONF><CFV>"))
    assert not is_kept_apart(record("2 seconds", "<BONF>48<EONF><CFV>"))


def test_no_record_is_one_of_them():
    records = draw(960, seed=1)
    assert not [r.prompt for r in records if is_kept_apart(r)]
    assert not [r.prompt for r in records if "64x64" in r.prompt or " 9 frames" in r.prompt.lower()]
