"""Prompts for a real ComfyUI, and what came of them.

What the host's events say about a node, found by trying on 0.8.0 and 0.33.0 (test_host.py holds both to it):

- `executing` comes before the lazy question and before the work. A node that asks for lazy inputs gets one when it
  asks and one when it is taken up again; a branch that nobody asks for gets none. So `Run.reached` proves absence.
- A node fed by an ExecutionBlocker gets `executing` and ends as "finished" in progress_state, like one that worked;
  it is also in the `executed` list that errors carry. With a message, an execution_error of type ExecutionBlocked
  names the nodes hit first, and the prompt goes on to execution_success; without one, nothing tells it apart.
- Hence `watch`: the host is then started through inside/_launch.py, which runs its main.py unchanged and adds one
  event of our own, `test_called`, sent where the host is about to call a node's function. `Run.executed` is that.
- `executed` events come only for nodes with something to show, and for cached nodes with `output` None or old output.
"""

from __future__ import annotations

import json
import struct
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import websocket
from host_install import HostError

if TYPE_CHECKING:
    from comfy_host import ComfyHost

Event = dict[str, Any]
Prompt = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class NodeRef:
    """A node of a Graph; `ref[0]` is the link to its first output."""

    id: str

    def __getitem__(self, slot: int) -> list[Any]:
        return [self.id, slot]


@dataclass
class Graph:
    """Builds a prompt with the ids "1", "2", ... in the order of the calls."""

    prompt: Prompt = field(default_factory=dict)

    def node(self, class_type: str, **inputs: Any) -> NodeRef:
        """Add a node; inputs are values, links (`ref[0]`) or a NodeRef, which means its first output."""
        links = {name: value[0] if isinstance(value, NodeRef) else value for name, value in inputs.items()}
        ref = NodeRef(str(len(self.prompt) + 1))
        self.prompt[ref.id] = {"class_type": class_type, "inputs": links}
        return ref


