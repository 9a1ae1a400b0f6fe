"""VACE's sources and context on drawn media with exact known answers."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from unison_backend.engine.vace_context import encode_context, latent_frames, pack_mask
from unison_backend.errors import InputError, UnsupportedError
from unison_backend.media.from_files import FileMedia
from unison_backend.media.resize import cover, letterbox_on_white
from unison_backend.media.video import load_video
from unison_backend.media.write import write_video
from unison_backend.plan.borders import Borders
from unison_backend.plan.plan import WHOLE_FRAME, Frame, Plan
from unison_backend.plan.prompt import Medium
from unison_backend.plan.segments import Segmenting
from unison_backend.plan.spec import resolve
from unison_backend.plan.tasks import Task
from unison_backend.plan.tokens import parse
from unison_backend.sources.clips import GREY, aligned
from unison_backend.sources.composite import put_back
from unison_backend.sources.masks import MaskOptions
from unison_backend.sources.prepare import Annotators, Sources, prepare

from .drawn import IMAGE, VIDEO, Drawn, made, noise, quarter, run, square


def test_text_alone_is_grey_and_all_to_be_made():
    sources = made("<BORES>64,48<EORES><BONF>8<EONF><CFV>")
    assert sources.video.shape == (9, 48, 64, 3) and (sources.video == GREY).all()
    assert sources.mask.shape == (9, 48, 64) and (sources.mask == 1).all()


def test_an_edit_keeps_unmasked_pixels_to_the_bit():
    picture, mask = noise(64, 96, 3), square(64, 96, 16, 32, 24)
    sources = made("<BOEDIT>1,0<EOEDIT><CFI>", picture, mask)
    inside = mask[..., 0] > 0.5
    assert torch.equal(sources.video[0][~inside], picture[~inside])
    assert (sources.video[0][inside] == GREY).all()
    assert torch.equal(sources.mask[0], mask[..., 0])


def test_soft_mask_values_stay_soft():
    picture = noise(32, 32, 3)
    mask = torch.full((32, 32, 3), 0.25)
    mask[:16] = 0.75
    sources = made("<BOEDIT>1,0<EOEDIT><CFI>", picture, mask)
    assert torch.equal(sources.mask[0], mask[..., 0])
    assert torch.equal(sources.video[0, 16:], picture[16:]) and (sources.video[0, :16] == GREY).all()


def test_a_moving_mask_follows_its_video():
    video = noise(9, 32, 48, 3)
    mask = torch.stack([square(32, 48, 4, 4 * t, 8) for t in range(9)])
    sources = made("<BOEDIT>1,0<EOEDIT><CFV>", video, mask)
    assert torch.equal(sources.mask, mask[..., 0])
    kept = sources.mask == 0
    assert torch.equal(sources.video[kept], video[kept])


def test_files_are_scaled_while_they_are_read_as_whole_clips_were(tmp_path):
    """Every pixel is that of the whole clip in memory, scaled by PyTorch (bicubic, antialiased), but for its rounding.

    At the rim the two filters differ: swscale repeats the outermost pixels.
    """
    rows, columns = np.mgrid[:180, :320]
    grain = np.random.default_rng(0).integers(0, 60, (180, 320), np.uint8)

    def frame(number, mask=False):
        ball = (columns - 30 * number) ** 2 + (rows - 90) ** 2 < 40**2
        if mask:
            return np.repeat(ball.astype(np.uint8)[..., None] * 255, 3, -1)
        return np.stack([grain + 4 * number, (columns % 200).astype(np.uint8), 255 - grain], -1)

    for name in ("source", "mask"):
        write_video(tmp_path / f"{name}.mp4", (frame(n, name == "mask") for n in range(9)), Fraction(24))
    files = [tmp_path / "source.mp4", tmp_path / "mask.mp4"]
    media = FileMedia([Medium("video", path=str(path)) for path in files])
    plan = replace(parse("<BOEDIT>1,0<EOEDIT><CFV>", "", (VIDEO, VIDEO)), width=128, height=96)
    sources = prepare(plan, resolve(plan, media.infos), media)
    _, height, width = sources.mask.shape
    clip, mask = (torch.stack([cover(torch.from_numpy(f), width, height) for f in load_video(p)]) for p in files)
    assert (height, width) != (180, 320) and (sources.mask - mask.amax(-1))[:, 3:-3, 3:-3].abs().max() < 1 / 255
    kept = sources.mask <= 0.5
    assert 0.3 < kept.float().mean() < 0.95
    away = 255 * (sources.video - clip).abs().where(kept[..., None], 0.0)
    assert away.mean() < 0.5 and away[:, 3:-3, 3:-3].max() < 2
    assert (sources.video[~kept] == GREY).all()


def test_a_still_that_is_edited_stays_as_it_is():
    """What a graph holds is not written into."""
    picture = noise(32, 32, 3)
    before = picture.clone()
    made("<BOEDIT>1,0<EOEDIT><CFI>", picture, square(32, 32, 0, 0, 16))
    assert torch.equal(picture, before)


def test_a_still_mask_holds_for_every_frame():
    sources = made("<BOEDIT>1,0<EOEDIT><CFV>", noise(9, 32, 48, 3), square(32, 48, 0, 0, 16))
    assert (sources.mask == sources.mask[0]).all() and sources.mask.shape == (9, 32, 48)


def test_a_mask_of_another_size_is_fitted():
    sources = made("<BOEDIT>1,0<EOEDIT><CFI>", noise(64, 96, 3), square(128, 192, 32, 64, 48))
    marked = sources.mask[0] > 0.5
    assert marked[16:40, 32:56].all() and marked.sum() == 24 * 24


def test_masks_of_another_rate_or_length_are_aligned_by_time():
    source = Drawn(noise(8, 16, 16, 3)).info(0)
    same_count = Drawn(noise(8, 16, 16, 3), fps=24).info(0)
    assert aligned(source, same_count, range(8)) == tuple(range(8))
    double = Drawn(noise(16, 16, 16, 3), fps=16).info(0)
    assert aligned(source, double, range(8)) == tuple(range(0, 16, 2))
    short = Drawn(noise(3, 16, 16, 3)).info(0)
    assert aligned(source, short, range(8)) == (0, 1, 2, 2, 2, 2, 2, 2)


def test_a_shorter_mask_is_said():
    mask = square(16, 16, 0, 0, 8).expand(3, 16, 16, 3)
    assert "shorter" in made("<BOEDIT>1,0<EOEDIT><CFV>", noise(9, 16, 16, 3), mask).notices[0]


def test_an_empty_mask_is_refused_and_a_full_one_said():
    picture = noise(32, 32, 3)
    with pytest.raises(InputError, match="drawn 1 marks nothing: paint"):
        made("<BOEDIT>1,0<EOEDIT><CFI>", picture, torch.zeros(32, 32, 3))
    assert "everything" in made("<BOEDIT>1,0<EOEDIT><CFI>", picture, torch.ones(32, 32, 3)).notices[0]


def test_a_control_map_is_taken_as_it_is():
    video = noise(9, 32, 48, 3)
    sources = made("<CTRL><CFV>", video)
    assert torch.equal(sources.video, video) and (sources.mask == 1).all()


def test_control_inside_an_edit():
    source, mask, control = noise(32, 32, 3), square(32, 32, 0, 0, 16), noise(32, 32, 3, seed=1)
    sources = made("<BOEDIT>1,0<EOEDIT><CTRL><CFI>", source, mask, control)
    inside = mask[..., 0] > 0.5
    assert torch.equal(sources.video[0][inside], control[inside])
    assert torch.equal(sources.video[0][~inside], source[~inside])


@pytest.mark.parametrize(("token", "index"), [("0", 0), ("1", 8)])
def test_a_frame_stands_at_its_end(token, index):
    picture = noise(48, 64, 3)
    sources = made(f"<BONF>8<EONF><BOFIDX>{token}<EOFIDX><CFV>", picture)
    assert torch.equal(sources.video[index], picture) and (sources.mask[index] == 0).all()
    others = [i for i in range(9) if i != index]
    assert (sources.video[others] == GREY).all() and (sources.mask[others] == 1).all()


def test_both_ends_and_any_index():
    first, last = noise(48, 64, 3), noise(96, 96, 3, seed=1)
    sources = made("<BONF>8<EONF><BOFIDX>1,0<EOFIDX><CFV>", last, first)
    assert sources.mask[[0, 8]].sum() == 0 and sources.mask[1:8].all()
    media = Drawn(first)
    plan = Plan(Task.IMAGE_TO_VIDEO, num_frames=8, frames=(Frame(0, 5),), media=(IMAGE,))
    assert torch.equal(prepare(plan, resolve(plan, media.infos), media).video[5], first)
    plan = Plan(Task.IMAGE_TO_VIDEO, num_frames=8, frames=(Frame(0, 9),), media=(IMAGE,))
    with pytest.raises(InputError, match="frames 0 to 8"):
        prepare(plan, resolve(plan, media.infos), media)


def test_references_are_letterboxed_on_white():
    sources = made("<BORES>64,32<EORES><REF><CFI>", torch.zeros(16, 16, 3), torch.zeros(32, 64, 3))
    tall, same = sources.references
    assert (tall[:, 16:48] == 0).all() and (tall[:, :16] == 1).all() and (tall[:, 48:] == 1).all()
    assert (same == 0).all()


def test_letterbox_scales_like_pillow_free_bilinear():
    image = noise(10, 30, 3)
    canvas = letterbox_on_white(image, 64, 64)
    rows = [i for i in range(64) if (canvas[i] != 1).any()]
    assert (rows[0], rows[-1]) == (21, 41)


def test_cover_is_close_to_pillows_antialiased_bicubic():
    image = noise(120, 200, 3)
    ours = cover(image, 64, 48)
    shrunk = Image.fromarray((image.numpy() * 255).round().astype(np.uint8)).resize((80, 48), Image.Resampling.BICUBIC)
    theirs = torch.from_numpy(np.asarray(shrunk)[:, 8:72].astype(np.float32) / 255)
    assert (ours - theirs).abs().max() < 0.02
    assert cover(image, 200, 120) is image


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan(Task.IMAGE_EDITING, source=0, media=(IMAGE,)), "names nothing in it to look for"),
        (Plan(Task.IMAGE_EDITING, source=0, target="cat", media=(IMAGE,)), "finding 'cat' takes a detector"),
        (Plan(Task.IMAGE_CONTROL, control="depth", media=(IMAGE,)), "follows the depth of drawn 0"),
    ],
)
def test_what_is_not_here_is_said_before_any_work(plan, words):
    media = Drawn(*[noise(32, 32, 3) for _ in plan.media])
    with pytest.raises(UnsupportedError, match=words):
        prepare(plan, resolve(plan, media.infos), media)


def test_a_mask_is_found_for_what_the_plan_names():
    clip = noise(9, 32, 32, 3)
    asked = []

    def find(phrase, video, progress, cancel):
        asked.append((phrase, video.shape))
        mask = torch.zeros(9, 32, 32)
        mask[:, 8:16, 8:16] = 1
        return mask, "found it"

    plan = Plan(Task.VIDEO_EDITING, source=0, target="red car", media=(VIDEO,))
    sources = run(plan, clip, annotators=Annotators(find_mask=find))
    assert asked == [("red car", (9, 32, 32, 3))]
    assert sources.notices == ("found it",)
    assert (sources.video[:, 8:16, 8:16] == GREY).all()
    outside = sources.mask[..., None] == 0
    assert torch.equal(sources.video * outside, clip * outside)


@pytest.mark.parametrize("typed", [WHOLE_FRAME, "Whole frame", "The whole frame."])
def test_the_whole_frame_needs_no_models(typed):
    clip = noise(9, 32, 32, 3)
    plan = Plan(Task.VIDEO_EDITING, source=0, target=typed, media=(VIDEO,))
    sources = run(plan, clip, mask_options=MaskOptions(grow=-8, blur=4.0))
    assert sources.video.shape == (9, 32, 32, 3) and sources.mask.shape == (9, 32, 32)
    assert (sources.mask == 1).all() and (sources.video == GREY).all()
    (notice,) = sources.notices
    assert "the whole frame" in notice and "repaints all of" in notice and "control" in notice
    (reason,) = (r for r in resolve(plan).reasons if r.field == "target")
    assert "whole frame of video 1" in reason.text and "nothing" in reason.text


def test_the_whole_frame_keeps_its_control_map():
    source, edges = noise(32, 32, 3), noise(32, 32, 3, seed=1)
    plan = Plan(Task.IMAGE_EDITING, source=0, target=WHOLE_FRAME, control="map", media=(IMAGE, IMAGE))
    sources = run(plan, source, edges)
    assert torch.equal(sources.video[0], edges) and (sources.mask == 1).all()
    assert "the map of" in sources.notices[0]
    assert any(r.field == "target" and "control map" in r.text for r in resolve(plan).reasons)


def test_a_mask_goes_before_the_whole_frame():
    source, mask = noise(32, 32, 3), square(32, 32, 8, 8, 16)
    plan = Plan(Task.IMAGE_EDITING, source=0, mask=1, target=WHOLE_FRAME, media=(IMAGE, IMAGE))
    assert torch.equal(run(plan, source, mask).mask[0], mask[..., 0])
    assert not any(r.field == "target" for r in resolve(plan).reasons)


def test_a_map_is_made_of_footage():
    plan = Plan(Task.VIDEO_CONTROL, control="depth", media=(VIDEO,))
    sources = run(plan, noise(9, 32, 32, 3), annotators=Annotators(make_map=lambda kind, video, *_: (1 - video, kind)))
    assert torch.equal(sources.video, 1 - noise(9, 32, 32, 3))
    assert sources.notices == ("depth",)
    assert (sources.mask == 1).all()


def test_a_control_map_stands_inside_an_edit_mask():
    source, mask, depth = noise(32, 32, 3), square(32, 32, 8, 8, 16), noise(32, 32, 3, seed=1)
    plan = Plan(Task.IMAGE_EDITING, source=0, mask=1, control="map", media=(IMAGE,) * 3)
    sources = run(plan, source, mask, depth)
    assert torch.equal(sources.video[0], torch.where(mask > 0.5, depth, source))


def test_a_control_video_follows_the_edit_source_by_time():
    source = noise(9, 32, 32, 3)
    depth = torch.arange(5.0).reshape(5, 1, 1, 1).expand(5, 32, 32, 3) / 5  # half the frames a second
    plan = Plan(Task.VIDEO_EDITING, source=0, mask=1, control="map", media=(VIDEO, IMAGE, VIDEO))
    sources = run(plan, source, torch.ones(32, 32, 3), depth, fps=[8, 8, 4])
    assert [round(float(frame[0, 0, 0]) * 5) for frame in sources.video] == [0, 0, 1, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize("task", [Task.VIDEO_CONTROL, Task.VIDEO_EDITING])
def test_a_given_frame_is_kept_beside_control_and_edit(task):
    clip, mask, picture = noise(9, 32, 32, 3), torch.ones(32, 32, 3), noise(32, 32, 3, seed=2)
    if task == Task.VIDEO_CONTROL:
        sources = run(Plan(task, control="map", frames=(Frame(1, "first"),), media=(VIDEO, IMAGE)), clip, picture)
        assert torch.equal(sources.video[1:], clip[1:])
    else:
        plan = Plan(task, source=0, mask=2, frames=(Frame(1, "first"),), media=(VIDEO, IMAGE, IMAGE))
        sources = run(plan, clip, picture, mask)
        assert (sources.video[1:] == GREY).all()
    assert torch.equal(sources.video[0], picture)
    assert sources.mask[:, 0, 0].tolist() == [0] + [1] * 8


def test_references_go_with_everything():
    clip, mask, person = noise(9, 32, 32, 3), torch.ones(32, 32, 3), noise(16, 32, 3, seed=3)
    plan = Plan(Task.VIDEO_EDITING, source=0, mask=1, references=(2,), media=(VIDEO, IMAGE, IMAGE))
    (reference,) = run(plan, clip, mask, person).references
    assert torch.equal(reference[8:24], person)
    assert (reference[:8] == 1).all()


def test_mask_options_are_off_and_reach_found_and_given_masks():
    source, mask = noise(32, 32, 3), square(32, 32, 12, 12, 4)
    plan = Plan(Task.IMAGE_EDITING, source=0, mask=1, media=(IMAGE, IMAGE))
    assert run(plan, source, mask).mask.sum() == 16
    assert run(plan, source, mask, mask_options=MaskOptions(grow=2)).mask.sum() == 16 + 4 * 8 + 4
    with pytest.raises(InputError, match="marks nothing"):
        run(plan, source, mask, mask_options=MaskOptions(grow=-8))


# The context


def sampled_frames(frames):
    """Which pixel frame each latent frame's mask comes from."""
    mask = torch.arange(frames, dtype=torch.float32)[:, None, None].expand(frames, 8, 8)
    return pack_mask(mask)[0, :, 0, 0].tolist()


