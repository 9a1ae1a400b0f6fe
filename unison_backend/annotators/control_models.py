"""Control maps that take weights: depth, pose and flow (control_loading.py reads these).

Networks see one frame, or two, at a time, in float32. What is particular to our maps is their scale: depth and flow are
scaled once for a whole clip (the reference scales every frame by itself, so that a resting scene flickers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count as counter
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import InputError
from ..memory import memory_errors
from ..progress import Cancel, Progress, check, never, silent
from . import control
from .control import make_map as make_map  # the one entry for all kinds of maps
from .detector import keep_best, to_uint8
from .is_map import check_video

if TYPE_CHECKING:
    from typing import Self

    import torch
    from torch import Tensor

    Device = torch.device | str

_ZOE = "zoedepth"

DEPTH_PERCENTILES = (1, 99)  # of all frames together, which become black and white
DUPLICATE_IOU = 0.7  # two boxes that overlap more are one person
FLOW_UPDATES = 20  # reference: RAFT's iterations
FLOW_LEAST = 1.0  # pixels: a clip that moves less is not painted in full colours
FLOW_MIN_SIDE, FLOW_MAX_AREA = 128, 1280 * 720  # what RAFT needs, and what the square of it still fits into a GPU

_FLAT = 1e-5  # relative: depths that differ by no more are equal but for rounding
_SAMPLES = 1 << 22  # depth values that the percentiles are taken of
_NEAREST = 1e-3  # metres: what is nearer counts as this near
_CURE = "use a smaller video or the CPU"


@dataclass
class ControlModel:
    """A loaded annotator, in eval mode and without gradients. model: the nn.Module that a host holds and moves."""

    model: Any
    kind: ClassVar[str]

    @property
    def device(self) -> torch.device:
        """Where the weights are now."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def to(self, device: Device) -> Self:
        """Move all weights; raises ResourceError when the memory is too small."""
        with memory_errors(f"moving the {self.kind} model to {device}", "use the CPU"):
            self.model.to(device)
        return self


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
        with torch.no_grad(), memory_errors("estimating depth", _CURE):
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


@dataclass
class PoseModel(ControlModel):
    """ViTPose and the RT-DETR that finds people for it. model: ModuleDict of `vitpose` and `detector`."""

    pose_processor: Any
    detector_processor: Any
    kind: ClassVar[str] = "pose"

    def make_map(self, video: Tensor, progress: Progress = silent, cancel: Cancel = never) -> tuple[Tensor, str]:
        """The map of `pose`, and what was done in a sentence, with the frames that show nobody."""
        made, empty = self.pose(video, progress=progress, cancel=cancel)
        told = "a pose map was made of the control input"
        if empty:
            told += (
                f"; nobody was found in {len(empty)} of {len(video)} frames (the first is {empty[0]}): they are black"
            )
        return made, told

    def pose(
        self, video: Tensor, *, progress: Progress = silent, cancel: Cancel = never
    ) -> tuple[Tensor, tuple[int, ...]]:
        """Everybody's limbs in colour on black, [T, H, W, 3] float32 on the CPU, and the frames that show nobody.

        People and key points count from a score of 0.3. The reference (DWPose) paints the face's outline too.
        Raises InputError when no frame shows anybody, Cancelled, ResourceError.
        """
        import torch

        numbers, empty = counter(), []

        def draw(frame: Tensor) -> Tensor:
            number = next(numbers)
            with torch.no_grad(), memory_errors("looking for people", _CURE):
                people = self._people(to_uint8(frame))
            if not any(point for person in people for point in person):
                empty.append(number)
            return control.draw_people(people, *frame.shape[:2])

        result = control.each_frame(video, draw, "pose map", progress, cancel)
        if len(empty) == next(numbers):
            raise InputError(
                f"nobody was found in any of the control input's {len(video)} frames: use footage that shows a person, "
                "follow its depth or edges instead, or set control to map if it already is a pose map"
            )
        return result, tuple(empty)

    def _people(self, pixels: Tensor) -> list[list[control.Point | None]]:
        """OpenPose's 18 key points of each person in [3, H, W] uint8."""
        import torch

        boxes = self._boxes(pixels)
        if not boxes:
            return []
        form = {"return_tensors": "pt", "input_data_format": "channels_first"}
        inputs = self.pose_processor(images=pixels, boxes=[boxes], **form).to(self.device)
        network = self.model["vitpose"]
        if network.config.backbone_config.num_experts > 1:  # ViTPose+; expert 0 is COCO's
            inputs["dataset_index"] = torch.zeros(len(boxes), dtype=torch.long, device=self.device)
        people = self.pose_processor.post_process_pose_estimation(network(**inputs), boxes=[boxes])[0]
        return [control.openpose(person["keypoints"], person["scores"]) for person in people]

    def _boxes(self, pixels: Tensor) -> list[list[float]]:
        """Left, top, width, height of each person, best first."""
        import torch

        network, (height, width) = self.model["detector"], pixels.shape[-2:]
        inputs = self.detector_processor(images=pixels, return_tensors="pt", input_data_format="channels_first")
        found = self.detector_processor.post_process_object_detection(
            network(**inputs.to(self.device)), threshold=control.POSE_THRESHOLD, target_sizes=[(height, width)]
        )[0]
        is_person = found["labels"] == person_label(network.config)
        boxes, scores = found["boxes"][is_person].float().cpu(), found["scores"][is_person].float().cpu()
        boxes = boxes[keep_best(boxes, scores, DUPLICATE_IOU)].clamp(min=0)
        boxes = boxes.minimum(torch.tensor([width, height, width, height]))
        return [[x, y, right - x, below - y] for x, y, right, below in boxes.tolist() if x < right and y < below]


