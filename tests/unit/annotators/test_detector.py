"""GroundingDINO: what is asked of the network, what becomes of its boxes, and which folders are refused and why."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

from unison_backend.annotators.detector import (
    DETECTION_THRESHOLD,
    NMS_IOU,
    TEXT_THRESHOLD,
    Detection,
    Detector,
    caption,
    is_detector_folder,
    keep_best,
    load_detector,
)
from unison_backend.annotators.detector_file import ATTENTION
from unison_backend.errors import Cancelled, InputError, ResourceError, UnsupportedError, WeightsError

from ..tiny_annotators import change, make_detector, make_image_segmenter, noise, script

HEIGHT, WIDTH = 60, 80
FRAME = noise(HEIGHT, WIDTH)


pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_detector(tmp_path_factory.mktemp("detector") / "tiny")


@pytest.fixture(scope="module")
def detector(folder: Path) -> Detector:
    return load_detector(folder)


def test_reference_numbers() -> None:
    assert (DETECTION_THRESHOLD, TEXT_THRESHOLD, NMS_IOU) == (0.25, 0.20, 0.5)


def test_importing_brings_no_transformers() -> None:
    modules = (
        "unison_backend.annotators.detector, unison_backend.annotators.segmenter, unison_backend.annotators.found_mask"
    )
    code = f"import sys, {modules}; assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


# Non-maximum suppression

corner = st.integers(0, 12)
boxes_strategy = st.lists(st.tuples(corner, corner, st.integers(1, 12), st.integers(1, 12)), min_size=0, max_size=12)


def overlap(a: Any, b: Any) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))


@settings(max_examples=200, deadline=None)
@given(data=st.data(), shapes=boxes_strategy, limit=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_suppression(data: st.DataObject, shapes: list[tuple[int, ...]], limit: float) -> None:
    boxes = torch.tensor([(x, y, x + w, y + h) for x, y, w, h in shapes], dtype=torch.float32).reshape(-1, 4)
    # Scores differ: between equal ones torchvision does not promise an order
    order = data.draw(st.permutations(range(len(shapes))))
    scores = torch.tensor([(1 + place) / 16 for place in order])
    kept = keep_best(boxes, scores, limit).tolist()
    assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
    assert not shapes or kept[0] == int(scores.argmax())
    assert all(overlap(boxes[a], boxes[b]) <= limit + 1e-6 for a in kept for b in kept if a != b)
    for lost in set(range(len(shapes))) - set(kept):
        assert any(scores[k] > scores[lost] and overlap(boxes[k], boxes[lost]) > limit - 1e-6 for k in kept)
    torchvision = pytest.importorskip("torchvision")
    assert kept == torchvision.ops.nms(boxes, scores, limit).tolist()


def test_suppression_keeps_the_earlier_of_two_equals() -> None:
    box = torch.tensor([[0.0, 0, 4, 4]] * 3)
    assert keep_best(box, torch.tensor([0.5, 0.9, 0.9]), 0.5).tolist() == [1]


# What the network is asked


@pytest.mark.parametrize(
    ("phrases", "text"),
    [
        (["Red Car"], "red car."),
        (["a cat.", " a  dog "], "a cat. a dog."),
        (["St. Bernard?"], "st bernard."),
    ],
)
def test_caption(phrases: list[str], text: str) -> None:
    assert caption(phrases) == text


@pytest.mark.parametrize("phrases", [[], [""], ["  "], ["."], ["a cat", ""]])
def test_empty_phrases_are_refused(detector: Detector, phrases: list[str]) -> None:
    with pytest.raises(InputError, match="phrase to look for is empty"):
        detector.detect([FRAME], phrases)


def test_same_boxes_as_the_library(detector: Detector, folder: Path) -> None:
    """The library's own way, from a Pillow picture and text with the dot, against ours."""
    # Rounding decides which queries of a random model win, so the kinds of attention must be the same
    model = GroundingDinoForObjectDetection.from_pretrained(folder, attn_implementation=ATTENTION).eval()
    processor = GroundingDinoProcessor.from_pretrained(folder)
    picture = Image.fromarray((FRAME * 255).round().to(torch.uint8).numpy())
    inputs = processor(images=picture, text="red car.", return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    expected = processor.post_process_grounded_object_detection(
        outputs, inputs["input_ids"], threshold=0.0, text_threshold=0.5, target_sizes=[(HEIGHT, WIDTH)]
    )[0]
    found = detector.detect([FRAME], ["red car"], threshold=0.0, text_threshold=0.5, nms=1.0)[0]
    assert len(found) == len(expected["scores"]) == 30
    by_score = expected["scores"].argsort(descending=True, stable=True)
    assert [d.score for d in found] == expected["scores"][by_score].tolist()
    limits = torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    assert [d.box for d in found] == [
        tuple(box) for box in expected["boxes"][by_score].clamp(min=0).minimum(limits).tolist()
    ]


def test_a_phrase_is_read_by_itself(detector: Detector) -> None:
    """As it was trained: what stands beside it changes nothing of what its words become."""
    read: list[torch.Tensor] = []
    hook = detector.model.model.text_backbone.register_forward_hook(lambda *call: read.append(call[2][0][0]))
    try:
        for phrases in (["red car"], ["red car", "a dog"], ["a dog", "red car"]):
            detector.detect([FRAME], phrases)
    finally:
        hook.remove()
    alone, first, last = read[0][1:4], read[1][1:4], read[2][4:7]
    assert torch.allclose(first, alone, atol=1e-5) and torch.allclose(last, alone, atol=1e-5)
    assert not torch.allclose(read[2][1:4], alone, atol=1e-2)  # other words are something else


def test_frames_of_different_sizes_one_by_one(detector: Detector) -> None:
    frames = [FRAME, noise(33, 47, seed=1)]
    told: list[Any] = []
    found = detector.detect(frames, ["cat", "dog"], threshold=0.1, progress=lambda *step: told.append(step))
    assert found == [detector.detect([frame], ["cat", "dog"], threshold=0.1)[0] for frame in frames]
    assert told == [("detection", 1, 2), ("detection", 2, 2)]
    assert all(0 <= d.box[0] < d.box[2] <= 47 and 0 <= d.box[1] < d.box[3] <= 33 for d in found[1])


def test_no_frames(detector: Detector) -> None:
    assert detector.detect([], ["cat"]) == []


def test_cancel_between_frames(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = script(monkeypatch, detector, [[]] * 3)
    with pytest.raises(Cancelled, match="detection"):
        detector.detect([FRAME] * 3, ["red car"], cancel=lambda: len(calls) == 2)
    assert len(calls) == 2


def test_inside_inference_mode_and_from_pixels_with_gradients(detector: Detector) -> None:
    expected = detector.detect([FRAME], ["cat"])
    assert detector.detect([FRAME.clone().requires_grad_()], ["cat"]) == expected
    with torch.inference_mode():
        assert detector.detect([FRAME], ["cat"]) == expected
    assert not any(p.requires_grad for p in detector.model.parameters()) and not detector.model.training


def test_too_many_words(detector: Detector) -> None:
    with pytest.raises(InputError, match="302 tokens long, the detector reads 256"):
        detector.detect([FRAME], ["cat " * 299])


@pytest.mark.parametrize("name", ["threshold", "text_threshold", "nms"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_numbers_out_of_range(detector: Detector, name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{name} is .*; it lies between 0 and 1"):
        detector.detect([FRAME], ["cat"], **{name: value})


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (8, 8), (8, 8, 4), (0, 8, 3)])
def test_wrong_frames(detector: Detector, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"a frame is of shape .*expected is \[height, width, 3\]"):
        detector.detect([torch.zeros(shape)], ["cat"])


# What becomes of the answer


def test_best_first_duplicates_gone_and_clipped(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    look = [
        ((0.5, 0.5, 1.0, 1.0), 0.30),
        ((-0.25, -0.1, 0.5, 0.5), 0.90),  # out at the left and the top
        ((-0.25, -0.1, 0.5, 0.45), 0.80),  # the same once more
        ((0.0, 0.0, 0.1, 0.1), 0.20),  # below the threshold
        ((0.75, 0.5, 1.25, 1.5), 0.60),  # out at the right and the bottom
    ]
    script(monkeypatch, detector, [look])
    found = detector.detect([FRAME], ["red car"])[0]
    assert [d.box for d in found] == [
        pytest.approx(box, abs=1e-4) for box in [(0, 0, 40, 30), (60, 30, 80, 60), (40, 30, 80, 60)]
    ]
    assert [d.score for d in found] == pytest.approx([0.9, 0.6, 0.3])
    assert {d.label for d in found} == {"red car"}
    assert all(isinstance(value, float) for d in found for value in (*d.box, d.score))


def test_overlap_is_that_of_whole_boxes(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the reference: two boxes that are the same inside the picture are not duplicates for that."""
    script(monkeypatch, detector, [[((-1.0, 0, 0.5, 1), 0.9), ((0.0, 0, 0.5, 1), 0.8)]] * 2)
    assert len(detector.detect([FRAME], ["red car"])[0]) == 2
    assert len(detector.detect([FRAME], ["red car"], nms=0.3)[0]) == 1


def test_boxes_without_area_inside_are_left_out(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, detector, [[((1.0, 0, 1.2, 1), 0.9), ((0.25, 0.5, 0.25, 1), 0.8)]])
    assert detector.detect([FRAME], ["red car"]) == [[]]


def test_nothing_found(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, detector, [[((0.1, 0.1, 0.9, 0.9), 0.1)], []])
    assert detector.detect([FRAME, FRAME], ["red car"]) == [[], []]


def test_labels(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ((0.0, 0.0, 1.0, 1.0), 0.5)
    for words, label in ((1, "red"), (3, "red car"), (4, "red car a"), (7, "red car a dog")):
        script(monkeypatch, detector, [[whole]], words=words)
        expected = Detection((0.0, 0.0, WIDTH, HEIGHT), label, 0.5)
        assert detector.detect([FRAME], ["red car", "a dog"]) == [[expected]]
    script(monkeypatch, detector, [[whole]])
    assert detector.detect([FRAME], ["red car"], text_threshold=0.6)[0][0].label == ""


# Folders


def test_recognised_by_its_config(folder: Path, tmp_path: Path) -> None:
    assert is_detector_folder(folder)
    assert not is_detector_folder(tmp_path) and not is_detector_folder(tmp_path / "none")
    for text in ("{", "[]", "{}", '{"model_type": "bert"}'):
        (tmp_path / "config.json").write_text(text)
        assert not is_detector_folder(tmp_path)


def test_runs_in_float32_whatever_is_stored(folder: Path, tmp_path: Path, detector: Detector) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "bf16"))
    state = {key: value.bfloat16() for key, value in load_file(copy / "model.safetensors").items()}
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    change(copy / "config.json", dtype="bfloat16")
    model = load_detector(copy).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.config._attn_implementation == "eager" and model.config.text_config._attn_implementation == "sdpa"
    assert detector.device == torch.device("cpu")


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def split(folder: Path) -> None:
    state = sorted(load_file(folder / "model.safetensors").items())
    names = {}
    for part, items in enumerate((state[:100], state[100:])):
        name = f"model-0000{part + 1}-of-00002.safetensors"
        save_file(dict(items), folder / name, metadata={"format": "pt"})
        names |= {key: name for key, _ in items}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    (folder / "model.safetensors").unlink()


def old_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def no_text_backbone_name(folder: Path) -> None:
    """A text backbone that is only called by its hub name: its shape must come from the config alone."""
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["_name_or_path"] = "bert-base-uncased"
    change(folder / "config.json", text_config=config["text_config"])


@pytest.mark.parametrize("rewrite", [pickled, split, old_tokenizer, no_text_backbone_name])
def test_other_layouts(folder: Path, tmp_path: Path, detector: Detector, rewrite: Callable[[Path], None]) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    rewrite(copy)
    other = load_detector(copy)
    assert other.detect([FRAME], ["red car"]) == detector.detect([FRAME], ["red car"])


class Code:
    def __reduce__(self) -> Any:
        return print, ("ran",)


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def lfs(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


def without_some(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["model.level_embed"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def code(folder: Path) -> None:
    remove("model.safetensors")(folder)
    torch.save({"weight": Code()}, folder / "pytorch_model.bin")


def no_part(folder: Path) -> None:
    split(folder)
    remove("model-00002-of-00002.safetensors")(folder)


def no_processor(folder: Path) -> None:
    for name in ("preprocessor_config.json", "processor_config.json"):
        (folder / name).unlink(missing_ok=True)


def no_tokenizer(folder: Path) -> None:
    remove("tokenizer.json")(folder)
    remove("vocab.txt")(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("config.json"), "has no config.json; download the complete folder"),
        (lambda f: (f / "config.json").write_text("{"), "config.json is damaged"),
        (lambda f: change(f / "config.json", model_type="swin"), "of type 'swin'; a GroundingDINO is 'grounding-dino'"),
        (lambda f: change(f / "config.json", auto_map={}), "asks to run code from the folder"),
        (lambda f: change(f / "config.json", use_pretrained_backbone=True), "takes a backbone from elsewhere"),
        (lambda f: change(f / "config.json", d_model=64), "cannot be loaded as a GroundingDino"),
        (no_processor, "has no preprocessor_config.json"),
        (no_tokenizer, "has no tokenizer.json or vocab.txt"),
        (lambda f: (f / "tokenizer.json").write_text("{"), "tokenizer.json is damaged"),
        (remove("model.safetensors"), "has no model.safetensors; download the complete folder"),
        (cut, "model.safetensors is damaged, cut short"),
        (lfs, "is a Git LFS pointer"),
        (without_some, r"1 weights are missing \(model.level_embed\)"),
        (no_part, "lacks 1 of 2 weight files: model-00002-of-00002.safetensors"),
        (code, "refused"),
    ],
)
def test_refused_folders(
    folder: Path, tmp_path: Path, damage: Callable[[Path], Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    damage(copy)
    with pytest.raises(WeightsError, match=message) as error:
        load_detector(copy)
    assert str(copy) in str(error.value)
    assert "ran" not in capsys.readouterr().out.splitlines()


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is not there; give a GroundingDINO folder"):
        load_detector(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match="is empty"):
        load_detector(tmp_path / "file")
    with pytest.raises(WeightsError, match="of type 'sam2'"):
        load_detector(make_image_segmenter(tmp_path / "sam2"))


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (
            ImportError("it requires torchvision\nmore"),
            UnsupportedError,
            r"that is missing \(it requires torchvision\)",
        ),
        (Exception("odd tokens"), WeightsError, r"cannot be read as a GroundingDinoProcessor \(odd tokens\); download"),
    ],
)
def test_processor_that_does_not_load(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, error: type[Exception], message: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr(GroundingDinoProcessor, "from_pretrained", fail)
    with pytest.raises(error, match=message):
        load_detector(folder)


def test_out_of_memory(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(detector.model, "forward", full)
    with pytest.raises(ResourceError, match="out of memory while looking for things"):
        detector.detect([FRAME], ["cat"])
    monkeypatch.setattr(detector.model, "to", full)
    with pytest.raises(ResourceError, match="moving the detector to cpu"):
        detector.to("cpu")
