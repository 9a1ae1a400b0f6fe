"""Media from sockets: shapes, alpha, times, and what is refused."""

from fractions import Fraction

import pytest
import torch

from unison_backend.errors import Cancelled, MediaError
from unison_backend.media.from_tensors import TensorMedia, footage, still
from unison_backend.plan.plan import WHOLE_FRAME, Frame, Plan
from unison_backend.plan.prompt import Medium, bind_names
from unison_backend.plan.spec import resolve
from unison_backend.plan.tasks import Task
from unison_backend.progress import never
from unison_backend.sources.clips import GREY
from unison_backend.sources.prepare import Media, prepare


def media(**items):
    prompt = bind_names("x", {name: Medium(item.info.kind, name=name) for name, item in items.items()})
    return TensorMedia(prompt, items)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_is_rgb_between_0_and_1(channels):
    pixels = torch.linspace(-0.5, 1.5, 4 * 6 * channels).reshape(4, 6, channels)
    found = media(image1=still(pixels, "image1"))
    picture = found.picture(0)
    assert picture.shape == (4, 6, 3)
    assert 0 <= picture.min() <= picture.max() <= 1
    assert (found.info(0).width, found.info(0).height, found.label(0)) == (6, 4, "image1")


def test_alpha_is_white_in_pictures_and_black_in_masks():
    clear = torch.zeros(2, 2, 4)
    found = media(image1=still(clear, "image1"))
    assert (found.picture(0) == 1).all()
    assert (found.picture(0, as_mask=True) == 0).all()


def test_opaque_pixels_are_kept_to_the_bit():
    pixels = torch.rand(8, 8, 3)
    assert torch.equal(media(image1=still(pixels, "image1")).picture(0), pixels)


def test_frames_have_times_and_come_in_order():
    clip = torch.arange(5.0).reshape(5, 1, 1, 1).expand(5, 2, 3, 3) / 5
    found = media(video1=footage(clip, Fraction(10), "video1", sound="sound"))
    info = found.info(0)
    assert info.starts == tuple(Fraction(i, 10) for i in range(5))
    assert (info.duration, info.fps, info.has_audio, found.sound(0)) == (Fraction(1, 2), 10, True, "sound")
    frames = list(found.frames(0, (0, 3, 4), never))
    assert [round(float(frame.max()) * 5) for frame in frames] == [0, 3, 4]


def test_reading_can_be_cancelled():
    found = media(video1=footage(torch.zeros(5, 2, 2, 3), Fraction(10), "video1"))
    with pytest.raises(Cancelled):
        list(found.frames(0, (0, 1), lambda: True))


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (4, 4, 5), (0, 4, 3), (2, 3, 4, 4, 3)])
def test_other_shapes_are_refused_by_name(shape):
    with pytest.raises(MediaError, match="image1 has the shape"):
        still(torch.zeros(shape), "image1")


def test_what_is_too_large_is_refused():
    with pytest.raises(MediaError, match="scale it down to 16384"):
        still(torch.zeros(1).expand(16385, 1, 3), "image1")


def test_kinds_are_not_mixed_up():
    found = media(
        image1=still(torch.zeros(2, 2), "image1"), video1=footage(torch.zeros(2, 2, 2), Fraction(1), "video1")
    )
    with pytest.raises(MediaError, match="image1 is a picture where a video is needed"):
        found.frames(0, (0,), never)
    with pytest.raises(MediaError, match="video1 is a video where a picture is needed"):
        found.picture(1)
    assert found.sound(0) is None


def test_a_medium_is_replaced_or_added_and_the_old_ones_stay():
    found = media(image1=still(torch.zeros(2, 2), "image1"))
    more = found.with_item("mask", still(torch.ones(3, 3), "mask"))
    other = found.with_item("map", still(torch.ones(4, 4), "map"), 0)
    assert [more.label(i) for i in range(2)] == ["image1", "mask"]
    assert (len(found.infos), other.label(0), other.info(0).width) == (1, "map", 4)


def test_sources_take_them():
    picture = torch.rand(64, 64, 3)
    found: Media = TensorMedia.of(["first"], [still(picture, "first")])
    plan = Plan(Task.IMAGE_TO_VIDEO, num_frames=5, frames=(Frame(0, "first"),), media=("image",))
    sources = prepare(plan, resolve(plan, [found.info(0)]), found)
    assert torch.equal(sources.video[0], picture)
    assert sources.mask[:, 0, 0].tolist() == [0, 1, 1, 1, 1]


def test_a_whole_frame_edit_of_a_socket_needs_no_models():
    """What Prepare Sources does with nothing but a plan connected."""
    picture = torch.rand(64, 64, 3)
    found = media(image1=still(picture, "image1"))
    plan = Plan(task=Task.IMAGE_EDITING, source=0, target=WHOLE_FRAME, media=("image",))
    sources = prepare(plan, resolve(plan, [found.info(0)]), found)
    assert (sources.mask == 1).all() and (sources.video == GREY).all()
    assert "repaints all of image1" in sources.notices[0]
