"""A long video in segments, or a clip that goes on: sampled one behind the other, each from the frames before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfy_api.latest import io

from ..unison_backend.defaults import CFG, VACE_STRENGTH
from ..unison_backend.engine.engine import initial_noise, noise_shape
from ..unison_backend.engine.segments import noise_of
from ..unison_backend.engine.vace_context import LATENT_CHANNELS, SPATIAL_STRIDE, latent_frames
from ..unison_backend.errors import InputError
from ..unison_backend.plan.plan import MAX_FRAMES
from ..unison_backend.plan.segments import Segmenting
from ..unison_backend.sources.prepare import Sources
from ..unison_backend.sources.segmented import Segmented
from . import host, host_text, sources_socket
from .guidance import frames_at_once, suiting
from .host_prompt import refuse_expert
from .plan_socket import OVERLAP, SEGMENT
from .schema import ADVANCED, SourcesSocket, schema
from .sources_socket import HostSources

MAX_SEED = 2**64 - 1
AT_ONCE = "these sources are made at once: connect them to VACE Sampler, or set length to whole in Prepare Sources"


def seed_input(tooltip: str) -> Any:
    """The noise's number, for the nodes that sample."""
    return io.Int.Input("seed", default=0, min=0, max=MAX_SEED, control_after_generate=True, tooltip=tooltip)


def cfg_input() -> Any:
    """Guidance, for the nodes that sample."""
    return io.Float.Input(
        "cfg",
        default=CFG,
        min=0.0,
        max=100.0,
        step=0.1,
        tooltip="Guidance; 1 runs one side only, 0 takes what suits the model (5; the demo's 3).",
    )


def strength_input() -> Any:
    """VACE's own strength, for the nodes that have it."""
    return io.Float.Input(
        "strength",
        default=VACE_STRENGTH,
        min=0.0,
        max=10.0,
        step=0.01,
        tooltip="How strongly sources steer (vace_context_scale); 1 as in the reference.",
    )


def segment_inputs() -> list[Any]:
    """How long segments are and how far they overlap."""
    return [
        io.Int.Input(
            SEGMENT,
            optional=True,
            default=0,
            min=0,
            max=MAX_FRAMES + 1,
            tooltip="A longer video is made in segments of so many frames, 4k + 1; 0: as many as the model makes at "
            "once (81; the demo's 9).",
            extra_dict=ADVANCED,
        ),
        io.Int.Input(
            OVERLAP,
            optional=True,
            default=0,
            min=0,
            max=MAX_FRAMES,
            tooltip="Frames that a segment goes on from, 4k + 1; 0: what suits its length (17; the demo's 5).",
            extra_dict=ADVANCED,
        ),
    ]


def segmented(sources: HostSources | None, model: Any, segment: int, overlap: int) -> Segmented | None:
    """The segments that sources are made in with a MODEL; None where they are made at once. Raises InputError."""
    if sources is None:
        return None
    at_once = frames_at_once(model)
    return sources.segmented(Segmenting.chosen(segment or None, overlap or None, at_once, (SEGMENT, OVERLAP)))


def told(whole: Segmented) -> str:
    """How a video is made, to be shown before it is."""
    lengths = ", ".join(f"{part.start} to {part.stop - 1}" for part in whole.segments)
    return f"made in segments: {len(whole.segments)} (frames {lengths})"


