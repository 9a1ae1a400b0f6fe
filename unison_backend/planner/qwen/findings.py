"""What a planner folder lacks, for `unison doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...errors import UnisonError
from ...plan.tokens import ADDED_TOKENS
from .adapters import added_ids, check_fit, read_adapter
from .checkpoint import Folder
from .single_file import read_planner


def check_planner_folder(folder: Path, lora: Path | None = None) -> list[str]:
    """Short findings on a planner folder or file, by small files and headers: what it is, what it can, what is wrong.

    lora: the adapter that will be switched on; whether it fits is a finding.
    """
    try:
        files = read_planner(folder)
        ids = added_ids(files.beside)
    except UnisonError as error:
        return [str(error)]
    text, rows = files.text_config, files.embedding.shape[0]
    size = sum(path.stat().st_size for path in files.files) / 1e9
    count = len(files.files)
    return [
        f"model type {files.config['model_type']}, {text.get('num_hidden_layers')} layers x {files.embedding.shape[1]}",
        f"weights {files.stored}, {size:.2g} GB in {count} {'file' if count == 1 else 'files'}, complete; {rows} rows",
        f"planning tokens {_adapter_finding(lora, files, ids) if lora else _tokens_finding(ids, files.tied, rows)}",
        f"head {'tied to the embedding' if files.tied else 'of its own'}",
        f"processor files {f'of {files.small}' if files.small else _processor_finding(files.path)}",
    ]


def _tokens_finding(ids: Mapping[str, int], tied: bool, rows: int) -> str:
    numbers = [ids[token] for token in ADDED_TOKENS if token in ids]
    if len(numbers) < len(ADDED_TOKENS):
        return "absent: it plans by rules and answers questions" if not numbers else f"{len(numbers)} of 14 only"
    span = f"present, ids {min(numbers)} to {max(numbers)}"
    if max(numbers) >= rows:
        return f"{span}, but the embedding has {rows} rows: untrained"
    return f"{span}, but untrained: the head is tied" if tied else span


def _adapter_finding(lora: Path, files: Folder, ids: Mapping[str, int]) -> str:
    """Whether the LoRA goes onto the folder, its 14 tokens behind those that the tokenizer has."""
    own = added_ids(files.beside)
    if not own:
        return "from the LoRA"
    try:
        first = max(own.values()) + 1
        placed = {token: ids.get(token, first + number) for number, token in enumerate(ADDED_TOKENS)}
        check_fit(read_adapter(lora), files, placed, first + len(ADDED_TOKENS))
    except UnisonError as error:
        return f"from the LoRA, which does not fit: {error}"
    return "from the LoRA, which fits"


def _processor_finding(folder: Path) -> str:
    names = ("preprocessor_config.json", "processor_config.json")
    if not any((folder / name).is_file() for name in names):
        return f"missing ({names[0]}): it plans, but cannot see pictures and videos"
    return "present"
