"""How far a graph is, as the server's events say. They are for the bar alone: what became of it says its history.

Without the library websocket-client, and where no connection comes about, there is no bar and everything else works.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..progress import Progress
from .graph import stage_of
from .server import Server

_TIMEOUT = 10.0
_LEAVING = 1.0


@contextmanager
def watched(server: Server, graph: Mapping[str, Any], progress: Progress) -> Iterator[None]:
    """Inside, `progress` hears of the nodes of `graph` on the server."""
    try:
        import websocket
    except ImportError:
        yield
        return
    headers = [f"{key}: {value}" for key, value in server.headers.items()]
    connection = None
    with contextlib.suppress(Exception):  # a proxy that lets no events through, or none at all
        connection = websocket.create_connection(server.socket, timeout=_TIMEOUT, header=headers)
    if connection is None:
        yield
        return
    thread = threading.Thread(target=_listen, args=(connection, graph, progress), daemon=True)
    thread.start()
    try:
        yield
    finally:
        with contextlib.suppress(Exception):
            connection.close(timeout=_LEAVING)
        thread.join(_LEAVING)


def _listen(connection: Any, graph: Mapping[str, Any], progress: Progress) -> None:
    import websocket

    connection.settimeout(None)
    while True:
        try:
            text = connection.recv()
        except (OSError, websocket.WebSocketException):
            return  # closed, by us or by the server
        if not text:
            return
        if isinstance(text, str):
            with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
                tell(json.loads(text), graph, progress)


def tell(event: Mapping[str, Any], graph: Mapping[str, Any], progress: Progress) -> None:
    """Tell `progress` what an event says of a node that runs; other events say nothing."""
    data = event["data"]
    if event["type"] == "progress":
        progress(stage_of(graph, str(data["node"])), int(data["value"]), int(data["max"]))
    elif event["type"] == "executing" and data.get("node") is not None:
        progress(stage_of(graph, str(data.get("display_node") or data["node"])), 0, 0)
