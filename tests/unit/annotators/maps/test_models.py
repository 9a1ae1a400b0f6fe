"""Depth, pose and flow maps: what the networks are asked, what becomes of their answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoImageProcessor, DepthAnythingForDepthEstimation

from unison_backend.annotators.bind import map_maker
from unison_backend.annotators.maps import flow as flow_maps
from unison_backend.annotators.maps.depth import DepthModel, clip_range
from unison_backend.annotators.maps.depth import load as load_depth
from unison_backend.annotators.maps.drawing import draw_people, flow_colours
from unison_backend.annotators.maps.flow import FlowModel
from unison_backend.annotators.maps.flow import load as load_flow
from unison_backend.annotators.maps.load import load_control_model
from unison_backend.annotators.maps.pose import PoseModel
from unison_backend.annotators.maps.pose import load as load_pose
from unison_backend.errors import Cancelled, InputError, ResourceError
from unison_backend.progress import never, silent

from ... import tiny_control_models as tiny
from ...tiny_annotators import noise
from ...tiny_control_models import HEIGHT, WIDTH, clip

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_all(tmp_path_factory.mktemp("control"))


@pytest.fixture(scope="module")
def depth(folder: Path) -> DepthModel:
    return load_depth(folder / "make_depth_anything")


@pytest.fixture(scope="module")
def pose(folder: Path) -> PoseModel:
    return load_pose(folder / "pose")


@pytest.fixture(scope="module")
def flow(folder: Path) -> FlowModel:
    return load_flow(folder / "raft.pth")


DEPTHS = ("make_depth_anything", "make_dpt", "make_dpt_dinov2", "make_dpt_hybrid", "make_zoedepth")
ALL = (*DEPTHS, "pose", "raft.pth")


# What all of them do


@pytest.mark.parametrize("name", ALL)
def test_any_of_them_is_told_by_its_files(folder: Path, name: str) -> None:
    model = load_control_model(folder / name)
    assert model.kind == {"pose": "pose", "raft.pth": "flow"}.get(name, "depth")
    assert not model.model.training and not any(p.requires_grad for p in model.model.parameters())
    assert {p.dtype for p in model.model.parameters()} == {torch.float32}
    video = clip()
    made, told = model.make_map(video)
    assert (made.shape, made.dtype, made.device.type) == (video.shape, torch.float32, "cpu")
    assert made.min() >= 0 and made.max() <= 1 and made.std() > 0.01
    assert told.startswith(f"a {model.kind} map was made of the control input")
    assert made.equal(model.make_map(video)[0])
    assert made.equal(load_control_model(folder / name).make_map(video)[0])


@pytest.mark.parametrize("name", ALL)
def test_all_weights_are_in_the_module_that_a_host_moves(folder: Path, name: str) -> None:
    tool = load_control_model(folder / name)
    host = torch.nn.Module()
    host.held = tool.model
    for module in host.modules():
        assert not [key for key, value in vars(module).items() if isinstance(value, torch.Tensor)]
    host.to("meta")
    assert tool.device.type == "meta"
    assert {t.device.type for t in (*tool.model.parameters(), *tool.model.buffers())} == {"meta"}


@pytest.mark.parametrize("kind", ["depth", "pose", "flow"])
def test_reached_through_the_hook(kind: str, request: pytest.FixtureRequest) -> None:
    tool, video = request.getfixturevalue(kind), clip()
    made, told = map_maker({kind: tool})(kind, video, silent, never)
    assert made.equal(tool.make_map(video)[0]) and f"a {kind} map" in told


@pytest.mark.parametrize("kind", ["depth", "pose", "flow"])
def test_progress_cancel_and_gradients(kind: str, request: pytest.FixtureRequest) -> None:
    tool, video, calls = request.getfixturevalue(kind), clip(4), []
    made, _ = tool.make_map(video.clone().requires_grad_(), progress=lambda *call: calls.append(call))
    steps = 3 if kind == "flow" else 4
    assert calls == [(f"{kind} map", n + 1, steps) for n in range(steps)]
    assert not made.requires_grad
    with torch.inference_mode():
        assert tool.make_map(video)[0].equal(made)
    calls.clear()
    with pytest.raises(Cancelled, match=f"{kind} map"):
        tool.make_map(video, progress=lambda *call: calls.append(call), cancel=lambda: len(calls) == 2)
    assert len(calls) == 2


@pytest.mark.parametrize("kind", ["depth", "pose", "flow"])
@pytest.mark.parametrize("shape", [(8, 8, 3), (1, 8, 8, 4), (0, 8, 8, 3)])
def test_other_shapes(kind: str, shape: tuple[int, ...], request: pytest.FixtureRequest) -> None:
    with pytest.raises(InputError, match="expected is"):
        request.getfixturevalue(kind).make_map(torch.zeros(shape))


@pytest.mark.parametrize(("kind", "doing"), [("depth", "depth"), ("pose", "looking for people"), ("flow", "flow")])
def test_out_of_memory(kind: str, doing: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    tool = request.getfixturevalue(kind)
    monkeypatch.setattr(tool.model["detector"] if kind == "pose" else tool.model, "forward", full)
    with pytest.raises(ResourceError, match=f"out of memory while .*{doing}.*: use a smaller video or the CPU"):
        tool.make_map(clip())
    monkeypatch.setattr(tool.model, "to", full)
    with pytest.raises(ResourceError, match=f"moving the {kind} model to cpu"):
        tool.to("cpu")


# Depth


def test_depth_is_the_librarys(folder: Path, depth: DepthModel) -> None:
    video = clip(2)
    model = DepthAnythingForDepthEstimation.from_pretrained(folder / "make_depth_anything").eval()
    processor = AutoImageProcessor.from_pretrained(folder / "make_depth_anything")
    with torch.no_grad():
        inputs = processor(images=list((video * 255).round().byte().numpy()), return_tensors="pt")
        predicted = model(**inputs).predicted_depth
    low, high = torch.quantile(predicted.flatten(), torch.tensor([0.01, 0.99])).tolist()
    sized = torch.nn.functional.interpolate(predicted[:, None], (HEIGHT, WIDTH), mode="bilinear")[:, 0]
    expected = ((sized - low) / (high - low)).clamp(0, 1)
    torch.testing.assert_close(depth.depth(video), expected[..., None].expand(-1, -1, -1, 3), rtol=0, atol=1e-4)


def answers(monkeypatch: pytest.MonkeyPatch, model: DepthModel, maps: list[torch.Tensor]) -> list[Any]:
    """Make the network give these [h, w] maps, one for each call; gives the list of calls, which grows."""
    calls: list[Any] = []

    def forward(**inputs: Any) -> Any:
        calls.append(inputs)
        return SimpleNamespace(predicted_depth=maps[len(calls) - 1][None])

    monkeypatch.setattr(model.model, "forward", forward)
    return calls


def slope(low: float, high: float, side: int = 100) -> torch.Tensor:
    return torch.linspace(low, high, side * side).reshape(side, side)


def test_one_scale_for_the_whole_clip(depth: DepthModel, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, depth, [slope(0, 1), slope(0, 4)])
    made = depth.depth(torch.rand(2, 100, 100, 3))
    assert abs(float(made[0].max()) - 1 / 4) < 0.02 and made[1].max() == 1 and made.min() == 0
    answers(monkeypatch, depth, [slope(0, 1)])
    assert depth.depth(torch.rand(1, 100, 100, 3)).max() == 1  # a frame alone has the scale for itself


def test_a_resting_scene_does_not_flicker(depth: DepthModel) -> None:
    """What is the same in every frame is equally bright, whatever else comes into the clip."""
    still = clip(1)[0]
    made = depth.depth(torch.stack([still, clip(2)[1], still]))
    assert made[0].equal(made[2]) and not made[0].equal(made[1])


def test_a_few_far_values_do_not_take_the_contrast(depth: DepthModel, monkeypatch: pytest.MonkeyPatch) -> None:
    spiky = slope(0, 1)
    spiky[0, 0], spiky[-1, -1] = -1000, 1000
    answers(monkeypatch, depth, [spiky])
    assert depth.depth(torch.rand(1, 100, 100, 3)).std() > 0.25


@pytest.mark.parametrize("name", ["make_depth_anything_metric", "make_dpt_dinov2", "make_zoedepth"])
def test_distances_become_nearness(folder: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "make_depth_anything_metric":
        model = load_depth(tiny.make_depth_anything(tmp_path / "metric", metric=True))
    else:
        model = load_depth(folder / name)
    answers(monkeypatch, model, [torch.full((64, 64), 1.0), torch.full((64, 64), 8.0), torch.full((64, 64), 0.0)])
    with torch.no_grad():
        found = torch.stack([model._nearness(torch.rand(64, 64, 3)) for _ in range(3)])
    expected = torch.tensor([1, 1 / 8, 1000])  # no distance is below a millimetre
    torch.testing.assert_close(found, expected[:, None, None].expand_as(found), rtol=1e-3, atol=0)


def test_nearness_stays_nearness(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("make_depth_anything", "make_dpt", "make_dpt_hybrid"):
        model = load_depth(folder / name)
        answers(monkeypatch, model, [torch.full((4, 4), 8.0)])
        with torch.no_grad():
            assert model._nearness(torch.rand(4, 4, 3)).unique().tolist() == [8.0]


def test_zoedepths_padding_is_taken_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processor mirrors int(sqrt(side / 2) * 3) pixels at each edge before it scales."""
    model = load_depth(folder / "make_zoedepth")
    height, width = 98, 128
    rows, columns = height + 2 * 21, width + 2 * 24
    distances = torch.ones(rows, columns)
    distances[21:-21, 24:-24] = 4
    answers(monkeypatch, model, [distances])
    with torch.no_grad():
        nearness = model._nearness(torch.rand(height, width, 3))
    assert nearness.shape == (height, width)
    torch.testing.assert_close(nearness, torch.full((height, width), 0.25))