def test_mask_time_sampling_is_the_references():
    # Frames measured on the reference for the usual lengths; in between nearest-exact takes the middle of each span.
    for frames, ends in ((81, [1, 5, 9, 75, 79]), (49, [1, 5, 9, 43, 47])):
        sampled = sampled_frames(frames)
        assert sampled[:3] + sampled[-2:] == ends
        assert sampled == [int((k + 0.5) * frames / len(sampled)) for k in range(latent_frames(frames))]
    assert sampled_frames(5) == [1, 3]
    assert sampled_frames(1) == [0]


def test_mask_packing_order():
    mask = torch.arange(16 * 24, dtype=torch.float32).reshape(1, 16, 24)
    packed = pack_mask(mask)
    assert packed.shape == (64, 1, 2, 3)
    for dy, dx, row, column in ((0, 0, 0, 0), (3, 5, 1, 2), (7, 7, 1, 0)):
        assert packed[8 * dy + dx, 0, row, column] == mask[0, 8 * row + dy, 8 * column + dx]


def plain_encode(clip):
    """A stand-in codec that keeps what matters here: shape, and which clip it was given."""
    frames = latent_frames(clip.shape[2])
    pooled = torch.nn.functional.avg_pool3d(clip, (1, 8, 8))[:, :, :1].expand(-1, -1, frames, -1, -1)
    return pooled.mean(1, keepdim=True).expand(-1, 16, -1, -1, -1)


