"""What a download consists of, where it goes, whether there is room for it: everything but the transfer itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from ..errors import DownloadError, InputError, ResourceError
from ..progress import Cancel, Progress, never, silent
from .find import files_below
from .hosted import ANY_REVISION, Download, Hosted, in_words
from .hub import Entry, Hub
from .needs import items
from .roots import roots
from .transfer import Remote, fetch, part_of

_SPARE = 100_000_000  # bytes that stay free on the disk
_MODELS = "models"


@dataclass(frozen=True)
class Job:
    """One file to bring. present: the file that makes this needless. notes: what the person should know."""

    download: Download
    remote: Remote
    target: Path
    present: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def to_come(self) -> int:
        """Bytes that are still to be fetched, 0 where their number is not known."""
        if self.present is not None or self.remote.size is None:
            return 0
        part = part_of(self.target, self.remote)
        have = part.stat().st_size if part.is_file() else 0
        return max(0, self.remote.size - have)


def chosen(names: Sequence[str]) -> list[Download]:
    """The downloads of items and groups, each once; InputError lists what there is."""
    known = items()
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"{unknown[0]!r} is no item; there are {', '.join(known)}")
    return list(dict.fromkeys(part for name in names for part in known[name]))


def comfy_models(folder: Path) -> Path:
    """The models folder of a ComfyUI, given its folder or that itself; InputError when it is none."""
    for models in (folder / _MODELS, folder):
        if models.name == _MODELS and models.is_dir():
            return models
    raise InputError(f"--comfy: {folder} is no ComfyUI, it has no folder {_MODELS}")


def place(models: Path, folder: str) -> Path:
    """Where `folder` ("vae", "unison/qwen") lies for a models folder: where the host looks first."""
    top, _, rest = folder.partition("/")
    return next(roots(models, (top,))) / rest


def jobs_of(download: Download, models: Path, hub: Hub, *, replacing: bool = False) -> list[Job]:
    """The files of a download with their addresses, sizes and sums; the hub is asked for what is not written here.

    Raises DownloadError when the hub cannot be asked or holds something else, InputError for a file in the way.
    """
    commit, listed, notes = _look(download, hub)
    folder = place(models, download.folder)
    found = []
    for hosted, entry, name in _wanted(download, listed):
        remote = _remote(download, hub, commit, hosted, entry)
        target = folder / name
        job = Job(download, remote, target, _present(target, remote, models, download, replacing), notes)
        found.append(job)
    return found


def _look(download: Download, hub: Hub) -> tuple[str, list[Entry] | None, tuple[str, ...]]:
    """The commit, the repository's list where one is needed, and what to say about that."""
    complete = not download.patterns and all(file.sha256 for file in download.files)
    if not download.on_hub:
        return "", None, ()
    if download.revision != ANY_REVISION:
        return download.revision, None if complete else hub.files(download.source, download.revision), ()
    commit = hub.commit(download.source, download.revision)
    note = (
        f"not pinned in this release: taken is what {download.source} is now, commit {commit[:12]}, by the hub's sums"
    )
    return commit, hub.files(download.source, commit), (note,)


def _wanted(download: Download, listed: list[Entry] | None) -> Iterator[tuple[Hosted | None, Entry | None, str]]:
    """(what is written here, what the hub lists, the name below the folder) of each file."""
    entries = {entry.path: entry for entry in listed or ()}
    if download.patterns:
        start, matches = _matching(download, list(entries.values()))
        known = {file.path: file for file in download.files}
        for entry in matches:
            yield known.pop(entry.path, None), entry, _inside(entry.path, start, download)
        if known:
            raise DownloadError(f"{download.page} has no {next(iter(known))} at {download.revision}")
        return
    for file in download.files:
        if listed is not None and file.path not in entries:
            raise DownloadError(f"{download.page} has no {file.path} any more: it was moved or renamed there")
        yield file, entries.get(file.path), file.name


