"""Sources as lossless PNGs to look at, with a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..media.to_bytes import to_bytes
from ..media.write import write_image
from ..progress import Cancel, Progress, check, never, silent
from .prepare import Sources

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHEET = "contact_sheet.png"
_COLUMNS = 6  # frames of the clip that the sheet shows, evenly
_CELL = 256  # their longer side in pixels
_BORDER = 0.3  # neither grey, black nor white, which all mean something here


def write_sources(folder: Path, sources: Sources, progress: Progress = silent, cancel: Cancel = never) -> list[Path]:
    """`control_0001.png`, `mask_0001.png`, ..., `reference_1.png` and the sheet in `folder`; the files written.

    8 bit, which holds what 8-bit media brought. Raises MediaError, ResourceError, Cancelled.
    """
    written = []
    count = len(sources.video)
    for number in range(count):
        check(cancel, "writing sources")
        mask = sources.mask[number, ..., None].expand(*sources.mask.shape[1:], 3)
        for name, picture in (("control", sources.video[number]), ("mask", mask)):
            written.append(folder / f"{name}_{number + 1:04d}.png")
            write_image(written[-1], np.ascontiguousarray(picture.numpy()))
        progress("writing sources", number + 1, count)
    for number, reference in enumerate(sources.references, 1):
        written.append(folder / f"reference_{number}.png")
        write_image(written[-1], np.ascontiguousarray(reference.numpy()))
    written.append(folder / SHEET)
    write_image(written[-1], contact_sheet(sources))
    return written


def contact_sheet(sources: Sources) -> NDArray[np.float32]:
    """[H, W, 3] in 0..1: frames of the control video above their masks, the references below."""
    picks = np.linspace(0, len(sources.video) - 1, min(_COLUMNS, len(sources.video))).round().astype(int)
    rows = [
        [sources.video[i].numpy() for i in picks],
        [sources.mask[i, ..., None].expand(-1, -1, 3).numpy() for i in picks],
        [reference.numpy() for reference in sources.references],
    ]
    lines = [np.concatenate([_cell(picture) for picture in row], axis=1) for row in rows if row]
    width = max(line.shape[1] for line in lines)
    sheet = [np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)), constant_values=_BORDER) for line in lines]
    return np.concatenate(sheet)


def _cell(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """A picture made small, with a white border."""
    from PIL import Image

    shown = Image.fromarray(to_bytes(picture))
    shown.thumbnail((_CELL, _CELL))
    return np.pad(np.asarray(shown, np.float32) / 255, ((2, 2), (2, 2), (0, 0)), constant_values=_BORDER)
