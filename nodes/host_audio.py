"""A source's sound as the host's AUDIO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .plan_socket import BoundPlan


def kept(bound: BoundPlan) -> Any:
    """The sound of the video that decides the length, while the output lasts as long; else None.

    Of a clip that goes on its sound in its place, with silence beside it.
    """
    plan = bound.plan
    if bound.spec.clips:
        return _in_place(bound)
    index = plan.source if plan.source is not None else plan.control_medium
    if index is None or not bound.spec.keeps_length:
        return None
    return _of(bound, index)


def _of(bound: BoundPlan, index: int) -> Any:
    """The sound of a medium, None for one without."""
    if not bound.media.info(index).has_audio:
        return None
    sound = bound.media.sound(index)
    return read(sound) if isinstance(sound, Path) else sound


def _in_place(bound: BoundPlan) -> Any:
    """The first clip's sound that there is, as long as the result: silence before and behind it."""
    import torch

    spec = bound.spec
    for clip in spec.clips:
        if (sound := _of(bound, clip.medium)) is None:
            continue
        wave, rate = sound["waveform"], sound["sample_rate"]
        whole = wave.new_zeros(*wave.shape[:2], round((spec.kept_frames or 0) / bound.fps * rate))
        start = round(clip.start / bound.fps * rate)
        room = max(0, min(wave.shape[2], whole.shape[2] - start, round(len(clip.frames) / bound.fps * rate)))
        whole[..., start : start + room] = wave[..., :room]
        return {"waveform": torch.as_tensor(whole), "sample_rate": rate}
    return None


def left_out(bound: BoundPlan) -> list[str]:
    """The clips that go on whose sound has no place, since an earlier one has it."""
    heard = [clip for clip in bound.spec.clips if bound.media.info(clip.medium).has_audio]
    return [f"the sound of {bound.media.label(clip.medium)} is left out: it has one already" for clip in heard[1:]]


def read(path: Path) -> Any:
    """A file's first sound track: {"waveform": [1, channels, samples] float32, "sample_rate": Hz}."""
    import av
    import torch

    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout=stream.layout.name)
        parts = [part.to_ndarray() for frame in container.decode(stream) for part in resampler.resample(frame)]
        rate = stream.rate
    if not parts:
        return None
    waveform = torch.cat([torch.from_numpy(part) for part in parts], dim=1)[None]
    return {"waveform": waveform, "sample_rate": rate}
