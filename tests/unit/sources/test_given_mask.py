"""Masks that a person gives: their numbers, their alpha and their shape, still and moving."""

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from unison_backend.errors import InputError
from unison_backend.media.from_files import FileMedia
from unison_backend.media.video import iter_video
from unison_backend.media.write import write_video
from unison_backend.plan.borders import Borders
from unison_backend.plan.plan import Plan
from unison_backend.plan.prompt import Medium
from unison_backend.plan.spec import resolve
from unison_backend.plan.tasks import Task
from unison_backend.plan.tokens import parse
from unison_backend.sources.masks import MaskOptions
from unison_backend.sources.prepare import prepare

from .drawn import IMAGE, VIDEO, made, noise, quarter, run, square


@pytest.mark.parametrize("shape", [(64, 64), (64, 32), (64, 192), (640, 640)])
@pytest.mark.parametrize("moving", [False, True])
def test_a_squeezed_mask_marks_what_it_marked(shape, moving):
    """The whole mask belongs to the whole source, whatever its aspect, and that is said."""
    mask = quarter(*shape)
    source, tokens = noise(64, 96, 3), "<BOEDIT>1,0<EOEDIT><CFI>"
    if moving:
        source, mask, tokens = noise(5, 64, 96, 3), mask.expand(5, *mask.shape), "<BOEDIT>1,0<EOEDIT><CFV>"
    sources = made(tokens, source, mask)
    marked = sources.mask[0] > 0.5
    assert marked[:15].all() and not marked[17:].any()
    (notice,) = sources.notices
    assert f"the mask drawn 1 is {shape[1]}x{shape[0]} and drawn 0 is 96x64" in notice and "stretched" in notice


def test_a_mask_of_the_same_shape_is_cut_as_its_source():
    """The source's shape is no multiple of 16: both lose the same."""
    sources = made("<BOEDIT>1,0<EOEDIT><CFI>", noise(100, 150, 3), quarter(200, 300))
    assert sources.notices == () and sources.mask.shape[1:] == sources.video.shape[1:3]
    rows = (sources.mask[0] > 0.5).any(1).sum()
    assert abs(int(rows) - sources.mask.shape[1] / 4) <= 1


def with_hole(colours, alpha_inside=0.0):
    """A picture whose middle is transparent."""
    alpha = torch.ones(*colours.shape[:2], 1)
    alpha[16:48, 32:64] = alpha_inside
    return torch.cat([colours * alpha.ceil(), alpha], -1)


@pytest.mark.parametrize("moving", [False, True])
def test_a_hole_in_the_picture_itself_is_the_mask(moving):
    picture = noise(64, 96, 3)
    source = picture.expand(5, 64, 96, 3) if moving else picture
    sources = made("<BOEDIT>1,0<EOEDIT><CFV>" if moving else "<BOEDIT>1,0<EOEDIT><CFI>", source, with_hole(picture))
    for mask in sources.mask > 0.5:
        assert mask[16:48, 32:64].all() and mask.sum() == 32 * 32
    (notice,) = sources.notices
    assert "the picture itself with a hole" in notice and "--mask-invert" in notice


def test_black_strokes_on_transparent_mark_what_changes():
    strokes = torch.zeros(64, 96, 4)
    strokes[4:20, 8:40, 3] = 1
    sources = made("<BOEDIT>1,0<EOEDIT><CFI>", noise(64, 96, 3), strokes)
    assert (sources.mask[0] > 0.5)[4:20, 8:40].all() and (sources.mask > 0.5).sum() == 16 * 32
    assert "black strokes on transparent" in sources.notices[0]


def test_other_masks_with_alpha_are_read_by_their_colours():
    """White strokes on transparent, another picture with a hole, a mask that is opaque, one for a white picture."""
    strokes = torch.ones(64, 96, 4)
    strokes[..., 3] = 0
    strokes[4:20, 8:40, 3] = 1
    for source in (noise(64, 96, 3), torch.ones(64, 96, 3)):
        sources = made("<BOEDIT>1,0<EOEDIT><CFI>", source, strokes)
        assert (sources.mask > 0.5).sum() == 16 * 32 and sources.notices == ()
    other = with_hole(noise(64, 96, 3, seed=5))
    sources = made("<BOEDIT>1,0<EOEDIT><CFI>", noise(64, 96, 3), other)
    assert not (sources.mask[0, 16:48, 32:64] > 0.5).any() and sources.notices == ()
    opaque = torch.cat([square(64, 96, 0, 0, 16), torch.ones(64, 96, 1)], -1)
    assert (made("<BOEDIT>1,0<EOEDIT><CFI>", noise(64, 96, 3), opaque).mask > 0.5).sum() == 256


