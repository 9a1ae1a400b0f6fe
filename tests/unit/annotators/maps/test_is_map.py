"""What counts as a ready control map: drawn maps of every kind, and footage that must never be taken for one."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from unison_backend.annotators.maps.canny import make as canny
from unison_backend.annotators.maps.drawing import draw_people, flow_colours
from unison_backend.annotators.maps.frames import luma
from unison_backend.annotators.maps.grey import make as grey
from unison_backend.annotators.maps.is_map import looks_like
from unison_backend.annotators.maps.scribble import make as scribble
from unison_backend.errors import InputError
from unison_backend.media.write import write_video
from unison_backend.plan.controls import CONTROLS

KINDS = ("canny", "scribble", "grey", "depth", "pose", "flow")
HEIGHT, WIDTH = 240, 320


def smooth(seed: int, channels: int = 3, cells: int = 5) -> Tensor:
    """[H, W, channels] in 0..1: soft blobs of random brightness."""
    coarse = torch.rand(1, channels, cells, cells, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bicubic")[0].permute(1, 2, 0).clamp(0, 1)


def grain(frame: Tensor, much: float = 0.03, seed: int = 0) -> Tensor:
    return (frame + much * torch.randn(frame.shape, generator=torch.Generator().manual_seed(seed))).clamp(0, 1)


def drawn(ground: str, draw: Callable[[Any], Any]) -> Tensor:
    picture = Image.new("RGB", (WIDTH, HEIGHT), ground)
    draw(ImageDraw.Draw(picture))
    return torch.from_numpy(np.array(picture)).float() / 255


def objects(ground: str = "#356") -> Tensor:
    """Flat things in colour."""

    def draw(pen: Any) -> None:
        pen.rectangle((30, 40, 120, 150), fill="#c42")
        pen.ellipse((150, 60, 260, 190), fill="#dc3")
        pen.polygon([(200, 230), (300, 230), (250, 120)], fill="#2a6")

    return drawn(ground, draw)


def walker(shift: int = 0) -> list[Any]:
    """OpenPose's 18 key points of somebody who stands."""
    spots = ((160, 50), (160, 80), (135, 80), (125, 115), (120, 150), (185, 80), (195, 115), (200, 150), (145, 150))
    more = ((143, 190), (140, 228), (175, 150), (178, 190), (182, 228), (155, 45), (165, 45), (148, 48), (172, 48))
    return [(x + shift, y) for x, y in (*spots, *more)]


def pose_map(*shifts: int) -> Tensor:
    return draw_people([walker(shift) for shift in shifts], HEIGHT, WIDTH)