@dataclass(frozen=True)
class Run:
    """What the host did with one prompt."""

    status: str
    """'success', 'error', 'interrupted', or 'rejected' (400: nothing was queued)."""
    prompt_id: str | None = None
    events: list[Event] = field(default_factory=list, repr=False)
    """All of them in order: {"type", "data"}. Binary ones become 'text', 'preview' ("image" holds the bytes)."""
    node_errors: dict[str, Any] = field(default_factory=dict)
    """What validation found, by node id; with status 200 too, when only some output nodes were refused."""
    rejection: dict[str, Any] = field(default_factory=dict)
    """The `error` of a 400."""
    history: dict[str, Any] = field(default_factory=dict, repr=False)
    """The host's /history entry."""
    folders: dict[str, Path] = field(default_factory=dict, repr=False)
    watched: bool = False

    def of(self, *types: str) -> list[dict[str, Any]]:
        """The data of all events of these types that belong to this prompt, in order."""
        mine = (None, self.prompt_id)
        return [e["data"] for e in self.events if e["type"] in types and e["data"].get("prompt_id") in mine]

    @property
    def visits(self) -> list[str]:
        """Node ids in the order of the `executing` events: a lazy node that asked for something is in it twice."""
        return [data["node"] for data in self.of("executing") if data.get("node") is not None]

    @property
    def reached(self) -> list[str]:
        """Nodes that the host took up, each once: asked for lazy inputs, blocked or executed.

        A node that is not in here did not run; cached ones never are, nor the twin of a node that ran. Nodes of an
        expansion have ids such as "2.0.0.1"; see `display`.
        """
        return list(dict.fromkeys(self.visits))

    @property
    def executed(self) -> list[str]:
        """Nodes whose function was called, each once, in order. Only a host started with watch=True can tell."""
        return list(self.calls)

    @property
    def calls(self) -> Counter[str]:
        """How often each node's function was called; more than once for a node that is mapped over a list."""
        if not self.watched:
            raise RuntimeError("this host was started without watch=True: use `reached`")
        return Counter(data["node"] for data in self.of("test_called"))

    @property
    def blocked(self) -> list[str]:
        """Nodes that were passed over because an input was blocked, with a message or silently (watch=True).

        Only a run that succeeded can tell; in others a node may be reached and not executed for another reason.
        """
        if self.status != "success":
            raise RuntimeError(f"blocked is only known of a run that succeeded: {self.why}")
        return [node for node in self.reached if node not in self.calls]

    @property
    def cached(self) -> list[str]:
        """Nodes of the prompt whose result was in the cache before the run, wanted or not."""
        return [node for data in self.of("execution_cached") for node in data["nodes"]]

    @property
    def display(self) -> dict[str, str]:
        """Which node each one, if reached or showing something, is shown as: itself, or the one that expanded."""
        found = [data for data in self.of("executing", "executed") if data.get("node") is not None]
        return {data["node"]: data.get("display_node") or data["node"] for data in found}

    @property
    def outputs(self) -> dict[str, dict[str, Any]]:
        """What nodes have to show, by node id, cached ones included: {"images": [...]}, {"text": [...]}, ..."""
        events = {data["node"]: data["output"] for data in self.of("executed") if data.get("output")}
        return {**events, **self.history.get("outputs", {})}

    @property
    def errors(self) -> list[dict[str, Any]]:
        """All execution_error payloads, those of blocked nodes too."""
        return self.of("execution_error")

    @property
    def error(self) -> dict[str, Any] | None:
        """The execution_error that ended the run."""
        return next((data for data in self.errors if not _is_block(data)), None)

    @property
    def blocks(self) -> dict[str, str]:
        """The messages of blockers, by the id of the node that they hit first."""
        return {data["node_id"]: data["exception_message"] for data in self.errors if _is_block(data)}

    @property
    def progress(self) -> list[Event]:
        """`progress` and `progress_state` events in order, as events, since their data differ."""
        return [event for event in self.events if event["type"] in ("progress", "progress_state")]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """(node id, text) of what nodes sent as progress text."""
        return [(data["node"], data["text"]) for data in self.of("text")]

    @property
    def previews(self) -> list[dict[str, Any]]:
        """Previews: "image" (bytes, JPEG or PNG) and, where the host tells, "node_id" and "display_node_id"."""
        return self.of("preview")

    @property
    def seconds(self) -> float:
        """From execution_start to the end, by the host's clock."""
        stamps = [e["data"]["timestamp"] for e in self.events if "timestamp" in e["data"]]
        return (max(stamps) - min(stamps)) / 1000 if stamps else 0.0

    @property
    def why(self) -> str:
        """Status and reason in one text, for the message of an assert."""
        parts = [self.status, self.rejection.get("message"), self.rejection.get("details")]
        for node, errors in self.node_errors.items():
            parts += [f"node {node}: {e['message']} ({e['details']})" for e in errors["errors"]]
        parts += [f"node {d['node_id']} {d['node_type']}: {d['exception_message'].strip()}" for d in self.errors]
        return "; ".join(part for part in parts if part)

    def files(self, node: str | NodeRef) -> list[Path]:
        """The files that a node, or an expansion that is shown as it, has put out, in order."""
        wanted = node.id if isinstance(node, NodeRef) else node
        entries = [
            entry
            for name, output in self.outputs.items()
            if wanted in (name, self.display.get(name))
            for values in output.values()
            if isinstance(values, list)
            for entry in values
            if isinstance(entry, dict) and "filename" in entry
        ]
        return [self.folders[e.get("type", "output")] / e.get("subfolder", "") / e["filename"] for e in entries]


def _is_block(data: dict[str, Any]) -> bool:
    return data.get("exception_type") == "ExecutionBlocked"


