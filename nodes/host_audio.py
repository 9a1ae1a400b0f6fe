"""A source's sound as the host's AUDIO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .plan_socket import BoundPlan


def kept(bound: BoundPlan) -> Any:
    """The sound of the video that decides the length, while the output lasts as long; else None."""
    plan = bound.plan
    index = plan.source if plan.source is not None else plan.control_medium
    if index is None or not bound.spec.keeps_length or not bound.media.info(index).has_audio:
        return None
    sound = bound.media.sound(index)
    return read(sound) if isinstance(sound, Path) else sound


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
