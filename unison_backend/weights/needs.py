"""The models that can be used: where each lies in a models folder, under which names, and where it comes from.

The table is `needs.json`. Sizes and sums of files that were published stand in it once and hold for the revision beside
them. What is not pinned there (`ANY_REVISION`, or a file without a sum) is looked up at its source when it is
downloaded, and said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .hosted import FOLDER, Download, Hosted, in_words


@dataclass(frozen=True)
class Need:
    """A model: where it lies in a models folder (`folders`, the first is where a download goes), and under which names.

    patterns: of file names in lower case, the best first. excluded: names that fit a pattern and are something else.
    single: of files that are a whole model, for needs whose models are folders else.
    """

    key: str
    role: str
    folders: tuple[str, ...]
    file: str
    downloads: tuple[Download, ...]
    patterns: tuple[str, ...] = ("config.json",)
    excluded: tuple[str, ...] = ()
    single: tuple[str, ...] = ()
    required: bool = True

    @property
    def size(self) -> str:
        """How much there is to download, in words."""
        return in_words(sum(download.bytes for download in self.downloads))

    @property
    def link(self) -> str:
        """The page or pages that it comes from."""
        return " and ".join(download.page for download in self.downloads)


def _need(row: Mapping[str, Any]) -> Need:
    return Need(**_tuples(row) | {"downloads": tuple(map(_download, row["downloads"]))})


def _download(row: Mapping[str, Any]) -> Download:
    """Files of a row; a model's whole folder (one with an `anchor`) is what the hub has of such folders."""
    given = {"patterns": FOLDER} if "anchor" in row else {}
    files = tuple(Hosted(**file) for file in row.get("files", ()))
    return Download(**given | _tuples(row) | {"files": files})


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


_TABLE = json.loads((Path(__file__).parent / "needs.json").read_text(encoding="utf-8"))
NEEDS = tuple(map(_need, _TABLE["needs"]))
ANNOTATOR_NEEDS = tuple(map(_need, _TABLE["annotators"]))
"""What finding masks and making control maps takes; nothing else asks for it."""
VARIANTS = tuple(map(_download, _TABLE["variants"]))
"""Other forms of what stands above, by name only."""
GROUPS = {name: tuple(keys) for name, keys in _TABLE["groups"].items()}
"""What several items together are for; `all` is every one of them."""
EVERYTHING = "all"
TOKENIZER_ITEM = "qwen-tokenizer"
"""The variant that a Qwen2.5-VL in one file takes where no tokenizer lies beside it."""


def describe(need: Need) -> str:
    """File, folder, size, link and the command in one line."""
    return (
        f"{need.role}: {need.file} ({need.size}) in models/{need.folders[0]}/, from {need.link} "
        f"(unison download {need.downloads[0].name})"
    )


def need_of(key: str) -> Need:
    """The row of this key."""
    return next(need for need in (*NEEDS, *ANNOTATOR_NEEDS) if need.key == key)


def items() -> dict[str, tuple[Download, ...]]:
    """What `unison download` takes by name: every need's downloads, the variants, the groups, `all`."""
    every = [download for need in (*NEEDS, *ANNOTATOR_NEEDS) for download in need.downloads]
    singles: dict[str, tuple[Download, ...]] = {}
    for download in (*every, *VARIANTS):
        singles[download.name] = (*singles.get(download.name, ()), download)
    groups = {name: tuple(part for key in keys for part in singles[key]) for name, keys in GROUPS.items()}
    return groups | {EVERYTHING: tuple(every)} | singles
