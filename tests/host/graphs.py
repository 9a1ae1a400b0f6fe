"""Prompts that several host tests build on: our nodes on the embedded models."""

from __future__ import annotations

import io
from typing import Any

from host_prompts import Graph, NodeRef, Run
from PIL import Image

MEDIA_NODES = {"image": ("LoadImage", "image"), "mask": ("LoadImageMask", "image"), "video": ("LoadVideo", "file")}


def planned(
    graph: Graph, instruction: str, media: dict[str, str] | None = None, **options: Any
) -> tuple[NodeRef, NodeRef]:
    """(demo models, planner) with `media`, socket to file name in the host's input folder."""
    models = graph.node("UnisonDemoModels")
    sockets = {name: load(graph, name, file) for name, file in (media or {}).items()}
    planner = graph.node(
        "UnisonPlanner", **{"instruction": instruction, "planner": models[3], "max_new_tokens": 8} | options | sockets
    )
    return models, planner


def load(graph: Graph, socket: str, file: str) -> NodeRef:
    """A stock loader for a socket of the planner."""
    kind = socket.rstrip("0123456789")
    class_type, name = MEDIA_NODES[kind]
    return graph.node(class_type, **{name: file, **({"channel": "red"} if kind == "mask" else {})})


def conditioned(graph: Graph, models: NodeRef, planner: NodeRef, **text: Any) -> tuple[NodeRef, NodeRef]:
    """(text context, VACE conditioning) of a plan, wired from the single nodes."""
    projected = graph.node("UnisonProjector", projector=models[4], features=planner[1])
    context = graph.node("UnisonTextContext", clip=models[1], plan=planner[0], projected=projected, **text)
    sources = graph.node("UnisonPrepareSources", plan=planner[0])
    vace = graph.node(
        "UnisonVACEConditioning", positive=context[0], negative=context[1], vae=models[2], sources=sources, strength=1.0
    )
    return context, vace


def sampled(graph: Graph, models: NodeRef, vace: NodeRef, steps: int, seed: int = 0, **parts: Any) -> NodeRef:
    """The trimmed latent of the reference's sampler settings; `parts` replace inputs of SamplerCustom."""
    inputs = {
        "model": graph.node("ModelSamplingSD3", model=models[0], shift=5.0),
        "add_noise": True,
        "noise_seed": seed,
        "cfg": 5.0,
        "positive": vace[0],
        "negative": vace[1],
        "sampler": graph.node("UnisonSampler", integer_time=True),
        "sigmas": graph.node("UnisonSigmas", steps=steps, shift=5.0),
        "latent_image": vace[2],
    }
    sampler = graph.node("SamplerCustom", **inputs | parts)
    return graph.node("TrimVideoLatent", samples=sampler, trim_amount=vace[3])


def all_in_one(graph: Graph, models: NodeRef, planner: NodeRef, steps: int = 2, **options: Any) -> NodeRef:
    """The sampler node that expands, with everything in front of it."""
    projected = graph.node("UnisonProjector", projector=models[4], features=planner[1])
    context = graph.node("UnisonTextContext", clip=models[1], plan=planner[0], projected=projected)
    sources = graph.node("UnisonPrepareSources", plan=planner[0])
    settings = {"seed": 0, "steps": steps, "shift": 5.0, "cfg": 5.0, "strength": 1.0} | options
    return graph.node("UnisonVACESampler", model=models[0], positive=context[0], negative=context[1], vae=models[2],
                      sources=sources, **settings)  # fmt: skip


def save_image(graph: Graph, images: Any, prefix: str = "unison") -> NodeRef:
    return graph.node("SaveImage", images=images, filename_prefix=prefix)


def save_video(graph: Graph, video: Any, prefix: str = "unison") -> NodeRef:
    return graph.node("SaveVideo", video=video, filename_prefix=prefix, format="auto", codec="auto")


def succeeded(run: Run) -> Run:
    """The run, which must have ended well."""
    assert run.status == "success", run.why
    return run


def card_pictures(host: Any, run: Run, node: NodeRef) -> list[Image.Image]:
    """The pictures on a node's card, as the frontend fetches them."""
    answers = [host.request(f"/view?{query}") for query in run.outputs[node.id].get("unison_pictures", [])]
    return [Image.open(io.BytesIO(body)) for _, body in answers]