def hole_clip(source, first=0):
    """The clip itself with a square erased, from frame `first` on: [T, H, W, 4]."""
    clip = torch.cat([source, torch.ones(*source.shape[:3], 1)], -1)
    clip[first:, 16:32, 16:32] = 0
    return clip


@pytest.mark.parametrize("first", [0, 2])
def test_a_hole_in_a_clip_itself_is_the_mask(first):
    source = noise(5, 48, 64, 3)
    sources = made("<BOEDIT>1,0<EOEDIT><CFV>", source, hole_clip(source, first))
    assert (sources.mask > 0.5).sum((1, 2)).tolist() == [0] * first + [256] * (5 - first)
    assert (sources.mask[first:, 16:32, 16:32] == 1).all()
    (notice,) = sources.notices
    assert "the mask drawn 1 is the picture itself with a hole" in notice and "--mask-invert" in notice


def test_moving_black_strokes_on_transparent_mark_what_changes():
    strokes = torch.zeros(5, 48, 64, 4)
    for number in range(1, 5):  # nothing is drawn on the first frame
        strokes[number, 8:16, 8 * number : 8 * number + 8, 3] = 1
    sources = made("<BOEDIT>1,0<EOEDIT><CFV>", noise(5, 48, 64, 3), strokes)
    assert torch.equal(sources.mask, strokes[..., 3]) and "black strokes" in sources.notices[0]


def test_other_moving_masks_with_alpha_are_read_by_their_colours_on_black():
    white = torch.zeros(5, 48, 64, 4)
    white[..., :3] = 1
    white[:, 8:16, 8:16, 3] = 1
    sources = made("<BOEDIT>1,0<EOEDIT><CFV>", noise(5, 48, 64, 3), white)
    assert torch.equal(sources.mask, white[..., 3]) and sources.notices == ()


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize(
    ("bright", "told"), [(1 / 255, "1 of 255"), (1 / 65535, "1 of 65535"), (100 / 255, "100 of 255")]
)
def test_a_mask_of_dark_numbers_is_refused_and_scaled_when_asked(moving, bright, told):
    source, mask, task = noise(32, 32, 3), square(32, 32, 8, 8, 16) * bright, Task.IMAGE_EDITING
    if moving:
        source, mask, task = noise(5, 32, 32, 3), mask.expand(5, 32, 32, 3), Task.VIDEO_EDITING
    kind = VIDEO if moving else IMAGE
    for keeps in (False, True):  # turned round, such a mask would change all
        plan = Plan(task, source=0, mask=1, media=(kind, kind), mask_keeps=keeps)
        with pytest.raises(InputError, match=f"drawn 1 marks nothing: its brightest value is {told}.*--mask-scale"):
            run(plan, source, mask)
        sources = run(plan, source, mask, mask_options=MaskOptions(scale=True))
        assert (sources.mask[0, 8:24, 8:24] == (not keeps)).all() and sources.mask[0].sum() == abs(1024 * keeps - 256)
        assert f"its brightest value, {told}, counts as white" in sources.notices[0]


def test_a_scale_that_changes_nothing_is_not_said_and_one_without_a_mask_is():
    source, mask = noise(32, 32, 3), square(32, 32, 8, 8, 16)
    plan = Plan(Task.IMAGE_EDITING, source=0, mask=1, media=(IMAGE, IMAGE))
    scaled = run(plan, source, mask, mask_options=MaskOptions(scale=True))
    assert torch.equal(scaled.mask, run(plan, source, mask).mask) and scaled.notices == ()
    black = torch.zeros(32, 32, 3)
    with pytest.raises(InputError, match="marks nothing: paint"):
        run(plan, source, black, mask_options=MaskOptions(scale=True))
    made_of_words = run(Plan(Task.TEXT_TO_IMAGE), mask_options=MaskOptions(scale=True))
    assert made_of_words.notices == ("mask_scale is not used: no mask is given here",)


