"""Depth maps: Depth-Anything, DPT or ZoeDepth, one scale for a whole clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...memory import memory_errors
from ...progress import Cancel, Progress, never, silent
from ...progress import check as check_cancelled
from ...weights.find import is_single_file, single_files
from ...weights.folder import check_folder, configured, model_type
from ..detector import to_uint8
from . import depth_file
from .frames import check_video
from .model import CURE, ControlModel
from .parts import load_network
from .statistics import is_grey, is_lines

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .statistics import Pixels

    Device = torch.device | str


DEPTH_TYPES = ("depth_anything", "dpt", "zoedepth")
WHAT = "a folder with a Depth-Anything, DPT or ZoeDepth, or a Depth-Anything file"


def is_model(path: Path) -> bool:
    """Whether a folder's config.json names one of `DEPTH_TYPES`, or a file is called Depth-Anything."""
    return model_type(path) in DEPTH_TYPES or is_single_file(path, "depth")


is_meant = is_model


def find(files: Sequence[Path]) -> Iterator[Path]:
    """The folders of depth models, in the order of `DEPTH_TYPES`, and behind them published files."""
    yield from configured(files, DEPTH_TYPES)
    yield from single_files(files, "depth")


def check(path: Path) -> None:
    """Raise WeightsError unless the folder or file is whole."""
    if Path(path).is_file():
        depth_file.check(Path(path))
    else:
        check_folder(path, DEPTH_TYPES, "depth model")


def load(folder: Path, *, device: Device = "cpu") -> DepthModel:
    """The Depth-Anything, DPT or ZoeDepth in `folder` (transformers' layout), or a Depth-Anything in one file.

    Raises WeightsError naming the file that is missing, damaged or wrong and what to do, UnsupportedError for a
    library that is missing, ResourceError when the memory is too small. So do the loaders of pose and flow.
    """
    from transformers import AutoModelForDepthEstimation

    if Path(folder).is_file():
        return DepthModel(*depth_file.load(Path(folder))).to(device)
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
                check_cancelled(cancel, "depth map")
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


# Footage that already is such a map; values are of pixels in 0..1, shares of a frame's pixels.
_SMOOTH, _SMOOTH_SHARE = 3 / 255, 0.25  # steps between neighbours that a depth map mostly stays under
_STEEP, _STEEP_SHARE = 12 / 255, 0.06  # and that only its outlines exceed
_MIDDLE, _MIDDLE_SHARE = 0.08, 0.2  # so many are not this close to black or white, as a mask's are


def looks_like(frame: Pixels) -> bool:
    """Grey and smooth but for outlines: a photograph has grain and texture."""
    import numpy as np

    shade = frame.mean(-1)
    middle = ((shade > _MIDDLE) & (shade < 1 - _MIDDLE)).mean()
    if min(shade.shape) < 2 or middle < _MIDDLE_SHARE or not is_grey(frame) or is_lines(frame):
        return False
    steps = np.abs(np.diff(shade, axis=0))[:, 1:] + np.abs(np.diff(shade, axis=1))[1:]
    return bool((steps > _SMOOTH).mean() < _SMOOTH_SHARE and (steps > _STEEP).mean() < _STEEP_SHARE)