def person_label(config: Any) -> int | None:
    """The number of the class "person" of a detector's config; None when it has none."""
    return next((int(label) for label, name in config.id2label.items() if str(name).lower() == "person"), None)


@dataclass
class FlowModel(ControlModel):
    """RAFT, torchvision's. model: torchvision.models.optical_flow.RAFT."""

    kind: ClassVar[str] = "flow"

    def make_map(self, video: Tensor, progress: Progress = silent, cancel: Cancel = never) -> tuple[Tensor, str]:
        """`flow`, and what was done in a sentence."""
        made = self.flow(video, progress=progress, cancel=cancel)
        return made, "a flow map was made of the control input (one scale for the whole clip)"

    def flow(self, video: Tensor, *, progress: Progress = silent, cancel: Cancel = never) -> Tensor:
        """How pixels move, as colours (`control.flow_colours`): [T, H, W, 3] float32 on the CPU.

        Frame t shows the way from t - 1 to t; frame 0 repeats frame 1, as in the reference. The longest way of the
        whole clip, but at least one pixel, gets the full colour; the reference takes each frame's longest.
        Raises InputError for fewer than two frames, Cancelled, ResourceError.
        """
        import torch
        from einops import rearrange

        check_video(video)
        if len(video) < 2:
            raise InputError("flow needs at least two frames: use a video, or follow depth or edges of a picture")
        result, longest = torch.empty(video.shape), FLOW_LEAST
        try:
            with torch.no_grad(), memory_errors("estimating flow", _CURE):
                for number in range(1, len(video)):
                    check(cancel, "flow map")
                    flow = self._between(video[number - 1], video[number])
                    longest = max(longest, float(flow.norm(dim=0).max()))
                    result[number, ..., :2] = rearrange(flow, "xy h w -> h w xy")
                    progress("flow map", number, len(video) - 1)
        finally:
            self.model.corr_block.corr_pyramid = []  # RAFT keeps the last pair's, of up to a gigabyte
        for painted in result[1:]:
            painted[:] = control.flow_colours(rearrange(painted[..., :2], "h w xy -> xy h w"), longest)
        result[0] = result[1]
        return result

    def _between(self, before: Tensor, after: Tensor) -> Tensor:
        """[2, H, W] float32 on the CPU, from two frames [H, W, 3]: right and down, in pixels."""
        import torch
        from einops import rearrange
        from torch.nn import functional

        pair = rearrange([before, after], "t h w c -> t c h w").to(self.device, torch.float32) * 2 - 1
        height, width = pair.shape[-2:]
        shrink = min(1.0, (FLOW_MAX_AREA / (height * width)) ** 0.5)
        rows, columns = (max(1, round(n * shrink)) for n in (height, width))
        if shrink < 1:
            pair = functional.interpolate(pair, (rows, columns), mode="bilinear", antialias=True)
        down, right = (max(FLOW_MIN_SIDE, -(-n // 8) * 8) - n for n in (rows, columns))
        top, left = down // 2, right // 2
        padded = functional.pad(pair, (left, right - left, top, down - top), mode="replicate")
        flow = self.model(padded[:1], padded[1:], num_flow_updates=FLOW_UPDATES)[-1]
        flow = flow[..., top : top + rows, left : left + columns]
        if shrink < 1:
            longer = flow.new_tensor([width / columns, height / rows])[:, None, None]
            flow = functional.interpolate(flow, (height, width), mode="bilinear") * longer
        result: Tensor = flow[0].float().cpu()
        return result
