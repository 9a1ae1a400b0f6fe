"""Annotators in a models folder: which are found, which go first, what `unison doctor` says of each."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from unison_backend.annotators.bind import AnnotatorPaths, annotators
from unison_backend.annotators.maps.load import control_kind
from unison_backend.annotators.places import damage, find_annotators
from unison_backend.cli import doctor
from unison_backend.errors import UnsupportedError, WeightsError
from unison_backend.planner.rules.targets import parse_target
from unison_backend.progress import never, silent
from unison_backend.weights.needs import ANNOTATOR_NEEDS

from .. import tiny_control_models as tiny
from ..tiny_annotators import make_detector, make_image_segmenter, make_segmenter, noise, write

KINDS = ("detector", "segmenter", "depth", "pose", "flow")
PLACES = {
    "detector": "unison/dino",
    "segmenter": "sam2/large",
    "depth": "unison/control/Depth-Anything-V2-Small-hf",
    "pose": "unison/control/pose",
    "flow": "unison/control/raft_small.pth",
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with one of each; tests that change it copy it."""
    root = tmp_path_factory.mktemp("places") / "models"
    make_detector(root / PLACES["detector"])
    make_segmenter(root / PLACES["segmenter"])
    tiny.make_depth_anything(root / PLACES["depth"])
    tiny.make_pose(root / PLACES["pose"])
    tiny.make_raft(root / PLACES["flow"])
    return root


def folder(place: Path, model_type: str) -> Path:
    """A folder that says what it is, and holds nothing else."""
    place.mkdir(parents=True)
    write(place / "config.json", {"model_type": model_type})
    return place


def test_all_are_found(models: Path) -> None:
    assert find_annotators(models) == {key: models / place for key, place in PLACES.items()}
    assert tuple(need.key for need in ANNOTATOR_NEEDS) == KINDS


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    assert find_annotators(tmp_path) == {} and find_annotators(tmp_path / "none") == {}


@pytest.mark.parametrize("need", ANNOTATOR_NEEDS, ids=lambda need: need.key)
def test_every_folder_that_is_named_is_looked_into(need: Any, models: Path, tmp_path: Path) -> None:
    for number, name in enumerate(reversed(need.folders)):
        (tmp_path / name).mkdir()
        (tmp_path / name / PLACES[need.key].rpartition("/")[2]).symlink_to(models / PLACES[need.key])
        assert find_annotators(tmp_path)[need.key].parent.name == name, number  # the one named first goes first


def test_which_goes_first(tmp_path: Path) -> None:
    folder(tmp_path / "unison" / "a", "sam2")
    assert find_annotators(tmp_path)["segmenter"].name == "a"
    folder(tmp_path / "sams" / "b", "sam2_video")  # follows videos
    assert find_annotators(tmp_path)["segmenter"].name == "b"
    folder(tmp_path / "sam2" / "d", "sam2_video")
    folder(tmp_path / "sam2" / "c", "sam2_video")
    assert find_annotators(tmp_path)["segmenter"].name == "c"


def test_what_is_not_meant(models: Path, tmp_path: Path) -> None:
    folder(tmp_path / "unison" / "pose" / "vitpose", "vitpose")  # alone
    folder(tmp_path / "unison" / "raft", "bert")
    (tmp_path / "unison" / "raft" / "raft.safetensors").touch()  # of that folder
    (tmp_path / "unison" / "raft.txt").touch()
    (tmp_path / "unison" / "projector.pth").touch()
    (tmp_path / "unison" / "config.json").write_text("{", encoding="utf-8")
    assert find_annotators(tmp_path) == {}
    assert [control_kind(path) for path in (tmp_path / "unison" / "pose", tmp_path / "none", tmp_path)] == [""] * 3
    assert [control_kind(models / PLACES[key]) for key in KINDS] == ["", "", "depth", "pose", "flow"]


def test_looking_takes_no_torch() -> None:
    code = "import sys, unison_backend.annotators.places, unison_backend.cli.doctor; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


# A run without a host


def test_named_ones_go_before_found_ones(models: Path, tmp_path: Path) -> None:
    assert AnnotatorPaths().completed(None) == AnnotatorPaths()
    found = AnnotatorPaths().completed(models)
    assert (found.detector, found.segmenter) == (models / PLACES["detector"], models / PLACES["segmenter"])
    assert found.control == tuple(models / PLACES[kind] for kind in ("depth", "pose", "flow"))
    own = folder(tmp_path / "own", "dpt")
    named = AnnotatorPaths(detector=own, segmenter=own, control=(own,)).completed(models)
    assert named.detector == named.segmenter == own and named.control == (own, *found.control)


def test_maps_are_made_with_what_lies_there(models: Path) -> None:
    hooks = annotators(AnnotatorPaths().completed(models), torch.device("cpu"), parse_target)
    assert hooks.find_mask is not None and hooks.make_map is not None
    for kind in ("depth", "pose", "flow"):
        made, told = hooks.make_map(kind, noise(2, 45, 60), silent, never)
        assert made.shape == (2, 45, 60, 3) and f"a {kind} map was made" in told


