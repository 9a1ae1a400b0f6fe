"""Sampling: sources into VACE conditioning, the reference's sigmas and sampler, and all of it in one node."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..unison_backend.defaults import PLAN_FPS, SHIFT, STEPS
from ..unison_backend.engine import unipc
from ..unison_backend.errors import InputError
from . import host, host_text, sampler_graph, segments, sources_socket, unipc_sampler
from .host_prompt import refuse_expert
from .sampler_graph import SAMPLERS
from .schema import ABSENT, ADVANCED, SourcesSocket, schema
from .sources_socket import HostSources

EITHER = "connect sources or latent, one of the two"
NOT_AT_ONCE = (
    "these sources go on from a clip, of which only a part is sampled: connect them to VACE Sampler or "
    "Sample in Segments"
)
NO_SIZE = "connect sources, or a control_video (grey, 0.5, where everything is to be made)"


def schedule_inputs() -> list[Any]:
    """Steps and shift of the reference's schedule."""
    return [
        io.Int.Input("steps", default=STEPS, min=1, max=1000, tooltip="The reference takes 50."),
        io.Float.Input(
            "shift",
            default=SHIFT,
            min=0.01,
            max=100.0,
            step=0.01,
            tooltip="Time shift of the flow; the reference: 5.",
        ),
    ]


class UnisonVACEConditioning(io.ComfyNode):
    """Sources onto the text context, as WanVaceToVideo does, with several references."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonVACEConditioning",
            "Sampling",
            display_name="VACE Conditioning",
            description="Encodes sources for VACE and makes the empty latent. Each socket below sources replaces "
            "that part of them. References stand in front on the time axis; trim_latent says how many to cut off.",
            search_aliases=["unison", "WanVaceToVideo", "vace", "control video", "reference image"],
            inputs=[
                io.Conditioning.Input("positive", tooltip="From Text Context, or any for Wan."),
                io.Conditioning.Input("negative", tooltip="From Text Context, or any for Wan."),
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE."),
                SourcesSocket.Input("sources", optional=True, tooltip="From Prepare Sources."),
                io.Image.Input("control_video", optional=True, tooltip="[T, H, W, 3] at final size, 4k + 1 frames."),
                io.Mask.Input("control_masks", optional=True, tooltip="1 = make, 0 = keep; one is repeated."),
                io.Image.Input("references", optional=True, tooltip="Each picture is one; fitted onto white."),
                segments.strength_input(),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="With VACE's context."),
                io.Conditioning.Output(display_name="negative", tooltip="With VACE's context."),
                io.Latent.Output(display_name="latent", tooltip="Empty, with room for the references."),
                io.Int.Output(display_name="trim_latent", tooltip="Latent frames to cut off before decoding."),
                io.Float.Output(display_name="fps", tooltip="Of the sources, for Create Video."),
                io.Audio.Output(display_name="audio", tooltip="The sources' sound, if it still fits."),
                io.Int.Output(
                    display_name="kept_frames",
                    tooltip="How many of the decoded frames are the result: cut to them with ImageFromBatch.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, vae: Any = None, sources: Any = ABSENT, control_video: Any = ABSENT) -> bool | str:
        # `vae`, because the host hears no complaint that comes without a given input.
        return NO_SIZE if sources is ABSENT and control_video is ABSENT else True

    @classmethod
    def execute(
        cls,
        positive: Any,
        negative: Any,
        vae: Any,
        strength: float,
        sources: HostSources | None = None,
        control_video: Any = None,
        control_masks: Any = None,
        references: Any = None,
    ) -> io.NodeOutput:
        if sources is None and control_video is None:
            raise InputError(NO_SIZE)
        if sources is not None and sources.lengths is not None and control_video is None:
            raise InputError(NOT_AT_ONCE)
        host_text.check_context(positive=positive, negative=negative)
        used = sources_socket.from_sockets(sources, control_video, control_masks, references)
        sides = segments.with_vace(used, positive, negative, vae, strength)
        count, height, width = used.mask.shape
        fps, sound = (float(PLAN_FPS), None) if sources is None else (sources.fps, sources.audio)
        # Another video than the sources' own is all of it the result.
        kept = sources.kept_frames if sources is not None and sources.num_frames == count else count
        shown = sources_socket.stretched("control_masks", control_masks, width, height)
        latent = {"samples": segments.empty_latent(used)}
        return io.NodeOutput(*sides, latent, len(used.references), fps, sound, kept, ui=shown)


class UnisonSigmas(io.ComfyNode):
    """The reference's schedule."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonSigmas",
            "Sampling",
            display_name="Sigmas",
            description="The reference's schedule: it starts a hair below 1, where UniPC is still finite.",
            search_aliases=["unison", "scheduler", "flow sigmas", "shift"],
            inputs=schedule_inputs(),
            outputs=[io.Sigmas.Output(display_name="sigmas", tooltip="For SamplerCustom and its relatives.")],
        )

    @classmethod
    def execute(cls, steps: int, shift: float) -> io.NodeOutput:
        return io.NodeOutput(unipc.flow_sigmas(steps, shift))


