"""One instruction from words to a file: plan, sources, text context, engine, file.

Models come from `Stages`, which loads one when a stage asks for it; the stage lets it go before the next one, so that
the text encoder and the transformer are never in memory together (`batch.resident` keeps them where they fit).
Everything that can be refused is refused before a model is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .engine.ranks import ALONE, Ranks
from .errors import InputError, ResourceError
from .files import Place, check_place
from .media.from_files import FileMedia
from .media.moving import is_moving, shown_kind
from .media.sequence import check_free, frame_name, is_sequence, write_sequence
from .media.write import IMAGE_WRITE_SUFFIXES, VIDEO_WRITE_SUFFIXES
from .memory import memory_errors
from .plan import overrides
from .plan.as_json import to_json
from .plan.length import Length
from .plan.names import naming
from .plan.plan import MAIN, WHOLE_FRAME, Plan
from .plan.prompt import Prompt, check_characters
from .plan.segments import Segmenting
from .plan.spec import DEFAULTS, GenerationSpec, Limits, Reason, resolve
from .plan.tasks import Make
from .progress import Cancel, Progress, check, never, silent
from .sources.given import GivenSources, put
from .sources.masks import FEATHER, MaskOptions, check_feather
from .weights.find import ModelPaths

if TYPE_CHECKING:
    from torch import Tensor

    from .conditioning.projector import Projector
    from .conditioning.text_encoder import TextEncoder
    from .engine.engine import Engine
    from .engine.settings import EngineOptions, Lora, SamplingSettings
    from .planner.base import Planner, PlanResult
    from .planner.qwen.loading import Qwen
    from .planner.rules.intent_model import Reading
    from .sources.prepare import Annotators, Sources

METADATA_KEY = "unison"
BYTES_PER_VALUE = 4
# So sure is a reading of words that order a picture or a video by name.
FIRM = 0.97
# Frames as source, as both halves of the split and as output are in memory together.
COPIES_IN_MEMORY = 4

_LOWER = "lower size or length (width, height, num_frames) or use another device"


@dataclass(frozen=True)
class Planned:
    """An instruction's plan with its media, what will be made of it, and the planner's features if it has any."""

    prompt: Prompt
    plan: Plan
    spec: GenerationSpec
    media: FileMedia
    features: Tensor | None = None
    reading: Reading | None = None


@dataclass(frozen=True)
class SourceOptions:
    """What becomes of sources beside the plan. composite: edits end with the source where it was kept.

    keep: a folder for control video, mask and references as lossless PNGs.
    """

    composite: bool = True
    feather: int = FEATHER
    mask: MaskOptions = field(default_factory=MaskOptions)
    keep: Path | None = None
    annotators: Annotators | None = None

    def __post_init__(self) -> None:
        check_feather(self.feather)


class Stages:
    """The models of a run on its device, each loaded anew whenever it is asked for. Nothing is kept here.

    Every method raises WeightsError, or InputError when there is no such file.
    """

    def __init__(
        self, models: ModelPaths, device: str = "auto", options: EngineOptions | None = None, ranks: Ranks = ALONE
    ) -> None:
        from .engine.device import pick_device
        from .engine.settings import PLAIN

        self.models, self.device, self.options, self.ranks = models, pick_device(device), options or PLAIN, ranks

    def qwen(self, progress: Progress = silent) -> Qwen:
        """The planner's model with its LoRA."""
        from .planner.qwen.loading import load_qwen

        return load_qwen(_path(self.models.planner), self.models.lora, device=self.device, progress=progress)

    def projector(self) -> Projector:
        """The projector."""
        from .conditioning.projector import load_projector

        return load_projector(_path(self.models.projector), device=self.device)

    def text_encoder(self) -> TextEncoder:
        """T5, in bfloat16 as in the reference; the small demo encoder in float32, which costs nothing."""
        import torch

        from .conditioning.text_encoder import load_text_encoder

        dtype = torch.float32 if self.models.demo else torch.bfloat16
        return load_text_encoder(_path(self.models.text_encoder), dtype=dtype, device=self.device)

    def engine(self, progress: Progress = silent) -> Engine:
        """Transformer, with its LoRA, or both experts, and VAE."""
        from .engine.engine import Engine

        models = self.models
        paths = _path(models.vace), _path(models.vae)
        bases = models.vace_base, models.vace_low_base
        engine = Engine.load(*paths, self.device, self.options, progress, models.vace_low, models.boundary, bases)
        engine.ranks = self.ranks
        return engine

    def check_ranks(self, settings: SamplingSettings) -> None:
        """Raise InputError where the processes of a run cannot share its transformer. Reads shapes alone."""
        if self.ranks.count == 1:
            return
        from .engine.ranks import check_heads
        from .weights.wan import load_transformer

        models = self.models
        low = settings.cfg if settings.cfg_low is None else settings.cfg_low
        experts = ((models.vace, models.vace_base, settings.cfg), (models.vace_low, models.vace_low_base, low))
        for path, base, cfg in experts:
            if path is not None:
                two = models.vace_low is not None
                shapes: Any = load_transformer(path, device="meta", expert=two, base=base)
                check_heads(self.ranks.count, 1 if cfg == 1 else 2, shapes.config.num_attention_heads)


