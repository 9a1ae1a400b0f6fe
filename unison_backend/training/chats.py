"""Chat records of the person's own: system prompts, all turns, pictures and videos, or a refusal by the record.

The format is the one that LLaMA-Factory calls sharegpt: "messages" with role and content, `<image>` and `<video>` in a
user's turn where a medium stands, and "images" and "videos" with their files in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError
from ..plan.prompt import Medium, Prompt
from .json_rows import rows

if TYPE_CHECKING:
    from .shown import Reads, Shown

Role = Literal["system", "user", "assistant"]
FILES = {"<image>": "images", "<video>": "videos"}
_PLACE = re.compile("|".join(FILES))


@dataclass(frozen=True)
class Chat:
    """Turns in order, each as its role and its text around media; the assistant's are learned."""

    turns: tuple[tuple[Role, tuple[str | Medium, ...]], ...]

    @property
    def media(self) -> tuple[Medium, ...]:
        """The media of all turns in order."""
        return tuple(part for _, parts in self.turns for part in parts if isinstance(part, Medium))

    def __str__(self) -> str:
        return "\n".join(f"{role}: {part}" for role, parts in self.turns for part in parts)


Pair = tuple[str, str]


def read_messages(path: Path) -> list[dict[str, Any]]:
    """Chat records (JSON lines or a list) of the person's own, their files as absolute paths.

    An optional system turn, then user and assistant in turn, the assistant last. Raises InputError naming the record
    that is none, or whose `<image>` and `<video>` are not as many as its files, or whose file is not there.
    """
    return [checked(path, number, row.value) for number, row in enumerate(rows(path), 1)]


def checked(path: Path, number: int, row: Any) -> dict[str, Any]:
    """One of them, `number` in its file. Raises InputError as above."""
    _check_turns(path, number, row)
    for name in FILES.values():
        if name in row:
            row[name] = _files(path, number, row, name)
    found: dict[str, Any] = row
    return found


def _check_turns(path: Path, number: int, row: Any) -> None:
    turns = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        turns = []
    roles = [turn.get("role") for turn in turns]
    if roles[-2:] != ["user", "assistant"]:
        raise InputError(f'{path}: record {number} has no "messages" that end with a user and an assistant turn')
    talk = roles[1:] if roles[0] == "system" else roles
    if talk != ["user", "assistant"] * (len(talk) // 2):
        raise InputError(
            f"{path}: record {number} has turns of {', '.join(map(str, roles))}; they have to be one system turn at "
            "most, then user and assistant in turn"
        )
    if not all(_is_text(turn.get("content")) for turn in turns):
        raise InputError(f'{path}: record {number} has a turn whose "content" is not text')
    for mark, name in FILES.items():
        _check_marks(f"{path}: record {number}", turns, mark, name, row.get(name) or [])


def _check_marks(record: str, turns: Sequence[dict[str, Any]], mark: str, name: str, files: Any) -> None:
    """Each `<image>` is one of the files in "images", and stands where the user speaks; so do videos."""
    count = sum(turn["content"].count(mark) for turn in turns)
    have = len(files) if isinstance(files, list) else None
    if count != have:
        raise InputError(
            f'{record} has {count} {mark} and {"no list" if have is None else have} of files in "{name}"; each {mark} '
            "is one medium, whose file stands there in order"
        )
    if any(mark in turn["content"] for turn in turns if turn["role"] != "user"):
        raise InputError(f"{record} has {mark} in a turn that is not the user's")


def _files(path: Path, number: int, row: dict[str, Any], name: str) -> list[str]:
    """The record's files, as they are found from the folder of the record's own file."""
    found = []
    for file in row[name] or []:
        place = path.parent / file if _is_text(file) else None
        if place is None or not place.is_file():
            raise InputError(f'{path}: record {number} names {file!r} in "{name}", which is not there')
        found.append(str(place.resolve()))
    return found


def _is_text(value: Any) -> bool:
    """Whether this is a string that every file and tokenizer takes; JSON can hold half a surrogate pair."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def as_sample(row: dict[str, Any]) -> Pair | Chat:
    """A record as (what is asked, what is to be written) where it is that alone, else as a chat with all its turns."""
    turns = row["messages"]
    files = {mark: iter(row.get(name) or []) for mark, name in FILES.items()}
    if len(turns) == 2 and not any(row.get(name) for name in FILES.values()):
        return str(turns[0]["content"]), str(turns[1]["content"])
    return Chat(tuple((turn["role"], tuple(_parts(turn["content"], files))) for turn in turns))


def _parts(text: str, files: dict[str, Iterator[str]]) -> Iterator[str | Medium]:
    end = 0
    for place in _PLACE.finditer(text):
        if text[end : place.start()]:
            yield text[end : place.start()]
        yield Medium("image" if place[0] == "<image>" else "video", path=next(files[place[0]]))
        end = place.end()
    if text[end:] or not end:
        yield text[end:]


def show_chat(qwen: Reads, chat: Chat, end: int) -> Shown:
    """A chat as ids and pixels; every turn of the assistant and the id `end` behind it are learned.

    Raises InputError for a chat that is too long, MediaError for a file that cannot be read.
    """
    from ..media.from_files import FileMedia
    from ..planner.qwen.chat import turns_ids
    from ..planner.qwen.vision import vision_inputs
    from .planning_samples import MAX_IDS, Sample
    from .shown import Shown, half_pixels

    shown = (
        vision_inputs(qwen.processor, qwen.tokenizer, Prompt(chat.media), FileMedia(chat.media)) if chat.media else None
    )
    ids, spans = turns_ids(qwen.tokenizer, chat.turns, shown.media_ids if shown else ())
    spans = [(first, last + 1) for first, last in spans]  # with the end of the turn
    ids = ids[: spans[-1][1]]
    if len(ids) > MAX_IDS:
        raise InputError(f"a chat has {len(ids)} tokens, at most {MAX_IDS} can be trained on: {str(chat)[:60]!r}")
    if any(ids[last - 1] != end for _, last in spans):
        raise InputError("the chat template does not end an assistant's turn with <|im_end|>")
    *earlier, final = spans
    return Shown(
        Sample(tuple(ids), final[1] - final[0], also=tuple(earlier)), half_pixels(shown.tensors if shown else {})
    )