class UnisonSampler(io.ComfyNode):
    """The reference's sampler."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonSampler",
            "Sampling",
            display_name="UniPC Sampler",
            description="The reference's flow UniPC (order 2, bh2), for any flow model. Wants sigmas that start "
            "below 1, such as Sigmas.",
            search_aliases=["unison", "unipc", "uni_pc_bh2", "flow unipc"],
            inputs=[
                io.Boolean.Input(
                    "integer_time",
                    optional=True,
                    default=True,
                    tooltip="Ask the model at whole timesteps (of 1000), as the reference does.",
                    extra_dict=ADVANCED,
                ),
            ],
            outputs=[io.Sampler.Output(display_name="sampler", tooltip="For SamplerCustom and its relatives.")],
        )

    @classmethod
    def execute(cls, integer_time: bool = True) -> io.NodeOutput:
        return io.NodeOutput(unipc_sampler.make(integer_time))


class UnisonVACESampler(io.ComfyNode):
    """Everything from text context to pictures, as a subgraph of the host's own nodes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonVACESampler",
            "Sampling",
            display_name="VACE Sampler",
            description="Samples with the reference's settings and decodes. It turns into ComfyUI's own nodes, so "
            "LoRAs, previews, offloading and caches work as everywhere. Give sources, or a latent whose conditioning "
            "already holds VACE's (from VACE Conditioning or WanVaceToVideo).",
            search_aliases=[
                *("unison", "ksampler", "wan vace", "text to video", "image to video", "video edit", "inpaint")
            ],
            inputs=[
                io.Model.Input("model", tooltip="Wan2.1-VACE-1.3B, with LoRAs if you like."),
                io.Conditioning.Input("positive", raw_link=True, tooltip="From Text Context, or any for Wan."),
                io.Conditioning.Input("negative", raw_link=True, tooltip="From Text Context, or any for Wan."),
                io.Vae.Input("vae", raw_link=True, tooltip="The Wan 2.1 VAE."),
                SourcesSocket.Input("sources", optional=True, tooltip="From Prepare Sources."),
                io.Latent.Input("latent", optional=True, tooltip="In place of sources."),
                io.Sampler.Input("sampler", optional=True, raw_link=True, tooltip="In place of UniPC Sampler."),
                io.Sigmas.Input("sigmas", optional=True, raw_link=True, tooltip="In place of steps and shift."),
                segments.seed_input("The reference's is 0."),
                *schedule_inputs(),
                segments.cfg_input(),
                segments.strength_input(),
                io.Int.Input(
                    "trim_latent",
                    optional=True,
                    default=0,
                    min=0,
                    max=9999,
                    tooltip="With latent: how many reference frames to cut off.",
                    extra_dict=ADVANCED,
                ),
                io.Float.Input(
                    "fps",
                    optional=True,
                    default=0.0,
                    min=0.0,
                    max=240.0,
                    step=0.01,
                    tooltip="0: as the sources say, else 24.",
                ),
                io.Combo.Input(
                    "sampler_name",
                    optional=True,
                    options=list(SAMPLERS),
                    default=SAMPLERS[0],
                    tooltip="unipc is the reference's, the others are ComfyUI's. A connected sampler wins.",
                ),
                *segments.segment_inputs(),
            ],
            outputs=[
                io.Image.Output(display_name="images", tooltip="One picture, or the video's frames."),
                io.Video.Output(display_name="video", tooltip="Blocked for a picture."),
                io.Float.Output(display_name="fps", tooltip="Frames a second of the video."),
                io.Latent.Output(display_name="latent", tooltip="Trimmed, before decoding."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
            enable_expand=True,
        )

    @classmethod
    def validate_inputs(cls, model: Any = None, sources: Any = ABSENT, latent: Any = ABSENT) -> bool | str:
        # `model`, because the host hears no complaint that comes without a given input.
        return EITHER if (sources is ABSENT) == (latent is ABSENT) else True

    @classmethod
    def execute(
        cls,
        fps: float = 0.0,
        trim_latent: int = 0,
        sources: HostSources | None = None,
        latent: Any = None,
        model: Any = None,
        segment: int = 0,
        overlap: int = 0,
        **inputs: Any,
    ) -> io.NodeOutput:
        if (sources is None) == (latent is None):
            raise InputError(EITHER)
        refuse_expert(cls.hidden.dynprompt, cls.hidden.unique_id)
        # Links in place of values: inner nodes are cached by what they are linked to.
        links = cls.hidden.dynprompt.get_node(cls.hidden.unique_id)["inputs"]
        given = (
            inputs
            | {"trim_latent": trim_latent}
            | {name: links[name] for name in ("model", "sources", "latent", "trim_latent") if name in links}
            | {"segment": segment, "overlap": overlap}
        )
        if sources is not None:
            frames, rate, kept = sources.num_frames, sources.fps, sources.kept_frames
            # At another rate the video lasts longer or shorter than its sound.
            sound = sources.audio if fps in (0, rate) else None
        else:
            frames, rate, sound = latent["samples"].shape[2] - trim_latent, float(PLAN_FPS), None
            kept = frames
        if (whole := segments.segmented(sources, model, segment, overlap)) is not None:
            host.text_on_node(cls.hidden.unique_id)(segments.told(whole))
            return sampler_graph.in_segments(given, fps or rate, sound)
        return sampler_graph.at_once(given, fps or rate, frames > 1, sound, kept if kept < frames else None)


NODES = (UnisonVACEConditioning, UnisonSigmas, UnisonSampler, UnisonVACESampler)