def test_equal_depth_is_mid_grey(depth: DepthModel, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, depth, [torch.full((8, 8), 3.0)] * 2)
    assert depth.depth(torch.rand(2, 16, 16, 3)).unique().tolist() == [0.5]


def test_a_repeated_still_is_looked_at_once(depth: DepthModel, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answers(monkeypatch, depth, [slope(0, 1)])
    made = depth.depth(clip(1).expand(40, -1, -1, -1))
    assert made.shape == (40, HEIGHT, WIDTH, 3) and made.stride(0) == 0 and len(calls) == 1


def test_clip_range() -> None:
    assert clip_range([slope(0, 1), slope(0, 1)]) == pytest.approx((0.01, 0.99), abs=1e-3)
    assert clip_range([torch.zeros(8, 8), torch.ones(8, 8)]) == (0, 1)
    dot = torch.zeros(100, 100)
    dot[5, 5] = 7
    assert clip_range([dot]) == (0, 7)  # both percentiles are 0
    assert clip_range([torch.full((4, 4), 2.0)]) == (2, 2)
    assert clip_range([1e6 + torch.rand(8, 8)]) == pytest.approx((1e6, 1e6), abs=2)
    many = torch.linspace(0, 1, 3000).expand(3000, 3000)
    assert clip_range([many]) == pytest.approx((0.01, 0.99), abs=5e-3)  # on a grid


# Pose

# Heat maps of the tiny ViTPose are 16 high and 12 wide: a quarter of what it sees.
ROWS, COLUMNS = 16, 12
BOX = (0.25, 0.25, 0.75, 0.75)


def people(
    monkeypatch: pytest.MonkeyPatch,
    pose: PoseModel,
    frames: list[list[tuple[tuple[float, float, float, float], float, int]]],
    peaks: dict[int, tuple[float, float]],
    strength: float = 0.9,
) -> tuple[list[Any], list[Any]]:
    """Make the detector answer with boxes (shares of the frame, score, class), ViTPose with key points in heat maps.

    peaks: column and row by number of the key point. Gives both lists of calls, which grow.
    """
    looks: list[Any] = []
    poses: list[Any] = []

    def detect(**inputs: Any) -> Any:
        found = frames[len(looks)]
        looks.append(inputs)
        logits, boxes = torch.full((1, 20, 3), -20.0), torch.zeros(1, 20, 4)
        for i, ((left, top, right, bottom), score, label) in enumerate(found):
            logits[0, i, label] = torch.logit(torch.tensor(score))
            boxes[0, i] = torch.tensor([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
        return SimpleNamespace(logits=logits, pred_boxes=boxes)

    def estimate(**inputs: Any) -> Any:
        poses.append(inputs)
        rows, columns = torch.arange(ROWS)[:, None], torch.arange(COLUMNS)[None]
        maps = torch.zeros(17, ROWS, COLUMNS)
        for number, (x, y) in peaks.items():
            maps[number] = strength * torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
        return SimpleNamespace(heatmaps=maps.expand(len(inputs["pixel_values"]), -1, -1, -1).clone())

    monkeypatch.setattr(pose.model["detector"], "forward", detect)
    monkeypatch.setattr(pose.model["vitpose"], "forward", estimate)
    return looks, poses


FRAMES = torch.rand(2, 200, 200, 3, generator=torch.Generator().manual_seed(0))
SHOULDERS = {5: (8.0, 4.0), 6: (3.0, 4.0)}  # the left one is on the right of somebody who looks at us


def test_key_points_are_drawn_where_they_are(pose: PoseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    people(monkeypatch, pose, [[(BOX, 0.9, 0)]], SHOULDERS)
    found = pose._people((FRAMES[0] * 255).byte().permute(2, 0, 1))
    assert len(found) == 1 and sum(point is not None for point in found[0]) == 3
    neck, right, left = found[0][1], found[0][2], found[0][5]
    assert neck and right and left
    # ViTPose sees the box in its own aspect of 3 to 4 and 1.25 times as large, around its middle at 100, 100.
    across, down = 125 / (COLUMNS - 1), 125 / 0.75 / (ROWS - 1)
    assert left == pytest.approx((100 + (8 - 5.5) * across, 100 + (4 - 7.5) * down), abs=1)
    assert right == pytest.approx((100 + (3 - 5.5) * across, 100 + (4 - 7.5) * down), abs=1)
    assert neck == pytest.approx(((left[0] + right[0]) / 2, (left[1] + right[1]) / 2))
    people(monkeypatch, pose, [[(BOX, 0.9, 0)]] * 2, SHOULDERS)
    made, empty = pose.pose(FRAMES)
    assert made.equal(draw_people(found, 200, 200).expand(2, -1, -1, -1)) and empty == ()
    assert made[0, int(left[1]), int(left[0])].mul(255).round().tolist() == [0, 255, 85]  # a left shoulder's colour


def test_weak_key_points_are_left_out(pose: PoseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    people(monkeypatch, pose, [[(BOX, 0.9, 0)]], SHOULDERS, strength=0.2)
    with pytest.raises(InputError, match="nobody was found in any of the control input's 1 frames"):
        pose.pose(FRAMES[:1])


def test_who_counts_as_a_person(pose: PoseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    look = [
        (BOX, 0.9, 0),
        ((0.26, 0.25, 0.75, 0.76), 0.8, 0),  # the same once more
        ((0.0, 0.0, 0.2, 0.5), 0.95, 2),  # a car
        ((0.8, 0.1, 0.9, 0.4), 0.25, 0),  # too little
        ((-0.1, 0.8, 0.2, 1.2), 0.4, 0),  # partly outside
    ]
    _, poses = people(monkeypatch, pose, [look], SHOULDERS)
    assert pose._boxes((FRAMES[0] * 255).byte().permute(2, 0, 1)) == [
        pytest.approx([50, 50, 100, 100], abs=1e-3),
        pytest.approx([0, 160, 40, 40], abs=1e-3),
    ]
    people(monkeypatch, pose, [look], SHOULDERS)
    assert len(pose._people((FRAMES[0] * 255).byte().permute(2, 0, 1))) == 2 and not poses


def test_frames_without_anybody(pose: PoseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    video = FRAMES[:1].repeat(4, 1, 1, 1)
    _, poses = people(monkeypatch, pose, [[(BOX, 0.9, 0)], [], [(BOX, 0.9, 1)], [(BOX, 0.9, 0)]], SHOULDERS)
    made, told = pose.make_map(video)
    assert "nobody was found in 2 of 4 frames (the first is 1): they are black" in told
    assert len(poses) == 2 and not made[1:3].any() and made[0].any() and made[0].equal(made[3])


def test_nobody_at_all(pose: PoseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    people(monkeypatch, pose, [[], []], SHOULDERS)
    with pytest.raises(InputError, match=r"in any of the control input's 2 frames: use footage .* set control to map"):
        pose.pose(FRAMES)
    looks, _ = people(monkeypatch, pose, [[]], SHOULDERS)
    with pytest.raises(InputError, match="5 frames"):
        pose.pose(FRAMES[:1].expand(5, -1, -1, -1))
    assert len(looks) == 1  # a repeated still is looked at once


@pytest.mark.parametrize("experts", [1, 3])
def test_a_vitpose_with_experts_is_asked_for_coco(
    folder: Path, tmp_path: Path, experts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_pose(tiny.make_vitpose(tmp_path / "vitpose", experts=experts), folder / "pose" / "detector")
    assert model.make_map(clip(1))[0].shape == (1, HEIGHT, WIDTH, 3)  # it runs
    _, poses = people(monkeypatch, model, [[(BOX, 0.9, 0), ((0.0, 0.0, 0.2, 0.5), 0.8, 0)]], SHOULDERS)
    model.pose(FRAMES[:1])
    index = poses[0].get("dataset_index")
    assert index is None if experts == 1 else index.tolist() == [0, 0]


# Flow


def network(
    monkeypatch: pytest.MonkeyPatch, model: FlowModel, answer: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> list[Any]:
    """Make RAFT answer each pair [1, 3, H, W] with `answer`'s [1, 2, H, W]; gives the list of calls, which grows."""
    calls: list[Any] = []

    def forward(before: torch.Tensor, after: torch.Tensor, num_flow_updates: int) -> list[torch.Tensor]:
        calls.append((before, after, num_flow_updates))
        return [torch.full_like(before[:, :2], torch.nan), answer(before, after)]

    monkeypatch.setattr(model.model, "forward", forward)
    return calls


def constant(*ways: tuple[float, float]) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    rest = iter(ways)
    return lambda before, _: torch.tensor(next(rest))[None, :, None, None].expand(1, 2, *before.shape[2:]).clone()


def test_flow_is_torchvisions(flow: FlowModel) -> None:
    """Where nothing has to be padded or scaled."""
    video = noise(2, 128, 128)
    first, second = (video * 2 - 1).permute(0, 3, 1, 2).split(1)
    with torch.no_grad():
        expected = flow.model(first, second, num_flow_updates=20)[-1][0]
        found = flow._between(*video)
    torch.testing.assert_close(found, expected)
    longest = float(expected.norm(dim=0).max())
    torch.testing.assert_close(flow.flow(video)[1], flow_colours(expected, max(1.0, longest)), rtol=0, atol=1 / 255)


@pytest.mark.parametrize("way", [(6, 0), (-6, 0), (0, 6), (0, -6), (4, 4)])
def test_a_moving_square_gets_the_colour_of_its_way(
    flow: FlowModel, way: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that sees where the bright square went; only direction and order are ours."""
    video = torch.zeros(3, 96, 112, 3)
    for number, frame in enumerate(video):
        x, y = 40 + number * way[0], 40 + number * way[1]
        frame[y : y + 16, x : x + 16] = 1

    def middle(frame: torch.Tensor) -> torch.Tensor:
        rows, columns = (frame[0, 0] > 0).nonzero().float().mean(0)
        return torch.stack([columns, rows])

    def follow(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        moved = (middle(after) - middle(before))[None, :, None, None]
        return (before[:, :1] > 0) * moved

    network(monkeypatch, flow, follow)
    made = flow.flow(video)
    longest = (way[0] ** 2 + way[1] ** 2) ** 0.5
    expected = flow_colours(torch.tensor(way).float()[:, None, None], longest)[0, 0]
    square = made[1, 40:56, 40:56]
    torch.testing.assert_close(square, expected.expand(16, 16, 3), rtol=0, atol=2 / 255)
    assert (made[1, :30] == 1).all() and expected.min() < 0.2
    assert made[0].equal(made[1]) and not made[2].equal(made[1])


def test_one_scale_of_flow_for_the_whole_clip(flow: FlowModel, monkeypatch: pytest.MonkeyPatch) -> None:
    network(monkeypatch, flow, constant((1.0, 0.0), (8.0, 0.0)))
    made = flow.flow(noise(3, 40, 48))
    slow, fast = (flow_colours(torch.tensor([[[x]], [[0.0]]]), 8.0)[0, 0] for x in (1.0, 8.0))
    assert made[1, 5, 5].equal(slow) and made[2, 5, 5].equal(fast) and slow.min() > 0.8 and fast.min() < 0.1


def test_what_hardly_moves_is_nearly_white(flow: FlowModel, monkeypatch: pytest.MonkeyPatch) -> None:
    network(monkeypatch, flow, constant((0.05, 0.0)))
    assert flow.flow(noise(2, 40, 48)).min() > 0.9


def test_small_and_odd_frames_are_padded_and_large_ones_scaled(
    flow: FlowModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = network(monkeypatch, flow, constant((2.0, 4.0)))
    found = flow._between(*noise(2, 45, 131))
    assert calls[0][0].shape == (1, 3, 128, 136) and calls[0][0].min() >= -1 and calls[0][2] == 20
    assert found.shape == (2, 45, 131) and found[0].unique().tolist() == [2] and found[1].unique().tolist() == [4]
    monkeypatch.setattr(flow_maps, "FLOW_MAX_AREA", 200 * 150)
    calls = network(monkeypatch, flow, constant((2.0, 4.0)))
    found = flow._between(*noise(2, 300, 400))
    assert calls[0][0].shape == (1, 3, 152, 200) and found.shape == (2, 300, 400)
    assert found[0].unique().tolist() == [4] and found[1].unique().tolist() == [8]  # in pixels of the large frame


def test_padding_lies_around_the_frame(flow: FlowModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer at a place is the one for the pixel that was put there."""
    network(monkeypatch, flow, lambda before, _: before[:, :2])
    video = noise(2, 45, 131)
    torch.testing.assert_close(flow._between(*video), (video[0, ..., :2] * 2 - 1).permute(2, 0, 1))


@pytest.mark.parametrize("cancelled", [False, True])
def test_raft_keeps_nothing_of_the_last_pair(flow: FlowModel, cancelled: bool) -> None:
    calls: list[Any] = []
    if cancelled:
        with pytest.raises(Cancelled):
            flow.flow(clip(3), progress=lambda *call: calls.append(call), cancel=lambda: len(calls) == 1)
    else:
        flow.flow(clip(2))
    assert flow.model.corr_block.corr_pyramid == []


def test_flow_takes_two_frames(flow: FlowModel) -> None:
    with pytest.raises(InputError, match="flow needs at least two frames: use a video"):
        flow.flow(clip(1))