def depth_map() -> Tensor:
    """A floor that comes nearer, a wall behind it and two rounded things on it."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, HEIGHT), torch.linspace(0, 1, WIDTH), indexing="ij")
    depth = torch.where(rows > 0.4, 0.15 + (rows - 0.4), 0.12 + 0.05 * columns)
    for x, y, size, near in ((0.3, 0.6, 0.2, 0.6), (0.7, 0.5, 0.25, 0.8)):
        apart = ((columns - x) ** 2 + (rows - y) ** 2) / size**2
        depth = torch.where(apart < 1, near + 0.1 * (1 - apart), depth)
    return depth[..., None].expand(-1, -1, 3)


def flow_map() -> Tensor:
    """A camera that pans, and something that crosses its way."""
    flow = torch.zeros(2, HEIGHT, WIDTH)
    flow[0] = torch.linspace(-2, 2, WIDTH)
    flow[:, 60:180, 90:200] = torch.tensor([6.0, -3.0])[:, None, None]
    return flow_colours(flow, float(flow.norm(dim=0).max()))


def film(frame: Tensor) -> Tensor:
    """Footage without colour, with grain."""
    return grain(luma(frame), 0.04)[..., None].expand(-1, -1, 3)


MAPS = {
    "canny": lambda: canny(grain(objects())[None])[0],
    "scribble": lambda: scribble(objects()[None])[0],
    "scribble, dark": lambda: scribble(objects()[None], dark_lines=True)[0],
    "grey": lambda: grey(grain(objects(), 0.04)[None])[0],
    "depth": depth_map,
    "pose": lambda: pose_map(0),
    "pose, three": lambda: pose_map(-90, 0, 100),
    "pose, OpenPose's colours": lambda: pose_map(0).flip(-1),
    "flow": flow_map,
}
# What else a kind may be taken for: lines and depth maps have no colour, so nothing is lost where grey is asked for.
ALSO = {"canny": {"scribble", "grey"}, "scribble": {"canny", "grey"}, "depth": {"grey"}}

FOOTAGE = {
    "flat things": objects,
    "flat things on white": lambda: objects("white"),
    "flat things on black": lambda: objects("black"),
    "grainy things": lambda: grain(objects()),
    "noise": lambda: torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(1)),
    "soft": lambda: smooth(2),
    "slopes": lambda: torch.stack(
        [torch.linspace(0, 1, WIDTH).expand(HEIGHT, -1), torch.linspace(0, 1, HEIGHT)[:, None].expand(-1, WIDTH), torch.full((HEIGHT, WIDTH), 0.4)], -1
    ),
    "dark": lambda: grain(objects() * 0.15, 0.01),
    "pale": lambda: grain(0.85 + 0.15 * smooth(3), 0.01),
    "sepia": lambda: film(smooth(4)) * torch.tensor([1.0, 0.9, 0.7]),
    "blue ink": lambda: drawn("white", lambda pen: [pen.line((20, y, 300, y + 7), fill="#24c", width=3) for y in range(20, 220, 20)]),
    "lamps at night": lambda: functional.avg_pool2d(
        drawn("black", lambda pen: [pen.ellipse((x, y, x + 26, y + 26), fill=c) for x, y, c in ((40, 60, "#f80"), (120, 90, "#f04"), (200, 50, "#0af"), (250, 160, "#4f2"), (90, 170, "#c0f"))]).permute(2, 0, 1), 25, 1, 12
    ).permute(1, 2, 0),
    "a coloured blob on black": lambda: drawn("black", lambda pen: pen.ellipse((100, 60, 220, 200), fill="#f40")),
    "one red line on black": lambda: drawn("black", lambda pen: pen.line((40, 40, 280, 200), fill="red", width=4)),
}  # fmt: skip


def kinds_of(frame: Tensor) -> set[str]:
    return {kind for kind in KINDS if looks_like(kind, frame[None])}


@pytest.mark.parametrize("name", MAPS)
def test_maps_are_known(name: str) -> None:
    kind = name.split(",")[0]
    found = kinds_of(MAPS[name]())
    assert kind in found and found <= {kind} | ALSO.get(kind, set())


@pytest.mark.parametrize("name", FOOTAGE)
def test_footage_is_no_map(name: str) -> None:
    assert kinds_of(FOOTAGE[name]()) == set()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    cells=st.integers(2, 40),
    bright=st.floats(0.1, 1),
    much=st.sampled_from([0.0, 0.01, 0.1]),
)
def test_colour_is_never_a_map(seed: int, cells: int, bright: float, much: float) -> None:
    assert kinds_of(grain(smooth(seed, cells=cells) * bright, much, seed)) == set()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "grey"])
def test_film_without_colour_is_only_grey(kind: str) -> None:
    for seed in range(3):
        frame = film(0.5 * smooth(seed, cells=12) + 0.5 * objects())
        assert looks_like("grey", frame[None]) and not looks_like(kind, frame[None])


def test_a_mask_is_neither_lines_nor_depth() -> None:
    for ground, fill in (("black", "white"), ("white", "black")):
        mask = drawn(ground, lambda pen, fill=fill: pen.ellipse((80, 50, 220, 200), fill=fill))
        assert kinds_of(mask) == set()


# Videos


def test_a_map_all_along_is_one() -> None:
    frames = torch.stack([pose_map(shift) for shift in range(-60, 60, 10)])
    assert looks_like("pose", frames)
    empty = torch.zeros_like(frames[:3])
    assert looks_like("pose", torch.cat([empty, frames, empty]))  # nobody there yet


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_see_is_no_map(kind: str) -> None:
    for value in (0.0, 0.5, 1.0):
        assert not looks_like(kind, torch.full((3, 40, 40, 3), value))


def test_one_ordinary_frame_among_maps_is_enough() -> None:
    frames = pose_map(0).expand(5, -1, -1, -1).clone()
    assert looks_like("pose", frames)
    for number in (0, 2, 4):
        mixed = frames.clone()
        mixed[number] = objects()
        assert not looks_like("pose", mixed)


def test_footage_that_fades_in_is_no_map() -> None:
    frames = torch.stack([objects() * share for share in (0, 0, 0.3, 0.7, 1.0)])
    assert not any(looks_like(kind, frames) for kind in KINDS)


@pytest.mark.parametrize("name", ["canny", "scribble", "scribble, dark", "depth", "pose", "flow"])
def test_maps_survive_a_video_file(name: str, tmp_path: Path) -> None:
    """H.264 with 4:2:0 colour, as maps are kept."""
    frame = MAPS[name]().numpy()
    write_video(tmp_path / "map.mp4", np.repeat(frame[None], 5, 0), Fraction(8))
    assert looks_like(name.split(",")[0], decoded(tmp_path / "map.mp4"))


def test_maps_survive_resizing() -> None:
    for name in ("canny", "scribble", "depth", "pose", "flow"):
        big = MAPS[name]().permute(2, 0, 1)[None]
        small = functional.interpolate(big, (160, 208), mode="bicubic", antialias=True).clamp(0, 1)
        assert looks_like(name, small.permute(0, 2, 3, 1)), name


def test_large_and_tiny_frames() -> None:
    large = functional.interpolate(objects().permute(2, 0, 1)[None], (2160, 2880)).permute(0, 2, 3, 1)
    assert not any(looks_like(kind, large) for kind in KINDS)
    assert looks_like("canny", canny(large))
    for side in (1, 2, 16):
        assert kinds_of(torch.rand(side, side, 3, generator=torch.Generator().manual_seed(side))) <= {"grey"}


def test_other_kinds_and_shapes() -> None:
    assert looks_like("map", objects()[None])
    with pytest.raises(InputError, match="control is 'edges'; it is one of map"):
        looks_like("edges", objects()[None])
    with pytest.raises(InputError, match="expected is"):
        looks_like("canny", objects())
    assert set(KINDS) | {"map"} == set(CONTROLS)


# The reference's own inputs, where a checkout has them beside it (as in tests/end_to_end/conftest.py)


def examples() -> Path | None:
    named = os.environ.get("UNISON_EXAMPLES")
    folder = Path(named) if named else Path(__file__).resolve().parents[5] / "shared" / "examples"
    return folder if (folder / "planning.jsonl").is_file() else None


def decoded(path: Path) -> Tensor:
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.from_numpy(np.stack(frames[:: max(1, len(frames) // 8)])).float() / 255


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("video_ctrl.mp4", {"pose"}),
        ("video_edit_source.mp4", set()),
        *((name, set()) for name in ("image_edit_source.png", "image_ref.png", "image_understanding.jpg")),
        *((name, set()) for name in ("video_i2v.jpg", "video_ref.png", "image_edit_mask.png")),
    ],
)
def test_the_references_own_inputs(name: str, kinds: set[str]) -> None:
    folder = examples()
    if folder is None:
        pytest.skip("no examples beside this checkout")
    path = folder / name
    if path.suffix == ".mp4":
        video = decoded(path)
    else:
        video = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).float()[None] / 255
    assert {kind for kind in KINDS if looks_like(kind, video)} == kinds
