"""Maps that take no weights: what is known of them exactly, and which map is made of what."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kornia.filters import canny as kornia_canny
from torch import Tensor
from torchvision.utils import flow_to_image

from unison_backend.annotators.bind import map_maker
from unison_backend.annotators.maps import scribble as scribble_maps
from unison_backend.annotators.maps.canny import make as canny
from unison_backend.annotators.maps.drawing import draw_people, flow_colours, openpose
from unison_backend.annotators.maps.frames import luma
from unison_backend.annotators.maps.grey import make as grey
from unison_backend.annotators.maps.kinds import MapMaker
from unison_backend.annotators.maps.make import make_map
from unison_backend.annotators.maps.scribble import make as scribble
from unison_backend.errors import Cancelled, InputError, UnsupportedError
from unison_backend.plan.controls import made_kinds
from unison_backend.progress import never, silent
from unison_backend.sources.prepare import Annotators

from ...tiny_annotators import noise

FREE = {"grey": grey, "canny": canny, "scribble": scribble}


def flat(height: int, width: int, colour: tuple[float, float, float]) -> Tensor:
    return torch.tensor(colour).expand(height, width, 3).clone()


def step(column: int, low: float = 0.2, high: float = 0.7, height: int = 40, width: int = 64) -> Tensor:
    """Dark to the left of `column`, light from there on."""
    frame = torch.full((height, width, 3), low)
    frame[:, column:] = high
    return frame


def scene(height: int = 96, width: int = 128) -> Tensor:
    """A colour gradient with a box and a disc in it."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    frame = torch.stack([columns / width * 0.5, rows / height * 0.5, torch.full((height, width), 0.3)], -1)
    frame[height // 4 : height // 2, width // 8 : width // 3] = torch.tensor([0.9, 0.8, 0.1])
    frame[(rows - height * 0.6) ** 2 + (columns - width * 0.7) ** 2 < (height / 5) ** 2] = torch.tensor([0.1, 0.2, 0.9])
    return frame


def test_importing_is_light() -> None:
    modules = ", ".join(
        f"unison_backend.annotators.maps.{name}" for name in ("make", "kinds", "load", "is_map", *made_kinds())
    )
    code = f"import sys, {modules}; sys.exit(bool({{'transformers', 'torchvision', 'kornia', 'scipy'}} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[4])


# What all of them do


@pytest.mark.parametrize("kind", FREE)
def test_shape_range_and_progress(kind: str) -> None:
    make: Any = FREE[kind]
    video, calls = noise(3, 33, 47), []
    made = make(video, progress=lambda *call: calls.append(call))
    assert (made.shape, made.dtype, made.device.type) == (video.shape, torch.float32, "cpu")
    assert made.min() >= 0 and made.max() <= 1
    assert (made == made[..., :1]).all()
    stage = f"{kind} map"
    assert calls == [(stage, 1, 3), (stage, 2, 3), (stage, 3, 3)]
    assert make(video[1:2]).equal(made[1:2])


@pytest.mark.parametrize("kind", FREE)
def test_equal_channels_take_the_memory_of_one(kind: str) -> None:
    made = FREE[kind](noise(2, 33, 47))
    assert made.shape == (2, 33, 47, 3) and made.untyped_storage().nbytes() == 4 * 2 * 33 * 47


@pytest.mark.parametrize("kind", FREE)
def test_a_repeated_still_is_looked_at_once(kind: str) -> None:
    make: Any = FREE[kind]
    calls: list[Any] = []
    made = make(noise(1, 20, 30).expand(50, -1, -1, -1), progress=lambda *call: calls.append(call))
    assert made.shape == (50, 20, 30, 3) and made.stride(0) == 0 and len(calls) == 1


@pytest.mark.parametrize("kind", FREE)
def test_cancelled_between_frames(kind: str) -> None:
    make: Any = FREE[kind]
    calls: list[Any] = []
    with pytest.raises(Cancelled, match=f"{kind} map"):
        make(noise(5, 16, 16), progress=lambda *call: calls.append(call), cancel=lambda: len(calls) == 2)
    assert len(calls) == 2


@pytest.mark.parametrize("kind", FREE)
@pytest.mark.parametrize("shape", [(8, 8, 3), (1, 8, 8, 4), (0, 8, 8, 3)])
def test_other_shapes(kind: str, shape: tuple[int, ...]) -> None:
    make: Any = FREE[kind]
    with pytest.raises(InputError, match="expected is"):
        make(torch.zeros(shape))


# Grey


@pytest.mark.parametrize(("colour", "value"), [((1, 0, 0), 0.299), ((0, 1, 0), 0.587), ((0, 0, 1), 0.114)])
def test_grey_weights_are_those_of_red_green_and_blue(colour: tuple[float, float, float], value: float) -> None:
    torch.testing.assert_close(grey(flat(4, 4, colour)[None]), torch.full((1, 4, 4, 3), value))


def test_grey_of_grey_is_the_same() -> None:
    video = noise(2, 8, 8)[..., :1].expand(2, 8, 8, 3)
    torch.testing.assert_close(grey(video), video, rtol=0, atol=1e-6)


# Canny


@settings(max_examples=25, deadline=None)
@given(column=st.integers(8, 56), low=st.floats(0, 0.4), contrast=st.floats(0.1, 0.6), turned=st.booleans())
def test_canny_puts_one_line_on_a_step(column: int, low: float, contrast: float, turned: bool) -> None:
    frame = step(column, low, low + contrast, 64, 64)
    edges = canny((frame.transpose(0, 1) if turned else frame)[None])[0, ..., 0]
    edges = edges.T if turned else edges
    found = edges[8:-8].nonzero()[:, 1].unique().tolist()
    assert len(found) == 1 and found[0] in (column - 1, column)
    assert edges[8:-8].sum() == 48


def test_canny_closes_a_drawn_box() -> None:
    frame = torch.zeros(32, 32, 3)
    frame[8:24, 8:24] = 0.7
    edges = canny(frame[None])[0, ..., 0]
    assert edges.sum() == 4 * 15  # kornia before 0.9 leaves half of it open where gradients are equal
    assert edges[8, 8:24].all() and edges[23, 8:24].all() and edges[8:24, 8].all() and edges[8:24, 23].all()


@pytest.mark.parametrize("make", [canny, scribble])
@pytest.mark.parametrize("value", [0.0, 0.37, 1.0])
def test_flat_areas_have_no_lines(make: Any, value: float) -> None:
    assert not make(torch.full((1, 70, 50, 3), value)).any()


@pytest.mark.parametrize("make", [canny, scribble])
def test_slopes_have_no_lines(make: Any) -> None:
    slope = (torch.arange(128) / 128 * 0.8)[None, None, :, None].expand(1, 96, 128, 3)
    assert not make(slope)[:, 8:-8, 8:-8].any()


@pytest.mark.parametrize("thresholds", [(0.1, 0.2), (0.3, 0.9)])
def test_canny_is_kornias(thresholds: tuple[float, float]) -> None:
    frame = (scene() + 0.2 * noise(96, 128)).clamp(0, 1)
    theirs = kornia_canny(luma(frame)[None, None], *thresholds)[1][0, 0]
    low, high = thresholds
    ours = canny(frame[None], low=low, high=high)[0, ..., 0]
    assert (ours != theirs).float().mean() < 1e-3
    assert 0.005 < ours.mean() < 0.4


def test_canny_thresholds_matter() -> None:
    frame = torch.cat([step(20, 0.2, 0.3), step(20, 0.2, 0.9)], 1)[None]
    assert canny(frame)[0, 20, 64:].any() and canny(frame)[0, 20, :40].any()
    assert not canny(frame, low=0.4, high=0.8)[0, 20, :40].any()


@pytest.mark.parametrize(("low", "high"), [(0, 0.2), (0.3, 0.2), (-1, 1), (float("nan"), 1)])
def test_canny_refuses_thresholds(low: float, high: float) -> None:
    with pytest.raises(InputError, match="canny's thresholds"):
        canny(noise(1, 8, 8), low=low, high=high)


# Scribble


@settings(max_examples=20, deadline=None)
@given(column=st.integers(100, 400), contrast=st.floats(0.2, 0.6))
def test_scribble_draws_the_dark_side_of_a_step(column: int, contrast: float) -> None:
    lines = scribble(step(column, 0.2, 0.2 + contrast, 512, 512)[None])[0, ..., 0]
    drawn = lines[256].nonzero()[:, 0].tolist()
    assert drawn == list(range(drawn[0], drawn[-1] + 1)) and 3 <= len(drawn) <= 9
    assert column - 8 <= drawn[0] and column - 2 <= drawn[-1] <= column + 1
    assert (lines == lines[256]).all()


def test_scribble_is_black_and_white_and_either_way_round() -> None:
    video = scene(256, 320)[None]
    lines = scribble(video)
    assert set(lines.unique().tolist()) == {0.0, 1.0} and 0.005 < lines.mean() < 0.2
    assert scribble(video, dark_lines=True).equal(1 - lines)
    assert scribble(video).equal(scribble(video, dark_lines=scribble_maps.SCRIBBLE_DARK_LINES))


def test_scribble_leaves_specks_out() -> None:
    frame = torch.full((512, 512, 3), 0.8)
    frame[100:102, 100:102] = 0.1  # grain
    frame[300:303, 100:400] = 0.1  # a stroke
    lines = scribble(frame[None])[0, ..., 0]
    assert not lines[:200].any() and lines[301, 110:390].all()


def test_scribble_lines_grow_with_the_frame() -> None:
    small = scribble(scene(256, 256)[None])[0, ..., 0]
    large = scribble(scene(1024, 1024)[None])[0, ..., 0]
    assert 0.5 < large.mean() / small.mean() < 2


# Key points


def test_openpose_order_and_neck() -> None:
    points = torch.stack([torch.arange(17.0), 100 + torch.arange(17.0)], 1)
    scores = torch.ones(17)
    found = openpose(points, scores)
    expected = [0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
    assert [p and p[0] for i, p in enumerate(found) if i != 1] == [i for i in expected if i is not None]
    assert found[1] == (5.5, 105.5)
    scores[6] = 0.29
    found = openpose(points, scores)
    assert found[1] is None and found[2] is None and found[5] == (5.0, 105.0)


SPOTS = [(40 + 30 * (i % 5), 30 + 40 * (i // 5)) for i in range(18)]
LIMB_ENDS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)


def person(*indices: int) -> list[Any]:
    return [(float(x), float(y)) if i in indices else None for i, (x, y) in enumerate(SPOTS)]


def pixel(drawn: Tensor, x: float, y: float) -> tuple[int, ...]:
    return tuple((drawn[int(y), int(x)] * 255).round().int().tolist())


# As in VACE's own maps: OpenPose's rainbow from the right shoulder on, red and blue swapped, at 60 %.
@pytest.mark.parametrize(
    ("limb", "colour"),
    [
        ((1, 2), (0, 0, 153)),
        ((1, 5), (0, 51, 153)),
        ((3, 4), (0, 153, 153)),
        ((1, 8), (0, 153, 0)),
        ((1, 11), (153, 153, 0)),
        ((1, 0), (153, 0, 0)),
        ((15, 17), (102, 0, 153)),
    ],
)
def test_limbs_are_painted(limb: tuple[int, int], colour: tuple[int, int, int]) -> None:
    (ax, ay), (bx, by) = (SPOTS[i] for i in limb)
    assert pixel(draw_people([person(*limb)], 240, 240), (ax + bx) / 2, (ay + by) / 2) == colour


@pytest.mark.parametrize(
    ("index", "colour"), [(0, (0, 0, 255)), (1, (0, 85, 255)), (12, (255, 0, 0)), (17, (85, 0, 255))]
)
def test_joints_are_painted(index: int, colour: tuple[int, int, int]) -> None:
    drawn = draw_people([person(index)], 240, 240)
    assert pixel(drawn, *SPOTS[index]) == colour
    assert (drawn.amax(-1) > 0).sum() < 16


@pytest.mark.parametrize("limb", LIMB_ENDS)
def test_a_limb_takes_both_its_ends(limb: tuple[int, int]) -> None:
    whole = draw_people([person(*limb)], 240, 240)
    ends = torch.maximum(*(draw_people([person(i)], 240, 240) for i in limb))
    assert (whole > ends).any(-1).sum() > 20
    assert len(LIMB_ENDS) == 17


def test_several_people_nobody_and_people_beyond_the_frame() -> None:
    assert not draw_people([], 30, 40).any() and draw_people([], 30, 40).shape == (30, 40, 3)
    assert not draw_people([[None] * 18], 30, 40).any()
    left, right = person(1, 2), [p and (p[0] + 120, p[1]) for p in person(1, 2)]
    both = draw_people([left, right], 240, 320)
    assert both[:, :160].equal(draw_people([left], 240, 320)[:, :160])
    assert both[:, 160:].any()
    draw_people([[(-1e4, -1e4), (1e4, 1e4), *[None] * 16]], 16, 16)


def test_lines_are_as_wide_as_the_references() -> None:
    """4 pixels to both sides of the middle in a frame of 1024, and never less than 1."""
    for size, width in ((2048, 16), (1024, 8), (512, 4), (64, 2)):
        limb = [None] * 18
        limb[1], limb[2] = (size * 0.25, size / 2), (size * 0.75, size / 2)  # type: ignore[call-overload]
        column = draw_people([limb], size, size)[:, size // 2, 2]
        assert abs(float(column.sum() / 0.6) - width) <= 1


# Flow


def test_flow_colours_are_torchvisions_for_the_whole_clip() -> None:
    flows = (
        torch.randn(3, 2, 20, 30, generator=torch.Generator().manual_seed(0))
        * torch.tensor([1, 5, 0.1])[:, None, None, None]
    )
    longest = float(flows.norm(dim=1).max())
    ours = torch.stack([flow_colours(flow, longest) for flow in flows])
    theirs = flow_to_image(flows).permute(0, 2, 3, 1) / 255
    assert (ours - theirs).abs().max() <= 1 / 255 and (ours == theirs).float().mean() > 0.999


def test_rest_is_white_and_directions_differ() -> None:
    assert (flow_colours(torch.zeros(2, 4, 4), 1.0) == 1).all()
    colours = [
        flow_colours(torch.tensor(way).float()[:, None, None].expand(2, 2, 2), 5)[0, 0]
        for way in ((5, 0), (-5, 0), (0, 5), (0, -5))
    ]
    for i, one in enumerate(colours):
        assert one.max() == 1 and one.min() < 0.1
        assert all((one - other).abs().max() > 0.3 for other in colours[:i])


# Which map is made of what


class Maker:
    """A model that says that it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def make_map(self, video: Tensor, progress: Any = silent, cancel: Any = never) -> tuple[Tensor, str]:
        self.asked.append((video, progress, cancel))
        return torch.zeros_like(video), "made"


FOOTAGE = scene()[None].expand(2, -1, -1, -1)


@pytest.mark.parametrize("kind", FREE)
def test_maps_without_weights(kind: str) -> None:
    make: Any = FREE[kind]
    made, told = make_map(kind, FOOTAGE, {})
    assert made.equal(make(FOOTAGE)) and told == f"a {kind} map was made of the control input"


def test_a_map_stays_as_it_is() -> None:
    made, told = make_map("map", FOOTAGE, {})
    assert made is FOOTAGE and told == "the control input is used as it is"
    for kind in ("canny", "scribble", "grey"):
        ready = make_map(kind, scene(256, 320)[None], {})[0]
        made, told = make_map(kind, ready, {})
        assert made is ready and told == f"the control input already is a {kind} map and is used as it is"


@pytest.mark.parametrize("kind", ["depth", "pose", "flow"])
def test_maps_with_weights(kind: str) -> None:
    maker, cancel = Maker(), lambda: False
    makers: dict[str, MapMaker] = {kind: maker}
    made, told = make_map(kind, FOOTAGE, makers, silent, cancel)
    assert told == "made" and not made.any()
    assert maker.asked[0][0] is FOOTAGE and maker.asked[0][1:] == (silent, cancel)
    make_map("canny", FOOTAGE, makers)
    assert len(maker.asked) == 1


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("depth", ("depth-anything/Depth-Anything-V2-Small-hf", "99 MB")),
        (
            "pose",
            ("usyd-community/vitpose-base-simple", "PekingU/rtdetr_r50vd_coco_o365", "vitpose (", "detector ("),
        ),
        ("flow", ("raft_small_C_T_V2-01064c6d.pth", "raft in its name", "4 MB")),
    ],
)
def test_missing_weights_are_named_with_their_place(kind: str, parts: tuple[str, ...]) -> None:
    others: dict[str, MapMaker] = {name: Maker() for name in ("depth", "pose", "flow") if name != kind}
    with pytest.raises(
        UnsupportedError, match=f"a {kind} map of ordinary footage takes weights that are not here"
    ) as error:
        make_map(kind, FOOTAGE, others)
    assert all(part in str(error.value) for part in (*parts, "models/unison/", "set control to map"))


def test_other_kinds_and_shapes() -> None:
    with pytest.raises(InputError, match="control is 'normal'; it is one of map, canny"):
        make_map("normal", FOOTAGE, {})
    with pytest.raises(InputError, match="expected is"):
        make_map("map", FOOTAGE[0], {})


def test_it_is_the_hook_that_sources_call() -> None:
    annotators = Annotators(make_map=map_maker({}))
    assert annotators.make_map is not None
    made, told = annotators.make_map("grey", FOOTAGE, silent, never)
    assert made.equal(grey(FOOTAGE)) and told
