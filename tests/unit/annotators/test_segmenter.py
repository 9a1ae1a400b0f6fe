"""SAM2: the library's own masks to the bit, with a fraction of its memory; prompts and folders that are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Sam2Model, Sam2Processor

from unison_backend.annotators.segmenter import Segmenter, is_segmenter_folder, load_segmenter
from unison_backend.errors import Cancelled, InputError, ResourceError, UnsupportedError, WeightsError

from ..tiny_annotators import (
    SIZE,
    change,
    make_detector,
    make_image_segmenter,
    make_segmenter,
    noise,
)

HEIGHT, WIDTH = 45, 60
PICTURE = noise(HEIGHT, WIDTH)
BOXES = [(5.0, 5.0, 30.0, 35.0), (25.0, 10.0, 55.0, 40.0)]
ROUGH = torch.ones(HEIGHT, WIDTH).tril()
PROMPTS: dict[str, dict[str, Any]] = {
    "boxes": {"boxes": BOXES},
    "point": {"points": [(20, 30)]},
    "points": {"points": [(20, 30), (50, 8)], "labels": [1, 0]},
    "mask": {"mask": ROUGH},
}
each_prompt = pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS.keys())


pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_segmenter(tmp_path_factory.mktemp("segmenter") / "video")


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_image_segmenter(tmp_path_factory.mktemp("segmenter") / "image")


@pytest.fixture(scope="module")
def segmenter(folder: Path) -> Segmenter:
    return load_segmenter(folder)


@pytest.fixture(scope="module")
def pictures(image_folder: Path) -> Segmenter:
    return load_segmenter(image_folder)


@pytest.fixture(scope="module")
def video() -> torch.Tensor:
    """Longer than all the frames that the model looks back to."""
    return noise(24, HEIGHT, WIDTH, seed=1)


# Pictures


def as_library(folder: Path, prompt: dict[str, Any]) -> torch.Tensor:
    """Sam2Model's masks [N, H, W], from the processor's own nesting."""
    model, processor = Sam2Model.from_pretrained(folder).eval(), Sam2Processor.from_pretrained(folder)
    pixels = (PICTURE * 255).round().to(torch.uint8).numpy()
    nested: dict[str, Any] = {}
    if "boxes" in prompt:
        nested = {"input_boxes": [[list(box) for box in prompt["boxes"]]]}
    elif "points" in prompt:
        points = [list(map(float, point)) for point in prompt["points"]]
        nested = {"input_points": [[points]], "input_labels": [[prompt.get("labels", [1] * len(points))]]}
    inputs = dict(processor(images=pixels, return_tensors="pt", **nested))
    sizes = inputs.pop("original_sizes")
    if "mask" in prompt:
        small = torch.nn.functional.interpolate(
            prompt["mask"][None, None], (SIZE // 4, SIZE // 4), mode="bilinear", antialias=True
        )
        inputs["input_masks"] = small * 20 - 10
    inputs.pop("reshaped_input_sizes", None)
    many = len(prompt.get("points", ())) == 1
    with torch.no_grad():
        output = model(**inputs, multimask_output=many)
    masks = processor.post_process_masks(output.pred_masks, sizes)[0]
    best = output.iou_scores[0].argmax(-1)
    return torch.stack([mask[i] for mask, i in zip(masks, best, strict=True)])


@each_prompt
@pytest.mark.parametrize("kind", ["video", "image"])
def test_same_masks_as_the_library(
    folder: Path, image_folder: Path, segmenter: Segmenter, pictures: Segmenter, prompt: dict[str, Any], kind: str
) -> None:
    ours = (segmenter if kind == "video" else pictures).segment(PICTURE, **prompt)
    expected = as_library(folder if kind == "video" else image_folder, prompt)
    assert ours.shape == (2 if "boxes" in prompt else 1, HEIGHT, WIDTH) and ours.dtype == torch.bool
    assert torch.equal(ours, expected)
    assert all(0.02 < mask.float().mean() < 0.98 for mask in ours)  # else equal would say nothing


def test_each_box_is_for_itself(segmenter: Segmenter) -> None:
    masks = segmenter.segment(PICTURE, boxes=BOXES)
    assert not torch.equal(masks[0], masks[1])
    assert torch.equal(masks[1:], segmenter.segment(PICTURE, boxes=BOXES[1:]))


def test_points_are_in_unless_said_otherwise(segmenter: Segmenter) -> None:
    points = [(20, 30), (50, 8)]
    masks = segmenter.segment(PICTURE, points=points)
    assert torch.equal(masks, segmenter.segment(PICTURE, points=points, labels=[1, 1]))
    assert not torch.equal(masks, segmenter.segment(PICTURE, points=points, labels=[1, 0]))


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({}, "exactly one of boxes, points or a mask"),
        ({"boxes": BOXES, "mask": ROUGH}, "exactly one of boxes, points or a mask"),
        ({"boxes": BOXES, "points": [(1, 1)]}, "exactly one of boxes, points or a mask"),
        ({"boxes": [(0, 0, 61, 10)]}, "the box 0, 0, 61, 10 .* 60 wide and 45 high"),
        ({"boxes": [(9, 0, 9, 10)]}, "the box 9, 0, 9, 10"),
        ({"boxes": [(0, float("nan"), 9, 10)]}, "the box 0, nan"),
        ({"points": [(3, 46)]}, "the point 3, 46 is outside: the picture is 60 wide and 45 high"),
        ({"points": [(3, 4)], "labels": [1, 0]}, r"1 points need as many labels.*not \[1, 0\]"),
        ({"points": [(3, 4)], "labels": [2]}, r"1 = in the object and 0 = outside, not \[2\]"),
        ({"mask": ROUGH[None]}, r"the mask is of shape \[1, 45, 60\]"),
        ({"mask": ROUGH.T}, r"the mask is of shape \[60, 45\], but the picture is 60 wide and 45 high"),
        ({"mask": ROUGH * 0.5}, "the mask marks nothing"),
    ],
)
def test_refused_prompts(segmenter: Segmenter, prompt: dict[str, Any], message: str) -> None:
    for use in (lambda: segmenter.segment(PICTURE, **prompt), lambda: segmenter.track(PICTURE[None], 0, **prompt)):
        with pytest.raises(InputError, match=message):
            use()
    with pytest.raises(InputError, match=message):
        segmenter.track(PICTURE.expand(2, -1, -1, -1), 1, **prompt)


# Videos


def whole(segmenter: Segmenter, video: torch.Tensor, start: int, prompt: dict[str, Any], reverse: bool) -> Any:
    """The library's masks by frame: all frames in the session, nothing dropped, one direction."""
    model, processor = segmenter.model, segmenter.processor
    pixels = (video * 255).round().to(torch.uint8).permute(0, 3, 1, 2)  # transformers 4 knows only this order
    session = processor.init_video_session(video=pixels)
    given: dict[str, Any] = {"input_masks": prompt.get("mask")}
    if "boxes" in prompt:
        given = {"input_boxes": [[list(box) for box in prompt["boxes"]]]}
    elif "points" in prompt:
        points = [list(map(float, point)) for point in prompt["points"]]
        given = {"input_points": [[points]], "input_labels": [[prompt.get("labels", [1] * len(points))]]}
    processor.add_inputs_to_inference_session(session, start, list(range(len(prompt.get("boxes", [0])))), **given)
    model(session, frame_idx=start)
    masks = {}
    for output in model.propagate_in_video_iterator(session, start_frame_idx=start, reverse=reverse):
        size = [[int(session.video_height), int(session.video_width)]]
        masks[output.frame_idx] = processor.post_process_masks([output.pred_masks], size)[0][:, 0].any(0)
    return masks


