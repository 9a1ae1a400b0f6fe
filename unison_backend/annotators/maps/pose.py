"""Pose maps: persons by RT-DETR, their key points by ViTPose, drawn as OpenPose figures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count as counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import InputError, WeightsError
from ...memory import memory_errors
from ...progress import Cancel, Progress, never, silent
from ...weights.folder import CONFIG, check_folder, model_type
from ...weights.needs import describe, need_of
from ..detector import keep_best, to_uint8
from .drawing import POSE_THRESHOLD, Point, draw_people, openpose
from .frames import each_frame
from .model import CURE, ControlModel
from .parts import load_network
from .statistics import THICK_SHARE, spread, thick_share

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .statistics import Pixels

    Device = torch.device | str


POSE_TYPE, PERSON_TYPE = "vitpose", "rt_detr"

_COCO_POINTS = 17
_OTHER_FORMS = re.compile(r"dw-?pose|dw-ll_|yolox|rtmpose|rtmw|vitpose|body_pose|openpose")


WHAT = "a folder that holds the folders of a ViTPose and an RT-DETR"


def is_model(path: Path) -> bool:
    """Whether a folder holds the folders of both models."""
    return {POSE_TYPE, PERSON_TYPE} <= _types_in(path)


def is_meant(path: Path) -> bool:
    """Whether a folder holds the folder of one of the two."""
    return bool({POSE_TYPE, PERSON_TYPE} & _types_in(path))


def _types_in(path: Path) -> set[str]:
    return {model_type(child) for child in path.iterdir()} if path.is_dir() else set()


def is_other_form(path: Path) -> bool:
    """Whether a file, by its name, is a pose network in a form that is not read here (DWPose's, a ViTPose's own)."""
    return not path.is_dir() and bool(_OTHER_FORMS.search(path.name.lower()))


def find(files: Sequence[Path]) -> Iterator[Path]:
    """The folders that hold both folders."""
    places = dict.fromkeys(file.parent.parent for file in files if file.name == CONFIG)
    return filter(is_model, places)


def check(path: Path) -> None:
    """Raise WeightsError unless both folders are whole."""
    for part, kind in zip(pose_parts(path), (POSE_TYPE, PERSON_TYPE), strict=True):
        check_folder(part, (kind,), kind)


def load(folder: Path, detector: Path | None = None, *, device: Device = "cpu") -> PoseModel:
    """The ViTPose in `folder` and the RT-DETR in `detector`; without the latter, both are folders inside `folder`."""
    import torch
    from transformers import RTDetrForObjectDetection, VitPoseForPoseEstimation

    path = Path(folder)
    if detector is None:
        path, detector = pose_parts(path)
    network, processor = load_network(path, (POSE_TYPE,), "ViTPose", VitPoseForPoseEstimation)
    finder, finder_processor = load_network(detector, (PERSON_TYPE,), "RT-DETR", RTDetrForObjectDetection)
    if network.config.num_labels != _COCO_POINTS:
        raise WeightsError(f"{path} finds {network.config.num_labels} key points; get a ViTPose that finds COCO's 17")
    if person_label(finder.config) is None:
        raise WeightsError(f"{detector} does not know persons; get an RT-DETR that was trained on COCO")
    both = torch.nn.ModuleDict({"vitpose": network, "detector": finder}).eval()
    return PoseModel(both, processor, finder_processor).to(device)


def pose_parts(folder: Path) -> tuple[Path, Path]:
    """The folders with the ViTPose and the RT-DETR: `vitpose` and `detector`, or the first by name of their type."""
    if not folder.is_dir():
        raise WeightsError(f"{folder} is {'a file' if folder.exists() else 'not there'}; give a folder")
    children = sorted(folder.iterdir(), key=lambda p: (p.name not in ("vitpose", "detector"), p.name))
    found = {model_type(child): child for child in reversed(children)}
    for kind, name in ((POSE_TYPE, "ViTPose"), (PERSON_TYPE, "RT-DETR")):
        if kind not in found:
            raise WeightsError(
                f"{folder} has no folder with a {name} in it; what it takes: {describe(need_of('pose'))}"
            )
    return found[POSE_TYPE], found[PERSON_TYPE]


DUPLICATE_IOU = 0.7  # two boxes that overlap more are one person


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
            with torch.no_grad(), memory_errors("looking for people", CURE):
                people = self._people(to_uint8(frame))
            if not any(point for person in people for point in person):
                empty.append(number)
            return draw_people(people, *frame.shape[:2])

        result = each_frame(video, draw, "pose map", progress, cancel)
        if len(empty) == next(numbers):
            raise InputError(
                f"nobody was found in any of the control input's {len(video)} frames: use footage that shows a person, "
                "follow its depth or edges instead, or set control to map if it already is a pose map"
            )
        return result, tuple(empty)

    def _people(self, pixels: Tensor) -> list[list[Point | None]]:
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
        return [openpose(person["keypoints"], person["scores"]) for person in people]

    def _boxes(self, pixels: Tensor) -> list[list[float]]:
        """Left, top, width, height of each person, best first."""
        import torch

        network, (height, width) = self.model["detector"], pixels.shape[-2:]
        inputs = self.detector_processor(images=pixels, return_tensors="pt", input_data_format="channels_first")
        found = self.detector_processor.post_process_object_detection(
            network(**inputs.to(self.device)), threshold=POSE_THRESHOLD, target_sizes=[(height, width)]
        )[0]
        is_person = found["labels"] == person_label(network.config)
        boxes, scores = found["boxes"][is_person].float().cpu(), found["scores"][is_person].float().cpu()
        boxes = boxes[keep_best(boxes, scores, DUPLICATE_IOU)].clamp(min=0)
        boxes = boxes.minimum(torch.tensor([width, height, width, height]))
        return [[x, y, right - x, below - y] for x, y, right, below in boxes.tolist() if x < right and y < below]


def person_label(config: Any) -> int | None:
    """The number of the class "person" of a detector's config; None when it has none."""
    return next((int(label) for label, name in config.id2label.items() if str(name).lower() == "person"), None)


# Footage that already is such a map; values are of pixels in 0..1, shares of a frame's pixels.
_NIGHT, _NIGHT_SHARE = 0.06, 0.85  # the ground is this dark
_LIMB, _LIMB_SHARES, _LIMB_COLOUR = 0.2, (0.0005, 0.15), 0.5  # what is lighter, and is mostly this saturated
_HUES, _HUE_SHARE = 4, 0.02  # of twelve hues, each with this share of the coloured pixels


def looks_like(frame: Pixels) -> bool:
    """Black, with a few thin lines in several full colours."""
    import numpy as np

    value = frame.max(-1)
    limbs = value > _LIMB
    low, high = _LIMB_SHARES
    if not ((value < _NIGHT).mean() > _NIGHT_SHARE and low < limbs.mean() < high):
        return False
    coloured = frame[limbs & (spread(frame) > _LIMB_COLOUR * value)]
    if len(coloured) < _LIMB_COLOUR * limbs.sum() or thick_share(limbs) > THICK_SHARE:
        return False
    hues = np.bincount(_hue(coloured), minlength=12)
    return bool((hues > _HUE_SHARE * hues.sum()).sum() >= _HUES)


def _hue(pixels: Pixels) -> Any:
    """[N, 3] colours to twelfths of the colour wheel, 0..11."""
    import numpy as np

    red, green, blue = pixels.T
    angle = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)
    return np.floor(angle / (2 * np.pi) * 12).astype(int) % 12
