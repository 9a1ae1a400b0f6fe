"""The sheets that a projector's evaluations make: the same rows and seeds each time, and only its own column changes."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from unison_backend.conditioning.projector import Projector
from unison_backend.conditioning.text_context import text_context
from unison_backend.demo import set as demo
from unison_backend.engine.engine import Engine, initial_noise
from unison_backend.engine.settings import SamplingSettings
from unison_backend.media.write import write_video
from unison_backend.plan.spec import Limits
from unison_backend.progress import never, silent
from unison_backend.training.grid import GAP, MOST_SIDE, TITLE, Cell, Grid, choose_cells, sheet
from unison_backend.training.manifest import Pair
from unison_backend.training.projector import freeze, start_silent
from unison_backend.training.projector_data import Encoded, Sample, save_sample

SETTINGS = SamplingSettings(steps=2, cfg=1.0)
WIDE = 150  # of a column at least


@pytest.fixture(scope="module")
def engine():
    built = demo.ensure_untrained()
    engine = Engine.load(built.vace, built.vae, torch.device("cpu"))
    freeze(engine.transformer)  # as it is while a projector is trained
    return engine


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """A picture with one reference in front of it, and a video of nine frames."""
    folder = tmp_path_factory.mktemp("samples")
    random = torch.Generator().manual_seed(0)
    made = []
    for name, latents, frames in (("picture", 2, 1), ("video", 3, 9)):
        parts = [(16, latents, 4, 4), (96, latents, 4, 4), (5, 4096), (6, 64)]
        save_sample(Sample(*(torch.randn(part, generator=random) for part in parts)), folder / name)
        made.append(Cell(folder / name, f"Make a {name}.", frames))
    return made


def projector(seed):
    torch.manual_seed(seed)
    return Projector(64, 32).train()


def columns(path):
    """The pixels of each column of a sheet."""
    pixels = np.asarray(Image.open(path))[TITLE:].astype(int)
    return [pixels[:, TITLE + place * (WIDE + GAP) : TITLE + place * (WIDE + GAP) + WIDE] for place in range(3)]


def test_a_sheet_shows_target_without_and_with_and_only_the_last_changes(engine, cells, tmp_path):
    grid = Grid(engine, torch.zeros(1, 4096), cells, SETTINGS, tmp_path)
    one, other = projector(1), projector(2)
    first = grid.draw(one, 20, silent, never)
    assert first == tmp_path / "pictures" / "step-000020.png" and one.training
    before, after = columns(first), columns(grid.draw(other, 40, silent, never))
    assert (before[0] == after[0]).all() and (before[1] == after[1]).all() and (before[2] != after[2]).any()
    assert (before[0] != before[1]).any()
    again = Grid(engine, torch.zeros(1, 4096), cells, SETTINGS, tmp_path / "resumed").draw(one, 20, silent, never)
    assert again.read_bytes() == first.read_bytes()
    assert (tmp_path / "pictures" / "prompts.txt").read_text() == "1: Make a picture.\n2: Make a video.\n"
    silenced = projector(3)
    start_silent(silenced)  # is the video model without one
    shown = columns(grid.draw(silenced, 60, silent, never))
    assert abs(shown[2] - shown[1]).max() <= 2


def test_a_row_is_what_a_run_makes_of_it_without_its_references(engine, cells, tmp_path):
    grid = Grid(engine, torch.zeros(1, 4096), cells[:1], SETTINGS, tmp_path)
    pixels = columns(grid.draw(projector(1), 20, silent, never))[1][:32, :32]
    from unison_backend.training.projector_data import load_sample

    sample = load_sample(cells[0].file)
    empty = text_context(torch.zeros(1, 4096))
    noise = initial_noise((1, 16, 2, 4, 4), 0)
    latents = engine.sample(noise, sample.context[None], text_context(sample.rows), empty, SETTINGS)
    with torch.no_grad():
        expected = (engine.decode(latents[:, :, 1:])[0].clamp(0, 1) * 255).round().numpy()
    assert abs(pixels - expected).max() <= 1


def test_frames_stand_beside_each_other_and_large_ones_are_made_smaller():
    small, large = torch.rand(3, 16, 16, 3), torch.rand(1, 900, 2 * MOST_SIDE, 3)
    drawn = np.asarray(sheet([[small, small, small], [large, large, large]]))
    shown = drawn[TITLE : TITLE + 16, TITLE : TITLE + 48]
    assert abs(shown / 255 - torch.cat(list(small), dim=1).numpy()).max() < 0.01
    assert drawn.shape[0] == TITLE + 16 + MOST_SIDE + 3 * GAP


def test_samples_of_all_tasks_are_shown_each_once(tmp_path):
    picture, video = tmp_path / "fox.png", tmp_path / "fox.mp4"
    Image.new("RGB", (64, 64), "red").save(picture)
    write_video(video, np.zeros((9, 64, 64, 3), np.float32), Fraction(24))
    pairs = [Pair("Draw a fox.", picture)] * 3 + [Pair("Make a 9 frame video of a fox.", video)]
    files = [tmp_path / name for name in ("a", "a", "b", "c")]
    encoded = Encoded(files, [("image", "en")] * 3 + [("video", "en")], 0)
    limits = Limits(64, 64, 9)
    chosen = choose_cells(pairs, encoded, set(files), 2, limits)
    assert {cell.frames for cell in chosen} == {1, 9} and {cell.prompt for cell in chosen} == {
        pair.prompt for pair in pairs
    }
    assert len(choose_cells(pairs, encoded, set(files), 9, limits)) == 3
    assert [cell.file for cell in choose_cells(pairs, encoded, {files[2]}, 9, limits)] == [files[2]]
    assert choose_cells(pairs, encoded, set(files), 0, limits) == []