def _matching(download: Download, entries: list[Entry]) -> tuple[str, list[Entry]]:
    """The folder in the repository, and the entries of it that are wanted: those beside the anchor, else the best."""
    if not download.anchor:
        return "", [_best(download, entries)]
    places = [entry.path for entry in entries if entry.name == download.anchor]
    if not places:
        raise DownloadError(f"{download.page} has no {download.anchor}{_holds(entries)}")
    start = _folder(min(places, key=lambda path: (path.count("/"), path)))
    inside = [entry for entry in entries if _folder(entry.path) == start]
    return start, [entry for entry in inside if any(fnmatch(entry.name, pattern) for pattern in download.patterns)]


def _best(download: Download, entries: list[Entry]) -> Entry:
    """The one file with a name of the first pattern that any has, the one nearest to the top."""
    for pattern in download.patterns:
        if found := [entry for entry in entries if fnmatch(entry.name.lower(), pattern)]:
            return min(found, key=lambda entry: (entry.path.count("/"), entry.path))
    raise DownloadError(f"{download.page} has no {' or '.join(download.patterns)}{_holds(entries)}")


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _holds(entries: list[Entry]) -> str:
    names = ", ".join(entry.path for entry in entries[:8]) + (", ..." if len(entries) > 8 else "")
    return f"; it holds {names}" if entries else "; it is empty"


def _inside(path: str, start: str, download: Download) -> str:
    """The name in the folder; a path that leads out of it is refused."""
    name = PurePosixPath(path).name
    if not name or name in (".", "..") or "\\" in name or name.startswith("."):
        raise DownloadError(f"{download.page} lists a file with the name {path!r}, which is not taken")
    return name


def _remote(download: Download, hub: Hub, commit: str, hosted: Hosted | None, entry: Entry | None) -> Remote:
    """Address, size and sum. Where both are known they agree, or the file there is not the one meant."""
    path = hosted.path if hosted else entry.path if entry else ""
    size, sha256 = (hosted.size, hosted.sha256) if hosted else (None, None)
    if hosted and entry and ((size or entry.size) != entry.size or (sha256 or entry.sha256) != entry.sha256):
        raise DownloadError(
            f"{path} at {download.page} is not the file that this release knows (other size or sum); nothing was taken"
        )
    if not download.on_hub:
        return Remote(f"{download.source}/{path}", size, sha256, page=download.page)
    if entry:
        size, sha256 = entry.size, entry.sha256
    blob = entry.blob if entry and not sha256 else None
    return Remote(hub.address(download.source, commit, path), size, sha256, blob, hub.token, download.page)


def _present(target: Path, remote: Remote, models: Path, download: Download, replacing: bool) -> Path | None:
    """A file of that name and size: in its place, or, for files that stand alone, anywhere in folders for its kind."""
    if target.is_file() and not replacing:
        if remote.size in (None, target.stat().st_size):
            return target
        raise InputError(
            f"{target} is there with {target.stat().st_size} bytes, not the {remote.size} of {download.page}: move it "
            "away, or add --replace"
        )
    if replacing or download.anchor or remote.size is None:
        return None
    top = download.folder.partition("/")[0]
    elsewhere = (file for root in roots(models, (top,)) for file in files_below(root))
    return next((f for f in elsewhere if f.name == target.name and f.stat().st_size == remote.size), None)


def check_room(jobs: Sequence[Job], free: Callable[[Path], int] | None = None) -> None:
    """Raise ResourceError when a disk has too little room for what is to come, before anything is fetched."""
    needed: dict[int, tuple[Path, int]] = {}
    for job in jobs:
        folder = next(place for place in job.target.parents if place.is_dir())
        device = folder.stat().st_dev
        first, size = needed.get(device, (folder, 0))
        needed[device] = (first, size + job.to_come)
    for folder, size in needed.values():
        left = (free or _free)(folder)
        if size and size + _SPARE > left:
            raise ResourceError(
                f"{folder} has {in_words(left)} free, and {in_words(size)} are to come: free some, take fewer items, "
                "or name a folder on another disk with --models"
            )


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def bring(job: Job, progress: Progress = silent, cancel: Cancel = never) -> int:
    """Fetch one file; the bytes that came. Raises DownloadError, ResourceError, MediaError, Cancelled."""
    return fetch(job.remote, job.target, progress, cancel)