def test_maps_without_their_model(models: Path, tmp_path: Path) -> None:
    only_flow = AnnotatorPaths(control=(models / PLACES["flow"],))
    with pytest.raises(UnsupportedError, match="a depth map of ordinary footage takes weights that are not here"):
        _ = annotators(only_flow, torch.device("cpu"), parse_target).make_map("depth", noise(2, 45, 60), silent, never)  # type: ignore[misc]
    broken = AnnotatorPaths(control=(folder(tmp_path / "other", "bert"), models / PLACES["flow"]))
    with pytest.raises(WeightsError, match="a model of type 'bert'; a control model is"):
        _ = annotators(broken, torch.device("cpu"), parse_target).make_map("flow", noise(2, 45, 60), silent, never)  # type: ignore[misc]


def test_only_the_asked_model_is_loaded(models: Path, tmp_path: Path) -> None:
    """The others may be damaged."""
    copy = Path(shutil.copytree(models, tmp_path / "models"))
    (copy / PLACES["depth"] / "model.safetensors").unlink()
    hooks = annotators(AnnotatorPaths().completed(copy), torch.device("cpu"), parse_target)
    assert hooks.make_map is not None
    hooks.make_map("flow", noise(2, 45, 60), silent, never)
    with pytest.raises(WeightsError, match=r"has no model\.safetensors"):
        hooks.make_map("depth", noise(2, 45, 60), silent, never)


# unison doctor


def lines_of(models: Path | None) -> list[str]:
    lines, _ = doctor.report(models)
    start = next(n for n, line in enumerate(lines) if line.startswith("Finding what an edit names"))
    return lines[start + 1 :]


def test_the_doctor_names_what_is_there(models: Path) -> None:
    lines = lines_of(models)
    assert len(lines) == len(KINDS)
    for line, need in zip(lines, ANNOTATOR_NEEDS, strict=True):
        assert line == f"  found    {need.role}: {models / PLACES[need.key]}"


@pytest.mark.parametrize("given", [True, False])
def test_the_doctor_names_what_is_missing(given: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNISON_MODELS", raising=False)
    lines = lines_of(tmp_path if given else None)
    assert len(lines) == len(KINDS)
    for line, parts in zip(
        lines,
        (
            ("GroundingDINO", "in models/unison/", "0.69 GB", "IDEA-Research/grounding-dino-tiny"),
            ("SAM2", "in models/unison/", "0.9 GB", "facebook/sam2.1-hiera-large"),
            ("Depth-Anything", "in models/unison/", "99 MB", "depth-anything/Depth-Anything-V2-Small-hf"),
            ("vitpose and detector", "usyd-community/vitpose-base-simple", "PekingU/rtdetr_r50vd_coco_o365"),
            ("raft_small_C_T_V2-01064c6d.pth", "in models/unison/", "4 MB", "download.pytorch.org"),
        ),
        strict=True,
    ):
        parts = tuple(
            part.replace("vitpose and detector", "vitpose (vitpose-base-simple) and detector") for part in parts
        )
        assert all(part in line for part in parts) and ("optional" in line) == given


def test_the_doctor_asks_for_both(models: Path, tmp_path: Path) -> None:
    (tmp_path / "unison").mkdir()
    (tmp_path / "unison" / "dino").symlink_to(models / PLACES["detector"])
    assert "takes both, a GroundingDINO and a SAM2" in lines_of(tmp_path)[-1]
    assert not any("takes both" in line for line in lines_of(models))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("key", "harm", "message"),
    [
        ("detector", lambda p: (p / "model.safetensors").unlink(), "has no model.safetensors; download"),
        ("segmenter", lambda p: cut(p / "model.safetensors"), "is damaged, cut short"),
        ("depth", lambda p: (p / "preprocessor_config.json").unlink(), "has no preprocessor_config.json"),
        ("pose", lambda p: (p / "detector" / "model.safetensors").unlink(), "has no model.safetensors"),
        ("flow", lambda p: torch.save({"weight": torch.zeros(1)}, p), "is no RAFT in torchvision's form"),
    ],
)
def test_the_doctor_names_what_is_damaged(
    models: Path, tmp_path: Path, key: str, harm: Callable[[Path], Any], message: str
) -> None:
    copy = Path(shutil.copytree(models, tmp_path / "models"))
    assert not any(damage(kind, copy / place) for kind, place in PLACES.items())
    harm(copy / PLACES[key])
    line = lines_of(copy)[KINDS.index(key)]
    assert line.startswith("  DAMAGED ") and message in line and str(copy / PLACES[key]) in line


def test_a_segmenter_of_pictures_is_one(tmp_path: Path) -> None:
    assert damage("segmenter", make_image_segmenter(tmp_path / "sam")) == ""
