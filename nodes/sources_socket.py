"""What a UNISON_SOURCES socket carries, and VACE's context from it in the host's own terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..unison_backend.defaults import FPS
from ..unison_backend.engine.vace_context import LATENT_CHANNELS, encode_context
from ..unison_backend.errors import InputError
from ..unison_backend.media.resize import cover, letterbox_on_white
from ..unison_backend.plan.continuing import segments_between
from ..unison_backend.plan.geometry import FRAME_MULTIPLE, SIDE_MULTIPLE, is_same_aspect
from ..unison_backend.plan.segments import Segmenting, segments_of
from ..unison_backend.sources.prepare import Sources
from ..unison_backend.sources.segmented import Segmented, lasting
from . import host


@dataclass(frozen=True)
class HostSources:
    """Sources with their frames a second, and the sound that still fits them (a host AUDIO) if there is any.

    is_edit: what the mask leaves out is a source to be kept, which a composite can put back. kept: how many of the
    frames are the result, None for all. in_segments: more frames than a model makes at once are made in segments.
    lengths: of a clip that goes on: its frames before what is new, the new ones, those behind them.
    """

    sources: Sources
    fps: float = FPS
    audio: Any = None
    is_edit: bool = False
    kept: int | None = None
    in_segments: bool = False
    lengths: tuple[int, int, int] | None = None

    def segmented(self, how: Segmenting) -> Segmented | None:
        """The video in the segments that it is to be made in; None where it is made at once."""
        if self.lengths is not None:
            segments = segments_between(*self.lengths, how)
            made = max(self.kept_frames, *(segment.stop for segment in segments))
            return Segmented(lasting(self.sources, made), segments)
        segments = segments_of(self.num_frames, how) if self.in_segments else ()
        return Segmented(self.sources, segments) if segments else None

    @property
    def num_frames(self) -> int:
        return int(self.sources.mask.shape[0])

    @property
    def kept_frames(self) -> int:
        """What to cut the frames to once they are made."""
        return self.num_frames if self.kept is None else self.kept


def from_sockets(sources: HostSources | None, video: Any, masks: Any, references: Any) -> Sources:
    """Sources with any part replaced: video [T, H, W, C], masks [T or 1, H, W], references [N, H, W, C].

    One of `sources` and `video` is there. Raises InputError for a size that VACE cannot hold.
    """
    base = None if sources is None else sources.sources
    frames = base.video if video is None else _checked(video[..., :3].float().cpu())
    count, height, width = frames.shape[:3]
    if masks is not None:
        mask = fitted_mask(masks.float().cpu(), count, height, width)
    else:
        mask = frames.new_ones(1, 1, 1).expand(count, height, width) if base is None else base.mask
    if mask.shape != frames.shape[:3]:
        raise InputError(f"control_video is {_size(frames)}, the mask of sources {_size(mask)}: connect control_masks")
    if references is not None:
        pictures = tuple(letterbox_on_white(picture[..., :3].float().cpu(), width, height) for picture in references)
    else:
        pictures = () if base is None else base.references
    return Sources(frames, mask, pictures)


def _checked(frames: Any) -> Any:
    count, height, width = frames.shape[:3]
    if count % FRAME_MULTIPLE != 1 or width % SIDE_MULTIPLE or height % SIDE_MULTIPLE:
        raise InputError(f"control_video is {_size(frames)}: sides must be multiples of 16 and the length 4k + 1")
    return frames


def _size(frames: Any) -> str:
    return f"{frames.shape[2]}x{frames.shape[1]} with {frames.shape[0]} frames"


def fitted_mask(masks: Any, count: int, height: int, width: int) -> Any:
    """Masks at the video's size, stretched to it whole; one is repeated, any other number must be the video's."""
    import torch

    masks = masks[None] if masks.ndim == 2 else masks
    if masks.shape[0] not in (1, count):
        raise InputError(f"the mask holds {masks.shape[0]} frames, the video {count}: connect one or as many")
    fitted = torch.stack([cover(mask[..., None], width, height, (width, height))[..., 0] for mask in masks])
    return fitted.expand(count, height, width)


def stretched(socket: str, masks: Any, width: int, height: int) -> dict[str, list[str]] | None:
    """What a node shows of masks of another shape than the pictures that they are for; None where there is nothing."""
    if masks is None or is_same_aspect((masks.shape[-1], masks.shape[-2]), (width, height)):
        return None
    told = f"{socket} is {masks.shape[-1]}x{masks.shape[-2]} and the pictures {width}x{height}: it is stretched to them"
    return {"unison_notices": [told]}


def encode(sources: Sources, vae: Any) -> tuple[Any, Any]:
    """(vace_frames [1, 32, T', h, w], vace_mask [1, 64, T', h, w]) as the host's WanVaceToVideo leaves them.

    The host normalises vace_frames itself when it samples, so they are handed over un-normalised.
    """
    import comfy.latent_formats
    from einops import rearrange

    latents = comfy.latent_formats.Wan21()

    def normalised(clip: Any) -> Any:
        frames = rearrange((clip + 1) / 2, "1 c t h w -> t h w c")
        return latents.process_in(vae.encode(frames).float())

    with host.interruptible():
        context = encode_context(sources, normalised, host.cancelled)
    halves = (context[:, :LATENT_CHANNELS], context[:, LATENT_CHANNELS : 2 * LATENT_CHANNELS])
    import torch

    frames = torch.cat([latents.process_out(half) for half in halves], dim=1)
    return host.to_results(frames), host.to_results(context[:, 2 * LATENT_CHANNELS :])