@dataclass(frozen=True)
class Texts:
    """Both contexts [1, 2048, D] on the CPU, and what there is to say about them."""

    positive: Tensor
    negative: Tensor
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Made:
    """The file of a run, what there is to say about it, and seconds by stage."""

    path: Path
    notices: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)


def make_plan(
    prompt: Prompt,
    settings: dict[str, Any] | None = None,
    planner: Planner | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
    given: GivenSources | None = None,
    make: Make = "auto",
    length: Length = "reference",
    segmenting: Segmenting | None = None,
    limits: Limits = DEFAULTS,
) -> Planned:
    """Plan `prompt`, put the person's own `settings` and `given` files over it and resolve it against its files.

    planner: the rules planner by default. make: what is to come out of it, whatever the words seem to say. length:
    how much of a source video is made. segmenting: how a long video is made; None: at once. limits: what the
    models make where nothing is said.
    Raises PlanError, PromptError, InputError, MediaError, Cancelled.
    """
    from .planner.by_motion import with_motion
    from .planner.by_pixels import with_seen_mask
    from .planner.rules.plan import RulesPlanner

    settings, given = settings or {}, _with_main_noun(given or GivenSources(), prompt)
    media = FileMedia(prompt.media)
    # Files are looked at first: a planner that is a model must not run for an instruction that cannot be made.
    _ = media.infos
    planner = planner or RulesPlanner()

    def ask(of: Prompt, make: Make = make) -> PlanResult:
        shown = FileMedia(of.media, media).to_show()
        return planner.plan(of, make=make, media=shown, progress=progress, cancel=cancel)

    def drafted(of: Prompt) -> Plan:
        return overrides.apply(ask(of).plan, settings, limits)

    # An edit's source moves, whatever the words alone would have made of it.
    edits = given.mask or given.mask_phrase or given.outpaint
    prompt = with_motion(prompt, _moving(prompt), None if edits else drafted)
    media = FileMedia(prompt.media, media)
    result = ask(prompt)
    if given.mask is None and given.mask_phrase is None and "mask" not in settings:
        result = with_seen_mask(result, prompt, ask, lambda index: media.look(index, cancel), make)
    if (wanted := _made_of_control(given, result)) and make == "auto" and "output" not in settings:
        result = ask(prompt, wanted)
        why = Reason("output", f"the control file is a {wanted}, so a {wanted} is made", is_warning=True)
        result = replace(result, notices=(why, *result.notices))
    # What is to be made is settled first: files beside words that ask for nothing would be media of a question.
    plan = overrides.apply(result.plan, {key: value for key, value in settings.items() if key == "output"})
    plan, media = put(plan, media, given)
    with naming(media.labels):
        plan = overrides.apply(plan, settings, limits)
    spec = resolve(
        plan, media.infos, limits, settings.get("fps"), labels=media.labels, length=length, segmenting=segmenting
    )
    return Planned(
        prompt=prompt,
        plan=plan,
        spec=replace(spec, reasons=(*result.notices, *spec.reasons)),
        media=media,
        features=result.features,
        reading=result.reading,
    )


def _with_main_noun(given: GivenSources, prompt: Prompt) -> GivenSources:
    """The word that is to be looked for, where the person leaves it to the instruction."""
    if given.mask_phrase != MAIN:
        return given
    from .planner.rules.main_noun import main_noun

    return replace(given, mask_phrase=main_noun(prompt))


