"""The reference's own samples, prepared: where its rule is kept, and where its defects are mended."""

import numpy as np
import pytest
import torch

from unison_backend.media.pictures import load_image
from unison_backend.pipeline.planning import Planned, make_plan
from unison_backend.plan.prompt import parse_paths
from unison_backend.sources.masks import MASK_THRESHOLD
from unison_backend.sources.prepare import prepare

from .conftest import examples

SAMPLES = examples()
pytestmark = pytest.mark.skipif(SAMPLES is None, reason="the reference's samples are not beside this checkout")


def prepared(text):
    planned: Planned = make_plan(parse_paths(text.format(s=SAMPLES)))
    return planned, prepare(planned.plan, planned.spec, planned.media)


def test_the_samples_mask_is_read_as_it_was_drawn():
    """It holds 0, 1, 254 and 255: ones are black, and nothing that is marked is lost (D14)."""
    mask = load_image(SAMPLES / "image_edit_mask.png", as_mask=True)[..., 0]
    assert {round(float(v) * 255) for v in np.unique(mask)} >= {0, 1, 254, 255}
    _, sources = prepared("I have an image ###{s}/image_edit_source.png### and a mask ###{s}/image_edit_mask.png###. Put a piano in the masked area.")  # fmt: skip
    if sources.mask.shape[1:] == mask.shape:
        assert torch.equal(sources.mask[0] > MASK_THRESHOLD, torch.from_numpy(mask > 0.5))
    share = float((sources.mask > MASK_THRESHOLD).float().mean())
    assert share == pytest.approx(float((mask > 0.5).mean()), abs=0.01)
    assert share < float((mask > 0).mean())  # the reference's rule marks more


def test_kept_pixels_of_the_edit_sample_are_exact_where_its_size_is_kept():
    """No lossy file lies between (D15); the size is the reference's rule."""
    planned, sources = prepared("I have an image ###{s}/image_edit_source.png### and a mask ###{s}/image_edit_mask.png###. Put a piano in the masked area.")  # fmt: skip
    info = planned.media.info(0)
    source = torch.from_numpy(load_image(SAMPLES / "image_edit_source.png"))
    kept = sources.mask[0] <= MASK_THRESHOLD
    if (info.width, info.height) == (planned.spec.width, planned.spec.height):
        assert torch.equal(sources.video[0][kept], source[kept])
    assert (sources.video[0][~kept] == 0.5).all()


def test_the_frame_sample_stands_where_it_is_said():
    """First is first, and the spoken length is kept (D1, D2)."""
    for place, index in (("first", 0), ("last", -1)):
        planned, sources = prepared(f"Based on the provided {place} frame ###{{s}}/video_i2v.jpg###, generate a 2 second video of it.")  # fmt: skip
        assert planned.spec.num_frames == 49
        assert (sources.mask[index] == 0).all()
        assert sources.mask.sum() == 48 * sources.mask[0].numel()


def test_the_control_sample_keeps_its_rate():
    """8 frames a second stay 8 (D9), and the sample's pose map is followed as it is."""
    planned, sources = prepared("Based on this pose video ###{s}/video_ctrl.mp4###, generate a video of a robot dancing.")  # fmt: skip
    info = planned.media.info(0)
    assert float(planned.spec.fps) == pytest.approx(float(info.fps), rel=0.05)
    assert planned.spec.num_frames in range(info.num_frames - 3, info.num_frames + 1)
    assert (sources.mask == 1).all()


def test_the_reference_samples_stand_whole_on_white():
    for name in ("image_ref.png", "video_ref.png"):
        _, sources = prepared(f"Create an image of the person in ###{{s}}/{name}### at the beach.")
        (reference,) = sources.references
        assert (
            (reference[0, 0] == 1).all()
            or (reference[-1, -1] == 1).all()
            or reference.shape[:2] == sources.mask.shape[1:]
        )
        assert reference.shape[:2] == sources.mask.shape[1:]