def test_context_channels_and_references():
    video, mask = noise(5, 16, 16, 3), torch.zeros(5, 16, 16)
    mask[:, :8] = 1
    sources = Sources(video, mask, (torch.ones(16, 16, 3), torch.zeros(16, 16, 3)))
    context = encode_context(sources, plain_encode)
    assert context.shape == (1, 96, 2 + 2, 2, 2)
    assert (context[:, :16, 0] == 1).all() and (context[:, :16, 1] == -1).all()
    assert (context[:, 16:, :2] == 0).all()
    inactive, reactive = context[:, :16, 2:], context[:, 16:32, 2:]
    assert (inactive[..., 0, :] == 0).all() and (reactive[..., 1, :] == 0).all()
    assert (context[:, 32:, 2:, 0] == 1).all() and (context[:, 32:, 2:, 1] == 0).all()


def test_a_grey_clip_is_encoded_once():
    calls = []
    sources = Sources(torch.full((1, 1, 1, 1), GREY).expand(5, 16, 16, 3), torch.ones(1, 1, 1).expand(5, 16, 16))
    encode_context(sources, lambda clip: calls.append(1) or plain_encode(clip))
    assert len(calls) == 1


def test_what_is_cut_off_a_frame_or_a_map_is_said():
    last = made("<BOFIDX>0<EOFIDX><CFV>", noise(64, 96, 3))
    assert last.notices == ()
    plan = Plan(Task.IMAGE_TO_VIDEO, num_frames=5, frames=(Frame(0, "first"), Frame(1, "last")), media=(IMAGE, IMAGE))
    media = Drawn(noise(64, 96, 3), noise(64, 64, 3))
    (notice,) = prepare(plan, resolve(plan, media.infos), media).notices
    assert "drawn 1 is 64x64 and the result 96x64, 33 % of its height is cut" in notice
    sources = made("<BOEDIT>1,0<EOEDIT><CTRL><CFI>", noise(64, 96, 3), quarter(64, 96), noise(64, 64, 3))
    assert sources.notices == ("drawn 2 is 64x64 and the result 96x64, 33 % of its height is cut",)


