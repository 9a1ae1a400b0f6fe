"""One request to a server and what comes back of it, as a stream that can be closed at any time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from ....progress import Cancel
from ..model import ModelFailed, Reply
from .address import ServerOptions
from .failures import refused, safe
from .listening import listen

T = TypeVar("T")

_CONNECTING = 10.0  # seconds
MOST_HEARD = 200_000
"""Characters after which a server that does not stop is left."""
_NO_KEY = "none"
# What goes out: no organisation, project or machine that the library finds in the environment.
_HEADERS = ("host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent")


@dataclass(frozen=True)
class Wire:
    """A server's two routes. Both raise Refused for its errors, ModelFailed where nothing sound comes, Cancelled."""

    options: ServerOptions

    def chat(self, body: dict[str, Any], heard: Callable[[str], None], cancel: Cancel) -> Reply:
        """The answer to a request, each piece of it to `heard`."""
        key = self.options.key()

        async def work(say: Callable[[str], None]) -> Reply:
            async with self._client(key) as client:
                stream = await client.chat.completions.create(**body, stream=True)
                async with stream:
                    return await _read(stream, say)

        return self._told(work, heard, cancel, key, "planning")

    def models(self, cancel: Cancel) -> tuple[str, ...]:
        """The names of the models that it says it has."""
        key = self.options.key()

        async def work(say: Callable[[str], None]) -> tuple[str, ...]:
            async with self._client(key) as client:
                page = await client.models.list()
                try:
                    return tuple(str(model.id) for model in page.data or ())
                except (AttributeError, TypeError):
                    raise _NoCompletion from None

        return self._told(work, lambda _: None, cancel, key, "asking for models")

    @asynccontextmanager
    async def _client(self, key: str | None) -> AsyncIterator[Any]:
        """A client that tries once, follows no redirection and takes nothing of its own from the environment."""
        import openai

        async def only_what_is_meant(request: Any) -> None:
            for name in [name for name in request.headers if name.lower() not in _HEADERS]:
                del request.headers[name]
            request.headers["Authorization"] = f"Bearer {key}"
            if key is None:
                del request.headers["Authorization"]

        timeout = openai.Timeout(self.options.silence, connect=min(_CONNECTING, self.options.silence))
        http = openai.DefaultAsyncHttpxClient(
            timeout=timeout, follow_redirects=False, event_hooks={"request": [only_what_is_meant]}
        )
        client = openai.AsyncOpenAI(
            base_url=self.options.base, api_key=_NO_KEY, max_retries=0, timeout=timeout, http_client=http
        )
        async with client:
            yield client

    def _told(
        self,
        work: Callable[[Callable[[str], None]], Coroutine[Any, Any, T]],
        heard: Callable[[str], None],
        cancel: Cancel,
        key: str | None,
        stage: str,
    ) -> T:
        """What `work` gives, its library's errors as ours; none of theirs is kept, since they hold the request."""
        import openai

        where, pieces = self.options.base, 0

        def counted(text: str) -> None:
            nonlocal pieces
            pieces += len(text)
            if pieces > MOST_HEARD:
                raise ModelFailed(f"{where} does not stop talking: left after {MOST_HEARD} characters")
            heard(text)

        try:
            return listen(work, counted, cancel, stage)
        except openai.APITimeoutError:
            failure: Exception = ModelFailed(_silent(where, self.options.silence))
        except openai.APIStatusError as error:
            failure = refused(error, key)
        except openai.APIConnectionError as error:
            failure = ModelFailed(f"nobody answers at {where} ({_root(error)}): start the server or mend the address")
        except openai.OpenAIError as error:
            failure = ModelFailed(f"{where} broke off: {safe(str(error), key)}")
        except _NoCompletion:
            failure = ModelFailed(f"{where} says something that is no chat completion: is it another kind of server?")
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "httpcore", "httpcore2", "anyio"):
                raise
            timed_out = "Timeout" in type(error).__name__
            failure = ModelFailed(
                _silent(where, self.options.silence) if timed_out else f"{where} broke off after {pieces} characters"
            )
        raise failure from None


class _NoCompletion(Exception):
    """What came is not what these routes give."""


async def _read(stream: Any, say: Callable[[str], None]) -> Reply:
    """The text of a stream; of a server that does not stream, its whole answer."""
    kind = stream.response.headers.get("content-type", "")
    if "json" in kind and "event-stream" not in kind:
        return _whole(await stream.response.aread(), say)
    parts, finish = [], None
    try:
        async for chunk in stream:
            for choice in (chunk.choices or ())[:1]:
                if choice.delta and choice.delta.content:
                    parts.append(str(choice.delta.content))
                    say(parts[-1])
                finish = choice.finish_reason or finish
    except (ValueError, AttributeError, TypeError):  # the library takes events as they are
        raise _NoCompletion from None
    if finish is None:
        raise ModelFailed(f"the server's answer broke off after {sum(map(len, parts))} characters")
    return Reply("".join(parts), is_cut=finish == "length")


def _whole(body: bytes, say: Callable[[str], None]) -> Reply:
    try:
        choice = json.loads(body)["choices"][0]
        text = str(choice["message"]["content"] or "")
        is_cut = choice.get("finish_reason") == "length"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise _NoCompletion from None
    say(text)
    return Reply(text, is_cut)


def _silent(where: str, seconds: float) -> str:
    return f"{where} said nothing for {seconds:g} s: it may be loading a model; try again or allow more time"


def _root(error: BaseException) -> str:
    """The innermost reason of an error, in a few words."""
    while error.__cause__ is not None:
        error = error.__cause__
    return safe(str(error) or type(error).__name__, None)[:120]
