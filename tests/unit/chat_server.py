"""A server on the loopback address that speaks chat completions, in each dialect and with each fault that real ones have."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIECE = 9  # characters of an answer in one event


@dataclass
class Stub:
    """answers: what each request gets, in order; the last one stays. A text is streamed as an answer; a callable takes
    the handler and the request. requests: (body, headers) of each. asked: set by the first request. left: set when
    a client closes its connection early.
    """

    answers: list[Any]
    models: tuple[str, ...] = ("tiny",)
    requests: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    @property
    def formats(self) -> list[str | None]:
        """What each request asked for as its form."""
        return [body.get("response_format", {}).get("type") for body, _ in self.requests]


@contextmanager
def serving(*answers: Any, models: tuple[str, ...] = ("tiny",)) -> Iterator[Stub]:
    """A stub at `.url`."""
    stub = Stub(list(answers), models)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"stub": stub}))
    server.daemon_threads = True
    stub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True).start()
    try:
        yield stub
    finally:
        stub.over.set()
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    stub: Stub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.stub.paths.append(self.path)
        self.send(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.stub.models]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.stub.paths.append(self.path)
        self.stub.requests.append((body, dict(self.headers)))
        self.stub.asked.set()
        answers = self.stub.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer(self, body)
        else:
            self.stream(answer)

    def send(self, status: int, body: Any, **headers: str) -> None:
        """A whole answer: JSON, or text as it is."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def begin(self) -> None:
        """The head of a stream."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def event(self, content: str | None, finish: str | None = None) -> None:
        """One event of a stream."""
        delta = {} if content is None else {"content": content}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
        chunk |= {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def stream(self, text: str, finish: str | None = "stop") -> None:
        """A text in pieces, and its end."""
        self.begin()
        for start in range(0, len(text), PIECE):
            self.event(text[start : start + PIECE])
        if finish is not None:
            self.event(None, finish)
            self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: Any) -> None:
        pass

    def wait_until_left(self) -> None:
        """Until the client closes its connection, which is then known, or the test is over."""
        self.connection.settimeout(0.02)
        while not self.stub.over.is_set():
            try:
                if self.connection.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            return
        self.stub.left.set()


Answer = Callable[[Handler, dict[str, Any]], None]


def error(status: int, message: Any, **headers: str) -> Answer:
    """An error: a text in the OpenAI envelope, or a body of its own."""
    body = {"error": {"message": message, "type": "error"}} if isinstance(message, str) else message
    return lambda handler, _: handler.send(status, body, **headers)


def plain(status: int, text: str) -> Answer:
    """An error in plain text."""
    return lambda handler, _: handler.send(status, text)


def silent(handler: Handler, _: Any) -> None:
    """Takes the request and says nothing."""
    handler.wait_until_left()


def stuck(handler: Handler, _: Any) -> None:
    """Begins an answer and says no more."""
    handler.begin()
    handler.event('{"task": "te')
    handler.wait_until_left()


def half(handler: Handler, _: Any) -> None:
    """Dies in the middle of an answer."""
    handler.begin()
    handler.event('{"task": "text_to_video", "wid')


def whole(text: str) -> Answer:
    """A server that does not stream."""
    message = {"message": {"role": "assistant", "content": text}, "index": 0, "finish_reason": "stop"}
    return lambda handler, _: handler.send(200, {"id": "1", "object": "chat.completion", "choices": [message]})


def cut(text: str) -> Answer:
    """An answer that reaches its limit."""
    return lambda handler, _: handler.stream(text, "length")
