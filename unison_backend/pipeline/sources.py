"""The sources of a plan, as `sources.prepare` makes them, and what becomes of them beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..progress import Cancel, Progress
from ..sources.masks import FEATHER, MaskOptions, check_feather
from .planning import Planned

if TYPE_CHECKING:
    from ..sources.prepare import Annotators, Sources


@dataclass(frozen=True)
class SourceOptions:
    """What becomes of sources beside the plan. composite: edits end with the source where it was kept.

    keep: a folder for control video, mask and references as lossless PNGs.
    """

    composite: bool = True
    feather: int = FEATHER
    mask: MaskOptions = field(default_factory=MaskOptions)
    keep: Path | None = None
    annotators: Annotators | None = None

    def __post_init__(self) -> None:
        check_feather(self.feather)


def prepare_sources(planned: Planned, options: SourceOptions, progress: Progress, cancel: Cancel) -> Sources:
    """The sources of a plan, kept as files when that is asked for."""
    from ..sources.prepare import NO_ANNOTATORS, prepare

    sources = prepare(
        planned.plan,
        planned.spec,
        planned.media,
        progress,
        cancel,
        annotators=options.annotators or NO_ANNOTATORS,
        mask_options=options.mask,
    )
    if options.keep is not None:
        from ..sources.sheet import write_sources

        write_sources(options.keep, sources, progress, cancel)
    return sources