class UnisonSegmentSampler(io.ComfyNode):
    """Sources in segments, from text context to frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonSegmentSampler",
            "Sampling",
            display_name="Sample in Segments",
            description="Makes a video that is longer than the model makes at once, or that a clip goes on to, in "
            "segments: each sees the last frames of the one before as kept frames. VACE Sampler turns into "
            "it by itself.",
            search_aliases=["unison", "long video", "context windows", "extend video", "continue video", "vace"],
            inputs=[
                io.Model.Input("model", tooltip="Wan2.1-VACE-1.3B, with LoRAs and patches if you like."),
                io.Conditioning.Input("positive", tooltip="From Text Context, or any for Wan."),
                io.Conditioning.Input("negative", tooltip="From Text Context, or any for Wan."),
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE."),
                SourcesSocket.Input("sources", tooltip="From Prepare Sources, of length whole or of a clip."),
                io.Sampler.Input("sampler", tooltip="From UniPC Sampler, or any other."),
                io.Sigmas.Input("sigmas", tooltip="From Sigmas, or any other."),
                seed_input("Of the noise, which all segments share."),
                cfg_input(),
                strength_input(),
                *segment_inputs(),
            ],
            outputs=[io.Image.Output(display_name="images", tooltip="All frames, a clip's own in their places.")],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        negative: Any,
        vae: Any,
        sources: HostSources,
        sampler: Any,
        sigmas: Any,
        seed: int,
        cfg: float,
        strength: float,
        segment: int = 0,
        overlap: int = 0,
    ) -> io.NodeOutput:
        refuse_expert(cls.hidden.dynprompt, cls.hidden.unique_id)
        host_text.check_context(positive=positive, negative=negative)
        whole = segmented(sources, model, segment, overlap)
        if whole is None:
            raise InputError(AT_ONCE)
        run = Run(model, sampler, sigmas, cfg or suiting(model), len(whole.segments))
        noise = initial_noise(noise_shape(whole.sources), seed)
        for part in whole.segments:
            given = whole.part()
            sides = with_vace(given, positive, negative, vae, strength)
            latents = run.sampled(*sides, noise_of(noise, part, len(given.references)), seed)
            whole = whole.taking(vae_decoded(vae, latents[:, :, len(given.references) :]))
        frames = whole.result(sources.kept_frames, keeps_frames=sources.lengths is not None)
        return io.NodeOutput(host.to_results(frames), ui={"unison_notices": [told(whole)]})


def with_vace(sources: Sources, positive: Any, negative: Any, vae: Any, strength: float) -> list[Any]:
    """Both sides of a text context with VACE's context of `sources`."""
    import node_helpers

    frames, mask = sources_socket.encode(sources, vae)
    values = {"vace_frames": [frames], "vace_mask": [mask], "vace_strength": [strength]}
    return [node_helpers.conditioning_set_values(side, values, append=True) for side in (positive, negative)]


def vae_decoded(vae: Any, latents: Any) -> Any:
    """Frames [T, H, W, 3] float32 on the CPU, as the host's VAEDecode leaves them."""
    frames = vae.decode(latents)
    return frames.reshape(-1, *frames.shape[-3:]).float().cpu()


def empty_latent(sources: Sources) -> Any:
    """The host's empty latent for sources, with room for their references in front."""
    import torch
    from comfy import model_management

    count, height, width = sources.mask.shape
    frames = len(sources.references) + latent_frames(count)
    shape = (1, LATENT_CHANNELS, frames, height // SPATIAL_STRIDE, width // SPATIAL_STRIDE)
    return torch.zeros(shape, device=model_management.intermediate_device())


class Run:
    """The sampling of several segments with one bar over all of their steps, as SamplerCustom samples one."""

    def __init__(self, model: Any, sampler: Any, sigmas: Any, cfg: float, segments: int) -> None:
        from comfy.utils import ProgressBar

        self.model, self.sampler, self.sigmas, self.cfg = model, sampler, sigmas, cfg
        self.steps = len(sigmas) - 1
        self.bar, self.done = ProgressBar(segments * self.steps), 0

    def sampled(self, positive: Any, negative: Any, noise: Any, seed: int) -> Any:
        """Latents [1, 16, T', h, w] of one segment from noise of that shape, on the host's device for results."""
        from comfy.samplers import CFGGuider
        from comfy.utils import PROGRESS_BAR_ENABLED

        guider = CFGGuider(self.model)
        guider.set_conds(positive, negative)
        guider.set_cfg(self.cfg)
        empty = host.to_results(noise.new_zeros(noise.shape))
        latents = guider.sample(noise, empty, self.sampler, self.sigmas, denoise_mask=None, callback=self._shown(),
                                disable_pbar=not PROGRESS_BAR_ENABLED, seed=seed)  # fmt: skip
        self.done += self.steps
        return host.to_results(latents)

    def _shown(self) -> Callable[..., None]:
        """The host's callback after each step: the bar over all segments, with the preview that the person chose."""
        import latent_preview

        previewer = latent_preview.get_previewer(self.model.load_device, self.model.model.latent_format)

        def shown(step: int, clean: Any, _: Any, __: int) -> None:
            picture = previewer.decode_latent_to_preview_image("JPEG", clean) if previewer else None
            self.bar.update_absolute(self.done + step + 1, self.bar.total, picture)

        return shown


NODES = (UnisonSegmentSampler,)