def test_a_map_of_the_source_grows_with_it_and_another_one_is_cut_aloud():
    source, edges = noise(64, 64, 3), square(64, 64, 0, 0, 32)
    plan = Plan(Task.IMAGE_EDITING, source=0, control="map", borders=Borders(right=64), media=(IMAGE, IMAGE))
    sources = run(plan, source, edges)
    assert (sources.video[0, :, 64:] == GREY).all() and torch.equal(sources.video[0, :, :64], source)
    assert "drawn 1 has the shape of drawn 0: it grows with it" in sources.notices[0]
    sources = run(plan, source, noise(64, 128, 3, seed=2))
    assert torch.equal(sources.video[0, :, 64:], noise(64, 128, 3, seed=2)[:, 64:]) and sources.notices == ()
    sources = run(plan, source, noise(64, 256, 3, seed=2))
    assert "drawn 1 is 256x64 and the result 128x64, 50 % of its width is cut" in sources.notices[0]


def continued(*pixels, places=("first",), fps=8, how=None, **said):
    media = Drawn(*pixels, fps=fps)
    frames = tuple(Frame(index, place) for index, place in enumerate(places))
    plan = Plan(Task.IMAGE_TO_VIDEO, frames=frames, media=media.kinds, counted=True, **said)
    spec = resolve(plan, media.infos, segmenting=how or Segmenting(9, 5))
    return prepare(plan, spec, media), spec


