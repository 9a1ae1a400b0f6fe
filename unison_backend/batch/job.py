"""A line of a batch as values, and what all lines share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..annotators.bind import AnnotatorPaths
from ..defaults import MAX_NEW_TOKENS, SEED, SHIFT, STEPS
from ..engine.settings import PLAIN, EngineOptions, SamplingSettings
from ..media.kinds import check_file
from ..plan.length import Length
from ..plan.prompt import Prompt
from ..plan.segments import Segmenting
from ..plan.tasks import Make
from ..planner.choose import PlannerOptions
from ..sources.given import GivenSources
from ..sources.masks import FEATHER, MaskOptions
from ..sources.prepare import Annotators
from ..weights.find import ModelPaths

_NAME_LENGTH = 20
_CHUNK = 1 << 20
# Fields that came later: while they are not given, a result keeps the name that it had.
_LATER = ("cfg_low", "boundary")


@dataclass(frozen=True)
class Job:
    """One line, read and checked. number: its line; name: of its result, by content.

    cfg, segment, overlap, boundary: None is the models' own; cfg_low: None is cfg. settings: the person's own values
    over the plan, by field.
    """

    number: int
    prompt: Prompt
    settings: Mapping[str, Any] = field(default_factory=dict)
    given: GivenSources = field(default_factory=GivenSources)
    make: Make = "auto"
    length: Length = "whole"
    segment: int | None = None
    overlap: int | None = None
    planner: str = "auto"
    steps: int = STEPS
    cfg: float | None = None
    shift: float = SHIFT
    seed: int = SEED
    negative: str | None = None
    composite: bool = True
    feather: int = FEATHER
    mask: MaskOptions = field(default_factory=MaskOptions)
    max_new_tokens: int = MAX_NEW_TOKENS
    temperature: float = 0.0
    name: str = ""
    cfg_low: float | None = None
    boundary: float | None = None

    def sampling(self, cfg: float) -> SamplingSettings:
        """How it is denoised. cfg: the models' own. Raises InputError for values out of range."""
        own = cfg if self.cfg is None else self.cfg
        return SamplingSettings(self.steps, own, self.shift, self.seed, cfg_low=self.cfg_low, boundary=self.boundary)

    def segmenting(self, at_once: int) -> Segmenting:
        """How a long video is made. at_once: frames that the models make. Raises InputError for what cannot be."""
        return Segmenting.chosen(self.segment, self.overlap, at_once)

    @property
    def text(self) -> str:
        """The instruction with its files, as in `unison run`."""
        return "".join(part if isinstance(part, str) else f"###{part.path}###" for part in self.prompt.segments)


@dataclass(frozen=True)
class Setup:
    """What all lines share; it goes to every worker. threads: of torch, so that each makes the same pixels.

    there: what a server finds and draws, where that makes the lines; only checks ask for it.
    """

    out: Path
    models: ModelPaths
    planner: PlannerOptions = field(default_factory=PlannerOptions)
    annotators: AnnotatorPaths = field(default_factory=AnnotatorPaths)
    device: str = "auto"
    engine: EngineOptions = PLAIN
    threads: int | None = None
    keep_lora: bool = False
    there: Annotators | None = None


def name_of(job: Job, setup: Setup) -> str:
    """The name of a job's result: a hash of all that it is made of (files by their content, models by path and size).

    Raises MediaError for a file that cannot be read; one that is damaged is found when its line is checked.
    """
    pads = [_content(Path(medium.path)) if medium.path else None for medium in job.prompt.media]
    given = {
        key: [_content(path) for path in value] if key == "references" else _plain(value)
        for key, value in vars(job.given).items()
    }
    apart = {"number", "name", "prompt", "given"} | {key for key in _LATER if getattr(job, key) is None}
    values = {key: _plain(value) for key, value in vars(job).items() if key not in apart}
    known = {
        "text": job.prompt.text,
        "media": pads,
        "given": given,
        "models": [_identity(path) for path in _models(setup)],
        "loras": [(*(_identity(lora.path) or ()), *lora[1 : 3 if lora.side else 2]) for lora in setup.engine.loras],
        "engine": [setup.engine.attention, setup.engine.cache, *_vae(setup.engine)],
        **values,
        **_prompted(setup),
    }
    text = json.dumps(known, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:_NAME_LENGTH]


def _vae(engine: EngineOptions) -> list[Any]:
    """How the VAE computes, where that was asked for: tiles by themselves are taken for the memory of the moment."""
    asked = engine.vae_dtype, engine.vae_tiled
    return [] if asked == (PLAIN.vae_dtype, PLAIN.vae_tiled) else list(asked)


def _prompted(setup: Setup) -> dict[str, Any]:
    """Who plans by prompt; nothing where nobody does, so that results keep the names that they had."""
    server, folder = setup.planner.server, setup.planner.folder
    known: dict[str, Any] = {} if server is None else {"server": [server.base, server.model, server.sees]}
    return known if folder is None else {**known, "prompted": folder.name}


def _models(setup: Setup) -> Iterator[Path | None]:
    models, annotators = setup.models, setup.annotators
    yield from (models.vace, models.vae, models.text_encoder, models.projector, models.planner, models.lora)
    yield from filter(None, (models.vace_low, models.vace_base, models.vace_low_base))
    yield from (annotators.detector, annotators.segmenter, *annotators.control)


def _identity(path: Path | None) -> list[Any] | None:
    if path is None:
        return None
    return [path.name, path.stat().st_size if path.is_file() else None]


def _content(path: Path) -> str:
    check_file(path)  # says in words what is wrong with it
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            digest.update(part)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Path):
        return _content(value)
    if isinstance(value, MaskOptions):
        return asdict(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    return repr(value)
