"""`unison train demo`: the embedded set from nothing, one stage after the other, each resumable.

Stages: VAE; text encoder; video model on encoded examples; understanding model; planning LoRA and projector, these two
with the recipes for real models. A stage whose result is there is skipped, so the same command goes on where it was
stopped. The result has the files and names of real weights in float16 (the Qwen in bfloat16) and is loaded like them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ...demo.set import DemoSet, demo_set
from ...engine.device import pick_device
from ...errors import InputError, ResourceError
from ...progress import Cancel, Progress, check, never, silent
from ...unfinished import finished, unfinished
from ..loop import Say, unsaid
from ..plots import draw_logs
from ..sample_keys import file_key
from . import generating, understanding
from .ledger import Ledger
from .work import Work

BEGIN_FILE = "begun_from.txt"
WITH_VAE = " with its VAE"
STAGES: dict[str, Callable[[Work, float, Progress, Cancel], None]] = {
    "vae": generating.vae,
    "text": generating.text,
    "vace": generating.vace,
    "qwen": understanding.qwen,
    "planner": understanding.planner,
    "projector": understanding.projector,
}


def train(
    folder: Path, *, share: float = 1.0, only: str | None = None, device: str = "auto", begin: Path | None = None,
    with_vae: bool = False, plots: Path | None = None, progress: Progress = silent, cancel: Cancel = never,
    say: Say = unsaid,
) -> Path:  # fmt: skip
    """Train every stage that is not done, in `folder`; returns the finished set's folder.

    share: of the steps and examples (for a quick look; the shipped set has 1). only: the name of the one stage to do.
    device: auto, cpu or cuda. begin: a trained set to go on from: its video model learns on, the rest is taken as it
    is, so that latents and texts mean what they meant. with_vae: first its VAE learns on, made as wide as the
    command's; its latents stay near those of before. plots: a folder for one picture a stage of its losses. say: hears
    what each stage cost and about how long the rest takes.
    Raises InputError for an unknown stage, `with_vae` without `begin`, a `begin` that is no trained set or not the one
    that `folder` was begun with, ResourceError, Cancelled.
    """
    if only is not None and only not in STAGES:
        raise InputError(f"there is no stage {only!r}; the stages are {', '.join(STAGES)}")
    if not 0 < share <= 1:
        raise InputError(f"share is {share}; it has to be above 0 and at most 1")
    if with_vae and begin is None:
        raise InputError("--with-vae says how a trained set is gone on from; name it with --from")
    work = Work(Path(folder), pick_device(device), None if begin is None else _trained(begin), with_vae)
    work.set.mkdir(parents=True, exist_ok=True)
    _hold_to_begin(work)
    _take_over(_kept(work), work.set)
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


def _trained(folder: Path) -> DemoSet:
    files = demo_set(Path(folder))
    if files.missing:
        missing = ", ".join(path.relative_to(files.folder).as_posix() for path in files.missing)
        raise InputError(f"{folder} is no trained set to go on from: it has no {missing}")
    return files


def _hold_to_begin(work: Work) -> None:
    """One folder holds one training: parts of two would not know each other's latents."""
    noted = work.folder / BEGIN_FILE
    wanted = "nothing" if work.begin is None else file_key(work.begin.vace) + WITH_VAE * work.with_vae
    if noted.is_file():
        before = noted.read_text(encoding="utf-8").strip()
    else:
        before = "nothing" if any(work.set.iterdir()) or work.state("vae").exists() else wanted
        noted.write_text(f"{before}\n", encoding="utf-8")
    if before != wanted:
        begun = "from nothing" if before == "nothing" else "from another set"
        asked = "without --from" if work.begin is None else f"with --from {work.begin.folder}"
        if work.begin is not None and before != "nothing":
            begun += " with its VAE" if before.endswith(WITH_VAE) else " whose VAE stays"
            asked += " --with-vae" if work.with_vae else ""
        raise InputError(
            f"{work.folder} was begun {begun}, it cannot go on {asked}: ask as before, or choose another --out"
        )


def _kept(work: Work) -> tuple[Path, ...]:
    """What stays as it is where a set is gone on from."""
    files = work.begin
    if files is None:
        return ()
    rest = (files.text_encoder, files.planner, files.folder / "planning_lora", files.projector)
    return rest if work.with_vae else (files.vae, *rest)


def _take_over(paths: Sequence[Path], out: Path) -> None:
    """Copy what stays, each whole or not at all."""
    for path in paths:
        if (out / path.name).exists():
            continue
        temporary = unfinished(out / path.name)
        try:
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, temporary)
            temporary.replace(out / path.name)
        except OSError as error:
            raise ResourceError(f"{out} cannot be written ({error.strerror}); make room there") from error
        finally:
            finished(temporary)
