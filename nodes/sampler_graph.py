"""What VACE Sampler turns into: the host's own nodes, with ours between them."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .schema import block

# The reference's own, then those of the host that a flow model takes; every host since 0.8 has them.
SAMPLERS = ("unipc", "euler", "euler_ancestral", "heun", "dpmpp_2m", "dpmpp_2m_sde", "uni_pc", "lcm", "res_multistep")
NO_LATENT = "a video in segments has no latent of its own: take images"


def in_segments(given: dict[str, Any], fps: float, sound: Any) -> io.NodeOutput:
    """The subgraph of the sampler node for sources that are made in segments."""
    from comfy_execution.graph_utils import ExecutionBlocker, GraphBuilder

    graph = GraphBuilder()
    names = ("positive", "negative", "vae", "sources", "seed", "cfg", "strength", "segment", "overlap")
    images = graph.node(
        "UnisonSegmentSampler",
        model=_patched(graph, given),
        sampler=given.get("sampler") or _sampler(graph, given.get("sampler_name", SAMPLERS[0])),
        sigmas=given.get("sigmas") or graph.node("UnisonSigmas", **_schedule(given)).out(0),
        **{name: given[name] for name in names},
    ).out(0)
    audio = {} if sound is None else {"audio": sound}
    video = graph.node("CreateVideo", images=images, fps=fps, **audio).out(0)
    return io.NodeOutput(images, video, fps, ExecutionBlocker(NO_LATENT), expand=graph.finalize())


def at_once(given: dict[str, Any], fps: float, is_video: bool, sound: Any, kept: int | None = None) -> io.NodeOutput:
    """The subgraph of the sampler node; every input of every inner node is given, since none is validated.

    kept: how many of the decoded frames are the result, None for all.
    """
    from comfy_execution.graph_utils import GraphBuilder

    graph = GraphBuilder()
    context = [given["positive"], given["negative"], given.get("latent"), given["trim_latent"]]
    if given.get("sources") is not None:
        names = ("positive", "negative", "vae", "sources", "strength")
        vace = graph.node("UnisonVACEConditioning", **{name: given[name] for name in names})
        context = [vace.out(i) for i in range(4)]
    positive, negative, latent, trim = context
    sampled = graph.node(
        "SamplerCustom",
        model=_patched(graph, given),
        add_noise=True,
        noise_seed=given["seed"],
        cfg=given["cfg"] or graph.node("UnisonGuidance", model=given["model"]).out(0),
        positive=positive,
        negative=negative,
        sampler=given.get("sampler") or _sampler(graph, given.get("sampler_name", SAMPLERS[0])),
        sigmas=given.get("sigmas") or graph.node("UnisonSigmas", **_schedule(given)).out(0),
        latent_image=latent,
    )
    trimmed = graph.node("TrimVideoLatent", samples=sampled.out(0), trim_amount=trim).out(0)
    images = graph.node("VAEDecode", samples=trimmed, vae=given["vae"]).out(0)
    if kept is not None:
        images = graph.node("ImageFromBatch", image=images, batch_index=0, length=kept).out(0)
    video = block(1)[0]
    if is_video:
        audio = {} if sound is None else {"audio": sound}
        video = graph.node("CreateVideo", images=images, fps=fps, **audio).out(0)
    return io.NodeOutput(images, video, fps, trimmed, expand=graph.finalize())


def _patched(graph: Any, given: dict[str, Any]) -> Any:
    """The model with the shift of its schedule."""
    # UniPC Sampler collapses by itself; this is for another sampler in its place, and says if it cannot be.
    model = graph.node("UnisonExactPadding", model=given["model"]).out(0)
    return graph.node("ModelSamplingSD3", model=model, shift=given["shift"]).out(0)


def _schedule(given: dict[str, Any]) -> dict[str, Any]:
    return {"steps": given["steps"], "shift": given["shift"]}


def _sampler(graph: Any, name: str) -> Any:
    """The sampler of that name: the reference's, or one of the host's."""
    if name == SAMPLERS[0]:
        return graph.node("UnisonSampler", integer_time=True).out(0)
    return graph.node("KSamplerSelect", sampler_name=name).out(0)
