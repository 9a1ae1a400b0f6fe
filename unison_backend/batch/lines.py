"""A file of lines, each a JSON object with an instruction and what goes with it, read into jobs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import limited_lines
from ..media.moving import is_moving
from ..plan.borders import parse_borders
from ..plan.length import LENGTHS
from ..plan.overrides import parse_settings
from ..plan.prompt import Medium, Prompt, as_path, check_characters, parse_pads, parse_paths
from ..plan.tasks import MAKES
from ..planner.base import PLANNERS
from ..sources.masks import MaskOptions
from .job import Job


@dataclass(frozen=True)
class BadLine:
    """A line that is no job. text: as much of it as helps to find it."""

    number: int
    text: str
    why: str


def read_jobs(path: Path, defaults: Job) -> Iterator[Job | BadLine]:
    """Every line of `path` in order, empty ones left out. Files that a line names are relative to the folder of `path`.

    defaults: what a line does not say. Raises InputError when the file cannot be read.
    """
    for number, line in _lines(path):
        try:
            yield _job(line, number, path.parent, defaults)
        except InputError as error:
            yield BadLine(number, line[:200], str(error))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
            yield from limited_lines(file, str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _job(line: str, number: int, folder: Path, defaults: Job) -> Job:
    row = _object(line)
    unknown = sorted(set(row) - set(KEYS))
    if unknown:
        raise InputError(f"{', '.join(map(repr, unknown))} is no field of a line; the fields are {', '.join(KEYS)}")
    prompt = _prompt(row, folder)
    values = {key: KEYS[key](key, value, folder) for key, value in row.items() if key not in ("prompt", "media")}
    return replace(defaults, number=number, prompt=prompt, **_nested(values, defaults))


def _nested(values: dict[str, Any], defaults: Job) -> dict[str, Any]:
    """Values of a line by the fields of a job: some belong to `given`, some to `mask`."""
    given = {name: values.pop(key) for key, name in _GIVEN.items() if key in values}
    mask = {name: values.pop(f"mask_{name}") for name in _names(MaskOptions) if f"mask_{name}" in values}
    if given:
        values["given"] = replace(defaults.given, **given)
    if mask:
        values["mask"] = replace(defaults.mask, **mask)
    return values


def _object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError('it is no JSON object of the form {"prompt": "..."}') from None
    if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
        raise InputError('it has no text under "prompt"')
    return row


def _prompt(row: Mapping[str, Any], folder: Path) -> Prompt:
    """The instruction with its media: `###path###` in its text, or `media` for its pads (without pads in front)."""
    text, files = row["prompt"], row.get("media")
    if files is None:
        return parse_paths(text, folder)
    paths = _paths("media", files, folder)
    bare = parse_pads(text)
    if parse_paths(text).media:
        raise InputError("it has both ###path### and media: use one of them")
    if not bare.media:
        return Prompt((*(parse_paths(f"###{path}###").media[0] for path in paths), " ", text))
    if len(paths) != len(bare.media):
        raise InputError(f"its prompt has {len(bare.media)} pads and media has {len(paths)} files")
    return bare.with_media(map(_filled, bare.media, paths))


def _filled(pad: Medium, path: Path) -> Medium:
    (medium,) = parse_paths(f"###{path}###").media
    if pad.kind == "video" and is_moving(Path(medium.path or "")):
        return replace(medium, kind="video")
    if medium.kind != pad.kind:
        raise InputError(f"{medium.path} stands for a pad of the other kind ({pad.kind})")
    return medium


def _paths(key: str, value: Any, folder: Path) -> tuple[Path, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) and one for one in values):
        raise InputError(f"{key} has to be a file, or a list of files")
    return tuple(folder / as_path(one) for one in values)


def _path(key: str, value: Any, folder: Path) -> Path:
    if not isinstance(value, str) or not value:
        raise InputError(f"{key} has to be a file")
    return folder / as_path(value)


def _settings(key: str, value: Any, folder: Path) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(
        isinstance(one, (str, int, float)) or one is None for one in value.values()
    ):
        raise InputError(f'{key} has to be an object of plan fields, as in {{"width": 640, "seconds": 2.5}}')
    return parse_settings([f"{name}={'none' if one is None else one}" for name, one in value.items()], f"{key}: ")


def _borders(key: str, value: Any, folder: Path) -> Any:
    if not isinstance(value, str):
        raise InputError(f"{key} has to be text, as in '0,0,64,0'")
    return parse_borders(value)


def _one_of(choices: tuple[str, ...]) -> Callable[[str, Any, Path], str]:
    def read(key: str, value: Any, folder: Path) -> str:
        if value not in choices:
            raise InputError(f"{key} is {value!r:.60}; it is one of {', '.join(choices)}")
        return str(value)

    return read


def _number(kind: type[int] | type[float]) -> Callable[[str, Any, Path], Any]:
    def read(key: str, value: Any, folder: Path) -> Any:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (whole or (kind is float and isinstance(value, float) and abs(value) < float("inf"))):
            raise InputError(f"{key} is {value!r:.60}; it has to be a {'whole ' if kind is int else ''}number")
        try:
            return kind(value)
        except OverflowError:
            raise InputError(f"{key} is a number of {len(str(value))} digits; write a smaller one") from None

    return read


def _text(key: str, value: Any, folder: Path) -> str:
    if not isinstance(value, str):
        raise InputError(f"{key} has to be text")
    check_characters(value, key)
    return value


def _truth(key: str, value: Any, folder: Path) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{key} has to be true or false")
    return value


def _names(record: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(record))


# A line's fields are the options of `unison run`, by their names with underscores.
_GIVEN = {
    "mask": "mask",
    "mask_phrase": "mask_phrase",
    "mask_invert": "mask_invert",
    "control": "control_file",
    "control_kind": "control",
    "reference": "references",
    "first_frame": "first_frame",
    "last_frame": "last_frame",
    "outpaint": "outpaint",
}
KEYS: dict[str, Callable[[str, Any, Path], Any]] = {
    "prompt": _text,
    "media": _paths,
    "settings": _settings,
    "make": _one_of(MAKES),
    "length": _one_of(LENGTHS),
    "segment": _number(int),
    "overlap": _number(int),
    "planner": _one_of(PLANNERS),
    "seed": _number(int),
    "steps": _number(int),
    "cfg": _number(float),
    "shift": _number(float),
    "cfg_low": _number(float),
    "boundary": _number(float),
    "negative": _text,
    "mask": _path,
    "mask_phrase": _text,
    "mask_invert": _truth,
    "control": _path,
    "control_kind": _text,
    "reference": _paths,
    "first_frame": _path,
    "last_frame": _path,
    "outpaint": _borders,
    "mask_fill": _text,
    "mask_grow": _number(int),
    "mask_blur": _number(float),
    "mask_scale": _truth,
    "composite": _truth,
    "feather": _number(int),
    "max_new_tokens": _number(int),
    "temperature": _number(float),
}
