"""A training's log as a picture: losses, held-out figures, learning rate, gradient norm and speed by step.

Drawn with Pillow, which is there anyway. What is measured while training is shown as it is (pale) and smoothed (dark).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MediaError, ResourceError
from ..files import replacing
from .log import EVALUATIONS_FILE, read_log, read_rows
from .trackers import figures_of, held_out_figures

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

PLOT_FILE = "log.png"
WIDTH, HEIGHT = 640, 320  # of a panel
FINE = 2  # drawn so many times as large, which smooths the lines
COLOURS = ((31, 119, 180), (214, 84, 12), (44, 140, 60), (148, 83, 180), (130, 92, 80), (200, 60, 120))
INK, FAINT = (40, 44, 52), (222, 225, 230)
SMOOTH = 0.7  # share of what came before in a smoothed point
FEW = 8  # points that are not smoothed but marked
STEEP = 20  # a panel whose values differ by so many times has a logarithmic axis
MOST_POINTS = 300  # of a line; neighbours are averaged where there are more

Point = tuple[float, float]
Line = list[Point]

RATE, NORM, SPEED = "train/learning_rate", "train/gradient_norm", "train/steps_per_second"
# What a panel shows, by the figures' names; the first that wants a figure has it.
_PANELS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("learning rate", lambda name: name == RATE),
    ("gradient norm", lambda name: name == NORM),
    ("steps a second", lambda name: name == SPEED),
    ("loss", lambda name: name.startswith("train/") or "loss" in name),
    ("held out, share that is right", lambda name: True),
)
_ORDER = (3, 4, 0, 1, 2)


def draw_log(folder: Path) -> Path | None:
    """Write the log in `folder` as `log.png` beside it; None where nothing was logged yet. Raises ResourceError."""
    return draw_logs([folder], folder / PLOT_FILE)


def draw_logs(folders: Sequence[Path], path: Path) -> Path | None:
    """Write the logs of several trainings, each going on where the one before it ended, as one picture.

    None where nothing was logged yet. Raises ResourceError.
    """
    lines: dict[str, Line] = {}
    behind = 0.0
    for folder in folders:
        rows = [(row["step"], figures_of(row)) for row in read_log(folder)]
        rows += [(row["step"], held_out_figures(row)) for row in read_rows(folder / EVALUATIONS_FILE)]
        for step, figures in rows:
            for name, value in figures.items():
                if math.isfinite(value):
                    lines.setdefault(name, []).append((behind + step, value))
        behind += max((step for step, _ in rows), default=0)
    if not lines:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            drawn(lines).save(file, "PNG")
    except (OSError, MediaError) as error:
        raise ResourceError(f"{path} cannot be written ({error}); make room there") from error
    return path


def drawn(lines: Mapping[str, Line]) -> Image:
    """The panels of these lines, two beside each other. lines: points (step, value) by figure, none empty."""
    from PIL import Image as images
    from PIL import ImageDraw

    panels = _panels(lines)
    last = max(step for line in lines.values() for step, _ in line)
    rows = (len(panels) + 1) // 2
    canvas = images.new("RGB", (min(2, len(panels)) * WIDTH * FINE, rows * HEIGHT * FINE), "white")
    draw = ImageDraw.Draw(canvas)
    for number, (title, shown) in enumerate(panels):
        corner = (number % 2 * WIDTH * FINE, number // 2 * HEIGHT * FINE)
        _draw_panel(draw, Frame.of(corner, shown, last), title, shown)
    return canvas.resize((canvas.width // FINE, canvas.height // FINE), images.Resampling.LANCZOS)


def _panels(lines: Mapping[str, Line]) -> list[tuple[str, dict[str, Line]]]:
    """Titles with their lines; a panel without any is left out."""
    shown: list[dict[str, Line]] = [{} for _ in _PANELS]
    for name, line in lines.items():
        place = next(number for number, (_, wants) in enumerate(_PANELS) if wants(name))
        shown[place][name] = _thinned(line)
    return [(_PANELS[place][0], shown[place]) for place in _ORDER if shown[place]]


def _thinned(line: Line) -> Line:
    """At most `MOST_POINTS` points, each the mean of its neighbours."""
    size = math.ceil(len(line) / MOST_POINTS)
    parts = [line[start : start + size] for start in range(0, len(line), size)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]


def smoothed(line: Line) -> Line:
    """Each value with those before it, which count less and less; the first ones are not drawn to zero."""
    made, total, weight = [], 0.0, 0.0
    for step, value in line:
        total, weight = SMOOTH * total + value, SMOOTH * weight + 1
        made.append((step, total / weight))
    return made


@dataclass(frozen=True)
class Frame:
    """Where a panel's axes lie, in pixels, and what they show."""

    left: int
    top: int
    right: int
    bottom: int
    last: float
    low: float
    high: float
    is_steep: bool

    @classmethod
    def of(cls, corner: tuple[int, int], lines: Mapping[str, Line], last: float) -> Frame:
        """Axes that hold every value, logarithmic where these are far apart."""
        values = [value for line in lines.values() for _, value in line]
        low, high = min(values), max(values)
        steep = low > 0 and high > STEEP * low and RATE not in lines
        if not steep:
            low = 0.0 if 0 <= low < 0.5 * high else low
            room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
            low, high = (low if low == 0 else low - room), high + room
        left, top = corner[0] + 84 * FINE, corner[1] + 44 * FINE
        right, bottom = corner[0] + (WIDTH - 20) * FINE, corner[1] + (HEIGHT - 40) * FINE
        return cls(left, top, right, bottom, max(last, 1.0), low, high, steep)

    def at(self, step: float, value: float) -> tuple[float, float]:
        """The pixel of a point."""
        low, high, value = (math.log(v) if self.is_steep else v for v in (self.low, self.high, value))
        x = self.left + (self.right - self.left) * step / self.last
        return x, self.bottom - (self.bottom - self.top) * (value - low) / (high - low)

    def marks(self) -> list[float]:
        """Round values on the upright axis."""
        if self.is_steep:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            parts = (1, 2, 5) if last - first <= 3 else (1,)
            found = [part * 10.0**power for power in range(first, last + 1) for part in parts]
        else:
            found = round_steps(self.low, self.high, 4)
        return [value for value in found if self.low <= value <= self.high]


