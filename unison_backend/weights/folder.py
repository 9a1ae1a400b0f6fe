"""Model folders as the hub has them: their small files, their weights, and what they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import UnisonError, UnsupportedError, WeightsError, one_line
from ..memory import memory_errors
from .config_limits import check_config, check_processor
from .small_json import MAX_BYTES, parse_json, read_json, short_repr
from .state import load_state_dict
from .tokenizer_files import TOKENIZER, check_tokenizer

CONFIG = "config.json"
INDEX = ".index.json"  # behind the name of a file that was split
PLANNER_TYPE = "qwen2_5_vl"
# transformers and peft let through whatever their own code meets in a folder that is not what it says.
LOAD_ERRORS = (Exception,)
_MAX_HEADER = 100_000_000  # bytes, the limit of the safetensors format
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the first that is there is read


def model_type(folder: Path) -> str:
    """What a folder's config.json says it is; "" when there is none or it cannot be read."""
    return str(config_of(Path(folder)).get("model_type", ""))


def configured(files: Sequence[Path], types: Sequence[str]) -> Iterator[Path]:
    """The folders among `files` whose config.json names one of `types`, in the order of these."""
    folders = [file.parent for file in files if file.name == CONFIG]
    named = [(folder, model_type(folder)) for folder in folders]
    return (folder for kind in types for folder, found in named if found == kind)


def check_folder(folder: Path, types: Sequence[str], role: str) -> Path:
    """The folder, once its small files and weight headers are those of one of `types`; WeightsError says what is not.

    role: how messages call it. Pickled weights are opened with `weights_only=True` alone.
    """
    path = Path(folder)
    if not path.is_dir():
        raise WeightsError(f"{path} is {'a file' if path.exists() else 'not there'}; give a {role} folder")
    config = read_json(path / CONFIG)
    if (kind := config.get("model_type")) not in types:
        raise WeightsError(f"{path} is a model of type {short_repr(kind)}; a {role} is {' or '.join(map(repr, types))}")
    refuse_code(path)
    if not any((path / name).is_file() for name in ("preprocessor_config.json", "processor_config.json")):
        raise WeightsError(f"{path} has no preprocessor_config.json; download the complete folder")
    headers = (load_state_dict(file, device="meta") for file in weight_files(path))
    check_config(path / CONFIG, config, {key: tuple(tensor.shape) for held in headers for key, tensor in held.items()})
    check_processor(path)
    check_tokenizer(path)
    return path


def refuse_code(folder: Path) -> None:
    """Python that a checkpoint brings along is never run, and never asked about: WeightsError."""
    for file in sorted(folder.glob("*config.json")):
        if "auto_map" in read_json(file):
            raise WeightsError(f"{file} asks to run code from the folder (auto_map), which is refused; remove auto_map")


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers will read, all of which exist: safetensors before pickles, one file before parts."""
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
        if (index := folder / f"{name}{INDEX}").is_file():
            return [folder / part for part in sorted(set(weight_map(index).values()))]
    raise WeightsError(f"{folder} has no {_WEIGHTS[0]}; download the complete folder")


def weight_map(index: Path) -> dict[str, str]:
    """Which file of the index's folder holds which tensor; WeightsError unless all of them are there."""
    given = read_json(index).get("weight_map")
    if not isinstance(given, dict) or not given:
        raise WeightsError(f"{index} lists no weights; download it again")
    if odd := next((key for key, name in given.items() if not isinstance(name, str) or "\0" in name), None):
        raise WeightsError(f"{index} names no file for {odd}; download it again")
    held: dict[str, str] = dict(given)
    if outside := next((name for name in held.values() if Path(name).name != name), None):
        raise WeightsError(f"{index} names {outside!r}, which is no file of its own folder; download it again")
    names = sorted(set(held.values()))
    if absent := [name for name in names if not (index.parent / name).is_file()]:
        raise WeightsError(f"{index.parent} lacks {len(absent)} of {len(names)} weight files: {', '.join(absent[:3])}")
    return held


def load_part(kind: Any, folder: Path) -> Any:
    """A processor of class `kind` from `folder`."""
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except ImportError as error:
        raise UnsupportedError(f"{kind.__name__} takes a library that is missing ({first_line(error)})") from error
    except BaseException as error:
        if not is_library_error(error):
            raise
        message = f"{folder} cannot be read as a {kind.__name__} ({first_line(error)})"
        raise WeightsError(f"{message}; download the complete folder") from error


def load_model(kind: Any, folder: Path, *, dtype: str, **options: Any) -> tuple[Any, set[str]]:
    """A model of class `kind`, in eval mode and without gradients, and the weights that the folder does not have."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    options |= {"local_files_only": True, "weights_only": True, "output_loading_info": True}
    options |= {"use_safetensors": weight_files(folder)[0].suffix == ".safetensors", "dtype": getattr(torch, dtype)}
    try:
        with memory_errors(f"loading {folder}", "close other programs"):
            model, info = kind.from_pretrained(folder, **options)
    except UnisonError:
        raise
    except LOAD_ERRORS as error:
        raise WeightsError(f"{folder} cannot be loaded as a {kind.__name__}: {first_line(error)}") from error
    return model.eval().requires_grad_(False), set(info["missing_keys"])


def refuse_missing(folder: Path, keys: Collection[str]) -> None:
    """Raise WeightsError when weights are missing; ones too many do no harm, and old folders have some."""
    if keys:
        raise WeightsError(
            f"{folder}: {len(keys)} weights are missing ({', '.join(sorted(keys)[:3])}); download it again"
        )


def first_line(error: BaseException) -> str:
    """What an error of a library says, short enough for a message."""
    text = next(iter(str(error).strip().splitlines()), "")
    return one_line(text)[:200] or type(error).__name__


def is_library_error(error: BaseException) -> bool:
    """Whether a library let something fall: any Exception, and what its Rust code calls a panic, which is none."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def config_of(folder: Path) -> dict[str, Any]:
    """A folder's config.json; empty when there is none or it cannot be read."""
    try:
        return read_json(folder / CONFIG)
    except WeightsError:
        return {}


def has_planning_weights(folder: Path) -> bool:
    """True for a Qwen2.5-VL folder whose tokenizer knows the plan's tokens and whose head is its own.

    A plain Qwen2.5-VL has untrained rows there and must never be decoded into signal tokens.
    """
    tokenizer = folder / TOKENIZER
    try:
        tokens = tokenizer.read_bytes() if tokenizer.stat().st_size <= MAX_BYTES else b""
    except OSError:
        return False
    config = config_of(folder)
    own_head = not config.get("tie_word_embeddings", True) or "lm_head.weight" in _weight_names(folder)
    return config.get("model_type") == PLANNER_TYPE and b"<BORES>" in tokens and own_head


def _weight_names(folder: Path) -> set[str]:
    """The tensors that a folder's index, or its one file's header, lists; nothing when neither can be read."""
    try:
        if (folder / f"{_WEIGHTS[0]}{INDEX}").is_file():
            return set(weight_map(folder / f"{_WEIGHTS[0]}{INDEX}"))
        with (folder / _WEIGHTS[0]).open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            return set(parse_json(file.read(min(size, _MAX_HEADER))))
    except (OSError, ValueError, TypeError):
        return set()
