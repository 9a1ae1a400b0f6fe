"""Clips for the demo set's VAE: in range, of one size, small things as the tasks have them, and all that VACE shows."""

import torch

from unison_backend.demo.world.shapes import COLOURS, TRAVEL
from unison_backend.training.demo.clips import LARGEST, SIDE, batch
from unison_backend.training.demo.vae import DECODER, PHASES, SMALL, WHOLE


def drawn(seed, lengths=(9,), sizes=((40, 40),), pixels=4 * 9 * 1600, **options):
    return batch(torch.Generator().manual_seed(seed), lengths, sizes, pixels, **options)


def nearest(colours):
    """How far [..., 3] in 0..1 is from the nearest named colour."""
    return (colours[..., None, :] - torch.tensor(list(COLOURS.values()))).norm(dim=-1).amin(-1)


def test_a_batch_has_one_length_and_size_and_the_pixels_it_may():
    seen = [drawn(seed, (1, 5, 9), ((40, 40), (64, 96)), 50_000) for seed in range(16)]
    assert {tuple(clip.shape[1:]) for clip in seen} == {
        (3, length, *size) for length in (1, 5, 9) for size in ((40, 40), (64, 96))
    }
    for clip in seen:
        length, height, width = clip.shape[2:]
        assert len(clip) == max(1, 50_000 // (length * height * width))
        assert clip.min() >= -1 and clip.max() <= 1
    assert torch.equal(drawn(3, (1, 5, 9), ((40, 40), (64, 96)), 50_000), seen[3])


def test_plain_scenes_are_flat_colours_with_names():
    for seed in range(4):
        clip = drawn(seed, plain=1.0) / 2 + 0.5
        flat = nearest(clip.movedim(1, -1)) < 1e-3
        assert flat.float().mean() > 0.75  # the rest is edges


def test_things_move_as_far_in_pixels_as_the_tasks_let_them_whatever_the_crop():
    way = TRAVEL * SIDE
    for size in ((40, 40), (64, 96)):
        moved = 0
        for seed in range(6):
            clip = drawn(seed, sizes=(size,), pixels=9 * size[0] * size[1], plain=1.0)[0]
            steps = (clip[:, 1:] - clip[:, :-1]).abs().amax(0)
            moved += bool((steps > 0.1).any())
            # What changes from one frame to the next lies in strips not wider than a step, on things not larger
            # than the largest: two of them at most, each with an edge in front and one behind.
            assert (steps > 0.1).float().sum((1, 2)).max() <= 2 * 2 * (way / 8 + 2) * 2 * 1.25 * LARGEST
        assert moved >= 3


def test_what_vace_shows_is_among_the_others():
    grey, frames_of_grey, maps, coloured = 0, 0, 0, 0
    for seed in range(80):
        for clip in drawn(seed, pixels=9 * 1600, plain=0.0):
            is_grey = (clip == 0).all(0)
            grey += bool(is_grey.any() and not is_grey.flatten(1).all(1).any())
            frames_of_grey += bool(is_grey.flatten(1).all(1).any())
            maps += bool(((clip == -1) | (clip == 1)).all())
            unnamed = nearest(clip.movedim(0, -1) / 2 + 0.5) > 0.05
            coloured += bool((unnamed & ~is_grey).float().mean() > 0.5)
    assert min(grey, frames_of_grey, maps, coloured) >= 3


def test_phases_go_from_small_crops_to_every_size_and_length():
    assert max(height * width for height, width in SMALL) == 64 * 64 and (40, 40) in SMALL
    assert (
        {size for phase in (*PHASES, DECODER) for size in phase.sizes} >= set(WHOLE) == {(64, 64), (64, 96), (96, 64)}
    )
    assert {length for phase in PHASES for length in phase.lengths} == {1, 5, 9, 17}
