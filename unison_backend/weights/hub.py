"""What a repository of the Hugging Face hub holds: its commit, its files, their sizes and sums."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

from ..errors import DownloadError
from .answers import told
from .hosted import HUB
from .transfer import open_url

_LARGEST_ANSWER = 50_000_000  # bytes
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
_TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class Entry:
    """A file of a repository. sha256: of large files; blob: git's sum, of all others."""

    path: str
    size: int
    sha256: str | None
    blob: str | None

    @property
    def name(self) -> str:
        """Without folders."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Hub:
    """A server that speaks the hub's routes, and the token for it."""

    endpoint: str = HUB
    token: str | None = None

    @classmethod
    def of_environment(cls) -> Hub:
        """HF_ENDPOINT (a mirror) and HF_TOKEN, or the token that `hf auth login` stored. HF_HUB_OFFLINE is heard."""
        if os.environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE:
            raise DownloadError("HF_HUB_OFFLINE is set, so nothing is fetched; unset it to download")
        return cls((os.environ.get("HF_ENDPOINT") or HUB).rstrip("/"), _token())

    def address(self, source: str, revision: str, path: str) -> str:
        """Where a file's bytes are."""
        return f"{self.endpoint}/{source}/resolve/{quote(revision, safe='')}/{quote(path)}"

    def commit(self, source: str, revision: str) -> str:
        """The commit that a revision stands for now."""
        url = f"{self.endpoint}/api/models/{source}/revision/{quote(revision, safe='')}"
        answer, _ = self._ask(url, source, revision)
        commit = answer.get("sha") if isinstance(answer, dict) else None
        if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40}", commit):
            raise DownloadError(f"{self.endpoint} does not say which commit {source} is at; try again later")
        return commit

    def files(self, source: str, revision: str) -> list[Entry]:
        """All files of a repository at a revision."""
        url = f"{self.endpoint}/api/models/{source}/tree/{quote(revision, safe='')}?recursive=true&expand=false"
        found = []
        while url:
            answer, url = self._ask(url, source, revision)
            try:
                found += [_entry(row) for row in answer if row["type"] == "file"]
            except (KeyError, TypeError, ValueError) as error:
                raise DownloadError(f"{self.endpoint} lists the files of {source} in an unknown form") from error
        return found

    def _ask(self, url: str, source: str, revision: str) -> tuple[Any, str]:
        """The JSON at `url`, and the address of the next page."""
        with told(f"{source} at {revision}", f"{HUB}/{source}"), open_url(url, self.token) as response:
            try:
                answer = json.loads(response.read(_LARGEST_ANSWER))
            except ValueError as error:
                raise DownloadError(
                    f"{urlsplit(url).netloc} answers with something that is no list of files"
                ) from error
            following = _NEXT.search(response.headers.get("Link") or "")
        page = following[1] if following else ""
        return answer, page if urlsplit(page).netloc == urlsplit(self.endpoint).netloc else ""


def _entry(row: Any) -> Entry:
    large = row.get("lfs") or {}
    return Entry(str(row["path"]), int(large.get("size", row["size"])), large.get("oid"), row.get("oid"))


def _token() -> str | None:
    """HF_TOKEN, else what is stored where huggingface_hub stores it."""
    if given := os.environ.get("HF_TOKEN"):
        return given.strip() or None
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    file = Path(os.environ.get("HF_TOKEN_PATH") or home / "token").expanduser()
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None