def round_steps(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within low..high, about so many of them."""
    size = (high - low) / about
    power = 10.0 ** math.floor(math.log10(size))
    step = next(part * power for part in (1, 2, 5, 10) if part * power >= size)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _draw_panel(draw: ImageDraw, frame: Frame, title: str, lines: Mapping[str, Line]) -> None:
    from PIL.ImageFont import load_default

    small, large = load_default(12 * FINE), load_default(14 * FINE)
    draw.text((frame.left, frame.top - 32 * FINE), title, fill=INK, font=large)
    for value in frame.marks():
        _, y = frame.at(0, value)
        draw.line((frame.left, y, frame.right, y), fill=FAINT, width=FINE)
        draw.text((frame.left - 8 * FINE, y), f"{value:g}" if abs(value) > 1e-12 else "0", INK, small, anchor="rm")
    for step in round_steps(0, frame.last, 5):
        x, _ = frame.at(step, frame.high)
        draw.line((x, frame.bottom, x, frame.bottom + 5 * FINE), fill=INK, width=FINE)
        draw.text((x, frame.bottom + 8 * FINE), f"{step:g}", INK, small, anchor="mt")
    draw.line((frame.left, frame.top, frame.left, frame.bottom, frame.right, frame.bottom), fill=INK, width=FINE)
    for number, (name, line) in enumerate(lines.items()):
        _draw_line(draw, frame, line, COLOURS[number % len(COLOURS)], is_exact=name == RATE)
    if not {RATE, NORM, SPEED} & lines.keys():
        _draw_legend(draw, frame, list(lines), small)


def _draw_line(draw: ImageDraw, frame: Frame, line: Line, colour: tuple[int, int, int], *, is_exact: bool) -> None:
    if is_exact or len(line) <= FEW:
        places = [frame.at(*point) for point in line]
        if len(places) > 1:
            draw.line(places, fill=colour, width=2 * FINE, joint="curve")
        for x, y in places if len(places) <= FEW else ():
            draw.ellipse((x - 3 * FINE, y - 3 * FINE, x + 3 * FINE, y + 3 * FINE), fill=colour)
        return
    pale = tuple((255 * 2 + part) // 3 for part in colour)
    draw.line([frame.at(*point) for point in line], fill=pale, width=FINE)
    draw.line([frame.at(*point) for point in smoothed(line)], fill=colour, width=2 * FINE, joint="curve")


def _draw_legend(draw: ImageDraw, frame: Frame, names: Sequence[str], font: object) -> None:
    """The lines' names from the right end of the title's line to the left."""
    x = float(frame.right)
    for number, name in reversed(list(enumerate(names[: len(COLOURS)]))):
        text = name.removeprefix("train/").replace("eval/", "held-out ").replace("_", " ")
        draw.text((x, frame.top - 22 * FINE), text, COLOURS[number], font, anchor="rm")  # type: ignore[arg-type]
        x -= draw.textlength(text, font) + 14 * FINE  # type: ignore[arg-type]