def _moving(prompt: Prompt) -> set[int]:
    """The pictures that are several frames."""
    return {i for i, m in enumerate(prompt.media) if m.kind == "image" and m.path and is_moving(Path(m.path))}


def _made_of_control(given: GivenSources, result: PlanResult) -> Make | None:
    """What a control file makes of words that do not say firmly whether they want a picture or a video."""
    if given.control_file is None or result.reading is None or result.reading.sure > FIRM:
        return None
    made: Make = "picture" if shown_kind(given.control_file) == "image" else "video"
    return made if result.reading.intent in ("picture", "video") and made != result.reading.intent else None


def check_runnable(planned: Planned, out: Path, annotators: Annotators | None = None, *, here: bool = True) -> Path:
    """Where the result goes (`output_path`); raises before any work when the plan cannot be run or does not fit.

    here: it is made in this machine's memory.
    """
    plan, spec = planned.plan, planned.spec
    if not spec.is_complete:
        raise InputError("the instruction holds media without files; write them as ###path###")
    from .sources.prepare import NO_ANNOTATORS, check_possible

    if plan.source is not None and (plan.mask, plan.target, plan.borders) == (None, None, None):
        raise InputError(
            f"the instruction edits {planned.media.label(plan.source)}, but what to change in it cannot be read from "
            "its words, and no mask is given. Give --mask FILE (white = change), or --mask-phrase with what to find, "
            f"as in 'red car' ({MAIN} is the instruction's main noun, '{WHOLE_FRAME}' has all of it made anew)"
        )
    check_possible(plan, planned.media, annotators or NO_ANNOTATORS, spec)
    path = output_path(out, plan)
    for index, medium in enumerate(planned.media.media):
        if medium.path and path.exists() and planned.media.path(index).resolve() == path.resolve():
            raise InputError(f"--out {path} is also an input of this instruction; choose another name")
    check_place(*place_of(path, plan))
    if here:
        check_memory(spec)
    return path


def output_path(out: Path, plan: Plan) -> Path:
    """`out`, a file name that fits what is made, a folder (there it gets the next free name at the end), or of a video
    the name of its frames."""
    suffixes = _suffixes(plan)
    if is_frames(out, plan):
        check_free(out)
    elif not is_folder(out) and out.suffix.lower() not in suffixes:
        made = "a picture" if plan.output == "image" else "a video"
        frames = " (or, for its frames, frames/%04d.png)" if plan.output == "video" else ""
        raise InputError(
            f"--out {out}: {made} is made here ({plan.task}); the name must end in {', '.join(suffixes)}{frames}"
        )
    return out


def is_frames(out: Path, plan: Plan) -> bool:
    """Whether a video is to be written as numbered pictures."""
    return plan.output == "video" and not is_folder(out) and is_sequence(out)


def is_folder(out: Path) -> bool:
    """Whether results get names of their own in `out`, which is or will be a folder."""
    return out.is_dir() or not out.suffix


def place_of(out: Path, plan: Plan) -> tuple[Path, Place]:
    """What `out` is to the one who writes."""
    if is_frames(out, plan):
        return frame_name(out, 1), "name"
    return (out / f"unison{_suffixes(plan)[0]}", "number") if is_folder(out) else (out, "link")


def _suffixes(plan: Plan) -> tuple[str, ...]:
    return IMAGE_WRITE_SUFFIXES if plan.output == "image" else VIDEO_WRITE_SUFFIXES


def check_memory(spec: GenerationSpec) -> None:
    """Raise ResourceError when the frames alone cannot fit into the memory that is free."""
    import psutil

    values = (spec.width or 0) * (spec.height or 0) * (spec.num_frames or 0) * 3
    needed, free = values * BYTES_PER_VALUE * COPIES_IN_MEMORY, psutil.virtual_memory().available
    if needed > free:
        raise ResourceError(
            f"{spec.num_frames} frames of {spec.width}x{spec.height} need about {needed / 2**30:.0f} GB for the frames "
            f"alone, {free / 2**30:.0f} GB are free: lower size or length (width, height, num_frames)"
        )