@each_prompt
@pytest.mark.parametrize("start", [0, 20])
def test_nothing_is_lost_by_dropping(
    segmenter: Segmenter, video: torch.Tensor, start: int, prompt: dict[str, Any]
) -> None:
    """Equal to the bit to a session that keeps all: frames, masks, memories, pointers."""
    ours = segmenter.track(video, start, **prompt)
    expected = whole(segmenter, video, start, prompt, True) | whole(segmenter, video, start, prompt, False)
    if "mask" in prompt:
        expected[start] = prompt["mask"] > 0.5
    assert sorted(expected) == list(range(24))
    assert ours.shape == (24, HEIGHT, WIDTH) and ours.dtype == torch.bool
    assert torch.equal(ours, torch.stack([expected[i] for i in range(24)]))
    assert len({mask.sum().item() for mask in ours}) > 12  # frames differ, so the test can fail


@pytest.mark.parametrize("count", [2, 9])
def test_short_videos(segmenter: Segmenter, video: torch.Tensor, count: int) -> None:
    """Fewer frames than the model looks back to count in how it tells their age."""
    expected = whole(segmenter, video[:count], 0, PROMPTS["boxes"], False)
    assert torch.equal(segmenter.track(video[:count], 0, boxes=BOXES), torch.stack(list(expected.values())))


