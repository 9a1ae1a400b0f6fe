"""The planner's media sockets: what is connected, by name, as an instruction's media.

A socket fixes the kind: every picture of an IMAGE batch on `image1` is a medium of its own, an IMAGE batch on
`video1` is one video. A mask that marks nothing is what LoadImage gives for an opaque picture: it does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..unison_backend.errors import InputError
from ..unison_backend.media.from_tensors import Footage, Item, Still, TensorMedia, footage, still
from ..unison_backend.plan.prompt import Medium, Prompt, bind_names, sockets_named
from ..unison_backend.plan.spec import Reason, Reasons
from ..unison_backend.plan.tasks import Make
from ..unison_backend.planner.at_hand import AtHand, MediaUse

# More pictures on one socket than this are a clip on the wrong socket.
MAX_PICTURES = 16
MAX_DENOMINATOR = 1001


@dataclass
class SocketMedia:
    """What is connected: media by socket, their pixels by medium name, and what there is to say about them."""

    media: dict[str, list[Medium]] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    empty_masks: list[str] = field(default_factory=list)

    def bind(self, instruction: str, use: MediaUse = "all", make: Make = "auto") -> tuple[Prompt, TensorMedia, Reasons]:
        """The instruction with its media in it, and why these. Raises PromptError, InputError.

        use: whether media take part that the words do not name. make: what the person wants of it.
        """
        for name in self.empty_masks:
            if name in sockets_named(instruction):
                raise InputError(f"the instruction names <{name}>, but that mask is all black: paint the place white")
        # Where only what is named takes part, a picture's own mask is connected all the time, and mostly unpainted.
        unpainted = [f"{name} marks nothing (all black): it counts as not connected" for name in self.empty_masks]
        reasons: Reasons = tuple(Reason("mask", told, use == "all") for told in unpainted)
        if use == "named":
            sizes = {name: (item.info.width, item.info.height) for name, item in self.items.items()}
            prompt, why = AtHand(self.media, sizes).meant_by(instruction, make)
            return prompt, TensorMedia(prompt, self.items), (*why, *reasons)
        prompt = bind_names(instruction, self.media)
        return prompt, TensorMedia(prompt, self.items), reasons

    def add(self, socket: str, name: str, item: Item, *, is_mask: bool = False) -> None:
        """One more medium on `socket`."""
        self.media.setdefault(socket, []).append(Medium(item.info.kind, name=name, is_mask=is_mask))
        self.items[name] = item


def collect(
    images: Mapping[str, Any], videos: Mapping[str, Any], masks: Mapping[str, Any], video_fps: float
) -> SocketMedia:
    """The connected sockets (None: not connected). `video_fps` is the rate of videos that come as IMAGE batches."""
    found = SocketMedia()
    for socket, batch in _connected(images):
        if len(batch) > MAX_PICTURES:
            raise InputError(f"{socket} holds {len(batch)} pictures, at most {MAX_PICTURES}: connect a clip to video1")
        for number, picture in enumerate(batch):
            name = socket if number == 0 else f"{socket} #{number + 1}"
            found.add(socket, name, still(picture, name))
    fps = Fraction(video_fps).limit_denominator(MAX_DENOMINATOR)
    clips = [(socket, video_item(video, fps, socket)) for socket, video in _connected(videos)]
    for socket, clip in clips:
        found.add(socket, socket, clip)
    # A mask says no rate of its own: its frames belong to the first video's, one by one.
    rate = (clips[0][1].info.fps if clips else None) or fps
    for socket, mask in _connected(masks):
        if not bool((mask > 0).any()):
            found.empty_masks.append(socket)
            continue
        found.add(socket, socket, mask_item(mask, rate, socket), is_mask=True)
    return found


def _connected(sockets: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in sockets.items() if value is not None)


def mask_item(mask: Any, fps: Fraction, label: str) -> Item:
    """A MASK [H, W] or [T, H, W]: one frame is a still, more are a video."""
    if mask.ndim == 2 or mask.shape[0] == 1:
        return still(mask.reshape(mask.shape[-2:]), label)
    return footage(mask, fps, label)


def video_item(video: Any, fps: Fraction, label: str) -> Footage:
    """A VIDEO, or an IMAGE batch at `fps`. A whole file is read frame by frame; other videos are held in memory."""
    if hasattr(video, "shape"):
        return footage(video, fps, label)
    if (path := whole_file(video)) is not None:
        return _file_item(path)
    components = video.get_components()
    return footage(components.images, Fraction(components.frame_rate), label, components.audio)


def whole_file(video: Any) -> Path | None:
    """The file behind a VIDEO, when the VIDEO is that file from start to end."""
    from comfy_api.latest import InputImpl

    if type(video) is not InputImpl.VideoFromFile:
        return None
    window: Sequence[float] = getattr(video, "get_active_trim_window", lambda: (0, 0))()
    source = video.get_stream_source()
    return Path(source) if isinstance(source, str) and not any(window) else None


def _file_item(path: Path) -> Footage:
    import torch

    from ..unison_backend.media.probe import iter_frames, probe

    def read(indices: Sequence[int], cancel: Any, *, as_mask: bool = False, fit: Any = None) -> Iterator[Any]:
        frames = iter_frames(path, indices, cancel, as_mask=as_mask, fit=fit)
        return (torch.from_numpy(frame) for frame in frames)

    info = probe(path, "video")
    return Footage(info, read, path if info.has_audio else None)


def still_item(picture: Any, label: str) -> Still:
    """The one picture of an IMAGE socket; raises InputError for a batch."""
    if picture.shape[0] != 1:
        raise InputError(f"{label} holds {picture.shape[0]} pictures: connect one")
    return still(picture[0], label)
