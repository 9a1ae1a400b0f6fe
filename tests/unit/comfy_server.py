"""A ComfyUI on the loopback address as its API shows itself, which makes a picture of one colour, and can misbehave."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from PIL import Image

from .loopback import answering

COLOUR = (200, 30, 40)
_PART = re.compile(rb'name="([^"]+)"(?:; filename="([^"]+)")?.*?\r\n\r\n(.*?)\r\n--', re.DOTALL)


def combo(node: str, name: str, choices: list[str], *, new: bool = False) -> dict[str, Any]:
    """A loader's description, in the host's old and new form."""
    kind = ["COMBO", {"options": choices}] if new else [choices, {}]
    return {node: {"input": {"required": {name: kind}}}}


@dataclass
class Comfy:
    """graphs, files, cancelled: what came. error: what a run ends with. holds: runs never end. refuses: node errors.

    statuses: answers to the next requests, before anything else. forgets: a queued run is never heard of again.
    """

    nodes: dict[str, Any] = field(default_factory=lambda: {"UnisonPlanFromJSON": {}})
    graphs: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    error: dict[str, Any] | None = None
    interrupted: bool = False
    holds: bool = False
    forgets: bool = False
    refuses: dict[str, Any] | None = None
    statuses: list[int] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    raw: bytes | None = None
    asked: threading.Event = field(default_factory=threading.Event)
    url: str = ""


@contextmanager
def serving(comfy: Comfy) -> Iterator[Comfy]:
    """It answers at `comfy.url` inside."""
    with answering(_Handler, comfy=comfy) as comfy.url:
        yield comfy


class _Handler(BaseHTTPRequestHandler):
    comfy: Comfy

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        comfy, parts = self.comfy, urlsplit(self.path)
        comfy.tokens.append(self.headers.get("Authorization"))
        if self._misbehaves():
            return
        path = unquote(parts.path)
        if path == "/system_stats":
            self._answer({"system": {"comfyui_version": "0"}})
        elif path.startswith("/object_info/"):
            name = path.rpartition("/")[2]
            self._answer({name: comfy.nodes[name]} if name in comfy.nodes else {})
        elif path.startswith("/history/"):
            self._answer(self._history(path.rpartition("/")[2]))
        elif path == "/queue":
            comfy.asked.set()
            names = [] if comfy.forgets else [[i, str(i)] for i, _ in enumerate(comfy.graphs)]
            self._answer({"queue_running": names[-1:], "queue_pending": []})
        elif path == "/view":
            held = BytesIO()
            Image.new("RGB", (16, 16), COLOUR).save(held, format="PNG")
            query = parse_qs(parts.query)
            assert query["filename"] == ["made_00001_.png"] and query["type"] == ["output"]
            self._send(200, "image/png", comfy.raw if comfy.raw is not None else held.getvalue())
        else:
            self._send(404, "text/plain", b"")

    def do_POST(self) -> None:
        comfy, body = self.comfy, self.rfile.read(int(self.headers["Content-Length"]))
        if self._misbehaves():
            return
        if self.path == "/upload/image":
            mark = b"--" + self.headers["Content-Type"].partition("boundary=")[2].encode()
            found = {key: (name, data) for key, name, data in _PART.findall(body.replace(mark, b"--" + mark))}
            if b"image" not in found:  # broken off
                return
            name, data = found[b"image"]
            comfy.files[name.decode()] = data.removesuffix(b"\r\n")
            self._answer({"name": name.decode(), "subfolder": found[b"subfolder"][1].decode().strip(), "type": "input"})
        elif self.path == "/prompt":
            if comfy.refuses is not None:
                self._send(400, "application/json", json.dumps(comfy.refuses).encode())
                return
            comfy.graphs.append(json.loads(body)["prompt"])
            self._answer({"prompt_id": str(len(comfy.graphs) - 1)})
        elif self.path == "/queue":
            comfy.cancelled += json.loads(body)["delete"]
            self._send(200, "text/plain", b"")
        elif self.path == "/interrupt":
            comfy.cancelled.append(json.loads(body)["prompt_id"])
            self._send(200, "text/plain", b"")

    def _history(self, name: str) -> dict[str, Any]:
        comfy = self.comfy
        if comfy.holds or comfy.forgets:
            return {}
        messages: list[Any] = [["execution_start", {}]]
        if comfy.error is not None:
            messages.append(["execution_error", comfy.error])
        if comfy.interrupted:
            messages.append(["execution_interrupted", {}])
        good = len(messages) == 1
        outputs = {
            "save": {"images": [{"filename": "made_00001_.png", "subfolder": "unison", "type": "output"}]},
            "sources": {"unison_notices": comfy.notices},
        }
        status = {"status_str": "success" if good else "error", "completed": good, "messages": messages}
        return {name: {"status": status, "outputs": outputs if good else {}}}

    def _misbehaves(self) -> bool:
        if not self.comfy.statuses:
            return False
        status = self.comfy.statuses.pop(0)
        if status == 0:  # hangs up without a word
            self.close_connection = True
        else:
            self._send(status, "text/html", b"<html>")
        return True

    def _answer(self, value: Any) -> None:
        self._send(200, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        if status in (301, 302):
            self.send_header("Location", "http://127.0.0.1:9/")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
