"""`--comfy URL`: what is planned here is made by a ComfyUI server."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..annotators.bind import AnnotatorPaths
from ..comfy.server import Server
from ..engine.settings import EngineOptions, Lora
from ..errors import InputError
from ..progress import Cancel, Progress
from ..weights.find import ModelPaths
from .common import DONE, mask_options, note, planner_options, reading_of, say, settings_of
from .engine import for_demo, sampling_of

if TYPE_CHECKING:
    from ..batch.batch import Executor
    from ..batch.job import Setup
    from ..comfy.make import How
    from ..comfy.models import ServerModels
    from ..pipeline.planning import Planned
    from ..plan.spec import Limits
    from ..sources.prepare import Annotators

# Options of the engine and models of this machine, which a server has of its own; by their value when not given.
_OURS: dict[str, object] = {
    "offload": "none",
    "cache": None,
    "compile": False,
    "vae_dtype": "auto",
    "vae_tiled": None,
    "keep_sources": None,
    "segment": None,
    "overlap": None,
    "vace_low": None,
    "vace_base": None,
    "vace_low_base": None,
    "cfg_low": None,
    "boundary": None,
    "lora_high": [],
    "lora_low": [],
}
_MAKERS = ("vace", "text_encoder", "vae", "projector")
_NAMED = ("vace", "vae", "text_encoder", "projector", "detector", "segmenter")


@dataclass(frozen=True)
class There:
    """A server and what of it makes a run."""

    server: Server
    models: ServerModels
    limits: Limits

    @classmethod
    def of(cls, options: argparse.Namespace, progress: Progress) -> There:
        """Raises ServerError, InputError."""
        from ..demo.fallback import limits_of

        _refuse_ours(options)
        server = Server(options.comfy)
        progress(f"asking {server.url}", 0, 1)
        models = _server_models(server, options)
        progress(f"asking {server.url}", 1, 1)
        return cls(server, models, limits_of(embedded=models.embedded))

    def make(
        self, options: argparse.Namespace, planned: Planned, progress: Progress, cancel: Cancel, _: object = None
    ) -> int:
        """The picture or video of a plan; the exit status."""
        from ..comfy.make import run_there
        from ..pipeline.places import is_frames
        from ..pipeline.runnable import check_runnable
        from ..plan.report import as_lines

        if options.out is None:
            raise InputError("--out is missing: say where the picture or video goes")
        if is_frames(options.out, planned.plan):
            raise InputError(
                f"--out {options.out}: frames are exact where they are made, and the server sends an H.264 video; name "
                "an .mp4, or leave --comfy out"
            )
        out = check_runnable(planned, options.out, _annotators(self.models), here=False)
        note("\n".join(as_lines(planned.plan, planned.spec, reading_of(planned), planned.media.labels)))
        for notice in self.models.notices:
            note(f"note: {notice}")
        made = run_there(self.server, planned, out, self.models, self._how(options), progress, cancel)
        for notice in made.notices[len(self.models.notices) :]:
            note(f"note: {notice}")
        say(str(made.path))
        return DONE

    def _how(self, options: argparse.Namespace) -> How:
        from ..comfy.make import How
        from ..pipeline.sources import SourceOptions

        sampling, fps = sampling_of(options), settings_of(options).get("fps")
        return How(
            for_demo(options, sampling) if self.models.embedded else sampling,
            options.negative,
            SourceOptions(options.composite, options.feather, mask_options(options)),
            options.threshold,
            None if fps is None else float(fps),
            self.limits,
            options.length,
        )


@dataclass(frozen=True)
class Fleet:
    """Several servers with the same models, for a batch."""

    servers: tuple[Server, ...]
    models: ServerModels

    @classmethod
    def of(cls, options: argparse.Namespace, progress: Progress) -> Fleet:
        """Raises ServerError, InputError also for servers that would make different pictures."""
        _refuse_ours(options)
        servers, models = tuple(Server(url) for url in options.comfy), []
        for number, server in enumerate(servers):
            progress(f"asking {server.url}", number, len(servers))
            models.append(_server_models(server, options))
            if _makers(models[-1]) != _makers(models[0]):
                raise InputError(
                    f"{servers[0].url} and {server.url} would make lines with different models "
                    f"({_makers(models[0])}; {_makers(models[-1])}): name those that all have, with --vace, "
                    "--text-encoder and --vae"
                )
        return cls(servers, models[0])

    def setup(self, options: argparse.Namespace) -> Setup:
        """What all lines share: models by their names on the servers, the planner of this machine."""
        from ..batch.job import Setup

        if options.out.exists() and not options.out.is_dir():
            raise InputError(f"--out {options.out} is a file; name a folder, the results of all lines go into it")
        names: dict[str, Any] = {key: Path(self.models.names[key]) for key in _MAKERS if key in self.models.names}
        here = self._here(options)
        there = ModelPaths(
            **names, planner=here.planner, lora=here.lora, demo=self.models.embedded, notices=self.models.notices
        )
        return Setup(
            out=options.out,
            models=there,
            planner=planner_options(options),
            annotators=AnnotatorPaths(threshold=options.threshold),
            device=options.device,
            engine=EngineOptions(tuple(Lora(Path(name), strength) for name, strength in self.models.loras)),
            keep_lora=options.keep_lora,
            there=_annotators(self.models),
        )

    def executor(self, options: argparse.Namespace) -> Executor:
        """Who makes the lines."""
        from ..batch.on_comfy import OnComfy
        from ..demo.fallback import find_planner

        def answering() -> ModelPaths:
            here = self._here(options)
            return here if here.planner else replace(find_planner(None, None), notices=())

        return OnComfy(self.servers, self.models, answering, note)

    @staticmethod
    def _here(options: argparse.Namespace) -> ModelPaths:
        """The planner of this machine; nothing where none is named."""
        from ..demo.fallback import find_planner
        from ..weights.find import named_folder

        named = options.models or options.planner_folder or named_folder()
        return find_planner(options.models, options.planner_folder) if named else ModelPaths()


def _refuse_ours(options: argparse.Namespace) -> None:
    """Raise InputError for options that mean nothing to a server."""
    given = [name for name, usual in _OURS.items() if getattr(options, name, usual) != usual]
    if options.preset == "fast" and not options.lora:
        raise InputError("--preset fast with --comfy: name the LoRA that the server has, with --lora NAME")
    if given:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError(f"{listed}: of the engine here; with --comfy the server makes it, so leave that out")


def _server_models(server: Server, options: argparse.Namespace) -> ServerModels:
    """What the server has, with what the person named. Raises ServerError, InputError."""
    from ..comfy.models import choose
    from ..engine.settings import parse_lora

    server.check()
    given = {key: str(getattr(options, key)) for key in _NAMED if getattr(options, key) is not None}
    if options.control_model:
        given["control_model"] = str(options.control_model[0])
    loras = [(str(lora.path), lora.strength) for lora in map(parse_lora, options.lora)]
    return choose(server, given, loras)


def _makers(models: ServerModels) -> str:
    """All that decides a picture, in words."""
    loras = [f"{name}:{strength:g}" for name, strength in models.loras]
    return ", ".join([*(models.names[key] for key in _MAKERS if key in models.names), *loras]) or "the demo models"


def _annotators(models: ServerModels) -> Annotators:
    """What the server can find and draw, for the checks before a run; nothing of it is called here."""
    from ..sources.prepare import Annotators

    def there(*_: object) -> object:
        raise ValueError("annotators of a server are not called here")

    return Annotators(there if models.finds_masks else None, there)  # type: ignore[arg-type]
