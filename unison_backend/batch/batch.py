"""A file of instructions becomes a folder of results; what is there stays, and what cannot be made is a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..annotators.bind import annotators
from ..engine.device import pick_device
from ..errors import InputError, UnisonError
from ..media.from_files import FileMedia
from ..pipeline.planning import make_plan
from ..pipeline.runnable import check_runnable
from ..planner.choose import plans_by_prompt, plans_with_qwen
from ..planner.rules.targets import parse_target
from ..progress import Cancel, Progress, check
from .attempts import MAX_DEATHS, deaths, forget, told
from .job import Job, Setup, name_of
from .lines import BadLine, read_jobs
from .log import Log, Row, locked
from .worker import SUFFIXES, Emit, failure, own_cfg, result_path

_FOUND = "found here without a row: made by a run that was killed"


class Executor(Protocol):
    """Who makes jobs: calls `emit` once for each. Raises Cancelled, and UnisonError when it cannot work at all."""

    def __call__(self, jobs: Sequence[Job], setup: Setup, emit: Emit, progress: Progress, cancel: Cancel) -> None: ...


@dataclass
class Tally:
    """How far a batch is. found: results that were there; to_make: what was left when it began."""

    lines: int = 0
    found: int = 0
    to_make: int = 0
    done: int = 0
    refused: int = 0
    failed: int = 0

    def count(self, row: Row) -> None:
        setattr(self, row.status, getattr(self, row.status) + 1)


class Told(Protocol):
    """Who hears of each new row."""

    def __call__(self, row: Row, tally: Tally) -> None: ...


def run_batch(
    file: Path, setup: Setup, defaults: Job, executor: Executor, told_of: Told, progress: Progress, cancel: Cancel
) -> Tally:
    """Make every line of `file` whose result is not in `setup.out` yet. The log has one row for each line at the end.

    Lines that say the same are made once. Raises InputError for a file or folder that cannot be used, Cancelled (what
    is done stays, the next call goes on), ResourceError when rows cannot be written.
    """
    with locked(setup.out):
        log, tally = Log(setup.out), Tally()
        lines = list(_named(read_jobs(file, defaults), setup, progress, cancel))
        if not lines:
            raise InputError(f'{file} has no lines; each is one {{"prompt": "..."}}')
        tally.lines = len(lines)
        rows = log.read()
        waiting, settled, refused = _sort(lines, rows, setup, cancel)
        tally.found = len(settled)
        tally.to_make = len({job.name for job in waiting})
        names = {line.name for line in lines if isinstance(line, Job)}
        log.start([*(row for row in rows if row.name and row.name not in names), *settled])

        def add(row: Row) -> None:
            log.add(row)
            tally.count(row)
            told_of(row, tally)

        try:
            for row in refused:
                add(row)
            _make(waiting, setup, executor, add, progress, cancel)
        finally:
            log.close()
        return tally


def _named(lines: Iterable[Job | BadLine], setup: Setup, progress: Progress, cancel: Cancel) -> Iterable[Job | BadLine]:
    """Jobs with their names; one whose files cannot be read is a bad line."""
    for count, line in enumerate(lines, 1):
        check(cancel, "reading the lines")
        progress("reading the lines", count, 0)
        if isinstance(line, BadLine):
            yield line
            continue
        try:
            yield replace(line, name=name_of(line, setup))
        except (UnisonError, OSError) as error:
            yield BadLine(line.number, line.text, str(error))


def _sort(
    lines: Sequence[Job | BadLine], rows: Iterable[Row], setup: Setup, cancel: Cancel
) -> tuple[list[Job], list[Row], list[Row]]:
    """(jobs to make, rows that are settled, rows of what is refused)."""
    known = {row.name: row for row in rows if row.has_result(setup.out)}
    waiting: list[Job] = []
    settled: list[Row] = []
    refused: list[Row] = []
    for line in lines:
        check(cancel, "checking the lines")
        if isinstance(line, BadLine):
            refused.append(Row(line.number, "", "refused", line.text, error=line.why))
        elif line.name in known:
            settled.append(replace(known[line.name], line=line.number))
        elif (path := _made_before(line, setup)) is not None:
            forget(setup.out, line.name)  # its process may have died between the file and this
            settled.append(Row(line.number, line.name, "done", line.text, path=path.name, notices=[_FOUND]))
        elif deaths(setup.out, line.name) >= MAX_DEATHS:
            refused.append(failure(line, RuntimeError(told(setup.out, line.name))))
        else:
            problem = _problem(line, setup)
            if problem is None:
                waiting.append(line)
            else:
                refused.append(problem)
    return waiting, settled, refused


def _made_before(job: Job, setup: Setup) -> Path | None:
    """The result of a job whose row was lost with the leading process: files are written whole or not at all."""
    paths = (setup.out / f"{job.name}{suffix}" for suffix in SUFFIXES.values())
    return next((path for path in paths if path.is_file()), None)


def _problem(job: Job, setup: Setup) -> Row | None:
    """The row of a job that can be refused before a model is loaded."""
    planned = None
    try:
        job.sampling(own_cfg(setup))
        options = replace(setup.planner, name=job.planner)
        if plans_with_qwen(options, setup.models) or plans_by_prompt(options, setup.models):
            _ = FileMedia(job.prompt.media).infos  # says in words which file is wrong
            return None
        planned = make_plan(job.prompt, dict(job.settings), given=job.given, make=job.make, length=job.length)
        if planned.plan.task.is_generation:
            here = setup.there is None
            hooks = setup.there or annotators(setup.annotators, pick_device(setup.device), parse_target)
            check_runnable(planned, result_path(setup, job, planned), hooks, here=here)
    except UnisonError as error:
        return replace(failure(job, error, planned), status="refused")
    return None


def _make(
    waiting: Sequence[Job], setup: Setup, executor: Executor, add: Emit, progress: Progress, cancel: Cancel
) -> None:
    """Each name once; its row is every line's that has it."""
    lines: dict[str, list[Job]] = {}
    for job in waiting:
        lines.setdefault(job.name, []).append(job)
    if not lines:
        return

    def emit(row: Row) -> None:
        for job in lines[row.name]:
            add(replace(row, line=job.number))

    executor([jobs[0] for jobs in lines.values()], setup, emit, progress, cancel)