def run(
    planned: Planned,
    out: Path,
    models: ModelPaths,
    settings: SamplingSettings,
    *,
    negative: str | None = None,
    device: str = "auto",
    options: SourceOptions | None = None,
    engine_options: EngineOptions | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
    ranks: Ranks = ALONE,
) -> Made:
    """Make what `planned` says and write it to `out` (from `check_runnable`), whole or not at all: to a file, or as the
    next free `unison_0001.png` or `.mp4` of a folder.

    Raises UnisonError of every kind; memory that runs out becomes ResourceError.
    """
    return run_stages(
        planned,
        out,
        Stages(models, device, engine_options, ranks),
        settings,
        negative=negative,
        options=options,
        progress=progress,
        cancel=cancel,
    )


def run_stages(
    planned: Planned,
    out: Path,
    stages: Stages,
    settings: SamplingSettings,
    *,
    texts: Texts | None = None,
    negative: str | None = None,
    options: SourceOptions | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Made:
    """`run` with models from `stages`. texts: what `read_texts` gave, if it was called before."""
    from .engine.sides import check_sides, steps_of_each

    check_sides(settings, stages.options, two=stages.models.vace_low is not None)
    stages.check_ranks(settings)
    options = options or SourceOptions()
    seconds: dict[str, float] = {}
    spec = planned.spec
    with memory_errors(f"making {spec.num_frames} frames of {spec.width}x{spec.height}", _LOWER):
        with _timed("sources", seconds):
            sources = stages.ranks.lead(lambda: prepare_sources(planned, options, progress, cancel))
        with _timed("text", seconds):
            texts = texts or stages.ranks.lead(lambda: read_texts(planned, stages, negative, progress, cancel))
        with _timed("load engine", seconds):
            check(cancel, "loading")
            from .engine.segments import generate

            engine = stages.engine(progress)
        with _timed("generate", seconds):
            kept = slice(spec.kept_frames)
            contexts = texts.positive, texts.negative
            frames = generate(engine, sources, *contexts, settings, spec.segments, progress, cancel)[kept]
            frames = _with_kept(frames, planned, sources, options, progress, cancel)
    if not stages.ranks.leads:
        return Made(out)
    with _timed("write", seconds):
        path, notices = write(out, frames, planned, settings, progress, cancel, loras=stages.options.loras)
    if engine.options.cache:
        steps = settings.steps * max(1, len(spec.segments))
        notices = (*notices, f"--cache easy: {engine.steps_computed} of {steps} steps were computed")
    if engine.low is not None:
        notices = (*notices, steps_of_each(settings, engine.boundary))
    return Made(path, (*stages.models.notices, *sources.notices, *texts.notices, *notices), seconds)


def _with_kept(
    frames: Tensor, planned: Planned, sources: Sources, options: SourceOptions, progress: Progress, cancel: Cancel
) -> Tensor:
    """What was made with what was not to change: an edit's source around its mask, or the clip that goes on."""
    from .sources.composite import composite, put_back

    kept = slice(planned.spec.kept_frames)
    source, mask = sources.video[kept], sources.mask[kept]
    if planned.spec.clips:
        return put_back(frames, source, mask)
    if planned.plan.source is not None and options.composite:
        return composite(frames, source, mask, options.feather, progress, cancel)
    return frames


def read_texts(
    planned: Planned, stages: Stages, negative: str | None, progress: Progress = silent, cancel: Cancel = never
) -> Texts:
    """What the engine reads of a plan: both contexts, the positive one with the projected tokens."""
    projected, missing = project_features(planned, stages, cancel, progress)
    return Texts(*encode_texts(planned, projected, stages, negative, progress, cancel), missing)


def prepare_sources(planned: Planned, options: SourceOptions, progress: Progress, cancel: Cancel) -> Sources:
    """The sources of a plan, kept as files when that is asked for."""
    from .sources.prepare import NO_ANNOTATORS, prepare

    sources = prepare(
        planned.plan,
        planned.spec,
        planned.media,
        progress,
        cancel,
        annotators=options.annotators or NO_ANNOTATORS,
        mask_options=options.mask,
    )
    if options.keep is not None:
        from .sources.sheet import write_sources

        write_sources(options.keep, sources, progress, cancel)
    return sources


def project_features(
    planned: Planned, stages: Stages, cancel: Cancel, progress: Progress = silent
) -> tuple[Tensor | None, tuple[str, ...]]:
    """The projected tokens [1, 4, 4096] on the CPU, and a notice when a planner cannot give the features for them.

    The planner's own features are used when it had any; after rules they come from the planner folder's prefill.
    """
    models = stages.models
    if models.projector is None or models.planner is None:
        return None, ()
    from .conditioning.projector import project
    from .planner.qwen.planner import QwenPlanner

    features = planned.features
    if features is None:
        plain = f"{models.planner} has no planning weights: made without projected tokens"
        if models.planner.is_dir() and not models.plans:  # any vision-language model, which may have planned by prompt
            return None, (plain,)
        qwen = stages.qwen(progress)
        if not qwen.has_planning:
            return None, (plain,)
        features = QwenPlanner(qwen).features(planned.prompt, cancel=cancel)
    return project(stages.projector(), features).cpu(), ()


def encode_texts(
    planned: Planned,
    projected: Tensor | None,
    stages: Stages,
    negative: str | None,
    progress: Progress,
    cancel: Cancel,
) -> tuple[Tensor, Tensor]:
    """Both contexts [1, 2048, D]: T5 rows of the text with pads, on the positive side the projected tokens too."""
    from .conditioning.text_context import clean_text, negative_prompt, text_context

    check_characters(negative or "", "the negative prompt")
    check(cancel, "reading the instruction")
    progress("reading the instruction", 0, 2)
    encoder = stages.text_encoder()
    progress("reading the instruction", 1, 2)
    check(cancel, "reading the instruction")
    positive = text_context(encoder.encode(clean_text(planned.prompt.text)).cpu(), projected)
    other = text_context(encoder.encode(clean_text(negative_prompt() if negative is None else negative)).cpu())
    progress("reading the instruction", 2, 2)
    return positive, other


def metadata_of(plan: Plan, settings: SamplingSettings, loras: Mapping[str, float]) -> dict[str, str]:
    """What a result says of how it was made. loras: strengths by file name."""
    used = {name: value for name, value in vars(settings).items() if value is not None}
    record = {"prompt": plan.prompt, "plan": to_json(plan), "settings": used}
    if loras:
        record["loras"] = dict(loras)
    return {METADATA_KEY: json.dumps(record, ensure_ascii=False)}


def write(
    out: Path,
    frames: Tensor,
    planned: Planned,
    settings: SamplingSettings,
    progress: Progress,
    cancel: Cancel,
    loras: Sequence[Lora] = (),
) -> tuple[Path, tuple[str, ...]]:
    """Write a still or a video with its plan inside, and the source's sound where the length is kept; where it is."""
    from .media.write import write_image, write_video

    plan, spec = planned.plan, planned.spec
    metadata = metadata_of(plan, settings, {lora.path.name: lora.strength for lora in loras})
    path, place = place_of(out, plan)
    if plan.output == "image":
        return write_image(path, frames[0].numpy(), metadata=metadata, place=place), ()
    if spec.fps is None:
        raise ValueError("a video needs a frame rate")
    sound, start, notices = _sound_of(planned)
    if is_frames(out, plan):
        left = ("the sound is left out: pictures have none",) if sound else ()
        made = write_sequence(out, frames.numpy(), metadata=metadata, progress=progress, cancel=cancel)
        return made, (*notices, *left)
    path = write_video(path, frames.numpy(), spec.fps, audio_from=sound, audio_start=start, metadata=metadata,
                       progress=progress, cancel=cancel, place=place)  # fmt: skip
    return path, notices


def _sound_of(planned: Planned) -> tuple[Path | None, Fraction, tuple[str, ...]]:
    """The file of the video whose sound is kept, when it sets in (in seconds), and what is left out."""
    plan, spec, media = planned.plan, planned.spec, planned.media
    if spec.clips:
        heard = [clip for clip in spec.clips if media.info(clip.medium).has_audio]
        left = tuple(f"the sound of {media.label(clip.medium)} is left out: it has one already" for clip in heard[1:])
        if not heard:
            return None, Fraction(0), ()
        return media.path(heard[0].medium), heard[0].start / (spec.fps or Fraction(1)), left
    index = plan.source if plan.source is not None else plan.control_medium
    if index is None or not media.info(index).has_audio:
        return None, Fraction(0), ()
    if not spec.keeps_length:
        return None, Fraction(0), ("the sound of the source is left out: the length changed",)
    return media.path(index), Fraction(0), ()


def _path(path: Path | None) -> Path:
    if path is None:
        raise InputError("a model file is missing; `unison doctor` says which")
    return path


@contextmanager
def _timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    start = perf_counter()
    yield
    seconds[stage] = perf_counter() - start
