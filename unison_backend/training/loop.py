"""One training loop for every recipe here: seeded by step, resumable to the bit, stoppable at any step.

A batch is a function of the seed and the step's number, so a resumed run draws exactly the batches that an unbroken
one would; what is saved is the step, the weights, the optimizer, the averaged weights, the losses that no line of the
log has yet, and what all of it was made with: a state that was made otherwise is not gone on from. On several
GPUs each process draws its own batches (accelerate shares the gradients, once a step), and the first one writes: what
two processes do in a step is what one does with two batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import Cancelled, InputError, ResourceError, WeightsError
from ..files import replacing
from ..progress import Cancel, Progress, never, silent
from .log import LOG_EVERY, Log
from .optimizers import Matrices, Scale, make_optimizer, same_rate
from .processes import check_whole
from .schedule import MadeWith, Schedule, differences
from .seeding import generator_at, own_randomness
from .watch import Watch

STATE_FILE = "state.pt"

Loss = Callable[[torch.Generator, int], Mapping[str, Tensor]]
Say = Callable[[str], None]


def unsaid(text: str) -> None:
    """A `Say` that nobody hears."""


class Fit:
    """Trains `module`'s parameters that need gradients; `averaged` holds their moving average (nothing without ema).

    folder: where the state and the log are kept; a state in it is resumed, unless it was made with another schedule or
    another `made_with` (keys of data and models, sizes of batches): then InputError says what differs, or with
    `schedule.allow_change` it is `say` that does. accelerator: accelerate's, for several processes and mixed
    precision; then the loss has to call `self.module`. scale: what a parameter's learning rate is multiplied with, by
    its name. matrices: which parameters Muon trains instead of AdamW (one process only). watch: what is done
    beside the steps (trackers, plots, evaluations).
    """

    def __init__(
        self, module: nn.Module, schedule: Schedule, folder: Path, accelerator: Any = None,
        scale: Scale = same_rate, matrices: Matrices | None = None, made_with: MadeWith | None = None,
        say: Say = unsaid, watch: Watch | None = None,
    ) -> None:  # fmt: skip
        self.schedule, self.folder, self.accelerator = schedule, folder, accelerator
        self.watch = watch or Watch()
        processes = 1 if accelerator is None else int(accelerator.num_processes)
        self.made_with = {**schedule.made_with, "processes": processes, **(made_with or {})}
        self.say, self.log = say, Log(folder)
        self.parameters = {name: value for name, value in module.named_parameters() if value.requires_grad}
        self.optimizer: Any = make_optimizer(self.parameters, schedule, scale, matrices)
        self.module = module
        if accelerator is not None:
            check_whole(accelerator)
            self.module, self.optimizer = accelerator.prepare(module, self.optimizer)
        self.step = 0
        averaged = self.parameters if schedule.ema else {}
        self.averaged = {name: value.detach().clone() for name, value in averaged.items()}
        if (folder / STATE_FILE).is_file():
            self._resume(folder / STATE_FILE)
        if self._is_first:
            self.log.cut(self.step)

    def run(
        self, loss: Loss, *, stage: str, progress: Progress = silent, cancel: Cancel = never, until: int | None = None
    ) -> None:
        """Step until the schedule's end (or `until`); saves on the way, when cancelled and at the end.

        loss: (generator, step) -> named terms, summed for the gradient; called once for each batch of a step.
        Raises Cancelled, and ResourceError when the loss is not finite or the state cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._is_first:
            self._steps(loss, stage, progress, cancel, until)
            return
        with self.watch.writing(self.folder, self.step, self.made_with):
            self._steps(loss, stage, progress, cancel, until)

    def _steps(self, loss: Loss, stage: str, progress: Progress, cancel: Cancel, until: int | None) -> None:
        end = min(self.schedule.steps, until or self.schedule.steps)
        first, start = self.step, time.monotonic()
        while True:
            if self.watch.is_due(self.step, self.schedule.steps):
                start += self._look()
            if self.step >= end or self.watch.is_over:
                break
            if self._is_asked(cancel):
                self.save()
                raise Cancelled(stage)
            with own_randomness():
                terms = self._one(loss)
            self.log.add(terms)
            if self.step % LOG_EVERY == 0 or self.step == self.schedule.steps:
                if self._is_first:
                    rate = self.schedule.rate(self.step - 1)
                    row = self.log.write(self.step, rate, (time.monotonic() - start) / (self.step - first))
                    self.watch.logged(row)
                first, start = self.step, time.monotonic()
            if self.step % self.schedule.save_every == 0:
                self.save()
            progress(stage, self.step, self.schedule.steps)
        self.save()
        for line in self.watch.summary(self.folder, self.step, self.schedule.steps) if self._is_first else ():
            self.say(line)

    def _look(self) -> float:
        """Evaluate the result as it is, the averaged weights if there are any; the seconds that it took."""
        began = time.monotonic()
        try:
            with own_randomness(), self._result_inside():
                self.watch.look(self.folder, self.step, is_first=self._is_first)
        except Cancelled:
            self.save()
            raise
        return time.monotonic() - began

    @contextmanager
    def _result_inside(self) -> Iterator[None]:
        """Inside, the module has the averaged weights where there are any; behind it its own again, to the bit."""
        if not self.schedule.ema:
            yield
            return
        own = {name: value.detach().clone() for name, value in self.parameters.items()}
        self.use_averaged()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in self.parameters.items():
                    value.copy_(own[name])

    def _one(self, loss: Loss) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.step) * group["scale"]
        self.optimizer.zero_grad(set_to_none=True)
        means: dict[str, float] = {}
        for part in range(self.schedule.accumulate):
            generator = self._generator(self.step, part)
            torch.manual_seed(generator.initial_seed())
            with self._shared(is_last=part == self.schedule.accumulate - 1):
                terms = loss(generator, self.step)
                self._backward(self._total(terms))
            for name, value in terms.items():
                means[name] = means.get(name, 0.0) + value.item() / self.schedule.accumulate
        means = self._over_processes(means)
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), self.schedule.clip)
        means["gradient_norm"] = float(norm)
        self.optimizer.step()
        self.step += 1
        self._average()
        return means

    def _total(self, terms: Mapping[str, Tensor]) -> Tensor:
        total = torch.stack(list(terms.values())).sum() / self.schedule.accumulate
        if not bool(torch.isfinite(total)):
            raise ResourceError(f"the loss is {total.item()} at step {self.step}; lower the learning rate and resume")
        return total

    def _shared(self, *, is_last: bool) -> AbstractContextManager[Any]:
        """Gradients go to the other processes with a step's last batch, not with each."""
        if is_last or self.accelerator is None:
            return nullcontext()
        held: AbstractContextManager[Any] = self.accelerator.no_sync(self.module)
        return held

    def _over_processes(self, means: dict[str, float]) -> dict[str, float]:
        """The terms' means over all processes."""
        if self.accelerator is None or self.accelerator.num_processes == 1:
            return means
        together = torch.tensor(list(means.values()), device=self.accelerator.device)
        return dict(zip(means, self.accelerator.reduce(together, "mean").tolist(), strict=True))

    def _is_asked(self, cancel: Cancel) -> bool:
        """Whether any process was asked to stop: all stop at the same step, or the others would wait for ever."""
        asked = cancel()
        if self.accelerator is None or self.accelerator.num_processes == 1:
            return asked
        together = torch.tensor(int(asked), device=self.accelerator.device)
        return bool(self.accelerator.reduce(together, "sum").item())

    def _generator(self, step: int, part: int) -> torch.Generator:
        """What a batch is drawn from: its number is another one for every step, part and process."""
        processes = 1 if self.accelerator is None else self.accelerator.num_processes
        rank = 0 if self.accelerator is None else self.accelerator.process_index
        number = (step * self.schedule.accumulate + part) * processes + rank
        return generator_at(self.schedule.seed, number)

    def generators(self) -> Iterator[torch.Generator]:
        """What the loss will be given for each batch of this process from here to the schedule's end, fresh ones."""
        for step in range(self.step, self.schedule.steps):
            for part in range(self.schedule.accumulate):
                yield self._generator(step, part)

    def _backward(self, total: Tensor) -> None:
        if self.accelerator is None:
            total.backward()  # type: ignore[no-untyped-call]
        else:
            self.accelerator.backward(total)

    @property
    def is_done(self) -> bool:
        """True when the schedule's last step is behind it."""
        return self.step >= self.schedule.steps

    @property
    def _is_first(self) -> bool:
        return self.accelerator is None or bool(self.accelerator.is_main_process)

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.schedule.ema, (1 + self.step) / (10 + self.step))
        for name, averaged in self.averaged.items():
            averaged.lerp_(self.parameters[name].detach(), 1 - decay)

    @torch.no_grad()
    def use_averaged(self) -> None:
        """Put the averaged weights, if there are any, into the module (for evaluation or as the result)."""
        for name, averaged in self.averaged.items():
            self.parameters[name].copy_(averaged)

    def save(self) -> None:
        """Write the state; a crash while writing leaves the last one whole."""
        if not self._is_first:
            return
        state = {
            "step": self.step,
            "weights": {name: value.detach() for name, value in self.parameters.items()},
            "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
            "waiting": self.log.waiting,
            "made_with": self.made_with,
            "watch": self.watch.state,
        }
        try:
            with replacing(self.folder / STATE_FILE) as temporary:
                torch.save(state, temporary)
        except (OSError, RuntimeError) as error:
            raise ResourceError(f"the state cannot be written to {self.folder} ({error}); make room there") from error
        if not self.watch.watching:
            return
        with self._result_inside():
            self.watch.saved(self.folder, self.step, is_last=self.is_done)

    def _resume(self, path: Path) -> None:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if set(state["weights"]) != set(self.parameters):
                raise KeyError("other parameters")
            with torch.no_grad():
                for name, value in self.parameters.items():
                    value.copy_(state["weights"][name])
                for name, averaged in self.averaged.items():  # a state of a training without ema has none
                    averaged.copy_(state["averaged"].get(name, state["weights"][name]))
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = int(state["step"])
            self.log.waiting = dict(state.get("waiting", {}))
            self.watch.state = dict(state.get("watch", {}))
            then = state.get("made_with")
        except Exception as error:  # torch's reader raises many kinds
            why = next(iter(str(error).splitlines()), type(error).__name__).split(". ")[0][:200]
            raise WeightsError(
                f"{path} is no state of this training ({why}); give another folder, or remove it to start anew"
            ) from error
        self._compare(path, then)

    def _compare(self, path: Path, then: Any) -> None:
        """Refuse a state that was made otherwise, or say what differs."""
        if not isinstance(then, Mapping):
            self.say(f"{path} does not say what it was trained with (an older version wrote it); it is gone on from")
            return
        changed = "; ".join(differences(then, self.made_with))
        if not changed:
            return
        if not self.schedule.allow_change:
            raise InputError(
                f"{path} was trained otherwise ({changed}); give what it was trained with, another --out, or "
                "--allow-change to go on all the same"
            )
        self.say(f"going on from step {self.step}, which was trained otherwise: {changed}")
        for group in self.optimizer.param_groups:  # the state brought the older ones
            group |= {"weight_decay": self.schedule.weight_decay}
            group |= {"betas": self.schedule.betas} if "betas" in group else {}
