"""Drives a real ComfyUI on the CPU through its HTTP and WebSocket interface; standard library and websocket-client.

Which host: COMFYUI_PATH, else ~/comfy/ComfyUI. Which interpreter: COMFYUI_PYTHON, else a virtual environment in or
beside that folder, else the one that runs the tests, if it has what a host needs.

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
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import websocket

REPOSITORY = Path(__file__).resolve().parents[2]
INSIDE = Path(__file__).resolve().parent / "inside"
PACK = "ComfyUI-Unison"

NEEDED = ("aiohttp", "torch", "yaml", "PIL", "safetensors", "transformers", "sqlalchemy", "comfyui_frontend_package")
"""Modules that no host starts without; what a newer one needs besides shows in the log when it dies."""

STARTUP_SECONDS = 120
FOLDERS = ("custom_nodes", "models", "input", "output", "temp", "user")

Event = dict[str, Any]
Prompt = dict[str, dict[str, Any]]


class HostError(RuntimeError):
    """The host did not start, died, went silent or refused a request; the message ends with its log's tail."""


# ---------------------------------------------------------------------------------------------- finding a host


@dataclass(frozen=True)
class HostInstall:
    """A ComfyUI folder and an interpreter that can run it."""

    folder: Path
    python: Path
    version: str

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers, to compare: (0, 33, 0)."""
        return tuple(int(part) for part in re.findall(r"\d+", self.version)[:3])


@cache
def find_host() -> HostInstall | str:
    """The host to test with, or the reason why there is none."""
    named = os.environ.get("COMFYUI_PATH")
    folder = Path(named or "~/comfy/ComfyUI").expanduser().absolute()
    origin = "COMFYUI_PATH" if named else "COMFYUI_PATH is not set"
    if not (folder / "main.py").is_file() or not (folder / "comfyui_version.py").is_file():
        return f"no ComfyUI in {folder} ({origin})"
    found = re.search(r"__version__\s*=\s*[\"']([^\"']+)", (folder / "comfyui_version.py").read_text("utf-8"))
    if not found:
        return f"{folder} does not say which ComfyUI it is ({origin})"
    python = _find_python(folder)
    return python if isinstance(python, str) else HostInstall(folder, python, found[1])


def _find_python(folder: Path) -> Path | str:
    """The interpreter for this host, or why there is none."""
    named = os.environ.get("COMFYUI_PYTHON")
    if named:
        python = Path(named).expanduser().absolute()  # not resolve(): a virtual environment's python is a link
        trouble = _trouble(python)
        return f"COMFYUI_PYTHON={python}: {trouble}" if trouble else python
    homes = [home / name for home in (folder, folder.parent) for name in ("venv", ".venv", "python_embeded")]
    guesses = [home / tail for home in homes for tail in ("bin/python", "Scripts/python.exe", "python.exe")]
    troubles = []
    for python in [*(guess for guess in guesses if guess.is_file()), Path(sys.executable)]:
        trouble = _trouble(python, _frontend(folder))
        if not trouble:
            return python
        troubles.append(f"{python}: {trouble}")
    return f"no interpreter for {folder}, set COMFYUI_PYTHON ({'; '.join(troubles)})"


def _frontend(folder: Path) -> str | None:
    """The frontend release that this host pins; it tells one host's environment from another's."""
    requirements = folder / "requirements.txt"
    pin = re.search(r"^comfyui[-_]frontend[-_]package==(\S+)", requirements.read_text("utf-8"), re.MULTILINE)
    return pin[1] if pin else None


def _trouble(python: Path, frontend: str | None = None) -> str | None:
    """Why this interpreter cannot run a host; None if it can. `frontend` is the release it must have, if any."""
    if not python.is_file():
        return "no such file"
    code = (
        "import importlib.metadata as m, importlib.util as u, json, sys\n"
        "missing = [n for n in sys.argv[1:] if u.find_spec(n) is None]\n"
        "print(json.dumps([missing, None if missing else m.version('comfyui_frontend_package')]))"
    )
    try:
        answer = subprocess.run(
            [python, "-c", code, *NEEDED], env=_clean_environment(), capture_output=True, text=True, timeout=60
        )
        missing, has = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return f"does not run ({error})"
    if missing:
        return f"lacks {', '.join(missing)}"
    return f"has frontend {has}, this host pins {frontend}" if frontend and has != frontend else None


def _clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would leak its Python into the host's, never online."""
    mine = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    fixed = {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "NO_PROXY": "127.0.0.1"}
    return {**mine, **fixed, **(extra or {})}


# ---------------------------------------------------------------------------------------------- building a prompt


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


# ---------------------------------------------------------------------------------------------- what came of a prompt


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


# ---------------------------------------------------------------------------------------------- the running host