def test_backwards_is_forwards_in_a_reversed_video(segmenter: Segmenter, video: torch.Tensor) -> None:
    forwards = segmenter.track(video, 5, boxes=BOXES)
    backwards = segmenter.track(video.flip(0), 18, boxes=BOXES).flip(0)
    assert torch.equal(forwards, backwards)


def test_all_objects_are_one_mask(segmenter: Segmenter, video: torch.Tensor) -> None:
    both = segmenter.track(video[:6], 2, boxes=BOXES)
    one, other = (segmenter.track(video[:6], 2, boxes=[box]) for box in BOXES)
    assert torch.equal(both, one | other) and not torch.equal(one, other)


def held(thing: Any, video: torch.Tensor, seen: set[int]) -> tuple[int, int]:
    """Bytes and number of the tensors, and number of entries, that a session holds besides the caller's video."""
    if id(thing) in seen or thing is video:
        return 0, 0
    seen.add(id(thing))
    if isinstance(thing, torch.Tensor):
        return thing.untyped_storage().nbytes(), 1
    parts: list[Any] = list(thing) if isinstance(thing, list | tuple) else []
    if isinstance(thing, dict):
        parts = list(thing.values())
    elif hasattr(thing, "__dict__") and not isinstance(thing, Segmenter | type | torch.nn.Module):
        parts = list(vars(thing).values())
    sizes = [held(part, video, seen) for part in parts]
    return sum(size for size, _ in sizes), len(parts) + sum(count for _, count in sizes)


