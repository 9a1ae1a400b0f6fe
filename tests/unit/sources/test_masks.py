"""Mask options on drawn shapes with known answers, and the composite that ends an edit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from unison_backend.errors import Cancelled, InputError
from unison_backend.sources.composite import check_pair, composite, share
from unison_backend.sources.masks import FILLS, MaskOptions, changed, grown, of_frame


def drawn(*boxes, size=32, frames=1):
    """White rectangles (top, left, bottom, right) on black."""
    mask = torch.zeros(frames, size, size)
    for top, left, bottom, right in boxes:
        mask[:, top:bottom, left:right] = 1
    return mask


def test_nothing_asked_is_nothing_done():
    mask = torch.rand(2, 8, 8)
    assert changed(mask, MaskOptions()) is mask


def test_growing_is_round_and_shrinking_takes_it_back():
    mask = drawn((16, 16, 17, 17))
    grown = changed(mask, MaskOptions(grow=5))
    rows, columns = torch.nonzero(grown[0], as_tuple=True)
    assert int(((rows - 16) ** 2 + (columns - 16) ** 2).max()) == 25
    assert grown.sum() == sum(x * x + y * y <= 25 for x in range(-5, 6) for y in range(-5, 6))
    box = drawn((8, 8, 24, 24))
    assert torch.equal(changed(box, MaskOptions(grow=-4)), drawn((12, 12, 20, 20)))
    assert changed(box, MaskOptions(grow=-20)).sum() == 0


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 9, 40, -1, -3, -9, -40])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.995, 1.0])
def test_growing_looks_at_the_whole_frame(pixels, share):
    """What is worked on is only where something is marked; every pixel is that of the distances of all."""
    marked = ndimage.gaussian_filter(np.random.default_rng(3).random((50, 70)), 1)
    marked = marked <= np.quantile(marked, share)
    marked[:, :20] &= share > 0.9  # a part that is empty
    inside = ndimage.distance_transform_edt(marked) > -pixels
    assert np.array_equal(grown(marked, pixels), inside if pixels < 0 else _distances(marked) <= pixels)


@pytest.mark.parametrize("feather", [1, 4, 30])
def test_the_feather_is_that_of_the_whole_frame(feather):
    mask = drawn((3, 20, 11, 32))[0]
    wanted = (1 - torch.from_numpy(_distances(mask.numpy() > 0)).float() / (feather + 1)).clamp(0, 1)
    assert torch.equal(share(mask, feather), wanted)


def _distances(marked):
    return ndimage.distance_transform_edt(~marked)


def test_holes_hull_and_box():
    ring = drawn((8, 8, 24, 24)) - drawn((12, 12, 20, 20))
    assert torch.equal(changed(ring, MaskOptions(fill="holes")), drawn((8, 8, 24, 24)))
    corner = drawn((4, 4, 5, 20)) + drawn((5, 4, 20, 5))
    assert torch.equal(changed(corner, MaskOptions(fill="box")), drawn((4, 4, 20, 20)))
    hull = changed(corner, MaskOptions(fill="hull"))
    assert (hull >= corner).all()
    assert 0.5 <= float(hull.sum()) / 256 < 0.6  # half of the box, with its diagonal
    line = drawn((4, 4, 5, 20))
    assert torch.equal(changed(line, MaskOptions(fill="hull")), line)


def test_blur_is_last_and_keeps_the_amount():
    soft = changed(drawn((12, 12, 20, 20)), MaskOptions(blur=2))
    assert 0 < soft.min() + soft.max() <= 1
    assert soft.sum() == pytest.approx(64, abs=1)
    assert ((soft > 0) & (soft < 1)).any()


def test_an_empty_mask_stays_empty():
    for fill in FILLS:
        assert changed(torch.zeros(2, 8, 8), MaskOptions(fill=fill, grow=3)).sum() == 0


def test_a_repeated_still_is_worked_on_once_and_stays_small():
    still = drawn((8, 8, 16, 16)).expand(1000, 32, 32)
    grown = changed(still, MaskOptions(grow=2))
    assert grown.shape == still.shape
    assert grown.stride(0) == 0


@pytest.mark.parametrize("options", [{"fill": "all"}, {"grow": 5000}, {"grow": -5000}, {"blur": -1}, {"blur": 1e9}])
def test_options_out_of_range_name_themselves(options):
    with pytest.raises(InputError, match=f"mask {next(iter(options))} is"):
        MaskOptions(**options)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(FILLS), st.integers(-6, 6), st.sampled_from([0.0, 0.7, 3.0]))
def test_masks_stay_masks(seed, fill, grow, blur):
    mask = (torch.rand(2, 12, 17, generator=torch.Generator().manual_seed(seed)) > 0.8).float()
    made = changed(mask, MaskOptions(fill, grow, blur))
    assert made.shape == mask.shape
    assert made.dtype == torch.float32
    assert 0 <= made.min() <= made.max() <= 1
    if grow >= 0 and not blur:
        assert (made >= mask).all()


# The composite


def test_outside_is_the_source_to_the_bit_and_inside_is_new():
    new, old, mask = torch.rand(3, 32, 32, 3), torch.rand(3, 32, 32, 3), drawn((8, 8, 16, 16), frames=3)
    made = composite(new, old, mask, feather=0)
    inside = mask[..., None] > 0.5
    assert torch.equal(made, torch.where(inside, new, old))


def test_the_feather_lies_outside_the_mask_and_falls_evenly():
    weight = share(drawn((0, 0, 32, 8))[0], 3)
    assert weight[0].tolist()[6:13] == [1, 1, 0.75, 0.5, 0.25, 0, 0]
    new, old = torch.ones(1, 32, 32, 3), torch.rand(1, 32, 32, 3)
    made = composite(new, old, drawn((0, 0, 32, 8)), feather=3)
    assert torch.equal(made[:, :, 11:], old[:, :, 11:])
    assert (made[:, :, :8] == 1).all()


def test_an_empty_mask_gives_the_source():
    new, old = torch.rand(1, 8, 8, 3), torch.rand(1, 8, 8, 3)
    assert torch.equal(composite(new, old, torch.zeros(1, 8, 8), feather=4), old)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="one size and length"):
        composite(torch.zeros(1, 8, 8, 3), torch.zeros(2, 8, 8, 3), torch.zeros(1, 8, 8))
    with pytest.raises(InputError, match="feather is 999"):
        composite(torch.zeros(1, 8, 8, 3), torch.zeros(1, 8, 8, 3), torch.zeros(1, 8, 8), feather=999)
    with pytest.raises(Cancelled):
        composite(torch.zeros(1, 8, 8, 3), torch.zeros(1, 8, 8, 3), torch.zeros(1, 8, 8), cancel=lambda: True)


# The mask of one frame, and what a composite is told


def test_the_mask_of_a_frame_is_the_single_one_or_the_frames_own():
    masks = torch.rand(3, 4, 5)
    assert torch.equal(of_frame(masks, 2, 3), masks[2])
    assert torch.equal(of_frame(masks[1], 2, 3), masks[1])
    assert torch.equal(of_frame(masks[1:2], 2, 3), masks[1])
    assert torch.equal(of_frame(masks[:1], 0, 1), masks[0])


@pytest.mark.parametrize(("held", "count"), [(2, 3), (3, 2), (3, 1)])
def test_another_number_of_masks_is_refused(held, count):
    with pytest.raises(InputError, match=f"mask holds {held} masks, images {count}: connect one mask, or one for each"):
        of_frame(torch.ones(held, 4, 5), 0, count)


@pytest.mark.parametrize("frame", [-1, 3])
@pytest.mark.parametrize("held", [1, 3])
def test_a_mask_of_a_frame_that_is_not_there(held, frame):
    with pytest.raises(InputError, match=f"the marked frame is {frame}, but images has the frames 0 to 2"):
        of_frame(torch.ones(held, 4, 5), frame, 3)


@pytest.mark.parametrize("sources", [True, False])
def test_source_and_mask_belong_together(sources):
    check_pair(source=True, mask=True, sources=sources)
    for name in ("source", "mask"):
        with pytest.raises(InputError, match=f"^{name} has no effect alone: connect both source and mask"):
            check_pair(source=name == "source", mask=name == "mask", sources=sources)


def test_a_composite_needs_something_to_keep():
    check_pair(source=False, mask=False, sources=True)
    with pytest.raises(InputError, match="connect sources, or source and mask"):
        check_pair(source=False, mask=False, sources=False)
