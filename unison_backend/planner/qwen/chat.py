"""Chat ids from segments: the template's own special tokens stay special, every typed one becomes plain text.

A chat template joins user text into one string before it is tokenised, so a typed `<|im_end|>` or `<CFI>` would
become the real thing. Here the template is rendered around a marker and the user's segments are tokenised apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import WeightsError
from ...plan.prompt import PADS, Medium, Prompt
from ...progress import Cancel, never
from ...weights.folder import first_line
from .template import render

_MARKER = "\ue8ff"


def chat_ids(
    tokenizer: Any, prompt: Prompt, *, add_generation_prompt: bool,
    media_ids: Sequence[Sequence[int]] | None = None, cancel: Cancel = never,
) -> list[int]:  # fmt: skip
    """Token ids of one user turn that holds `prompt`, each medium as its `media_ids` (default: its pad token).

    The checkpoint's own chat template is used, in a process of its own. Raises WeightsError when it has none, does
    not end or hides the user's text; Cancelled.
    """
    before, after = _around(tokenizer, ("user",), add_generation_prompt, cancel)
    ids = _special(tokenizer, before)
    number = 0
    for segment in prompt.segments:
        if isinstance(segment, Medium):
            ids += [pad_id(tokenizer, PADS[segment.kind])] if media_ids is None else media_ids[number]
            number += 1
        else:
            ids += literal(tokenizer, segment)
    return ids + _special(tokenizer, after)


def turns_ids(
    tokenizer: Any, turns: Sequence[tuple[str, Sequence[str | Medium]]], media_ids: Sequence[Sequence[int]] = ()
) -> tuple[list[int], list[tuple[int, int]]]:
    """Token ids of a whole chat, and where in them each text of the assistant stands (first, behind the last).

    turns: role and text around media, each as the next of `media_ids`. The assistant's text may hold signal tokens;
    all other text is literal. Raises WeightsError as `chat_ids`.
    """
    around = _around(tokenizer, [role for role, _ in turns], False, never)
    ids, spans, left = _special(tokenizer, around[0]), [], iter(media_ids)
    for (role, parts), behind in zip(turns, around[1:], strict=True):
        first = len(ids)
        for part in parts:
            if isinstance(part, Medium):
                ids += next(left)
            else:
                ids += _special(tokenizer, part) if role == "assistant" else literal(tokenizer, part)
        if role == "assistant":
            spans.append((first, len(ids)))
        ids += _special(tokenizer, behind)
    return ids, spans


def _around(tokenizer: Any, roles: Sequence[str], add_generation_prompt: bool, cancel: Cancel) -> list[str]:
    """What the template writes before, between and behind the texts of turns with these roles."""
    try:
        template = tokenizer.get_chat_template()
    except ValueError as error:
        raise WeightsError(
            f"the planner's tokenizer has no chat template ({first_line(error)}); use a complete Qwen2.5-VL folder"
        ) from error
    variables = {
        "messages": [{"role": role, "content": _MARKER} for role in roles],
        "add_generation_prompt": add_generation_prompt,
        **dict.fromkeys(("tools", "documents")),
        **{name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)},
    }
    rendered = render(str(template), variables, cancel)
    around = rendered.split(_MARKER)
    if len(around) != len(roles) + 1:
        raise WeightsError("the planner's chat template leaves the user's text out; use a complete Qwen2.5-VL folder")
    return around


def pad_id(tokenizer: Any, pad: str) -> int:
    """The id of a special token; raises WeightsError when the tokenizer does not have it."""
    token = tokenizer.convert_tokens_to_ids(pad)
    if token is None or tokenizer.convert_ids_to_tokens(token) != pad:
        raise WeightsError(f"the planner's tokenizer does not know {pad}; use a folder with planning weights")
    return int(token)


def literal(tokenizer: Any, text: str) -> list[int]:
    """Ids of user text in which no special token can arise."""
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids)


def _special(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)
