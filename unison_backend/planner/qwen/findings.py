"""What a planner folder lacks, for `unison doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...errors import UnisonError
from ...plan.tokens import ADDED_TOKENS
from .adapters import added_ids
from .checkpoint import read_folder


def check_planner_folder(folder: Path) -> list[str]:
    """Short findings on a planner folder, from its small files and headers: what it is, what it can, what is wrong."""
    try:
        files = read_folder(folder)
        ids = added_ids(files.path)
    except UnisonError as error:
        return [str(error)]
    text, rows = files.text_config, files.embedding.shape[0]
    size = sum(path.stat().st_size for path in files.files) / 1e9
    count = len(files.files)
    return [
        f"model type {files.config['model_type']}, {text.get('num_hidden_layers')} layers x {files.embedding.shape[1]}",
        f"weights {files.dtype}, {size:.2g} GB in {count} {'file' if count == 1 else 'files'}, complete; {rows} rows",
        f"planning tokens {_tokens_finding(ids, files.tied, rows)}",
        f"head {'tied to the embedding' if files.tied else 'of its own'}",
        f"processor files {_processor_finding(files.path)}",
    ]


def _tokens_finding(ids: Mapping[str, int], tied: bool, rows: int) -> str:
    numbers = [ids[token] for token in ADDED_TOKENS if token in ids]
    if len(numbers) < len(ADDED_TOKENS):
        return "absent: it plans by rules and answers questions" if not numbers else f"{len(numbers)} of 14 only"
    span = f"present, ids {min(numbers)} to {max(numbers)}"
    if max(numbers) >= rows:
        return f"{span}, but the embedding has {rows} rows: untrained"
    return f"{span}, but untrained: the head is tied" if tied else span


def _processor_finding(folder: Path) -> str:
    names = ("preprocessor_config.json", "processor_config.json")
    if not any((folder / name).is_file() for name in names):
        return f"missing ({names[0]}): it plans, but cannot see pictures and videos"
    return "present"
