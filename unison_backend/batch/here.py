"""Jobs made in this process."""

from __future__ import annotations

from collections.abc import Sequence

from ..progress import Cancel, Progress
from .job import Job, Setup
from .worker import Emit, Worker


def make_here(jobs: Sequence[Job], setup: Setup, emit: Emit, progress: Progress, cancel: Cancel) -> None:
    """A row for each job, in order. Raises Cancelled."""
    Worker(setup, progress, cancel).make(jobs, emit)
