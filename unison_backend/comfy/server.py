"""A ComfyUI server's HTTP interface: what it knows, files to and from it, prompts. Standard library only.

Nothing is contacted but the address that the person gave; it may not send us on to another one.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..errors import InputError, ServerError, one_line
from ..progress import Cancel, check, never

TOKEN_VARIABLE = "UNISON_COMFY_TOKEN"
PACK_NODE = "UnisonPlanFromJSON"
_TIMEOUT = 20.0  # seconds without a byte
_SOON = 5.0  # the same for what is asked again and again, or on the way out
_LARGEST_ANSWER = 64 << 20
_BLOCK = 1 << 20
_GATEWAY = (502, 503, 504)  # what stands before the server does not reach it just now
_REASON = 300  # characters of what a server says


class Server:
    """One ComfyUI. Its methods raise ServerError, in words that name the address."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = _checked(url)
        self.id = uuid.uuid4().hex
        """What the server knows this run by."""
        self._token = token or os.environ.get(TOKEN_VARIABLE) or None

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    @property
    def socket(self) -> str:
        """Where its events come from."""
        return f"ws{self.url.removeprefix('http')}/ws?clientId={self.id}"

    def get(self, path: str, timeout: float = _TIMEOUT) -> Any:
        """The JSON at a path."""
        with self._open(path, timeout=timeout) as answer:
            return self._json(answer, path)

    def post(self, path: str, data: Mapping[str, Any], timeout: float = _TIMEOUT) -> Any:
        """What the server answers to JSON; None where it answers nothing."""
        body = json.dumps(data).encode("utf-8")
        with self._open(path, body, "application/json", timeout=timeout) as answer:
            return self._json(answer, path)

    def node(self, class_type: str) -> dict[str, Any] | None:
        """A node's description, None for one that the server does not have."""
        found = self.get(f"/object_info/{quote(class_type, safe='')}")
        node = found.get(class_type) if isinstance(found, dict) else None
        return node if isinstance(node, dict) else None

    def choices(self, class_type: str, name: str) -> list[str]:
        """What a node offers for an input, [] when there is no such node or list."""
        groups = (self.node(class_type) or {}).get("input")
        for group in groups.values() if isinstance(groups, dict) else ():
            kind = group.get(name) if isinstance(group, dict) else None
            if isinstance(kind, list) and kind:
                # A list of its own, or "COMBO" with the list among its options.
                listed = kind[0] if isinstance(kind[0], list) else kind[1].get("options", []) if len(kind) > 1 else []
                return [choice for choice in listed if isinstance(choice, str)]
        return []

    def check(self) -> None:
        """Raise ServerError unless this is a ComfyUI that has this pack."""
        stats = self.get("/system_stats")
        if not isinstance(stats, dict) or "system" not in stats:
            raise ServerError(f"{self.url} answers, but is no ComfyUI: give the address that its page has")
        if self.node(PACK_NODE) is None:
            raise ServerError(
                f"the ComfyUI at {self.url} has no node {PACK_NODE}: install or update ComfyUI-Unison there, "
                "and start it anew"
            )

    def upload(self, name: str, file: IO[bytes], folder: str, cancel: Cancel = never) -> str:
        """Put a file into the server's input folder, over one of that name; what its loaders call it."""
        mark = uuid.uuid4().hex
        fields = {"subfolder": folder, "overwrite": "true", "type": "input"}
        head = "".join(_field(mark, key, value) for key, value in fields.items())
        head += _field(mark, "image", None, name)
        body = _Body(head.encode("utf-8"), file, f"\r\n--{mark}--\r\n".encode("ascii"), cancel)
        with self._open("/upload/image", body, f"multipart/form-data; boundary={mark}", len(body)) as answer:
            put = self._json(answer, "/upload/image")
        try:
            return str(PurePosixPath(put["subfolder"], put["name"]))
        except (KeyError, TypeError) as error:
            raise ServerError(f"{self.url} does not say where it put {name}: is it a ComfyUI?") from error

    def queue(self, graph: Mapping[str, Any]) -> str:
        """Queue a graph in the API's form; its id. Raises ServerError with what the server says of its nodes."""
        answer = self.post("/prompt", {"prompt": graph, "client_id": self.id})
        name = answer.get("prompt_id") if isinstance(answer, dict) else None
        if not isinstance(name, str):
            raise ServerError(f"{self.url} took the graph and gave no id for it: is it a ComfyUI?")
        return name

    def history(self, name: str) -> dict[str, Any] | None:
        """What became of a graph, None while it waits or runs."""
        found = self.get(f"/history/{quote(name, safe='')}", _SOON)
        entry = found.get(name) if isinstance(found, dict) else None
        return entry if isinstance(entry, dict) else None

    def waiting(self, name: str) -> tuple[bool, int]:
        """(whether the server knows a graph that is not done, how many run before it)."""
        queue = self.get("/queue", _SOON)
        queue = queue if isinstance(queue, dict) else {}
        rows = {key: queue.get(key) or [] for key in ("queue_running", "queue_pending")}
        if any(row[1] == name for row in rows["queue_running"]):
            return True, 0
        # Lower numbers run first; the list is a heap.
        pending = sorted(rows["queue_pending"], key=lambda row: row[0])
        place = next((i for i, row in enumerate(pending) if row[1] == name), None)
        return place is not None, 0 if place is None else place + len(rows["queue_running"])

    def cancel(self, name: str) -> None:
        """Stop a graph if it runs, and take it out of the queue; others go on."""
        for path, data in (("/interrupt", {"prompt_id": name}), ("/queue", {"delete": [name]})):
            with suppress(ServerError):
                self.post(path, data, _SOON)

    def download(self, entry: Mapping[str, Any], file: IO[bytes], cancel: Cancel = never) -> None:
        """Write one of a node's files to `file`. Raises Cancelled too."""
        query = {key: str(entry.get(key) or "") for key in ("filename", "subfolder", "type")}
        with self._open("/view", query=query) as answer, self._told("/view"):
            expected, come = answer.headers.get("Content-Length"), 0
            while block := answer.read(_BLOCK):
                check(cancel, "fetching the result")
                file.write(block)
                come += len(block)
        if expected is not None and come != int(expected):
            raise ServerError(f"{self.url} broke off while sending {query['filename']}: try again")

    def _open(
        self,
        path: str,
        body: Any = None,
        kind: str = "",
        size: int = 0,
        query: Any = None,
        timeout: float = _TIMEOUT,
    ) -> Any:
        headers = {"User-Agent": "unison", **self.headers, **({"Content-Type": kind} if kind else {})}
        if size:
            headers["Content-Length"] = str(size)
        request = Request(f"{self.url}{path}{'?' + urlencode(query) if query else ''}", data=body, headers=headers)
        with self._told(path):
            return build_opener(_NoRedirects()).open(request, timeout=timeout)

    def _json(self, answer: Any, path: str) -> Any:
        with self._told(path):
            text = answer.read(_LARGEST_ANSWER + 1)
        if len(text) > _LARGEST_ANSWER:
            raise ServerError(f"{self.url}{path} answers with more than {_LARGEST_ANSWER >> 20} MB: is it a ComfyUI?")
        try:
            return json.loads(text) if text.strip() else None
        except (ValueError, RecursionError) as error:
            raise ServerError(f"{self.url}{path} does not answer in JSON: is it a ComfyUI?") from error

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """What the network and the server say, in a sentence."""
        try:
            yield
        except HTTPError as error:
            with error:
                raise ServerError(self._refusal(path, error), lost=error.code in _GATEWAY) from error
        except (URLError, OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise ServerError(
                f"no answer from ComfyUI at {self.url} ({one_line(str(reason))[:_REASON] or type(reason).__name__}): "
                "is it running, and is the address right?",
                lost=True,
            ) from error

    def _refusal(self, path: str, error: HTTPError) -> str:
        if error.code in (301, 302, 303, 307, 308):
            return f"{self.url} sends on to another address: give that one"
        if error.code in (401, 403):
            return f"{self.url} wants to know who asks ({error.code}): put its token into {TOKEN_VARIABLE}"
        try:
            said = json.loads(error.read(_LARGEST_ANSWER))
        except (ValueError, OSError, HTTPException, RecursionError):
            said = None
        if path == "/prompt" and isinstance(said, dict):
            return f"ComfyUI at {self.url} does not take the graph: {_node_errors(said)}"
        if error.code == 413:
            return f"{self.url} does not take so large a file: start ComfyUI with a larger --max-upload-size"
        return f"{self.url}{path} answers {error.code} {one_line(str(error.reason))[:_REASON]}"


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _Body:
    """A multipart body that is read from its file while it is sent."""

    def __init__(self, head: bytes, file: IO[bytes], tail: bytes, cancel: Cancel) -> None:
        file.seek(0, os.SEEK_END)
        self._size = file.tell()
        file.seek(0)
        self._parts, self._file, self._cancel = (head, tail), file, cancel

    def __len__(self) -> int:
        return self._size + sum(map(len, self._parts))

    def __iter__(self) -> Iterator[bytes]:
        yield self._parts[0]
        while block := self._file.read(_BLOCK):
            check(self._cancel, "sending media")
            yield block
        yield self._parts[1]


def _field(mark: str, key: str, value: str | None, filename: str | None = None) -> str:
    """The beginning of a part, and all of one that is text."""
    named = "" if filename is None else f'; filename="{filename}"'
    kind = "" if filename is None else "Content-Type: application/octet-stream\r\n"
    return f'--{mark}\r\nContent-Disposition: form-data; name="{key}"{named}\r\n{kind}\r\n' + (
        "" if value is None else f"{value}\r\n"
    )


def _checked(url: str) -> str:
    """An address without its end. Raises InputError."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise InputError(f"--comfy {url[:80]!r} is no address of a ComfyUI; write it as http://127.0.0.1:8188")
    if parts.username or parts.password:
        raise InputError(
            f"--comfy: an address with a name or password ends up in logs; put a token into {TOKEN_VARIABLE}"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _node_errors(said: Mapping[str, Any]) -> str:
    """What a refused graph's nodes lack, in the server's words."""
    found = [
        f"{node.get('class_type')}: {one_line(str(problem.get('details') or problem.get('message')))[:_REASON]}"
        for node in (said.get("node_errors") or {}).values()
        for problem in node.get("errors", ())
    ]
    error = said.get("error")
    told = error.get("message", "") if isinstance(error, dict) else str(error or "")
    return "; ".join(found) or one_line(told)[:_REASON] or "it does not say why"
