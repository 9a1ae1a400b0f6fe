"""Masks for boxes, points or masks in a picture, followed through a video: SAM2 in transformers' form.

What is unusual: one folder of the video model serves pictures too, by its public parts (image embeddings, prompt
embeddings, mask decoder). A video never lies in the session as a whole: the session is given a sequence that makes a
frame when it is asked for it, and after each frame everything that the model cannot look at again is dropped. Masks
are the same, to the bit, as with all of it kept (tests/unit/annotators/test_segmenter.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, UnsupportedError
from ..memory import memory_errors
from ..progress import Cancel, Progress, never, silent
from ..progress import check as check_cancelled
from ..weights.find import single_files
from ..weights.folder import check_folder, configured, load_model, load_part, model_type, refuse_missing
from . import sam2_file
from .detector import to_uint8

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Device = torch.device | str
    Box = Sequence[float]
    Point = Sequence[float]

KEY = "segmenter"  # in the table of models
VIDEO_TYPE, IMAGE_TYPE = "sam2_video", "sam2"
DTYPES = {"fp32": "float32", "bf16": "bfloat16"}  # transformers keeps memories in bf16, which fp16 does not mix with

# A mask as logits, as SAM2 itself turns one into them (transformers' modeling_sam2_video.py, _use_mask_as_output).
_MASK_SCALE, _MASK_BIAS = 20.0, -10.0

_STAGE = "tracking"
_CURE = "mark fewer things, use bf16 or the CPU"
_TIED = "prompt_encoder.shared_embedding.positional_embedding"


@dataclass(frozen=True)
class _Prompt:
    """What marks the objects: boxes (one object each), points with labels or a mask (one object), in a W x H frame."""

    boxes: list[list[float]]
    points: list[list[float]]
    labels: list[int]
    mask: Tensor | None

    @property
    def coordinates(self) -> dict[str, Any]:
        """Boxes or points as the processor nests them; empty for a mask."""
        if self.boxes:
            return {"input_boxes": [self.boxes]}
        return {"input_points": [[self.points]], "input_labels": [[self.labels]]} if self.points else {}


@dataclass
class Segmenter:
    """A loaded SAM2, in eval mode and without gradients. model: Sam2VideoModel, or Sam2Model (pictures only)."""

    model: Any
    processor: Any

    @property
    def device(self) -> torch.device:
        """Where the weights are now."""
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are."""
        dtype: torch.dtype = next(self.model.parameters()).dtype
        return dtype

    @property
    def follows(self) -> bool:
        """Whether `track` works on more than one frame."""
        return bool(self.model.config.model_type == VIDEO_TYPE)

    def to(self, device: Device) -> Segmenter:
        """Move all weights; raises ResourceError when the memory is too small."""
        with memory_errors(f"moving the segmenter to {device}", "use bf16 or the CPU"):
            self.model.to(device)
        return self

    def segment(
        self,
        image: Tensor,
        *,
        boxes: Sequence[Box] = (),
        points: Sequence[Point] = (),
        labels: Sequence[int] = (),
        mask: Tensor | None = None,
    ) -> Tensor:
        """Masks [N, H, W] bool on the CPU, in a picture [H, W, 3] float32 0..1.

        boxes: left, top, right, bottom in pixels, one mask each. points: x, y in pixels, all of one object; labels: 1
        where a point is in it, 0 where not (none = all in it). mask: [H, W] over 0.5 where the object roughly is.
        Raises InputError unless exactly one of the three is given, and fits the picture; ResourceError.
        """
        import torch

        frame = to_uint8(image)
        prompt = _prompt(frame, boxes, points, labels, mask)
        with torch.no_grad(), memory_errors("segmenting a picture", _CURE):
            return self._segment(frame, prompt)

    def _segment(self, frame: Tensor, prompt: _Prompt) -> Tensor:
        """frame: [3, H, W] uint8."""
        import torch

        inputs = self._process(frame, **prompt.coordinates).to(self.device)
        embeddings = self.model.get_image_embeddings(inputs["pixel_values"].to(self.dtype))
        given = {name: inputs.get(name) for name in ("input_points", "input_labels", "input_boxes")}
        if prompt.mask is not None:
            given |= self._mask_input(prompt.mask)
        sparse, dense = self.model.get_prompt_embeddings(**given)
        # One click may mean a part or the whole: of three masks the one that the model holds to be best.
        ambiguous = len(prompt.points) == 1
        logits, scores = self.model.mask_decoder(
            image_embeddings=embeddings[-1],
            image_positional_embeddings=self.model.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=ambiguous,
            high_resolution_features=embeddings[:-1],
        )[:2]
        best = scores[0].argmax(-1)
        return self._masks(logits[0, torch.arange(len(best), device=best.device), best], frame.shape[-2:])

    def _mask_input(self, mask: Tensor) -> dict[str, Tensor]:
        """The prompt encoder's arguments for a mask alone: low logits, and the point that is none."""
        import torch
        from torch.nn import functional

        size = self.model.prompt_encoder.mask_input_size
        small = functional.interpolate(mask.float()[None, None], size, mode="bilinear", antialias=True)
        return {
            "input_masks": (small * _MASK_SCALE + _MASK_BIAS).to(self.device, self.dtype),
            "input_points": torch.zeros(1, 1, 1, 2, device=self.device, dtype=self.dtype),
            "input_labels": torch.full((1, 1, 1), -1, device=self.device, dtype=torch.int32),
        }

    def _process(self, frame: Tensor, **prompts: Any) -> Any:
        return self.processor(images=frame, return_tensors="pt", input_data_format="channels_first", **prompts)

    def _masks(self, logits: Tensor, size: Sequence[int]) -> Tensor:
        """[N, h, w] logits as [N, H, W] bool masks, on the CPU. size: H, W."""
        masks: Tensor = self.processor.post_process_masks([logits.float()[:, None]], [list(size)])[0]
        return masks[:, 0].cpu()

    def track(
        self,
        video: Tensor,
        frame: int,
        *,
        boxes: Sequence[Box] = (),
        points: Sequence[Point] = (),
        labels: Sequence[int] = (),
        mask: Tensor | None = None,
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> Tensor:
        """The mask [T, H, W] bool on the CPU of all objects that boxes, points or a mask mark in one frame.

        video: [T, H, W, 3] float32 0..1. frame: where the prompts (as in `segment`) are; from there the objects are
        followed to the end and then back to the start. Here a given mask is that frame's mask as it is; in a single
        frame it is refined as in `segment`.
        Raises InputError, ResourceError, Cancelled, and UnsupportedError for a model of pictures and two frames.
        """
        import torch

        if video.ndim != 4 or video.shape[-1] != 3 or not video.numel():
            raise InputError(f"a video is of shape {list(video.shape)}; expected is [frames, height, width, 3]")
        count = len(video)
        if not 0 <= frame < count:
            raise InputError(f"the marked frame is {frame}, but the video has the frames 0 to {count - 1}")
        check_cancelled(cancel, _STAGE)
        if count == 1:
            found = self.segment(video[0], boxes=boxes, points=points, labels=labels, mask=mask)
            progress(_STAGE, 1, 1)
            return found.any(0, keepdim=True)
        if not self.follows:
            raise UnsupportedError(
                "this SAM2 folder is for pictures (model type sam2); following things through a video takes one of "
                "type sam2_video, for example facebook/sam2.1-hiera-large"
            )
        prompt = _prompt(to_uint8(video[frame]), boxes, points, labels, mask)
        result = torch.zeros(video.shape[:3], dtype=torch.bool)
        with torch.no_grad(), memory_errors("following things through a video", _CURE):
            for done, (number, found) in enumerate(self._follow(video, frame, prompt, cancel)):
                result[number] = found if number != frame or prompt.mask is None else prompt.mask
                progress(_STAGE, done + 1, count)
        return result

    def _follow(self, video: Tensor, start: int, prompt: _Prompt, cancel: Cancel) -> Iterator[tuple[int, Tensor]]:
        """Each frame's number and mask [H, W]: from `start` to the end, then backwards to frame 0."""
        session = self.processor.init_video_session(inference_device=self.device, dtype=self.dtype)
        session.processed_frames = _Frames(self, video)
        session.video_height, session.video_width = video.shape[1:3]
        ids = list(range(len(prompt.boxes) or 1))
        given = {"input_masks": prompt.mask} if prompt.mask is not None else prompt.coordinates
        self.processor.add_inputs_to_inference_session(session, start, ids, **given)
        for numbers in (range(start, len(video)), range(start - 1, -1, -1)):
            for number in numbers:
                check_cancelled(cancel, _STAGE)
                output = self.model(session, frame_idx=number, reverse=number < start)
                yield number, self._masks(output.pred_masks[:, 0], video.shape[1:3]).any(0)
                self._prune(session, number)
            for outputs in session.output_dict_per_obj.values():  # what came later says nothing about what was before
                outputs["non_cond_frame_outputs"].clear()

    def _prune(self, session: Any, number: int) -> None:
        """Drop what no later frame looks at: large masks, and outputs and pointers beyond the model's reach."""
        pointers, memories = self.model.config.max_object_pointers_in_encoder, self.model.num_maskmem
        for index, outputs in session.output_dict_per_obj.items():
            session.frames_tracked_per_obj[index].clear()
            for kind in outputs.values():
                for output in kind.values():
                    output.pop("high_res_masks", None)
            tracked = outputs["non_cond_frame_outputs"]
            for other in list(tracked):
                if abs(number - other) >= memories:
                    tracked[other] = {"object_pointer": tracked[other]["object_pointer"]}
                if abs(number - other) >= max(memories, pointers):
                    del tracked[other]


class _Frames:
    """A video as the session's frames: as many as it has, each [3, S, S] made when asked for and not kept."""

    def __init__(self, segmenter: Segmenter, video: Tensor) -> None:
        self.segmenter, self.video = segmenter, video

    def __len__(self) -> int:
        return len(self.video)

    def __getitem__(self, number: int) -> Tensor:
        pixels: Tensor = self.segmenter._process(to_uint8(self.video[number]))["pixel_values"][0]
        return pixels.to(self.segmenter.dtype)


def _prompt(
    frame: Tensor, boxes: Sequence[Box], points: Sequence[Point], labels: Sequence[int], mask: Tensor | None
) -> _Prompt:
    """The prompt, once it is of one kind and lies in the frame [3, H, W]; InputError says what is wrong."""
    height, width = frame.shape[-2:]
    if (len(boxes) > 0) + (len(points) > 0) + (mask is not None) != 1:
        raise InputError("give exactly one of boxes, points or a mask to say what to segment")
    _check_inside(boxes, points, height, width)
    marks = [int(label) for label in labels] or [1] * len(points)
    if len(marks) != len(points) or not set(marks) <= {0, 1}:
        raise InputError(f"{len(points)} points need as many labels, 1 = in the object and 0 = outside, not {marks}")
    painted = None if mask is None else _painted(mask, height, width)
    return _Prompt([list(map(float, box)) for box in boxes], [[float(x), float(y)] for x, y in points], marks, painted)


def _check_inside(boxes: Sequence[Box], points: Sequence[Point], height: int, width: int) -> None:
    area = f"the picture is {width} wide and {height} high"
    for box in boxes:
        left, top, right, bottom = map(float, box)
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise InputError(f"the box {left:g}, {top:g}, {right:g}, {bottom:g} (left, top, right, bottom): {area}")
    for x, y in points:
        if not (0 <= x <= width and 0 <= y <= height):
            raise InputError(f"the point {x:g}, {y:g} is outside: {area}")


def _painted(mask: Tensor, height: int, width: int) -> Tensor:
    """The mask as yes and no, once it fits and marks something."""
    if mask.shape != (height, width):
        raise InputError(
            f"the mask is of shape {list(mask.shape)}, but the picture is {width} wide and {height} high: "
            "give [height, width]"
        )
    marked = mask.detach().cpu() > 0.5
    if not marked.any():
        raise InputError("the mask marks nothing: paint the object white")
    return marked


def find(files: Sequence[Path]) -> Iterator[Path]:
    """The SAM2 among files of a models folder: folders that follow videos, published files, folders for pictures."""
    yield from configured(files, (VIDEO_TYPE,))
    yield from single_files(files, KEY)
    yield from configured(files, (IMAGE_TYPE,))


def check(path: Path) -> None:
    """Raise WeightsError unless the folder or file is whole."""
    if Path(path).is_file():
        sam2_file.check(Path(path))
    else:
        check_folder(path, (VIDEO_TYPE, IMAGE_TYPE), "SAM2")


def is_segmenter_folder(folder: Path) -> bool:
    """Whether `folder` says that it is a SAM2; reads its config.json only and never raises."""
    return model_type(folder) in (VIDEO_TYPE, IMAGE_TYPE)


def load_segmenter(folder: Path, *, device: Device = "cpu", dtype: str = "fp32") -> Segmenter:
    """The SAM2 or SAM2.1 in `folder` (transformers' layout, of model type sam2_video, or sam2 for pictures only), or in
    one file as Meta and kijai publish it.

    dtype: fp32 or bf16. Raises WeightsError naming the file that is missing, damaged or wrong and what to do,
    InputError for an unknown dtype, UnsupportedError for a missing library, ResourceError for too little memory.
    """
    import transformers

    if dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}; it is one of {', '.join(DTYPES)}")
    if Path(folder).is_file():
        return Segmenter(*sam2_file.load(Path(folder), dtype=DTYPES[dtype])).to(device)
    path = check_folder(folder, (VIDEO_TYPE, IMAGE_TYPE), "SAM2")
    video = model_type(path) == VIDEO_TYPE
    processor = load_part(transformers.Sam2VideoProcessor if video else transformers.Sam2Processor, path)
    model, missing = load_model(
        transformers.Sam2VideoModel if video else transformers.Sam2Model, path, dtype=DTYPES[dtype]
    )
    if _TIED in missing:  # transformers 4 saves this matrix once, transformers 5 would leave its second place random
        shared = model.shared_image_embedding.positional_embedding
        model.prompt_encoder.shared_embedding.positional_embedding = shared.clone()
    refuse_missing(path, missing - {_TIED})
    return Segmenter(model, processor).to(device)
