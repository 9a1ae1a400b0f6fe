"""Boxes for words: GroundingDINO in transformers' form, from a local folder or its authors' one file.

What is unusual: the folder's small files and weight headers are checked before a weight is read, and weights that are
missing are an error (transformers would draw them at random). It always runs in float32: in bf16 other queries
are selected. Nothing is asked of the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ..defaults import DETECTION_THRESHOLD, NMS_IOU, TEXT_THRESHOLD
from ..errors import InputError, WeightsError
from ..media.to_bytes import tensor_to_bytes
from ..memory import memory_errors
from ..progress import Cancel, Progress, never, silent
from ..progress import check as check_cancelled
from ..weights.find import single_files
from ..weights.folder import check_folder, configured, load_model, load_part, model_type, refuse_missing
from ..weights.small_json import read_json
from . import detector_file

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Device = torch.device | str

DETECTOR_TYPE = "grounding-dino"
KEY = "detector"

_STAGE = "detection"
_CURE = "use a smaller picture or the CPU"


@dataclass(frozen=True)
class Detection:
    """A box (left, top, right, bottom in pixels, clipped to the picture), the words that it fits, and how well (0..1).

    label: the words of the phrases that score above the text threshold; "" where none does.
    """

    box: tuple[float, float, float, float]
    label: str
    score: float


@dataclass
class Detector:
    """A loaded GroundingDINO, in eval mode and without gradients. model: GroundingDinoForObjectDetection."""

    model: Any
    processor: Any

    @property
    def device(self) -> torch.device:
        """Where the weights are now."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def to(self, device: Device) -> Detector:
        """Move all weights; raises ResourceError when the memory is too small."""
        with memory_errors(f"moving the detector to {device}", "use the CPU"):
            self.model.to(device)
        return self

    def detect(
        self,
        frames: Sequence[Tensor],
        phrases: Sequence[str],
        *,
        threshold: float = DETECTION_THRESHOLD,
        text_threshold: float = TEXT_THRESHOLD,
        nms: float = NMS_IOU,
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> list[list[Detection]]:
        """For each frame ([H, W, 3] float32 0..1, of any sizes) the boxes that fit any of the phrases, best first.

        threshold: boxes score more than this (0..1). text_threshold: so do the words in a label. nms: of boxes that
        overlap more than this (intersection over union), whatever their words, only the best stays.
        Raises InputError for an empty phrase, too many words, a bad threshold or frame; Cancelled; ResourceError.
        """
        import torch

        values = {"threshold": threshold, "text_threshold": text_threshold, "nms": nms}
        if bad := [f"{name} is {value}" for name, value in values.items() if not 0 <= value <= 1]:
            raise InputError(f"{bad[0]}; it lies between 0 and 1")
        text = caption(phrases)
        self._check_length(text)
        found = []
        for number, frame in enumerate(frames):
            check_cancelled(cancel, _STAGE)
            with torch.no_grad(), memory_errors("looking for things in a picture", _CURE):
                found.append(self._detect(to_uint8(frame), text, threshold, text_threshold, nms))
            progress(_STAGE, number + 1, len(frames))
        return found

    def _check_length(self, text: str) -> None:
        # the model would cut the words off and its processor would still count them
        count, most = len(self.processor.tokenizer(text)["input_ids"]), self.model.config.max_text_len
        if count > most:
            raise InputError(f"the phrases are {count} tokens long, the detector reads {most}: use fewer words")

    def _detect(self, frame: Tensor, text: str, threshold: float, text_threshold: float, nms: float) -> list[Detection]:
        """frame: [3, H, W] uint8."""
        import torch

        inputs = self.processor(images=frame, text=text, return_tensors="pt", input_data_format="channels_first")
        outputs = self.model(**inputs.to(self.device))
        height, width = frame.shape[-2:]
        # On the CPU: labels are read box by box, and each look at a GPU would wait for it
        result = self.processor.post_process_grounded_object_detection(
            SimpleNamespace(logits=outputs.logits.cpu(), pred_boxes=outputs.pred_boxes.cpu()),
            inputs["input_ids"].cpu(),
            threshold=threshold,
            text_threshold=text_threshold,
            target_sizes=[(height, width)],
        )[0]
        boxes, scores = result["boxes"], result["scores"]
        kept = keep_best(boxes, scores, nms)
        clipped = boxes[kept].clamp(min=0).minimum(torch.tensor([width, height, width, height])).tolist()
        # Words are taken by index: with no boxes at all there is still one (empty) label.
        return [
            Detection((left, top, right, bottom), _words(result["text_labels"][i]), float(scores[i]))
            for i, (left, top, right, bottom) in zip(kept.tolist(), clipped, strict=True)
            if left < right and top < bottom
        ]


def caption(phrases: Sequence[str]) -> str:
    """The phrases as GroundingDINO reads them: lower case, each ending with a dot. Raises InputError for an empty one.

    Dots and question marks inside a phrase become spaces, because the model ends phrases at them.
    """
    cleaned = [" ".join(re.sub(r"[.?]", " ", phrase.lower()).split()) for phrase in phrases]
    if not cleaned or "" in cleaned:
        raise InputError("a phrase to look for is empty: name the thing, for example 'red car'")
    return " ".join(f"{phrase}." for phrase in cleaned)


def _words(label: str) -> str:
    """A label without the dots and the tokenizer's own tokens that score as words do."""
    return " ".join(re.sub(r"\[(CLS|SEP|PAD|UNK)\]|\.", " ", label, flags=re.IGNORECASE).split())


def to_uint8(frame: Tensor) -> Tensor:
    """[H, W, 3] in 0..1 as [3, H, W] uint8: transformers would rescale floats once more, and silently."""
    from einops import rearrange

    if frame.ndim != 3 or frame.shape[-1] != 3 or not frame.numel():
        raise InputError(f"a frame is of shape {list(frame.shape)}; expected is [height, width, 3]")
    return rearrange(tensor_to_bytes(frame), "h w c -> c h w")


def keep_best(boxes: Tensor, scores: Tensor, overlap: float) -> Tensor:
    """Non-maximum suppression: indices, best first, of boxes that overlap no better kept one by more than `overlap`.

    boxes: [N, 4] left, top, right, bottom. scores: [N]; the earlier of two equal ones counts as better. overlap:
    intersection over union. Equal to torchvision.ops.nms, which a host need not have.
    """
    import torch

    order = scores.argsort(descending=True, stable=True)
    boxes = boxes[order]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    start, end = torch.maximum(boxes[:, None, :2], boxes[:, :2]), torch.minimum(boxes[:, None, 2:], boxes[:, 2:])
    shared = (end - start).clamp(min=0).prod(-1)
    duplicate = shared / (area[:, None] + area - shared) > overlap
    kept = torch.ones(len(boxes), dtype=torch.bool)
    for i in range(len(boxes)):
        if kept[i]:
            kept[i + 1 :] &= ~duplicate[i, i + 1 :]
    return order[kept]


def find(files: Sequence[Path]) -> Iterator[Path]:
    """The GroundingDINOs among files of a models folder: folders, and behind them published files."""
    yield from configured(files, (DETECTOR_TYPE,))
    yield from single_files(files, KEY)


def check(path: Path) -> None:
    """Raise WeightsError unless the folder or file is whole."""
    if Path(path).is_file():
        detector_file.check(Path(path))
    else:
        check_folder(path, (DETECTOR_TYPE,), "GroundingDINO")


def is_detector_folder(folder: Path) -> bool:
    """Whether `folder` says that it is a GroundingDINO; reads its config.json only and never raises."""
    return model_type(folder) == DETECTOR_TYPE


def load_detector(folder: Path, *, device: Device = "cpu") -> Detector:
    """The GroundingDINO in `folder` (transformers' layout), or in one file as its authors publish it, in float32.

    Raises WeightsError naming the file that is missing, damaged or wrong and what to do, UnsupportedError for a
    library that is missing, ResourceError when the memory is too small.
    """
    from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

    if Path(folder).is_file():
        return Detector(*detector_file.load(Path(folder))).to(device)
    path = check_folder(folder, (DETECTOR_TYPE,), "GroundingDINO")
    config = read_json(path / "config.json")
    if config.get("use_pretrained_backbone") or config.get("use_timm_backbone"):
        raise WeightsError(f"{path / 'config.json'} takes a backbone from elsewhere; get a folder that has it inside")
    if (path / "tokenizer.json").is_file():
        read_json(path / "tokenizer.json")  # of a damaged one transformers 4 says that protobuf is missing
    elif not (path / "vocab.txt").is_file():
        raise WeightsError(f"{path} has no tokenizer.json or vocab.txt; download the complete folder")
    processor = load_part(GroundingDinoProcessor, path)
    model, missing = load_model(
        GroundingDinoForObjectDetection, path, dtype="float32", attn_implementation=detector_file.ATTENTION
    )
    refuse_missing(path, missing)
    return Detector(model, processor).to(device)
