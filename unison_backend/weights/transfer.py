"""One file from a server to its place: it goes on where it stopped, is checked while it is read, and comes whole.

What is unusual: a transfer that was killed goes on in the next call. What has come lies beside the target under a name
with the expected sum in it, so bytes of another version are never taken for the beginning of this one. huggingface_hub
starts such a file anew and compares no sum, which is why this is not done with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..errors import DownloadError
from ..files import writing
from ..progress import Cancel, Progress, check, never, silent
from .answers import answered, told

ATTEMPTS = 5
"""How often in a row nothing may come before it is given up."""
TIMEOUT = 30.0  # seconds without a byte
_BLOCK = 1 << 20
_LONGEST_WAIT = 30.0
_AGAIN = (408, 429, 500, 502, 503, 504)
_STARTS_BEYOND = 416


@dataclass(frozen=True)
class Remote:
    """A file on a server.

    blob: its sum as git takes it (the hub's small files have no other). token: for `url` only. page: for a browser.
    """

    url: str
    size: int | None = None
    sha256: str | None = None
    blob: str | None = None
    token: str | None = None
    page: str = ""

    @property
    def sum(self) -> str:
        """What its bytes must come to; "" where nothing is known."""
        return self.sha256 or self.blob or ""


def open_url(url: str, token: str | None = None, headers: Mapping[str, str] | None = None) -> Any:
    """A GET; the token goes to the host of `url` and to no other that it sends us on to. Raises what urllib does."""
    request = Request(url, headers={"User-Agent": "unison", **(headers or {})})
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return build_opener(_Redirects()).open(request, timeout=TIMEOUT)


class _Redirects(HTTPRedirectHandler):
    """Never from a safe connection to an open one; a token stays with the host it was given for."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if old.scheme == "https" and new.scheme != "https":
            raise HTTPError(newurl, code, "sends on to an address without encryption", headers, fp)
        sent_on = super().redirect_request(req, fp, code, msg, headers, newurl)
        token = req.unredirected_hdrs.get("Authorization")
        if sent_on is not None and token and (old.scheme, old.netloc) == (new.scheme, new.netloc):
            sent_on.add_unredirected_header("Authorization", token)
        return sent_on


def part_of(target: Path, remote: Remote) -> Path:
    """Where what has come of `target` lies until it is whole."""
    return target.with_name(f".{target.name}.{remote.sum[:12] or 'unknown'}.part")


def fetch(
    remote: Remote,
    target: Path,
    progress: Progress = silent,
    cancel: Cancel = never,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Bring `remote` to `target` whole and checked; the number of bytes that came over the network.

    progress: bytes, under the target's name. A stop, a broken connection and a full disk leave what has come for the
    next call; a wrong sum leaves nothing.
    Raises DownloadError, ResourceError, MediaError (the folder may not be written), Cancelled.
    """
    part = part_of(target, remote)
    with _clean(part):
        with writing(part), _locked(part) as file:
            state = _Part(file, remote, resumes=bool(remote.sum))
            came = _complete(state, remote, target.name, progress, cancel, sleep)
        if wrong := state.wrong():
            part.unlink(missing_ok=True)
            raise DownloadError(
                f"{target.name} from {remote.url} {wrong}: it was damaged on the way or changed at its source, and "
                "nothing of it was kept; try again"
            )
        with writing(target):
            part.replace(target)
    return came


@contextmanager
def _clean(part: Path) -> Iterator[None]:
    """The folder for `part` inside; when that fails before a byte came, neither it nor the folder stays."""
    new = [folder for folder in part.parents if not folder.exists()]
    with writing(part):
        part.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            if part.is_file() and not part.stat().st_size:
                part.unlink()
            for folder in new:
                folder.rmdir()  # fails where something is in it
        raise


class _Part:
    """What has come so far: the open file, its length and its running sum; came: bytes of this call's connections."""

    def __init__(self, file: IO[bytes], remote: Remote, *, resumes: bool) -> None:
        self.file, self.remote = file, remote
        self.length = self.came = 0
        self._restart()
        if resumes:
            file.seek(0)
            while block := file.read(_BLOCK):
                self._count(block)
        too_long = remote.size is not None and self.length > remote.size
        if not resumes or too_long:
            self.clear()

    def _restart(self) -> None:
        self._sha256, self._blob = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
        self._blob.update(f"blob {self.remote.size}\0".encode())

    def _count(self, block: bytes) -> None:
        self.length += len(block)
        self._sha256.update(block)
        if self.remote.blob:
            self._blob.update(block)

    def clear(self) -> None:
        """Begin anew."""
        self.file.seek(0)
        self.file.truncate()
        self.length = 0
        self._restart()

    def add(self, block: bytes) -> None:
        """Append and sum. What the disk says is told apart from what the network says."""
        with writing(Path(self.file.name)):
            self.file.write(block)
        self.came += len(block)
        self._count(block)

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are there, where their number is known."""
        return self.remote.size is not None and self.length == self.remote.size

    def wrong(self) -> str:
        """How it differs from what was promised, "" where it does not."""
        if self.remote.size is not None and self.length != self.remote.size:
            return f"has {self.length} bytes, not {self.remote.size}"
        if self.remote.sha256 and self._sha256.hexdigest() != self.remote.sha256:
            return f"has the sha256 {self._sha256.hexdigest()}, not {self.remote.sha256}"
        if not self.remote.sha256 and self.remote.blob and self._blob.hexdigest() != self.remote.blob:
            return f"has the git sum {self._blob.hexdigest()}, not {self.remote.blob}"
        return ""


def _complete(
    part: _Part, remote: Remote, name: str, progress: Progress, cancel: Cancel, sleep: Callable[[float], None]
) -> int:
    """Read until everything is there, over as many connections as it takes; the bytes that came."""
    furthest, failures = part.length, 0
    while not part.is_whole:
        check(cancel, f"downloading {name}")
        try:
            if _read(part, remote, name, progress, cancel):
                break
            reason = "the connection ended early"
        except HTTPError as error:
            if error.code not in _AGAIN:
                raise answered(error, name, remote.page or remote.url) from error
            reason = f"the server answers {error.code} {error.reason}"
        except (HTTPException, OSError) as error:
            if isinstance(error, URLError) and not part.came:  # nobody was there at all
                with told(name, remote.page or remote.url):
                    raise
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        # a server that begins anew each time sends much and gets nowhere
        failures = 0 if part.length > furthest else failures + 1
        furthest = max(furthest, part.length)
        if failures >= ATTEMPTS:
            kept = "; what has come is kept, and the next call goes on from there" if part.length else ""
            raise DownloadError(f"{name} cannot be fetched from {urlsplit(remote.url).netloc} ({reason}){kept}")
        sleep(min(2.0**failures, _LONGEST_WAIT))
    return part.came


def _read(part: _Part, remote: Remote, name: str, progress: Progress, cancel: Cancel) -> bool:
    """One connection; whether it brought the end of the file."""
    response = _ask(part, remote)
    if response is None:
        return part.length > 0
    with response:
        if part.length and not _continues(response, part.length):
            part.clear()
        total = _total(response, part.length, remote, name)
        whole = total or remote.size or 0
        progress(name, part.length, whole)
        while block := response.read(_BLOCK):
            part.add(block)
            progress(name, part.length, whole)
            check(cancel, f"downloading {name}")
    return total is None or part.length == total


def _ask(part: _Part, remote: Remote) -> Any:
    """The server's answer from the end of the part on; None where the server has no more, and the part is emptied
    unless it is right.
    """
    headers = {"Range": f"bytes={part.length}-"} if part.length else {}
    try:
        return open_url(remote.url, remote.token, {"Accept-Encoding": "identity", **headers})
    except HTTPError as error:
        if error.code != _STARTS_BEYOND or not part.length:
            raise
    if part.wrong():
        part.clear()
    return None


def _total(response: Any, start: int, remote: Remote, name: str) -> int | None:
    """The file's size by what the server says; DownloadError when that is not the size of the file that is meant."""
    length = response.headers.get("Content-Length")
    total = start + int(length) if length and length.isdigit() else None
    if remote.size is not None and total not in (None, remote.size):
        raise DownloadError(
            f"{name} is {total} bytes at {remote.url}, not the {remote.size} that are expected: it was changed there, "
            "or a page that asks for something stands in its place"
        )
    return total


def _continues(response: Any, start: int) -> bool:
    """Whether the server goes on from there; one that does not know ranges sends everything."""
    told = str(response.headers.get("Content-Range") or "")
    return response.status == 206 and told.startswith(f"bytes {start}-")


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """The part, opened to be read and appended to; DownloadError while another process has it."""
    with part.open("a+b") as file:
        try:
            _lock(file)
        except OSError:
            raise DownloadError(f"{part.name} is being downloaded by another process; wait for it") from None
        yield file
        file.flush()
        with contextlib.suppress(OSError):  # not every file system can
            os.fsync(file.fileno())


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(1 << 62)  # behind every byte, so that nothing is kept from being read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
