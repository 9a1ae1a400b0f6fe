"""Jobs made by ComfyUI servers, one at a time on each; they are planned here, and questions are answered here.

A server that is gone hands its job to the others, and what it was making is made anew there. A job that loses its
server twice is given up.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from queue import Queue
from threading import Lock, Thread
from time import perf_counter, sleep

from ..comfy.make import How, run_there
from ..comfy.models import ServerModels
from ..comfy.server import Server
from ..errors import Cancelled, ServerError
from ..pipeline.planning import Planned
from ..pipeline.runnable import check_runnable
from ..pipeline.sources import SourceOptions
from ..progress import Cancel, Progress, check, silent
from ..weights.find import ModelPaths
from .attempts import MAX_DEATHS
from .job import Job, Setup
from .log import Row
from .worker import Emit, Worker, failure, own_cfg, own_limits, plan_of, result_path

Note = Callable[[str], None]
_IDLE = 0.2  # seconds


def _answers(server: Server) -> bool:
    """Whether a server that lost a run is there again: started anew, say, because the run took all of its memory."""
    try:
        server.check()
    except ServerError:
        return False
    return True


@dataclass(frozen=True)
class OnComfy:
    """An executor. models: of every server. answering: the models here that answer questions, loaded when one comes.

    note: hears of a server that is gone.
    """

    servers: Sequence[Server]
    models: ServerModels
    answering: Callable[[], ModelPaths]
    note: Note

    def __call__(self, jobs: Sequence[Job], setup: Setup, emit: Emit, progress: Progress, cancel: Cancel) -> None:
        """A row for each job as they come. Raises Cancelled, ServerError when no server is left."""
        run = _Run(self, deque(jobs), setup, cancel)
        threads = [Thread(target=run.serve, args=(server,), daemon=True) for server in self.servers]
        for thread in threads:
            thread.start()
        try:
            run.collect(len(jobs), emit)
        finally:
            run.end()
            for thread in threads:
                thread.join()


class _Run:
    """What the servers' threads share. Rows are emitted by the thread that called."""

    def __init__(self, on: OnComfy, jobs: deque[Job], setup: Setup, cancel: Cancel) -> None:
        self._on, self._jobs, self._setup, self._cancel = on, jobs, setup, cancel
        self._rows: Queue[Row | BaseException] = Queue()
        self._planning, self._ended, self._left = Lock(), False, len(on.servers)
        self._open, self._tried = len(jobs), Counter[str]()
        self._answerer: Worker | None = None

    def end(self) -> None:
        """Let every server leave off."""
        self._ended = True

    def collect(self, count: int, emit: Emit) -> None:
        """Emit `count` rows; raises what ended a thread, once the last server is gone."""
        for _ in range(count):
            row = self._rows.get()
            if isinstance(row, BaseException):
                raise row
            emit(row)

    def serve(self, server: Server) -> None:
        """Make jobs on one server until there are none, or it is gone."""
        while not self._ended and self._open:
            try:
                job = self._jobs.popleft()
            except IndexError:
                sleep(_IDLE)  # another server's job may come back
                continue
            try:
                self._put(self._row(server, job))
            except ServerError as error:
                self._tried[job.name] += 1
                if self._tried[job.name] < MAX_DEATHS:
                    self._jobs.appendleft(job)
                else:
                    self._put(failure(job, error))
                if not _answers(server):
                    self._leave(error)
                    return
            except BaseException as error:
                self._rows.put(error)
                return

    def _put(self, row: Row) -> None:
        self._open -= 1
        self._rows.put(row)

    def _leave(self, error: ServerError) -> None:
        """A server is gone; the last one ends the batch."""
        self._left -= 1
        if self._left == 0:
            self._rows.put(error)
        else:
            self._on.note(f"note: {error}; the other servers go on")

    def _row(self, server: Server, job: Job) -> Row:
        """The row of a job. Raises ServerError when the server is gone, Cancelled."""
        start, planned = perf_counter(), None
        try:
            with self._planning:
                check(self._stopped, "the batch")
                planned = self._plan(job)
                if not planned.plan.task.is_generation:
                    return self._answered(job)
            row = self._made(server, job, planned)
        except Cancelled:
            raise
        except ServerError as error:
            if error.lost:
                raise
            row = failure(job, error, planned)
        except Exception as error:
            row = failure(job, error, planned)
        return replace(row, seconds=round(perf_counter() - start, 3))

    def _stopped(self) -> bool:
        return self._ended or self._cancel()

    def _plan(self, job: Job) -> Planned:
        return self._worker().planned(job, own_limits(self._setup))

    def _worker(self) -> Worker:
        """Plans, and answers, with models of this machine; none is loaded before one is needed."""
        if self._answerer is None:
            here = replace(self._setup, models=self._on.answering())
            self._answerer = Worker(here, silent, self._stopped)
        return self._answerer

    def _answered(self, job: Job) -> Row:
        rows: list[Row] = []
        self._worker().make([job], rows.append)
        return rows[0]

    def _made(self, server: Server, job: Job, planned: Planned) -> Row:
        setup = self._setup
        out = check_runnable(planned, result_path(setup, job, planned), setup.there, here=False)
        fps = job.settings.get("fps")
        how = How(
            job.sampling(own_cfg(setup)),
            job.negative,
            SourceOptions(job.composite, job.feather, job.mask),
            setup.annotators.threshold,
            None if fps is None else float(fps),
            own_limits(setup),
            job.length,
        )
        made = run_there(server, planned, out, self._on.models, how, silent, self._stopped)
        notices = list(made.notices[len(self._on.models.notices) :])
        return Row(job.number, job.name, "done", job.text, path=out.name, plan=plan_of(planned), notices=notices)
