"""Drives a real ComfyUI on the CPU through its HTTP and WebSocket interface; standard library and websocket-client."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from host_install import HostError, HostInstall, clean_environment
from host_prompts import Graph, Handle, Prompt, Run

REPOSITORY = Path(__file__).resolve().parents[2]
INSIDE = Path(__file__).resolve().parent / "inside"
PACK = "ComfyUI-Unison"
STARTUP_SECONDS = 300
TAKEN = "already in use"
FOLDERS = ("custom_nodes", "models", "input", "output", "temp", "user")


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
        except HostError:
            # Another program took the port between its choice and the host's start: once more, with another.
            if self.alive or TAKEN not in self.log():
                self.stop()
                raise
            return self.start_host()
        except BaseException:
            self.stop()
            raise
        self.startup_log = self.log()
        return self

    def free_port(self) -> int:
        """A port that nothing listens on now."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        return port

    def _begin(self) -> None:
        self.port = self.free_port()
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
                env=clean_environment(self._env),
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

    def startup_faults(self, pack: str = PACK) -> list[str]:
        """Lines printed during the start that tell of a pack that failed, or name this one.

        The host says next to nothing of a pack that loads well: only its import time. Ours says on its first start that
        it has put its samples into the input folder. A warning of any kind names the
        file or the pack. (Old hosts print no level, so the level cannot be asked for.)
        """
        failures = ("IMPORT FAILED", "Cannot import", "Error while calling comfy_entrypoint")
        name = pack.split("-")[-1].lower()
        lines = self.startup_log.replace(str(self.base), "BASE").splitlines()
        ours = [line for line in lines if name in line.lower() or any(failure in line for failure in failures)]
        told = (r"\d+\.\d seconds: BASE", r"\d+ sample files for the workflows were put into BASE")
        return [line for line in ours if not any(re.search(pattern, line) for pattern in told)]

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
            env=clean_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
        if done.returncode or not answer.is_file():
            output = done.stdout.decode("utf-8", errors="replace")[-6000:]
            raise HostError(f"{script} in ComfyUI {install.version} ended with {done.returncode}\n{output}")
        return json.loads(answer.read_text("utf-8"))