class Handle:
    """A prompt under way. `result()` waits for its end; `host.run` is `host.start(...).result(...)`."""

    def __init__(self, host: ComfyHost, prompt: Prompt, extra_data: dict[str, Any] | None, targets: list[str] | None):
        self._host, self._events, self._closed = host, [], False
        self._changed = threading.Condition()
        client = uuid.uuid4().hex
        address = f"ws://127.0.0.1:{host.port}/ws?clientId={client}"
        try:
            self._socket = websocket.create_connection(address, timeout=30)
            self._socket.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
            while json.loads(self._socket.recv())["type"] != "feature_flags":
                pass  # after this answer the host knows the client and what it can read
            self._socket.settimeout(None)
        except (OSError, websocket.WebSocketException) as error:
            raise host.trouble(f"no web socket: {error}") from error
        threading.Thread(target=self._listen, daemon=True).start()
        body: dict[str, Any] = {"prompt": prompt, "client_id": client}
        if extra_data is not None:
            body["extra_data"] = extra_data
        if targets is not None:
            body["partial_execution_targets"] = targets
        self._status, self._answer = host.request("/prompt", body)
        if self._status not in (200, 400) or not isinstance(self._answer, dict):
            self._close()
            raise host.trouble(f"/prompt answered {self._status}: {self._answer}")
        self.prompt_id: str | None = self._answer.get("prompt_id")

    def _listen(self) -> None:
        try:
            while True:
                code, message = self._socket.recv_data()
                if code in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
                    event = json.loads(message) if code == websocket.ABNF.OPCODE_TEXT else _decode(message)
                    with self._changed:
                        self._events.append(event)
                        self._changed.notify_all()
                elif code == websocket.ABNF.OPCODE_CLOSE:
                    break
        except (OSError, websocket.WebSocketException):
            pass  # closed by us, or by the host's death: whoever waits sees `_closed` and says which
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()

    def _close(self) -> None:
        # close() would wait for the listener's lock; shutting the socket down wakes the listener instead
        self._socket.shutdown()

    @property
    def events(self) -> list[Event]:
        """The events so far."""
        with self._changed:
            return list(self._events)

    def wait_for(self, wanted: Callable[[Event], object], timeout: float = 120) -> Event:
        """The first event that `wanted` says yes to, past ones included; HostError if none comes in time."""
        until, seen = time.monotonic() + timeout, 0
        with self._changed:
            while True:
                for event in self._events[seen:]:
                    if wanted(event):
                        return event
                seen = len(self._events)
                if self._closed:
                    raise self._host.trouble("the web socket closed before the event came")
                if not self._changed.wait(until - time.monotonic()):
                    kinds = dict(Counter(event["type"] for event in self._events))
                    raise self._host.trouble(f"no such event in {timeout} s, only {kinds}")

    def wait_for_node(self, node: str | NodeRef, timeout: float = 120) -> Event:
        """The `executing` event of a node."""
        name = node.id if isinstance(node, NodeRef) else node
        return self.wait_for(lambda e: e["type"] == "executing" and e["data"].get("node") == name, timeout)

    def interrupt(self, *, only_this: bool = False) -> None:
        """Press Cancel; `only_this` names the prompt, as the frontend does, else whatever runs is cancelled."""
        self._host.post("/interrupt", {"prompt_id": self.prompt_id} if only_this else {})

    def result(self, timeout: float = 120) -> Run:
        """Wait for the end and gather all that is known of the run."""
        common = {
            "prompt_id": self.prompt_id,
            "node_errors": self._answer.get("node_errors") or {},
            "folders": self._host.folders,
            "watched": self._host.watched,
        }
        if self._status == 400:
            self._close()
            error = self._answer.get("error") or {}
            return Run("rejected", rejection=error if isinstance(error, dict) else {"message": error}, **common)
        try:
            # The host stores the history, then says that nothing is executing. Only after that the run is over.
            self.wait_for(self._is_last, timeout)
        except HostError:
            if self._host.alive:
                self.interrupt()  # a run that hangs would hold up the next test's
            raise
        finally:
            self._close()
        events = self.events
        history = self._host.get(f"/history/{self.prompt_id}").get(self.prompt_id, {})
        return Run(self._verdict(events), events=events, history=history, **common)

    def _is_last(self, event: Event) -> bool:
        data = event["data"]
        return event["type"] == "executing" and data.get("node") is None and data.get("prompt_id") == self.prompt_id

    def _verdict(self, events: list[Event]) -> str:
        ends = {"execution_success": "success", "execution_error": "error", "execution_interrupted": "interrupted"}
        for event in events:
            data = event["data"]
            if event["type"] in ends and data.get("prompt_id") == self.prompt_id and not _is_block(data):
                return ends[event["type"]]
        raise self._host.trouble("the run ended without a verdict")


def _decode(message: bytes) -> Event:
    """A binary message of the host: previews (with or without data about them) and progress texts."""
    (kind,), rest = struct.unpack(">I", message[:4]), message[4:]
    if kind in (3, 4):
        length = struct.unpack(">I", rest[:4])[0]
        head, rest = rest[4 : 4 + length].decode("utf-8"), rest[4 + length :]
        if kind == 3:
            return {"type": "text", "data": {"node": head, "text": rest.decode("utf-8")}}
        return {"type": "preview", "data": {**json.loads(head), "image": rest}}
    if kind == 1:
        return {"type": "preview", "data": {"image": rest[4:]}}
    return {"type": f"binary {kind}", "data": {"bytes": rest}}


def steps(event, node):
    """How far the bars of a node, or of nodes that it expanded into, are."""
    if event["type"] != "progress_state":
        return 0
    states = event["data"]["nodes"].values()
    return max((s["value"] for s in states if node in (s["node_id"], s["display_node_id"])), default=0)
