"""A planner measured while it is trained: exact plans of held-out instructions, each process its share of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from ..planner.qwen.loading import Qwen
from ..planner.qwen.planner import QwenPlanner
from ..progress import Cancel, Progress
from .planning_record import Record
from .planning_score import evaluate

EXACT = "exact"


def exact_plans(
    qwen: Qwen, model: Any, records: Sequence[Record], accelerator: Any, precision: AbstractContextManager[Any],
    progress: Progress, cancel: Cancel,
) -> dict[str, float]:  # fmt: skip
    """The share of whole plans that are right, of all and by language ("exact", "exact_en").

    qwen: what was loaded; model: the PeftModel around it, left in training mode. precision: what it computes in.
    """
    from accelerate.utils import gather_object

    planner = QwenPlanner(replace(qwen, model=model, has_planning=True))
    model.eval()
    try:
        with precision:
            mine = records[accelerator.process_index :: accelerator.num_processes]
            score = evaluate(planner, mine, progress=progress, cancel=cancel)
    finally:
        model.train()
    counts: dict[str, list[int]] = {}
    for shares in gather_object([{EXACT: score.all} | {f"{EXACT}_{n}": pair for n, pair in score.languages.items()}]):
        for name, (right, count) in shares.items():
            have = counts.setdefault(name, [0, 0])
            have[0], have[1] = have[0] + right, have[1] + count
    return {name: round(right / max(1, count), 6) for name, (right, count) in sorted(counts.items())}
