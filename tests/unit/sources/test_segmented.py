"""A video in segments: what each one is given, and how all are joined, whatever order they are made in."""

import torch

from unison_backend.plan.segments import Segment
from unison_backend.sources.prepare import Sources
from unison_backend.sources.segmented import Segmented, lasting


def made(value, frames=9):
    return torch.full((frames, 4, 4, 3), value)


def test_towards_the_beginning_the_later_frames_are_kept():
    sources = Sources(torch.full((13, 4, 4, 3), 0.5), torch.ones(13, 4, 4))
    whole = Segmented(sources, (Segment(4, 13), Segment(0, 9))).taking(made(0.9))
    part = whole.part()
    assert part.mask.amax((1, 2)).tolist() == [1.0] * 4 + [0.0] * 5
    assert torch.equal(part.video[4:], made(0.9, 5)) and torch.equal(part.video[:4], made(0.5, 4))
    shown = whole.taking(made(0.3)).frames().amax((1, 2, 3))
    # From what comes first in the video into what comes later.
    assert torch.allclose(shown, torch.tensor([0.3] * 4 + [0.3 + 0.6 * n / 6 for n in range(1, 6)] + [0.9] * 4))


def test_what_no_segment_makes_is_the_sources_own():
    video = torch.rand(20, 4, 4, 3)
    whole = Segmented(Sources(video, torch.zeros(20, 4, 4)), (Segment(11, 20),)).taking(made(0.2))
    assert torch.equal(whole.frames()[:11], video[:11]) and torch.equal(whole.frames()[11:], made(0.2))


def test_nothing_that_it_was_given_changes():
    video, mask = torch.full((13, 4, 4, 3), 0.5), torch.ones(13, 4, 4)
    first = Segmented(Sources(video, mask), (Segment(0, 9), Segment(4, 13)))
    second = first.taking(made(0.1))
    second.part()
    second.taking(made(0.7)).frames()
    assert first.made == () and len(second.made) == 1
    assert (video == 0.5).all() and (mask == 1).all() and (second.made[0] == 0.1).all()


def test_the_result_is_cut_and_a_clips_own_frames_are_put_back():
    video, mask = torch.rand(13, 4, 4, 3), torch.ones(13, 4, 4)
    mask[:5] = 0
    whole = Segmented(Sources(video, mask), (Segment(0, 9), Segment(4, 13))).taking(made(0.1)).taking(made(0.7))
    plain, kept = (whole.result(11, keeps_frames=keeps) for keeps in (False, True))
    assert len(plain) == len(kept) == 11
    assert torch.equal(kept[:5], video[:5]) and torch.equal(kept[5:], plain[5:])
    assert not torch.equal(plain[:5], video[:5])


def test_sources_are_cut_or_last_longer():
    video, mask = torch.rand(6, 4, 4, 3), torch.rand(6, 4, 4)
    shorter, longer = lasting(Sources(video, mask), 5), lasting(Sources(video, mask), 9)
    assert torch.equal(shorter.video, video[:5]) and torch.equal(shorter.mask, mask[:5])
    assert torch.equal(longer.video[:6], video) and all(torch.equal(one, video[5]) for one in longer.video[6:])
    assert longer.mask.shape == (9, 4, 4) and torch.equal(longer.mask[8], mask[5])
