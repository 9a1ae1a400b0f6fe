"""A plan as a graph in the API's form: what the subgraph Unison holds, with the plan in place of its planner."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..defaults import MAX_MEDIA
from ..engine.settings import SamplingSettings
from ..errors import InputError
from ..plan.as_json import to_json
from ..plan.plan import Plan
from ..sources.masks import FEATHER, MaskOptions
from .models import LOADERS, ServerModels
from .server import PACK_NODE

Graph = dict[str, dict[str, Any]]
Link = list[Any]

SAVED, PLANNED = "save", "plan"


@dataclass(frozen=True)
class Sent:
    """A medium as the server's loaders call it."""

    name: str
    kind: str
    has_alpha: bool = False


@dataclass(frozen=True)
class Made:
    """What is asked for: a plan, its media on the server, how it is made.

    labels: how messages call the media. fps: the person's, None for the plan's.
    """

    plan: Plan
    media: Sequence[Sent]
    labels: Sequence[str]
    sampling: SamplingSettings
    fps: float | None = None
    negative: str | None = None
    mask: MaskOptions = field(default_factory=MaskOptions)
    threshold: float | None = None
    length: str = "whole"
    composite: bool = True
    feather: int = FEATHER
    prefix: str = "unison/run"


def graph_of(made: Made, models: ServerModels) -> Graph:
    """Every node with all that it takes; `SAVED` gives the file. Raises InputError for more media than fit."""
    if len(made.media) > MAX_MEDIA:
        raise InputError(f"the instruction has {len(made.media)} media, --comfy takes {MAX_MEDIA}: leave some out")
    graph: Graph = {}

    def node(name: str, class_type: str, **inputs: Any) -> str:
        graph[name] = {"class_type": class_type, "inputs": {k: v for k, v in inputs.items() if v is not None}}
        return name

    model, clip, vae, planner, projector = _models(node, models)
    report = json.dumps({"plan": to_json(made.plan), "media": list(made.labels)}, ensure_ascii=False)
    media = {f"medium{i}": _medium(node, i, medium) for i, medium in enumerate(made.media, 1)}
    plan = node(PLANNED, PACK_NODE, plan=report, fps=made.fps, planner=planner, **media)
    projected = None
    if projector is not None:
        projected = [node("projector", "UnisonProjector", projector=projector, features=[plan, 1]), 0]
    text = node("text", "UnisonTextContext", clip=clip, plan=[plan, 0], projected=projected, negative=made.negative)
    finders = {key: [_loader(node, key, name), 0] for key, name in _annotators(made.plan, models)}
    sources = node(
        "sources", "UnisonPrepareSources", plan=[plan, 0], length=made.length, mask_fill=made.mask.fill,
        mask_grow=made.mask.grow, mask_blur=float(made.mask.blur), mask_scale=made.mask.scale,
        threshold=made.threshold, **finders,
    )  # fmt: skip
    how = made.sampling
    sampler = node(
        "sampler", "UnisonVACESampler", model=model, positive=[text, 0], negative=[text, 1], vae=vae,
        sources=[sources, 0], seed=how.seed, steps=how.steps, shift=how.shift, cfg=how.cfg, strength=1.0,
    )  # fmt: skip
    images: Link = [sampler, 0]
    if made.composite:
        images = [node("composite", "UnisonComposite", images=images, sources=[sources, 0], feather=made.feather), 0]
    if made.plan.output == "image":
        node(SAVED, "SaveImage", images=images, filename_prefix=made.prefix)
    else:
        video = node("video", "CreateVideo", images=images, fps=[sources, 7], audio=[sources, 8])
        node(SAVED, "SaveVideo", video=[video, 0], filename_prefix=made.prefix, format="mp4", codec="h264")
    return graph


def _models(node: Any, models: ServerModels) -> tuple[Link, Link, Link, Link | None, Link | None]:
    """Links to model, clip, vae, planner and projector."""
    if models.embedded:
        demo = node("models", "UnisonDemoModels")
        return [demo, 0], [demo, 1], [demo, 2], [demo, 3], [demo, 4]
    names = models.names
    model: Link = [node("vace", "UNETLoader", unet_name=names["vace"], weight_dtype="default"), 0]
    for number, (lora, strength) in enumerate(models.loras, 1):
        name = f"lora{number}"
        model = [node(name, "LoraLoaderModelOnly", model=model, lora_name=lora, strength_model=strength), 0]
    clip = [node("clip", "CLIPLoader", clip_name=names["text_encoder"], type="wan"), 0]
    vae = [node("vae", "VAELoader", vae_name=names["vae"]), 0]
    if "planner" not in names:
        return model, clip, vae, None, None
    lora = names.get("lora", "none")
    planner = [node("planner", "UnisonLoadPlanner", planner=names["planner"], lora=lora), 0]
    projector = [_loader(node, "projector", names["projector"]), 0] if "projector" in names else None
    return model, clip, vae, planner, projector


def _loader(node: Any, key: str, name: str) -> str:
    class_type, entry = LOADERS[key]
    made: str = node(f"load_{key}", class_type, **{entry: name})
    return made


def _annotators(plan: Plan, models: ServerModels) -> Iterator[tuple[str, str]]:
    """(socket, name on the server) of each annotator that a plan takes and the server has."""
    finds = plan.source is not None and plan.mask is None and plan.borders is None and not plan.remakes_all
    if finds and models.finds_masks:
        yield from ((key, models.names[key]) for key in ("detector", "segmenter"))
    if (control := models.control_model(plan.control)) is not None:
        yield "control_model", control


def _medium(node: Any, number: int, medium: Sent) -> Link:
    if medium.kind == "video":
        return [node(f"media{number}", "LoadVideo", file=medium.name), 0]
    loaded = node(f"media{number}", "LoadImage", image=medium.name)
    if not medium.has_alpha:
        return [loaded, 0]
    return [node(f"alpha{number}", "JoinImageWithAlpha", image=[loaded, 0], alpha=[loaded, 1]), 0]


def stage_of(graph: Mapping[str, Any], node: str) -> str:
    """What a node of the graph, or of what it expanded to, does, for a progress bar."""
    own = node.partition(".")[0]
    return _STAGES.get(str(graph.get(own, {}).get("class_type")), "loading")


_STAGES = {
    PACK_NODE: "reading the instruction",
    "UnisonProjector": "reading the instruction",
    "UnisonTextContext": "reading the instruction",
    "UnisonPrepareSources": "preparing sources",
    "UnisonVACESampler": "sampling",
    "UnisonComposite": "putting the source back",
    "CreateVideo": "writing video",
    "SaveVideo": "writing video",
    "SaveImage": "writing",
}