@pytest.mark.parametrize("start", [0, 59])
def test_memory_does_not_grow_with_the_video(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    video = noise(60, HEIGHT, WIDTH, seed=2)
    sessions: list[Any] = []
    begin = segmenter.processor.init_video_session
    monkeypatch.setattr(
        segmenter.processor, "init_video_session", lambda **given: sessions.append(begin(**given)) or sessions[-1]
    )
    sizes = {}

    def measure(stage: str, done: int, total: int) -> None:
        sizes[done] = held(sessions[0], video, set())
        kinds = [kind for outputs in sessions[0].output_dict_per_obj.values() for kind in outputs.values()]
        large = sum("high_res_masks" in output for kind in kinds for output in kind.values())
        assert large <= len(BOXES)  # those of this frame, which go next

    segmenter.track(video, start, boxes=BOXES, progress=measure)
    assert len(sizes) == 60 and len(sessions) == 1
    assert sizes[30] == sizes[45] == sizes[59]
    frame_bytes = 3 * SIZE * SIZE * 4
    assert sizes[59][0] < 30 * frame_bytes  # half of what 60 frames alone would take


def test_one_frame_is_a_picture(segmenter: Segmenter, pictures: Segmenter) -> None:
    told: list[Any] = []
    for model in (segmenter, pictures):
        mask = model.track(PICTURE[None], 0, boxes=BOXES, progress=lambda *step: told.append(step))
        assert torch.equal(mask, model.segment(PICTURE, boxes=BOXES).any(0, keepdim=True))
    assert told == [("tracking", 1, 1)] * 2


def test_a_model_of_pictures_cannot_follow(pictures: Segmenter, video: torch.Tensor) -> None:
    assert not pictures.follows
    with pytest.raises(UnsupportedError, match="takes one of type sam2_video, for example facebook/sam2"):
        pictures.track(video, 0, boxes=BOXES)


def test_progress(segmenter: Segmenter, video: torch.Tensor) -> None:
    told: list[Any] = []
    segmenter.track(video[:5], 3, boxes=BOXES, progress=lambda *step: told.append(step))
    assert told == [("tracking", done, 5) for done in range(1, 6)]


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_cancel(segmenter: Segmenter, video: torch.Tensor, frames: int) -> None:
    told: list[Any] = []
    with pytest.raises(Cancelled, match="tracking"):
        segmenter.track(
            video[:5], 3, boxes=BOXES, progress=lambda *step: told.append(step), cancel=lambda: len(told) == frames
        )
    assert len(told) == frames
    with pytest.raises(Cancelled):
        segmenter.track(PICTURE[None], 0, boxes=BOXES, cancel=lambda: True)


@pytest.mark.parametrize("shape", [(4, 8, 3), (0, 8, 8, 3), (2, 8, 8, 4)])
def test_wrong_videos(segmenter: Segmenter, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected is \[frames, height, width, 3\]"):
        segmenter.track(torch.zeros(shape), 0, boxes=BOXES)


@pytest.mark.parametrize("frame", [-1, 24])
def test_wrong_frame(segmenter: Segmenter, video: torch.Tensor, frame: int) -> None:
    with pytest.raises(InputError, match=f"the marked frame is {frame}, but the video has the frames 0 to 23"):
        segmenter.track(video, frame, boxes=BOXES)


def test_inside_inference_mode_and_from_pixels_with_gradients(segmenter: Segmenter, video: torch.Tensor) -> None:
    clip = video[:3].clone().requires_grad_()
    expected = segmenter.track(clip, 1, boxes=BOXES)
    assert not expected.is_inference() and not segmenter.segment(clip[0], boxes=BOXES).is_inference()
    with torch.inference_mode():
        assert torch.equal(segmenter.track(video[:3], 1, boxes=BOXES), expected)
    assert not any(p.requires_grad for p in segmenter.model.parameters()) and not segmenter.model.training


def test_out_of_memory(segmenter: Segmenter, video: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(segmenter.model, "forward", full)
    with pytest.raises(ResourceError, match="out of memory while following things"):
        segmenter.track(video, 0, boxes=BOXES)
    monkeypatch.setattr(segmenter.model, "get_image_embeddings", full)
    with pytest.raises(ResourceError, match="out of memory while segmenting"):
        segmenter.segment(PICTURE, boxes=BOXES)
    monkeypatch.setattr(segmenter.model, "to", full)
    with pytest.raises(ResourceError, match="moving the segmenter to cpu"):
        segmenter.to("cpu")


# Folders


def test_recognised_by_its_config(folder: Path, image_folder: Path, tmp_path: Path) -> None:
    assert is_segmenter_folder(folder) and is_segmenter_folder(image_folder)
    assert not is_segmenter_folder(tmp_path)


@each_prompt
def test_bf16(folder: Path, segmenter: Segmenter, video: torch.Tensor, prompt: dict[str, Any]) -> None:
    half = load_segmenter(folder, dtype="bf16")
    assert half.dtype == torch.bfloat16 and segmenter.dtype == torch.float32
    same = half.segment(PICTURE, **prompt) == segmenter.segment(PICTURE, **prompt)
    assert same.float().mean() > 0.9
    assert half.track(video[:3], 1, **prompt).shape == (3, HEIGHT, WIDTH)


def test_unknown_dtype(folder: Path) -> None:
    with pytest.raises(InputError, match="dtype is 'fp16'; it is one of fp32, bf16"):
        load_segmenter(folder, dtype="fp16")


@pytest.mark.parametrize("kind", ["video", "image"])
def test_folders_of_transformers_4(folder: Path, image_folder: Path, tmp_path: Path, kind: str) -> None:
    """They hold the places of prompts once; transformers 5 would draw the second copy at random and only warn."""
    source = folder if kind == "video" else image_folder
    copy = Path(shutil.copytree(source, tmp_path / "old"))
    state = load_file(copy / "model.safetensors")
    del state["prompt_encoder.shared_embedding.positional_embedding"]
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    ours = load_segmenter(copy).segment(PICTURE, boxes=BOXES)
    assert torch.equal(ours, load_segmenter(source).segment(PICTURE, boxes=BOXES))


def without(*keys: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        save_file({k: v for k, v in state.items() if k not in keys}, folder / "model.safetensors", {"format": "pt"})

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: change(f / "config.json", model_type="sam"), "a SAM2 is 'sam2_video' or 'sam2'"),
        (lambda f: (f / "model.safetensors").write_bytes(b"<!doctype html>"), "is a web page"),
        (without("no_object_pointer"), r"1 weights are missing \(no_object_pointer\)"),
        (without("shared_image_embedding.positional_embedding"), "1 weights are missing"),
        (lambda f: change(f / "config.json", num_maskmem=5), "cannot be loaded as a Sam2VideoModel"),
    ],
)
def test_refused_folders(folder: Path, tmp_path: Path, damage: Callable[[Path], Any], message: str) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    damage(copy)
    with pytest.raises(WeightsError, match=message) as error:
        load_segmenter(copy)
    assert str(copy) in str(error.value)


def test_another_kind_of_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="of type 'grounding-dino'"):
        load_segmenter(make_detector(tmp_path / "detector"))
