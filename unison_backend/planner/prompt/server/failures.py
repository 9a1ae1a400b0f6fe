"""What servers refuse or break, in one sentence each; a key never stands in one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from ....errors import one_line
from ..model import ModelFailed

_LONGEST = 300
_LOOKS_LIKE_A_KEY = re.compile(r"\b(?:sk|pk|hf|gsk|key|Bearer)[-_ ][\w\-*.]{6,}")
_SCHEMA_WORDS = re.compile(r"response_format|json_schema|json_object|schema|grammar|structured|guided", re.IGNORECASE)
_PICTURE_WORDS = re.compile(r"image|multimodal|vision|mmproj|content part|\(not .?.?list", re.IGNORECASE)
_REFUSALS = (400, 415, 422, 500, 501)


@dataclass
class Refused(Exception):
    """A server's answer that is an error. told: its own words, without the key. wait: seconds that it asks for."""

    status: int
    told: str
    wait: float | None = None

    @property
    def is_of_schema(self) -> bool:
        """Whether it is the form of the answer that the server does not take."""
        return self.status in _REFUSALS and bool(_SCHEMA_WORDS.search(self.told))

    @property
    def is_of_pictures(self) -> bool:
        """Whether it is pictures that the server does not take."""
        return self.status in _REFUSALS and bool(_PICTURE_WORDS.search(self.told))


def refused(error: Any, key: str | None) -> Refused:
    """The `Refused` of an openai.APIStatusError."""
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error", body)
    told = inner.get("message") if isinstance(inner, dict) else inner
    return Refused(error.status_code, safe(str(told or body or error.response.text), key), _wait(error.response))


def safe(text: str, key: str | None) -> str:
    """A server's words on one line, cut, without the key or what looks like one."""
    plain = one_line(text)
    if key:
        plain = plain.replace(key, "(key)")
    plain = _LOOKS_LIKE_A_KEY.sub("(key)", plain)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]} ..."


def _wait(response: Any) -> float | None:
    """Seconds that Retry-After says, as a number or a date."""
    said = response.headers.get("retry-after")
    if said is None:
        return None
    try:
        return max(0.0, float(said)) if "n" not in said.lower() else None
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time())
    except (ValueError, TypeError):
        return None


def failed(error: Refused, where: str, model: str, key_place: str, *, shown: bool) -> ModelFailed:
    """What to tell of a refusal. where: the address. shown: pictures were sent."""
    told = f": {error.told}" if error.told else ""
    if error.status in (401, 403):
        return ModelFailed(f"{where} takes no request without its key ({error.status}): put it into {key_place}")
    if error.status == 404:
        return ModelFailed(f"{where} knows no model {model!r}, or its address ends differently (404){told}")
    if error.status in (429, 503):
        wait = f"; it asks to wait {error.wait:.0f} s" if error.wait is not None else ""
        return ModelFailed(f"{where} is busy ({error.status}){wait}: try again later{told}")
    if shown and error.is_of_pictures:
        return ModelFailed(
            f"{where} takes no pictures ({error.status}{told}): choose a model that sees, or have it told of media only"
        )
    if error.status in (400, 413, 422):
        return ModelFailed(f"{where} does not take the request ({error.status}){told}")
    if error.status in range(300, 400):
        return ModelFailed(f"{where} sends on to another address ({error.status}), which is not followed")
    return ModelFailed(f"{where} failed ({error.status}){told}")
