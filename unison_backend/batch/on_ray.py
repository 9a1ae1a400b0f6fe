"""Jobs made by Ray: a pool of actors with models that stay loaded, on one machine or on a cluster (RAY_ADDRESS).

Ray distributes, restarts actors and runs a job again when its actor dies. Its own limits would end the whole run (or
never), so a line that kills its actor is counted by `attempts` instead; results have names by content, so that a job
that is run twice makes the same file.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import ResourceError, UnsupportedError
from ..progress import Cancel, Progress, check
from .job import Job, Setup
from .log import Row
from .worker import Emit, Worker

ADDRESS_VARIABLE = "RAY_ADDRESS"
_CONNECT_SECONDS, _ANSWER_SECONDS = 2.0, 2.5
# HTTP/2's greeting, with an empty frame of settings: 3 bytes of length, its type, 5 of flags and stream.
_SETTINGS, _FRAME = b"\x04", 9
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _SETTINGS + b"\0" * 5
# Rows are a few hundred bytes; pictures never go through Ray.
_OBJECT_STORE_BYTES = 100 << 20


@dataclass(frozen=True)
class OnRay:
    """An executor. workers: actors at most; gpus, cpus: what each one takes."""

    workers: int = 1
    gpus: float = 0.0
    cpus: float = 1.0

    def __call__(self, jobs: Sequence[Job], setup: Setup, emit: Emit, progress: Progress, cancel: Cancel) -> None:
        """A row for each job as they come. Raises UnsupportedError without Ray, ResourceError without its cluster."""
        check(cancel, "starting Ray")
        progress("starting Ray", 0, 1)
        with _ray(self) as ray:
            progress("starting Ray", 1, 1)
            for row in _rows(ray, self, jobs, setup):
                emit(row)
                check(cancel, "the batch")


class _Actor:
    """What each actor runs: a batch of one job in, its row out."""

    def __init__(self, setup: Setup) -> None:
        self._worker = Worker(setup)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        rows: list[Row] = []
        self._worker.make([pickle.loads(job) for job in batch["job"]], rows.append)
        return {"row": [json.dumps(asdict(row)) for row in rows]}


def _rows(ray: Any, pool: OnRay, jobs: Sequence[Job], setup: Setup) -> Iterator[Row]:
    import ray.data as data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    # Half an hour without a row would end the run; one long video takes longer.
    context.execution_no_progress_timeout_s = -1
    items = [{"job": pickle.dumps(job)} for job in jobs]
    made = data.from_items(items, override_num_blocks=len(items)).map_batches(
        _Actor,
        fn_constructor_args=(setup,),
        batch_size=1,
        compute=data.ActorPoolStrategy(min_size=1, max_size=min(pool.workers, len(items))),
        num_gpus=pool.gpus,
        num_cpus=pool.cpus,
    )
    for row in made.iter_rows():
        yield Row(**json.loads(row["row"]))


@contextmanager
def _ray(pool: OnRay) -> Iterator[Any]:
    """Ray, joined to the cluster that RAY_ADDRESS names, else started here for this run alone."""
    address = os.environ.get(ADDRESS_VARIABLE)
    if address:
        _look_for(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise UnsupportedError(
            "--ray takes Ray, which is not installed: pip install 'ray[data]', or leave --ray away"
        ) from error
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        own = {"address": "local", "_temp_dir": folder, "num_cpus": max(1, round(pool.workers * pool.cpus)),
               "object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}  # fmt: skip
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **({"address": address} if address else own))
        except Exception as error:  # Ray raises the plain one for a node that is slow to start
            raise ResourceError(f"Ray does not start: {error}") from error
        try:
            yield ray
        finally:
            with contextlib.suppress(Exception):
                ray.shutdown()


def _look_for(address: str) -> None:
    """Raise ResourceError at once for a cluster that is not there; Ray itself tries for over a minute, then exits."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdigit():
        return  # "auto" and "local" are Ray's own words
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS) as connection:
            why = None if _speaks_grpc(connection) else "something else answers there"
    except OSError as error:
        why = error.strerror or str(error)
    if why is not None:
        raise ResourceError(f"no Ray cluster at {address} ({why}): start it, or unset {ADDRESS_VARIABLE}")


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other side answers as gRPC does, which stands on HTTP/2: to its greeting with a SETTINGS frame (RFC
    9113, 3.4 and 6.5). Raises OSError, after _ANSWER_SECONDS of silence too."""
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return True  # it would have to be greeted with the cluster's certificate
    connection.settimeout(_ANSWER_SECONDS)
    connection.sendall(_GREETING)
    return connection.recv(_FRAME)[3:4] == _SETTINGS
