"""A run on a server: media there, the graph queued, waited for, the file back."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from ..engine.settings import SamplingSettings
from ..errors import Cancelled, ResourceError, ServerError, one_line
from ..files import new_file, writing
from ..media.from_files import FileMedia
from ..pipeline.places import place_of
from ..pipeline.planning import Planned
from ..pipeline.run import Made
from ..pipeline.sources import SourceOptions
from ..pipeline.write import metadata_of
from ..plan.length import Length
from ..plan.plan import Plan
from ..plan.prompt import Medium
from ..plan.spec import DEFAULTS, Limits, deciding_medium
from ..progress import Cancel, Progress, check, never, silent
from .events import watched
from .graph import PLANNED, SAVED, Graph, Sent, graph_of
from .graph import Made as Asked
from .models import ServerModels
from .server import Server

FOLDER = "unison"
"""Where media go in the server's input folder, and results in its output folder."""
_POLL = 0.25, 2.0  # seconds between two questions, at first and at most
_PATIENCE = 120.0  # seconds without an answer before a run is given up
_CHUNK = 1 << 20


@dataclass(frozen=True)
class How:
    """What a run on a server takes beside its plan. fps: the person's own."""

    sampling: SamplingSettings
    negative: str | None = None
    sources: SourceOptions = field(default_factory=SourceOptions)
    threshold: float | None = None
    fps: float | None = None
    limits: Limits = DEFAULTS
    length: Length = "whole"


def run_there(
    server: Server,
    planned: Planned,
    out: Path,
    models: ServerModels,
    how: How,
    progress: Progress = silent,
    cancel: Cancel = never,
    sleep: Callable[[float], None] = time.sleep,
) -> Made:
    """Make what `planned` says on the server and write it to `out` (from `check_runnable`), whole or not at all.

    A connection that breaks is tried again for two minutes; the server goes on meanwhile. Raises ServerError,
    MediaError, InputError, Cancelled (the server is told).
    """
    media = send(server, planned.media, planned.plan.mask, progress, cancel)
    plan = as_said(planned, how.limits)
    asked = Asked(
        plan,
        media,
        [_label(medium) for medium in planned.media.media],
        how.sampling,
        how.fps,
        how.negative,
        how.sources.mask,
        how.threshold,
        how.length,
        composite=plan.source is not None and how.sources.composite,
        feather=how.sources.feather,
        prefix=f"{FOLDER}/run",
    )
    graph = graph_of(asked, models)
    check(cancel, "sending the graph")
    start = time.perf_counter()
    with watched(server, graph, progress):
        name = server.queue(graph)
        try:
            entry = wait(server, name, progress, cancel, sleep)
        except KeyboardInterrupt:  # the person did not wait for the next question
            server.cancel(name)
            raise
    seconds = {"server": time.perf_counter() - start}
    path = _fetch(server, entry, planned, models, how, out, cancel)
    return Made(path, (*models.notices, *_notices(entry, graph)), seconds)


def as_said(planned: Planned, limits: Limits) -> Plan:
    """The plan with what nobody said and no medium decides: the server takes its own for another model's."""
    plan, spec = planned.plan, planned.spec
    if limits == DEFAULTS:
        return plan
    decider = deciding_medium(plan)
    if decider is None and plan.width is None and plan.height is None:
        plan = replace(plan, width=spec.width, height=spec.height)
    is_open = plan.output == "video" and plan.num_frames is None
    if is_open and (decider is None or plan.media[decider] == "image"):
        plan = replace(plan, num_frames=spec.num_frames, counted=True)
    return plan


def send(server: Server, media: FileMedia, mask: int | None, progress: Progress, cancel: Cancel) -> list[Sent]:
    """The media of an instruction in the server's input folder, under names of their content. mask: which is one."""
    sent = []
    for index, medium in enumerate(media.media):
        check(cancel, "sending media")
        progress("sending media", index, len(media.media))
        with _as_sent(media, index, is_mask=index == mask) as (file, suffix, has_alpha):
            name = f"{_digest(file)}{suffix}"
            sent.append(Sent(server.upload(name, file, FOLDER, cancel), medium.kind, has_alpha))
    if sent:
        progress("sending media", len(sent), len(sent))
    return sent


def _label(medium: Medium) -> str:
    """How the server's messages call it: without the folders of this machine."""
    name = Path(medium.path or "").name
    return f"{name} ({medium.name})" if medium.name else name


