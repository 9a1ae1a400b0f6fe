"""Makes jobs, one after the other, with models that stay loaded. An error is a row; only cancelling ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..annotators.bind import annotators
from ..defaults import CFG
from ..demo.fallback import limits_of
from ..demo.set import CFG as DEMO_CFG
from ..demo.world.known import unknown_notice
from ..errors import Cancelled, InputError, broken_library
from ..pipeline.planning import Planned, make_plan
from ..pipeline.run import run_stages
from ..pipeline.runnable import check_runnable
from ..pipeline.sources import SourceOptions
from ..pipeline.texts import Texts, encode_texts, project_features
from ..plan.report import as_json
from ..plan.spec import Limits
from ..planner.answers import AnswerSettings
from ..planner.base import Answering, Planner
from ..planner.choose import load_planner, plans_by_prompt, plans_with_qwen, prompt_planner, rules_planner
from ..planner.rules.targets import parse_target
from ..progress import Cancel, Progress, check, never, silent
from .attempts import MAX_DEATHS, attempt, deaths, forget, told
from .job import Job, Setup
from .log import Row
from .resident import Resident

if TYPE_CHECKING:
    from torch import Tensor

    from ..planner.prompt.planner import PromptPlanner
    from ..planner.qwen.planner import QwenPlanner

Emit = Callable[[Row], None]
SUFFIXES = {"image": ".png", "video": ".mp4"}
# Lines that go through one stage together where the models take turns in memory.
TOGETHER = 32


@dataclass
class _Work:
    """A job on its way through the stages."""

    job: Job
    planned: Planned | None = None
    projected: Tensor | None = None
    notices: tuple[str, ...] = ()
    texts: Texts | None = None
    seconds: float = 0.0
    row: Row | None = None


class Worker:
    """One process's models and what it does with a job."""

    def __init__(self, setup: Setup, progress: Progress = silent, cancel: Cancel = never) -> None:
        self._setup, self._progress, self._cancel = setup, progress, cancel
        if setup.threads is not None:
            import torch

            torch.set_num_threads(setup.threads)
        self._stages = Resident(setup.models, setup.device, setup.engine)
        hooks = annotators(setup.annotators, self._stages.device, parse_target, keep=True)
        self._options = SourceOptions(annotators=hooks)
        self._own_planner: QwenPlanner | None = None
        self._prompted: dict[str, PromptPlanner] = {}

    def make(self, jobs: Sequence[Job], emit: Emit) -> None:
        """A row for each job, as soon as it is there. Raises Cancelled."""
        size = 1 if self._stages.fits else TOGETHER
        for start in range(0, len(jobs), size):
            works = [_Work(job) for job in jobs[start : start + size]]
            for step in (self._plan, self._read, self._make):
                for work in works:
                    if work.row is None:
                        self._take(work, step)
                        if work.row is not None:
                            emit(work.row)

    def _take(self, work: _Work, step: Callable[[_Work], None]) -> None:
        """One stage of one job; what it raises is the job's row."""
        job, out = work.job, self._setup.out
        check(self._cancel, "the batch")
        if deaths(out, job.name) >= MAX_DEATHS:
            work.row = failure(job, RuntimeError(told(out, job.name)))
            return
        start = perf_counter()
        try:
            with attempt(out, job.name):
                step(work)
        except Cancelled:
            raise
        except Exception as error:
            work.row = failure(job, error, work.planned)
        work.seconds += perf_counter() - start
        if work.row is not None:
            forget(out, job.name)
            work.row = replace(work.row, seconds=round(work.seconds, 3))

    def planned(self, job: Job, limits: Limits) -> Planned:
        """The plan of a job. limits: what the models that make it make where nothing is said."""
        return make_plan(
            job.prompt,
            dict(job.settings),
            self._planner(job),
            self._progress,
            self._cancel,
            job.given,
            job.make,
            job.length,
            job.segmenting(limits.num_frames),
            limits,
        )

    def _plan(self, work: _Work) -> None:
        job = work.job
        work.planned = planned = self.planned(job, own_limits(self._setup))
        if planned.plan.task.is_generation:
            work.projected, work.notices = project_features(planned, self._stages, self._cancel)
        else:
            work.row = self._answer(work)

    def _read(self, work: _Work) -> None:
        planned = _given(work.planned)
        contexts = encode_texts(planned, work.projected, self._stages, work.job.negative, self._progress, self._cancel)
        work.texts = Texts(*contexts, work.notices)

    def _make(self, work: _Work) -> None:
        job, planned = work.job, _given(work.planned)
        options = replace(self._options, composite=job.composite, feather=job.feather, mask=job.mask)
        out = check_runnable(planned, result_path(self._setup, job, planned), options.annotators)
        made = run_stages(
            planned, out, self._stages, job.sampling(own_cfg(self._setup)), texts=work.texts, negative=job.negative,
            options=options, progress=self._progress, cancel=self._cancel,
        )  # fmt: skip
        # What the models have to say is the batch's, not each line's.
        notices = [*self._unknown(planned), *made.notices[len(self._setup.models.notices) :]]
        work.row = Row(job.number, job.name, "done", job.text, path=out.name, plan=plan_of(planned), notices=notices)

    def _answer(self, work: _Work) -> Row:
        from ..planner.qwen.planner import QwenPlanner

        job, planned, planner = work.job, _given(work.planned), self._planner(work.job)
        answer, notices = planned.plan.answer, []
        if answer is None:
            asked = planner if isinstance(planner, Answering) else self._qwen()
            notices = self._unknown(planned) if isinstance(asked, QwenPlanner) else []
            answer = asked.answer(planned.prompt, planned.media, self._answers(job), cancel=self._cancel)
        plan = plan_of(planned)
        return Row(job.number, job.name, "done", job.text, answer=answer, plan=plan, notices=notices)

    def _unknown(self, planned: Planned) -> list[str]:
        """What to tell of a line that the embedded models know nothing of; nothing where the models are real."""
        if not self._setup.models.demo:
            return []
        makes = planned.plan.task.is_generation
        told = unknown_notice(planned.prompt.text, makes, "`unison doctor` says what real ones take.")
        return [] if told is None else [told]

    def _answers(self, job: Job) -> AnswerSettings:
        return AnswerSettings(job.max_new_tokens, job.temperature, job.seed, self._setup.keep_lora)

    def _planner(self, job: Job) -> Planner:
        options = replace(self._setup.planner, name=job.planner, answers=self._answers(job))
        if plans_by_prompt(options, self._setup.models):
            if options.name not in self._prompted:
                self._prompted[options.name] = prompt_planner(options, self._progress)
            return replace(self._prompted[options.name], settings=options.answers)
        if plans_with_qwen(options, self._setup.models):
            return self._qwen()
        return rules_planner(options, self._setup.models)

    def _qwen(self) -> QwenPlanner:
        """The Qwen that plans and answers: the one that gives features, or one of its own when options ask for it."""
        from ..planner.qwen.planner import QwenPlanner

        options = replace(self._setup.planner, name="auto", device=self._setup.device)
        plain = (options.lora, options.dtype, options.attention, options.quantize) == (None, "auto", "auto", None)
        if plain:
            return QwenPlanner(self._stages.qwen())
        if self._own_planner is None:
            self._own_planner = load_planner(options, self._setup.models, self._progress)
        return self._own_planner


def failure(job: Job, error: Exception, planned: Planned | None = None) -> Row:
    """The row of a job that could not be made."""
    shown = broken_library(error) or error
    why = str(shown).strip() or type(shown).__name__
    return Row(
        job.number,
        job.name,
        "refused" if isinstance(error, InputError) else "failed",
        job.text,
        plan=None if planned is None else plan_of(planned),
        error=why,
    )


def own_cfg(setup: Setup) -> float:
    """The guidance of models for which nobody says another."""
    return DEMO_CFG if setup.models.demo else CFG


def own_limits(setup: Setup) -> Limits:
    """What the models make where nothing is said."""
    return limits_of(embedded=setup.models.demo)


def result_path(setup: Setup, job: Job, planned: Planned) -> Path:
    """Where a job's picture or video goes."""
    return setup.out / f"{job.name}{SUFFIXES[planned.plan.output]}"


def plan_of(planned: Planned) -> dict[str, Any]:
    """A row's plan."""
    return as_json(planned.plan, planned.spec)


def _given(planned: Planned | None) -> Planned:
    if planned is None:
        raise ValueError("a job is planned before it is made")
    return planned