@pytest.mark.parametrize("moving", [False, True])
def test_a_source_is_no_mask_of_itself(moving):
    """Its brightness says nothing about what changes, saved once more or not; a drawing in black and white may."""
    shape, tokens = (
        ((5, 32, 32, 3), "<BOEDIT>1,0<EOEDIT><CFV>") if moving else ((32, 32, 3), "<BOEDIT>1,0<EOEDIT><CFI>")
    )
    source = noise(*shape)
    for again in (source, (source + noise(*shape, seed=2) / 20).clamp(0, 1)):
        with pytest.raises(InputError, match="the mask drawn 1 is drawn 0 itself, without a transparent part"):
            made(tokens, source, again)
    dark, soft = source / 20, noise(*shape, seed=3) / 10 + 0.45
    assert (made(tokens, dark + 0.5, soft).mask > 0.5).any()
    drawing = square(32, 32, 8, 8, 16).expand(shape)
    assert (made(tokens, drawing, drawing).mask > 0.5).sum() == 256 * (5 if moving else 1)
    assert (made(tokens, source, noise(*shape, seed=1)).mask > 0.5).any()


def bordered(moving, mask_shape, borders):
    """A mask of the source's left quarter beside borders; the sources, and the source's place in them."""
    mask = torch.zeros(*mask_shape, 3)
    mask[:, : mask_shape[1] // 4] = 1
    source, kind, task = noise(64, 64, 3), IMAGE, Task.IMAGE_EDITING
    if moving:
        source, mask, kind, task = noise(5, 64, 64, 3), mask.expand(5, *mask.shape), VIDEO, Task.VIDEO_EDITING
    plan = Plan(task, source=0, mask=1, borders=borders, media=(kind, kind))
    return run(plan, source, mask)


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("mask_shape", [(64, 64), (128, 128), (32, 32), (64, 128)])
@pytest.mark.parametrize("borders", [Borders(right=64), Borders(right=Fraction(1)), Borders(left=32, right=32)])
def test_a_mask_beside_borders_lies_on_its_source(moving, mask_shape, borders):
    """Of any size and shape, still or moving."""
    sources = bordered(moving, mask_shape, borders)
    left = 32 if borders.left else 0
    assert sources.mask.shape[1:] == (64, 128)
    for mask in sources.mask > 0.5:
        assert mask[:, :left].all() and mask[:, left + 64 :].all()
        assert mask[:, left : left + 15].all() and not mask[:, left + 17 : left + 63].any()
    assert any("squeezed" in notice for notice in sources.notices) == (mask_shape == (64, 128))


def mask_file(folder, pixels):
    """Nine grey frames of 320x192 as an edit's source, and a mask of these pixels, [H, W]."""
    source = np.full((192, 320, 3), 90, np.uint8)
    source[:, 160:] = 210
    files = []
    for name, frame in (("source", source), ("mask", np.repeat(pixels[..., None], 3, -1))):
        files.append(write_video(folder / f"{name}.mp4", [frame] * 9, Fraction(24)))
    media = FileMedia([Medium("video", path=str(path)) for path in files])
    plan = replace(parse("<BOEDIT>1,0<EOEDIT><CFV>", "", (VIDEO, VIDEO)), width=96, height=64)
    return plan, media


def test_what_is_told_of_a_dark_mask_is_what_its_file_holds(tmp_path):
    """Specks are darker once they are scaled, and the mask is read again for what is said of it."""
    dark = np.zeros((192, 320), np.uint8)
    dark[::12, ::12] = 100
    plan, media = mask_file(tmp_path, dark)
    with pytest.raises(InputError, match=r"marks nothing: its brightest value is (\d+) of 255") as error:
        prepare(plan, resolve(plan, media.infos), media)
    told = int(re.search(r"is (\d+) of 255", str(error.value)).group(1))
    assert abs(told - 255 * max(float(f.max()) for f in iter_video(media.path(1), as_mask=True))) <= 1 and told > 60


def test_a_faint_mask_keeps_its_soft_rims_when_it_is_scaled(tmp_path):
    """Its values are stretched before 8 bits could round them away."""
    faint = np.zeros((192, 320), np.uint8)
    faint[50:150, 80:241] = 12
    plan, media = mask_file(tmp_path, faint)
    sources = prepare(plan, resolve(plan, media.infos), media, mask_options=MaskOptions(scale=True))
    assert float(sources.mask.max()) > 0.95 and len(sources.mask.unique()) > 12


def test_a_scaled_video_is_no_mask_of_itself(tmp_path):
    plan, media = mask_file(tmp_path, np.zeros((192, 320), np.uint8))
    twice = FileMedia([media.media[0], media.media[0]])
    with pytest.raises(InputError, match="itself, without a transparent part"):
        prepare(plan, resolve(plan, twice.infos), twice)
