"""A planner behind a server: any vision-language model that speaks chat completions."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ..unison_backend.errors import InputError
from ..unison_backend.planner.answers import AnswerSettings
from ..unison_backend.planner.base import Stream
from ..unison_backend.planner.prompt.server.address import KEY_ENV, LONGEST_SILENCE, SILENCE, ServerOptions
from .asked_planner import AskedPlanner
from .schema import ADVANCED, PlannerSocket, schema

AUTO, NONE = "auto", "none"
SHOWN = ("pictures", "names")
FALLBACKS = ("rules", "error")
# Below the user folder; names with two underscores in front are the host's own and not served to browsers.
KEY_FOLDER = ("__unison", "keys")
_FILE = "file: "


@dataclass(frozen=True)
class ServerPlannerModel(AskedPlanner):
    """What a UNISON_PLANNER socket carries for a server: its address and where its key is, never the key."""

    options: ServerOptions
    by_rules: bool = True
    name = "server"

    def asking(self, settings: AnswerSettings, stream: Stream) -> AbstractContextManager[Any]:
        """Nothing has to be loaded: the server has the model."""
        from ..unison_backend.planner.prompt.planner import PromptPlanner
        from ..unison_backend.planner.prompt.server.model import ServerModel

        model = ServerModel(self.options)
        return nullcontext(PromptPlanner(model, self.options.sees, self.by_rules, settings=settings, stream=stream))


def key_folder() -> Path:
    """Where key files lie."""
    import folder_paths

    return Path(folder_paths.get_user_directory()).joinpath(*KEY_FOLDER)


def keys() -> list[str]:
    """Names of the keys that are here: environment variables that begin with UNISON_SERVER_KEY, and files."""
    variables = sorted(name for name in os.environ if name.startswith(KEY_ENV))
    folder = key_folder()
    files = sorted(path.name for path in folder.glob("*.txt")) if folder.is_dir() else []
    return [*variables, *(f"{_FILE}{name}" for name in files)]


def options_of(url: str, model: str, key: str, seconds: float, sees: str) -> ServerOptions:
    """The server of these inputs. Raises InputError for an address that is none and a key that is not here."""
    variable, file = None, None
    if key not in (AUTO, NONE):
        if key not in keys():
            raise InputError(
                f"key: {key!r} is not here. Set the environment variable before ComfyUI starts, or put a text file "
                f"with the key into the user folder's {'/'.join(KEY_FOLDER)}"
            )
        file = key_folder() / key.removeprefix(_FILE) if key.startswith(_FILE) else None
        variable = None if file else key
    return ServerOptions(
        url,
        model,
        key_env=variable,
        key_file=file,
        silence=seconds,
        sees=sees == SHOWN[0],
        bound_keys=True,
        keyless=key == NONE,
    )


class UnisonServerPlanner(io.ComfyNode):
    """A server's address as a planner; nothing is asked of it before an instruction is planned."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonServerPlanner",
            "Loaders",
            display_name="Server Planner",
            description="Lets a vision-language model behind an OpenAI-compatible server (vLLM, SGLang, llama.cpp, "
            "Ollama, LM Studio) plan and answer. Your words and media go to that server. Takes the package openai.",
            search_aliases=["unison", "ollama", "lm studio", "vllm", "llama.cpp", "openai", "api planner"],
            inputs=[
                io.String.Input(
                    "server_url",
                    default="",
                    placeholder="http://localhost:11434",
                    tooltip="Where the server is. Nothing else is ever contacted.",
                ),
                io.String.Input(
                    "model", default="", tooltip="The server's name for the model; empty: the only one that it has."
                ),
                *_more_inputs(),
            ],
            outputs=[PlannerSocket.Output(display_name="planner", tooltip="For the planner node.")],
        )

    @classmethod
    def validate_inputs(cls, server_url: str | None, key: str | None = AUTO) -> bool | str:
        if server_url is None:
            return True
        if not server_url.strip():
            return "server_url is empty: write where the server is, as in http://localhost:11434"
        try:
            options_of(server_url, "", AUTO if key is None else key, SILENCE, SHOWN[0])
        except InputError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        server_url: str,
        model: str = "",
        key: str = AUTO,
        timeout_seconds: float = SILENCE,
        media_shown: str = SHOWN[0],
        on_failure: str = FALLBACKS[0],
    ) -> io.NodeOutput:
        options = options_of(server_url, model, key, timeout_seconds, media_shown)
        return io.NodeOutput(ServerPlannerModel(options, on_failure == FALLBACKS[0]))


def _more_inputs() -> list[Any]:
    """All but where the server is and which model is meant."""
    return [
        io.Combo.Input(
            "key",
            optional=True,
            options=[AUTO, NONE, *keys()],
            default=AUTO,
            tooltip="Where the server's key is: an environment variable that begins with UNISON_SERVER_KEY, or a text "
            "file in the user folder's __unison/keys. auto: that variable if it is set. The key itself is never saved.",
        ),
        io.Float.Input(
            "timeout_seconds",
            optional=True,
            default=SILENCE,
            min=1.0,
            max=LONGEST_SILENCE,
            step=1.0,
            tooltip="Without a word from the server, after which it is given up.",
            extra_dict=ADVANCED,
        ),
        io.Combo.Input(
            "media_shown",
            optional=True,
            options=list(SHOWN),
            default=SHOWN[0],
            tooltip="pictures: the model is shown pictures and frames of videos. names: it is told only that they are "
            "there, for models that do not see.",
            extra_dict=ADVANCED,
        ),
        io.Combo.Input(
            "on_failure",
            optional=True,
            options=list(FALLBACKS),
            default=FALLBACKS[0],
            tooltip="When the server fails. rules: the rules plan, and the card says why. error: it stops.",
            extra_dict=ADVANCED,
        ),
    ]


NODES = (UnisonServerPlanner,)
