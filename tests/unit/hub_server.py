"""A server on the loopback address that speaks the hub's routes, and can be told to misbehave."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from .loopback import answering

COMMIT = "c0ffee" + "0" * 34
_TREE = re.compile(r"/api/models/([^/]+/[^/]+)/(tree|revision)/([^/?]+)")
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Hub:
    """repositories: files by path. Large files (safetensors, pth) are sent from another host, as the real hub does.

    break_after: bytes after which every connection is cut. hold_after: bytes after which one stops without an end.
    requests: (path, first byte, Authorization) of every request for a file's bytes.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    break_after: int | None = None
    hold_after: int | None = None
    ignores_ranges: bool = False
    damaged: set[str] = field(default_factory=set)
    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[str, int, str | None]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def starts(self, path: str) -> list[int]:
        """Where each request for this file began."""
        return [start for name, start, _ in self.requests if name == path]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub answers at `hub.url` inside."""
    with answering(_Handler, hub=hub) as hub.url:
        try:
            yield hub
        finally:
            hub.released.set()


def _is_large(path: str) -> bool:
    return path.endswith((".safetensors", ".pth"))


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": _blob(content)}
    if _is_large(path):
        row["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return row


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing on the tests' output."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if (asked := _TREE.match(url.path)) is not None:
            self._tree(asked[1], asked[2], unquote(asked[3]))
        elif (named := _FILE.match(url.path.removeprefix("/cdn"))) is not None:
            self._file(named[1], unquote(named[2]), unquote(named[3]), cdn=url.path.startswith("/cdn"))
        else:
            self._say(404)

    def _say(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refused(self, repository: str, revision: str) -> bool:
        """As the hub refuses: 401 for what does not exist or is closed, 404 for a revision."""
        token = self.headers.get("Authorization")
        if repository not in self.hub.repositories:
            self._say(401, X_Error_Code="RepoNotFound")
        elif repository in self.hub.gated and token != "Bearer right":
            self._say(403 if token else 401, X_Error_Code="GatedRepo")
        elif revision not in ("main", COMMIT):
            self._say(404, X_Error_Code="RevisionNotFound")
        else:
            return False
        return True

    def _tree(self, repository: str, kind: str, revision: str) -> None:
        self.hub.asked.append(f"{kind} {repository} {revision}")
        if self._refused(repository, revision):
            return
        rows = [_entry(*item) for item in self.hub.repositories[repository].items()]
        answer = [{"type": "directory", "path": "x"}, *rows] if kind == "tree" else {"sha": COMMIT}
        self._say(200, json.dumps(answer).encode(), Content_Type="application/json")

    def _file(self, repository: str, revision: str, path: str, *, cdn: bool) -> None:
        if not cdn and self._refused(repository, revision):
            return
        content = self.hub.repositories.get(repository, {}).get(path)
        if content is None:
            self._say(404, X_Error_Code="EntryNotFound")
        elif not cdn and _is_large(path):
            self._say(302, Location=f"http://localhost:{urlsplit(self.hub.url).port}/cdn{self.path}")
        else:
            self._bytes(path, content)

    def _bytes(self, path: str, content: bytes) -> None:
        """The content from where it is asked for, as far as the hub lets it."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked and not self.hub.ignores_ranges else 0
        self.hub.requests.append((path, start, self.headers.get("Authorization")))
        if self.hub.statuses:
            self._say(self.hub.statuses.pop(0))
            return
        if start >= len(content):
            self._say(416)
            return
        if path in self.hub.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        rest = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        limit = self.hub.break_after if self.hub.break_after is not None else self.hub.hold_after
        part = rest if limit is None else rest[:limit]
        self.hub.sent.append(len(part))
        self.wfile.write(part)
        if len(part) < len(rest):
            self.wfile.flush()
            if self.hub.break_after is None:
                self.hub.released.wait()
            self.close_connection = True