def test_a_clip_that_goes_on_stands_in_front_to_the_bit():
    clip = noise(12, 32, 48, 3)
    sources, spec = continued(clip, num_frames=6)
    assert len(sources.video) == spec.num_frames == 20 and spec.kept_frames == 18
    assert torch.equal(sources.video[:12], clip) and not sources.mask[:12].any()
    assert (sources.video[12:] == GREY).all() and (sources.mask[12:] == 1).all()
    made_up = torch.full_like(sources.video, 0.7)
    result = put_back(made_up, sources.video, sources.mask)
    assert torch.equal(result[:12], clip) and torch.equal(result[12:], made_up[12:])


def test_before_and_between_clips():
    clip, other = noise(12, 32, 48, 3), noise(5, 32, 48, 3, seed=1)
    before, _ = continued(clip, places=("last",), num_frames=4)
    assert torch.equal(before.video[4:], clip) and not before.mask[4:].any() and (before.mask[:4] == 1).all()
    between, spec = continued(clip, other, places=("first", "last"), fps=[8, 4], num_frames=4)
    assert torch.equal(between.video[:12], clip) and (between.mask[12:16] == 1).all()
    # At half the rate each frame of the other one is shown twice.
    assert torch.equal(between.video[16:26], other.repeat_interleave(2, 0)) and not between.mask[16:].any()
    assert spec.kept_frames == 26


def test_a_clip_that_is_shorter_than_a_segment_holds_its_last_frame():
    clip = noise(2, 32, 48, 3)
    sources, spec = continued(clip, places=("last",), num_frames=4)
    assert spec.kept_frames == 6 and len(sources.video) == 9
    assert torch.equal(sources.video[5:], clip[1:].expand(4, -1, -1, -1)) and not sources.mask[4:].any()


def test_a_clip_goes_on_to_a_picture():
    clip, end = noise(12, 32, 48, 3), noise(32, 48, 3, seed=1)
    sources, spec = continued(clip, end, places=("first", "last"), num_frames=6)
    assert torch.equal(sources.video[spec.kept_frames - 1], end) and not sources.mask[spec.kept_frames - 1].any()


def test_where_clips_cannot_go_on_that_is_said():
    media = Drawn(noise(5, 32, 32, 3))
    plan = Plan(Task.IMAGE_TO_VIDEO, frames=(Frame(0, "first"),), media=(VIDEO,))
    with pytest.raises(UnsupportedError, match=r"goes on from drawn 0, which has no place in what is to be made here"):
        prepare(plan, resolve(plan, media.infos), media)