@contextmanager
def _as_sent(media: FileMedia, index: int, *, is_mask: bool) -> Iterator[tuple[IO[bytes], str, bool]]:
    """(file, its ending, whether it holds alpha). A picture as it is read here, so that colours and turn are right on
    any host (a mask's values are none, and stay); a video as it is: the pack reads it there as it does here.
    """
    path = media.path(index)
    if media.media[index].kind == "video":
        with path.open("rb") as file:
            yield file, path.suffix.lower(), False
        return
    from PIL import Image

    from ..media.to_bytes import to_bytes

    pixels = media.with_alpha(index)
    has_alpha = pixels is not None
    data = to_bytes((media.picture(index, as_mask=is_mask) if pixels is None else pixels).numpy())
    held = BytesIO()
    Image.fromarray(data).save(held, format="PNG", compress_level=1)
    yield held, ".png", has_alpha


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while part := file.read(_CHUNK):
        digest.update(part)
    return digest.hexdigest()[:20]


def wait(
    server: Server, name: str, progress: Progress, cancel: Cancel, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """What became of a queued graph. Raises ServerError for one that failed, or for a server that is gone; Cancelled
    once the server was told.
    """
    pause, since, forgotten = _POLL[0], time.monotonic(), 0
    while True:
        if cancel():
            server.cancel(name)
            raise Cancelled("the run on the server")
        try:
            entry = server.history(name)
            known, before = (True, 0) if entry is not None else server.waiting(name)
            since = time.monotonic()
        except ServerError as error:
            if not error.lost or time.monotonic() - since > _PATIENCE:
                told = f"{error} The run is called {name} there, its result goes to output/{FOLDER}"
                raise ServerError(told, lost=error.lost) from error
            entry, known, before = None, True, 0
        if entry is not None:
            return _checked(server, entry)
        forgotten = 0 if known else forgotten + 1
        if forgotten > 2:  # between queue and history a graph is in neither for a moment
            raise ServerError(
                f"the ComfyUI at {server.url} knows nothing of this run any more (was it started anew?): try again",
                lost=True,
            )
        if before:
            progress(f"waiting for {before} other{'s' if before > 1 else ''}", 0, 0)
        sleep(pause)
        pause = min(pause * 1.2, _POLL[1])


def _checked(server: Server, entry: dict[str, Any]) -> dict[str, Any]:
    """A graph's entry when it was made. Raises ServerError with the node's own words, Cancelled."""
    status = entry.get("status") or {}
    messages = [m for m in status.get("messages") or () if isinstance(m, list) and len(m) == 2]
    for kind, data in messages:
        if kind == "execution_interrupted":
            raise Cancelled(f"the run: somebody stopped it on {server.url}")
        if kind == "execution_error":
            said = one_line(str(data.get("exception_message") or data.get("exception_type")))
            raise ServerError(f"{data.get('node_type')} on {server.url}: {said}")
    if status.get("status_str", "success") != "success":
        raise ServerError(f"the run failed on {server.url}, which does not say why; its log does")
    return entry


def _files(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Files that the saving node tells of."""
    for listed in (entry.get("outputs", {}).get(SAVED) or {}).values():
        if isinstance(listed, list):
            yield from (row for row in listed if isinstance(row, Mapping) and row.get("filename"))


def _notices(entry: Mapping[str, Any], graph: Graph) -> Iterator[str]:
    """What nodes had to say, once each; the plan was told before."""
    seen: set[str] = set()
    for node, shown in (entry.get("outputs") or {}).items():
        for notice in shown.get("unison_notices") or () if node != PLANNED else ():
            if isinstance(notice, str) and notice not in seen and node in graph:
                seen.add(notice)
                yield one_line(notice)


def _fetch(
    server: Server,
    entry: dict[str, Any],
    planned: Planned,
    models: ServerModels,
    how: How,
    out: Path,
    cancel: Cancel,
) -> Path:
    """The result at its place: a picture with its plan inside, a video as the server wrote it."""
    file = next(_files(entry), None)
    if file is None:
        raise ServerError(f"the run on {server.url} gave no file; its log says why")
    path, place = place_of(out, planned.plan)
    if planned.plan.output == "video":
        with new_file(path, place) as new, writing(new.temporary), new.temporary.open("wb") as target:
            server.download(file, target, cancel)
        return new.path
    from PIL import Image, UnidentifiedImageError

    from ..media.write import write_image

    held = BytesIO()
    server.download(file, held, cancel)
    try:
        with Image.open(held) as image:
            import numpy as np

            pixels = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ServerError(f"{server.url} sent a picture that cannot be read: try again") from error
    except MemoryError as error:
        raise ResourceError(f"memory ran out while the picture was read ({out}): make it smaller") from error
    metadata = metadata_of(planned.plan, how.sampling, dict(models.loras))
    return write_image(path, pixels, metadata=metadata, place=place)
