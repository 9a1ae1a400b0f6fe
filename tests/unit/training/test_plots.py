"""The picture of a log: its lines stand where the figures are."""

import json

import numpy as np
import pytest
from PIL import Image

from unison_backend.training.log import LOG_FILE
from unison_backend.training.plots import (
    COLOURS,
    HEIGHT,
    PLOT_FILE,
    WIDTH,
    Frame,
    draw_log,
    draw_logs,
    round_steps,
    smoothed,
)


def picture(folder, rows):
    (folder / LOG_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert draw_log(folder) == folder / PLOT_FILE
    return np.asarray(Image.open(folder / PLOT_FILE)).astype(int)


def heights(pixels, colour):
    """For each column of the panel in which a colour is: the mean height of its pixels."""
    found = (abs(pixels - np.array(colour)).sum(-1) < 60).nonzero()
    return {int(x): float(found[0][found[1] == x].mean()) for x in np.unique(found[1])}


def rows_of(values, **more):
    return [{"step": 20 * (number + 1), "loss": value, **more} for number, value in enumerate(values)]


def test_a_falling_loss_falls_in_the_picture(tmp_path):
    pixels = picture(tmp_path, rows_of(np.linspace(1.0, 0.5, 40)))
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    line = {x: y for x, y in heights(pixels[60:], COLOURS[0]).items() if x < WIDTH - 60}  # without the legend
    columns = sorted(line)
    assert len(columns) > 300 and line[columns[-1]] > line[columns[0]] + 80
    assert all(line[one] <= line[other] + 1.5 for one, other in zip(columns[::20], columns[20::20], strict=False))


def test_each_kind_of_figure_has_a_panel_and_two_terms_two_colours(tmp_path):
    rows = rows_of([1.0, 0.8, 0.7], lr=1e-4, gradient_norm=2.0, seconds_per_step=0.5, kept=0.2)
    pixels = picture(tmp_path, rows)
    assert pixels.shape == (2 * HEIGHT, 2 * WIDTH, 3)
    assert heights(pixels[:HEIGHT, :WIDTH], COLOURS[1])
    for top in (0, HEIGHT):
        for left in (0, WIDTH):
            assert heights(pixels[top : top + HEIGHT, left : left + WIDTH], COLOURS[0]), (top, left)


def test_a_log_without_lines_or_with_one_value_or_without_an_end(tmp_path):
    assert draw_log(tmp_path) is None and not list(tmp_path.iterdir())
    assert heights(picture(tmp_path, rows_of([3.0])), COLOURS[0])
    assert heights(picture(tmp_path, rows_of([0.0, 0.0])), COLOURS[0])
    assert heights(picture(tmp_path, rows_of([1.0, float("nan"), 0.5])), COLOURS[0])
    assert heights(picture(tmp_path, rows_of([1.0] * 5000)), COLOURS[0])


def test_far_apart_values_are_shown_by_their_logarithm():
    frame = Frame.of((0, 0), {"train/loss": [(1, 0.01), (2, 1.0)]}, 2)
    assert frame.is_steep and frame.at(1, 0.1)[1] == pytest.approx((frame.top + frame.bottom) / 2)
    assert {0.01, 0.1, 1.0} <= {round(mark, 6) for mark in frame.marks()}
    assert not Frame.of((0, 0), {"train/learning_rate": [(1, 1e-6), (2, 1e-4)]}, 2).is_steep


def test_marks_are_round_and_a_smoothed_line_begins_where_it_does():
    assert round_steps(0, 100, 5) == [0, 20, 40, 60, 80, 100]
    assert round_steps(0.13, 0.38, 4) == pytest.approx([0.2, 0.3])
    assert smoothed([(1, 4.0), (2, 4.0), (3, 4.0)]) == [
        (1, pytest.approx(4)),
        (2, pytest.approx(4)),
        (3, pytest.approx(4)),
    ]


def test_logs_of_several_parts_go_on_in_one_picture(tmp_path):
    for name, values in (("first", np.linspace(1.0, 0.8, 30)), ("more", np.linspace(0.8, 0.2, 30))):
        (tmp_path / name).mkdir()
        (tmp_path / name / LOG_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows_of(values)))
    parts = [tmp_path / "first", tmp_path / "more"]
    path = draw_logs([*parts, tmp_path / "not begun"], tmp_path / "plots" / "all.png")
    pixels = np.asarray(Image.open(path)).astype(int)
    line = {x: y for x, y in heights(pixels[60:], COLOURS[0]).items() if x < WIDTH - 60}
    columns = sorted(line)
    middle = columns[len(columns) // 2]
    assert line[columns[-1]] - line[middle] > 2 * (line[middle] - line[columns[0]]) > 10
    assert draw_logs([], tmp_path / "none.png") is None and not (tmp_path / "none.png").exists()
