"""What a file on a server is: where, how large, with which sum."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

HUB = "https://huggingface.co"
ANY_REVISION = "main"
"""Not a commit: what is there now is taken, and the person is told."""
FOLDER = ("*.json", "model*.safetensors", "*.txt", "*.jinja")
"""What a model's folder on the hub consists of, without pickles and other frameworks' weights."""


@dataclass(frozen=True)
class Hosted:
    """A file of a repository: its path there, its size in bytes and its sha256; None where that is not known here."""

    path: str
    size: int | None = None
    sha256: str | None = None

    @property
    def name(self) -> str:
        """Without folders."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Download:
    """Files of one repository that go into one folder of a models folder.

    source: "owner/name" on the hub, or the address of a folder elsewhere. revision: a commit, or ANY_REVISION.
    files: those named here, with their sums; each goes into `folder` under its own name. patterns: names of more files,
    found in the repository's list, those beside `anchor` if one is given. about: bytes, where not every size is known.
    """

    name: str
    source: str
    revision: str
    folder: str
    licence: str
    files: tuple[Hosted, ...] = ()
    patterns: tuple[str, ...] = ()
    anchor: str = ""
    about: int = 0

    @property
    def bytes(self) -> int:
        """The sum of the sizes, as far as known."""
        return self.about or sum(file.size or 0 for file in self.files)

    @property
    def on_hub(self) -> bool:
        """Whether `source` is a repository of the hub."""
        return "://" not in self.source

    @property
    def page(self) -> str:
        """What to open in a browser."""
        return f"{HUB}/{self.source}" if self.on_hub else f"{self.source}/{self.files[0].path}"


def in_words(size: int) -> str:
    """Bytes as a person reads them: "4.3 GB", "99 MB", "12 kB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale / (10 if unit == "GB" else 1):
            value = size / scale
            return f"{value:.0f} {unit}" if value >= 10 or unit != "GB" else f"{value:.2g} {unit}"
    return f"{size} bytes"
