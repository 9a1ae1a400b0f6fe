"""`unison train demo`: the embedded set from nothing, one stage after the other, each resumable.

Stages: VAE; text encoder; video model on encoded examples; understanding model; planning LoRA and projector, these two
with the recipes for real models. A stage whose result is there is skipped, so the same command goes on where it was
stopped. The result has the files and names of real weights in float16 (the Qwen in bfloat16) and is loaded like them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...engine.device import pick_device
from ...errors import InputError
from ...progress import Cancel, Progress, check, never, silent
from ..loop import Say, unsaid
from ..plots import draw_logs
from . import generating, understanding
from .ledger import Ledger
from .work import Work

STAGES: dict[str, Callable[[Work, float, Progress, Cancel], None]] = {
    "vae": generating.vae,
    "text": generating.text,
    "vace": generating.vace,
    "qwen": understanding.qwen,
    "planner": understanding.planner,
    "projector": understanding.projector,
}


def train(
    folder: Path, *, share: float = 1.0, only: str | None = None, device: str = "auto", plots: Path | None = None,
    progress: Progress = silent, cancel: Cancel = never, say: Say = unsaid,
) -> Path:  # fmt: skip
    """Train every stage that is not done, in `folder`; returns the finished set's folder.

    share: of the steps and examples (for a quick look; the shipped set has 1). only: the name of the one stage to do.
    device: auto, cpu or cuda. plots: a folder for one picture a stage of its losses. say: hears what each stage cost
    and about how long the rest takes.
    Raises InputError for an unknown stage, ResourceError, Cancelled.
    """
    if only is not None and only not in STAGES:
        raise InputError(f"there is no stage {only!r}; the stages are {', '.join(STAGES)}")
    if not 0 < share <= 1:
        raise InputError(f"share is {share}; it has to be above 0 and at most 1")
    work = Work(Path(folder), pick_device(device))
    work.set.mkdir(parents=True, exist_ok=True)
    ledger, chosen = Ledger(work.folder), [only] if only else list(STAGES)
    for number, name in enumerate(chosen):
        check(cancel, "training the demo models")
        try:
            with ledger.counting(name):
                STAGES[name](work, share, progress, cancel)
        finally:
            if plots is not None:
                draw_logs(work.logs(name), Path(plots) / f"{name}.png")
        say(ledger.told(name, chosen[number + 1 :]))
    return work.set
