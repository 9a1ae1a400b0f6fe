"""Depth maps: Depth-Anything, DPT or ZoeDepth, one scale for a whole clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...memory import memory_errors
from ...progress import Cancel, Progress, check, never, silent
from ..detector import to_uint8
from .is_map import check_video
from .make import make_map as make_map  # the one entry for all kinds of maps
from .model import CURE, ControlModel
from .parts import load_network

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Device = torch.device | str

if TYPE_CHECKING:
    import torch
    from torch import Tensor


DEPTH_TYPES = ("depth_anything", "dpt", "zoedepth")


def load_depth(folder: Path, *, device: Device = "cpu") -> DepthModel:
    """The Depth-Anything, DPT or ZoeDepth in `folder` (transformers' layout).

    Raises WeightsError naming the file that is missing, damaged or wrong and what to do, UnsupportedError for a
    library that is missing, ResourceError when the memory is too small. So do the loaders of pose and flow.
    """
    from transformers import AutoModelForDepthEstimation

    return DepthModel(*load_network(folder, DEPTH_TYPES, "depth model", AutoModelForDepthEstimation)).to(device)


_ZOE = "zoedepth"

DEPTH_PERCENTILES = (1, 99)  # of all frames together, which become black and white

_FLAT = 1e-5  # relative: depths that differ by no more are equal but for rounding
_SAMPLES = 1 << 22  # depth values that the percentiles are taken of
_NEAREST = 1e-3  # metres: what is nearer counts as this near


@dataclass
class DepthModel(ControlModel):
    """Depth-Anything, DPT or ZoeDepth. model: transformers' ...ForDepthEstimation of these."""

    processor: Any
    kind: ClassVar[str] = "depth"

    def make_map(self, video: Tensor, progress: Progress = silent, cancel: Cancel = never) -> tuple[Tensor, str]:
        """`depth`, and what was done in a sentence."""
        made = self.depth(video, progress=progress, cancel=cancel)
        return made, "a depth map was made of the control input (near = white, one scale for the whole clip)"

    def depth(self, video: Tensor, *, progress: Progress = silent, cancel: Cancel = never) -> Tensor:
        """Nearness as grey, near = white: [T, H, W, 3] float32 on the CPU, as `video` is (0..1).

        Black and white are the 1st and 99th percentile of the whole clip (where these are equal, its least and most;
        where those are, all is mid grey), so frames keep their relation. What the network itself takes for nearer in
        one frame than in the next stays. The reference uses least and most of each frame.
        Raises InputError, Cancelled, ResourceError.
        """
        import torch
        from torch.nn import functional

        check_video(video)
        moving = video[:1] if video.stride(0) == 0 else video  # a repeated still is looked at once
        seen: list[Tensor] = []
        with torch.no_grad(), memory_errors("estimating depth", CURE):
            for number, frame in enumerate(moving):
                check(cancel, "depth map")
                seen.append(self._nearness(frame))
                progress("depth map", number + 1, len(moving))
            low, high = clip_range(seen)
            result = torch.empty(moving.shape)
            for number, values in enumerate(seen):
                sized = functional.interpolate(values[None, None], moving.shape[1:3], mode="bilinear")[0, 0, ..., None]
                result[number] = ((sized - low) / (high - low)).clamp(0, 1) if high > low else 0.5
        return result.expand(video.shape)

    def _nearness(self, frame: Tensor) -> Tensor:
        """[h, w] float32 on the CPU, in the network's own size and scale; larger is nearer."""
        inputs = self.processor(images=to_uint8(frame), return_tensors="pt", input_data_format="channels_first")
        outputs = self.model(**inputs.to(self.device))
        predicted: Tensor = outputs.predicted_depth[0]
        if self.model.config.model_type == _ZOE:  # its processor pads the frame, and takes that off again
            made = self.processor.post_process_depth_estimation(outputs, source_sizes=[tuple(frame.shape[:2])])
            predicted = made[0]["predicted_depth"]
        predicted = predicted.float().cpu()
        return 1 / predicted.clamp(min=_NEAREST) if self._is_metric else predicted

    @property
    def _is_metric(self) -> bool:
        """Whether the network gives distances; Depth-Anything and MiDaS's DPT give nearness."""
        config = self.model.config
        if config.model_type == "dpt":  # facebook/dpt-dinov2-*, trained on NYU and KITTI
            return bool(getattr(config.backbone_config, "model_type", "") == "dinov2")
        return bool(config.model_type == _ZOE or config.depth_estimation_type == "metric")


def clip_range(maps: Sequence[Tensor]) -> tuple[float, float]:
    """What becomes black and white: percentiles over all maps [h, w], taken on a grid where there are many values."""
    import numpy as np

    step = max(1, round((sum(values.numel() for values in maps) / _SAMPLES) ** 0.5))
    values = np.concatenate([values[::step, ::step].flatten().numpy() for values in maps])
    low, high = map(float, np.percentile(values, DEPTH_PERCENTILES))
    if high - low <= _FLAT * max(abs(low), abs(high)):
        low, high = float(values.min()), float(values.max())
    return (low, high) if high - low > _FLAT * max(abs(low), abs(high)) else (low, low)
