"""What a UNISON_PLAN socket carries: the plan, what will be made of it, and the media it speaks of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ..unison_backend.defaults import FPS
from ..unison_backend.media.from_tensors import Item, TensorMedia
from ..unison_backend.plan import report
from ..unison_backend.plan.continuing import clips_of
from ..unison_backend.plan.length import Length
from ..unison_backend.plan.plan import Plan
from ..unison_backend.plan.segments import Segmenting
from ..unison_backend.plan.spec import DEFAULTS, GenerationSpec, Limits, resolve
from ..unison_backend.planner.base import PlanResult

# What VACE Sampler calls the two, which alone knows how many frames its model makes at once.
SEGMENT, OVERLAP = "segment", "overlap"


def _segmenting(plan: Plan, length: Length, limits: Limits) -> Segmenting | None:
    """A whole length may be any, and a clip goes on in no other way; what graphs say otherwise is sampled at once."""
    if length != "whole" and not clips_of(plan):
        return None
    return replace(Segmenting.chosen(None, None, limits.num_frames, (SEGMENT, OVERLAP)), by="VACE Sampler")


@dataclass(frozen=True)
class BoundPlan:
    """A plan bound to the media of its instruction.

    planner: who planned. notices: what else there is to say. chosen_fps: the person's, which outlasts other changes.
    length: how much of a source video is made. limits: what the models make where nothing is said.
    """

    plan: Plan
    spec: GenerationSpec
    media: TensorMedia
    planner: str = ""
    notices: tuple[str, ...] = ()
    chosen_fps: Fraction | None = None
    length: Length = "reference"
    limits: Limits = DEFAULTS

    @classmethod
    def of(
        cls,
        made: PlanResult,
        media: TensorMedia,
        planner: str = "",
        notices: Iterable[str] = (),
        limits: Limits = DEFAULTS,
    ) -> BoundPlan:
        """Resolves a plan against its media. Raises PlanError."""
        said = (*notices, *(notice.text for notice in made.notices if notice.is_warning))
        segmenting = _segmenting(made.plan, "reference", limits)
        spec = resolve(made.plan, media.infos, limits, labels=media.labels, segmenting=segmenting)
        reasons = (*(notice for notice in made.notices if not notice.is_warning), *spec.reasons)
        return cls(made.plan, replace(spec, reasons=reasons), media, planner, said, limits=limits)

    @property
    def fps(self) -> float:
        """Frames a second of what is made; the plans' own rate for a still."""
        return float(self.spec.fps or FPS)

    def changed(self, plan: Plan, fps: Fraction | None = None) -> BoundPlan:
        """Another plan for the same media, resolved anew, at the person's `fps` if that is given."""
        chosen = fps or self.chosen_fps
        spec = resolve(
            plan,
            self.media.infos,
            self.limits,
            chosen,
            labels=self.media.labels,
            length=self.length,
            segmenting=_segmenting(plan, self.length, self.limits),
        )
        return replace(self, plan=plan, spec=spec, chosen_fps=chosen)

    def lasting(self, length: Length) -> BoundPlan:
        """The same plan for another share of its source video."""
        return replace(self, length=length).changed(self.plan) if length != self.length else self

    def told_since(self, planned: BoundPlan) -> list[str]:
        """What there is to say of the length that `planned`, the same plan with another length, does not say."""
        known, told = set(planned.spec.reasons), ("num_frames", "segments")
        return [reason.text for reason in self.spec.reasons if reason.field in told and reason not in known]

    def with_medium(self, label: str, item: Item) -> BoundPlan:
        """One more medium behind the others, which no role has yet."""
        plan = replace(self.plan, media=(*self.plan.media, item.info.kind))
        return replace(self, plan=plan, media=self.media.with_item(label, item))

    def card(self, answer: str = "") -> dict[str, Any]:
        """What the node shows: `unison plan --json` plus who planned, notices and the answer."""
        extra = {"planner": self.planner, "notices": list(self.notices), "answer": answer}
        labels = [self.media.label(i) for i in range(len(self.plan.media))]
        return report.as_json(self.plan, self.spec) | {"media": labels, **extra}