class ComfyHost:
    """A ComfyUI of its own in a temporary base folder, with this pack and, if named, `packs` in custom_nodes.

    `arguments` go to main.py, `env` into its environment. `watch` adds the event that `Run.executed` needs.
    """

    def __init__(
        self,
        install: HostInstall,
        *arguments: str,
        base: Path | None = None,
        env: dict[str, str] | None = None,
        packs: Sequence[Path] = (),
        watch: bool = True,
    ):
        self.install, self.arguments, self.watched = install, arguments, watch
        self.startup_log = ""
        """The log until the host answered."""
        self._env, self._packs, self._own = env or {}, list(packs), base is None
        # resolve(): the host prints and compares resolved paths, and a temporary folder may be reached by a link
        self.base = Path(base or tempfile.mkdtemp(prefix="comfy-host-")).resolve()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> ComfyHost:
        return self.start_host()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_host(self) -> ComfyHost:
        """Start the host and wait until it answers."""
        for name in FOLDERS:
            (self.base / name).mkdir(parents=True, exist_ok=True)
        _install(REPOSITORY, self.base / "custom_nodes" / PACK)
        for pack in self._packs:
            _install(pack, self.base / "custom_nodes" / pack.name)
        try:
            self._begin()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self.startup_log = self.log()
        return self

    def _begin(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        main = [str(INSIDE / "_launch.py")] if self.watched else []
        command = [str(self.install.python), *main, str(self.install.folder / "main.py")]
        command += ["--cpu", "--port", str(self.port), "--base-directory", str(self.base)]
        command += ["--database-url", "sqlite:///:memory:", "--disable-api-nodes", "--dont-print-server"]
        command += ["--disable-all-custom-nodes", "--whitelist-custom-nodes", PACK, *(p.name for p in self._packs)]
        with self.log_file.open("wb") as log:
            # in the base folder: newer hosts put a log of their own into the working folder
            self._process = subprocess.Popen(
                [*command, *self.arguments],
                cwd=self.base,
                env=_clean_environment(self._env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=os.name == "posix",
            )

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + STARTUP_SECONDS
        while time.monotonic() < until:
            if not self.alive:
                raise self.trouble("the host ended while it was starting")
            try:
                if str(self.base) in self.get("/system_stats")["system"]["argv"]:
                    return
            except (HostError, OSError):
                pass
            time.sleep(0.1)
        raise self.trouble(f"the host did not answer in {STARTUP_SECONDS} s")

    def stop(self) -> None:
        """End the host and, if the base folder was made here, remove it."""
        if self._process is not None:
            self._signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
                self._process.wait(20)
        if self._own:
            shutil.rmtree(self.base, ignore_errors=True)

    def _signal(self, number: int) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        if os.name == "posix":
            os.killpg(self._process.pid, number)  # what the host has started goes with it
        else:
            self._process.terminate()

    @property
    def alive(self) -> bool:
        """Whether the host's process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The host's process, to look at its memory."""
        if self._process is None:
            raise self.trouble("not started")
        return self._process.pid

    @property
    def log_file(self) -> Path:
        """Where stdout and stderr go."""
        return self.base / "host.log"

    def log(self) -> str:
        """All that the host has printed, without colours."""
        if not self.log_file.is_file():
            return ""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.log_file.read_text("utf-8", errors="replace"))

    def trouble(self, what: str) -> HostError:
        """An error that says what happened, whether the host still runs, and how its log ends."""
        code = None if self._process is None else self._process.poll()
        state = "running" if self.alive else f"ended with {code}"
        return HostError(f"{what} (ComfyUI {self.install.version}, {state})\n{self.log()[-4000:]}")

    @property
    def folders(self) -> dict[str, Path]:
        """The folders by the host's word for them: input, output, temp."""
        return {name: self.base / name for name in ("input", "output", "temp")}

    @property
    def input_folder(self) -> Path:
        """Where LoadImage looks. Write files here, or send them with `upload`."""
        return self.base / "input"

    @property
    def output_folder(self) -> Path:
        """Where SaveImage writes."""
        return self.base / "output"

    @property
    def models_folder(self) -> Path:
        """models/: put links or files in its folders. The host lists them anew when a folder has changed."""
        return self.base / "models"

    @property
    def user_folder(self) -> Path:
        """The user directory."""
        return self.base / "user"

    def import_seconds(self, pack: str = PACK) -> float:
        """What the host itself reports for a pack under 'Import times for custom nodes'."""
        times = re.findall(rf"^.*?(\d+\.\d) seconds.*?: .*[/\\]{re.escape(pack)}\s*$", self.startup_log, re.MULTILINE)
        if len(times) != 1:
            raise self.trouble(f"{len(times)} import times for {pack} in the log")
        return float(times[0])

    def startup_faults(self, pack: str = PACK) -> list[str]:
        """Lines printed during the start that tell of a pack that failed, or name this one.

        The host says next to nothing of a pack that loads well: only its import time. A warning of any kind names the
        file or the pack. (Old hosts print no level, so the level cannot be asked for.)
        """
        failures = ("IMPORT FAILED", "Cannot import", "Error while calling comfy_entrypoint")
        name = pack.split("-")[-1].lower()
        lines = self.startup_log.replace(str(self.base), "BASE").splitlines()
        ours = [line for line in lines if name in line.lower() or any(failure in line for failure in failures)]
        return [line for line in ours if not re.search(r"\d+\.\d seconds: BASE", line)]

    # ------------------------------------------------------------------------------------------ HTTP

    def request(
        self, path: str, data: Any = None, *, headers: dict[str, str] | None = None, method: str | None = None
    ) -> tuple[int, Any]:
        """Status and body: parsed JSON, text or bytes. `data` is sent as JSON, bytes as they are."""
        body = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
        kind = {} if data is None or isinstance(data, bytes) else {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=body, headers={**kind, **(headers or {})}, method=method
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return answer.status, _parse(answer.read(), answer.headers.get_content_type())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _parse(error.read(), error.headers.get_content_type())

    def get(self, path: str) -> Any:
        """GET; HostError when refused."""
        return self._expect(path, self.request(path))

    def post(self, path: str, data: Any) -> Any:
        """POST JSON; HostError when refused."""
        return self._expect(path, self.request(path, data))

    def _expect(self, path: str, answer: tuple[int, Any]) -> Any:
        status, body = answer
        if status >= 400:
            raise HostError(f"{path} answered {status}: {body}")
        return body

    def object_info(self, node: str | None = None) -> dict[str, Any]:
        """The description of one node (KeyError if the host does not know it), or of all by id."""
        return self.get("/object_info") if node is None else self.get(f"/object_info/{node}")[node]

    def upload(self, name: str, data: bytes) -> str:
        """Send a file into the input folder as the frontend does; the name to give to LoadImage and the like."""
        mark = uuid.uuid4().hex
        head = f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        body = head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + data + f"\r\n--{mark}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        answer = self._expect("/upload/image", self.request("/upload/image", body, headers=kind))
        return "/".join(part for part in (answer["subfolder"], answer["name"]) if part)

    # ------------------------------------------------------------------------------------------ prompts

    def start(
        self,
        prompt: Prompt | Graph,
        *,
        extra_data: dict[str, Any] | None = None,
        partial_execution_targets: list[str] | None = None,
    ) -> Handle:
        """Queue a prompt and come back at once."""
        nodes = prompt.prompt if isinstance(prompt, Graph) else prompt
        return Handle(self, nodes, extra_data, partial_execution_targets)

    def run(
        self,
        prompt: Prompt | Graph,
        *,
        timeout: float = 120,
        extra_data: dict[str, Any] | None = None,
        partial_execution_targets: list[str] | None = None,
    ) -> Run:
        """Run a prompt to its end."""
        handle = self.start(prompt, extra_data=extra_data, partial_execution_targets=partial_execution_targets)
        return handle.result(timeout)


def _parse(body: bytes, content_type: str) -> Any:
    if content_type == "application/json":
        return json.loads(body)
    return body.decode("utf-8") if content_type.startswith("text/") else body


def _install(source: Path, target: Path) -> None:
    """Link a pack into custom_nodes; where links are not allowed, copy the files that git would not ignore."""
    if target.exists():
        return
    try:
        target.symlink_to(source, target_is_directory=True)
        return
    except OSError:
        pass
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=source, capture_output=True
    )
    names = [name for name in listing.stdout.decode("utf-8").split("\0") if name]
    if listing.returncode or not names:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        return
    for name in names:
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


# ---------------------------------------------------------------------------------------------- inside the host


def run_inside(
    install: HostInstall,
    script: str,
    *arguments: Any,
    base: Path,
    env: dict[str, str] | None = None,
    host_arguments: Sequence[str] = (),
    timeout: float = 600,
) -> Any:
    """Run `main(pack, arguments)` of inside/<script> with the host's interpreter and modules, without its server.

    `arguments` and the result travel as JSON. `base` is the host's base folder. HostError carries the traceback.
    """
    for name in FOLDERS:
        (base / name).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="inside-") as folder:
        task, answer = Path(folder, "task.json"), Path(folder, "answer.json")
        settings = {
            "host": str(install.folder),
            "repository": str(REPOSITORY),
            "script": str(INSIDE / script),
            "argv": ["--cpu", "--base-directory", str(base), *host_arguments],
            "arguments": [str(argument) if isinstance(argument, Path) else argument for argument in arguments],
            "answer": str(answer),
        }
        task.write_text(json.dumps(settings), "utf-8")
        done = subprocess.run(
            [install.python, INSIDE / "_bootstrap.py", task],
            cwd=install.folder,
            env=_clean_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
        if done.returncode or not answer.is_file():
            output = done.stdout.decode("utf-8", errors="replace")[-6000:]
            raise HostError(f"{script} in ComfyUI {install.version} ended with {done.returncode}\n{output}")
        return json.loads(answer.read_text("utf-8"))


def steps(event, node):
    """How far the bars of a node, or of nodes that it expanded into, are."""
    if event["type"] != "progress_state":
        return 0
    states = event["data"]["nodes"].values()
    return max((s["value"] for s in states if node in (s["node_id"], s["display_node_id"])), default=0)
