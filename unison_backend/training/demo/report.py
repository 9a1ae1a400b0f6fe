"""`unison eval demo --report DIR`: a page of what was made, so that people look rather than read, and its sheets.

The page is one file that needs nothing else, no script and no network. First the figures, then every kind with its
examples, the worst first; a sheet of each kind lies beside it as a PNG.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ResourceError
from ...files import replacing
from ...progress import Cancel, Progress, check, never, silent
from .evaluate import Case, EvaluationSettings, Row, Told
from .sheets import Block, block, picture, sheet, strip

if TYPE_CHECKING:
    from PIL.Image import Image

PAGE = "index.html"
_STAGE = "writing the report"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 24px auto; max-width: 1400px; padding: 0 16px; }
table { border-collapse: collapse; }
td, th { padding: 2px 12px 2px 0; text-align: left; border-bottom: 1px solid #ddd; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
h2 { margin-top: 2.2em; } .cases { display: flex; flex-wrap: wrap; gap: 18px; align-items: flex-start; }
figure { margin: 0; padding: 10px; border: 1px solid #ccc; border-radius: 6px; } figure.wrong { border-color: #c33; }
figcaption { max-width: 640px; margin-bottom: 6px; } img { max-width: 100%; display: block; }
.wrong b, td.wrong { color: #b11; } small { color: #666; }
"""


def write_report(
    folder: Path, rows: Sequence[Row], settings: EvaluationSettings, *, progress: Progress = silent,
    cancel: Cancel = never,
) -> Path:  # fmt: skip
    """Write `folder`/index.html and a sheet of each kind that has pictures; returns the page.

    Raises ResourceError when they cannot be written, Cancelled.
    """
    parts, total, done = [], sum(len(row.cases) for row in rows), 0
    for row in rows:
        shown = []
        for case in row.cases:
            check(cancel, _STAGE)
            progress(_STAGE, done, total)
            done += 1
            shown.append((case, block(case.drawn, case.made)))
        shown.sort(key=_goodness)
        if shown:
            _write(
                folder / f"{file_name(row.kind)}.png", _png(sheet([(_title(*one), picture(one[1])) for one in shown]))
            )
        parts.append(_section(row, shown))
    page = folder / PAGE
    _write(page, _page(rows, parts, settings).encode("utf-8"))
    return page


def file_name(kind: str) -> str:
    """A kind's name as a file's."""
    return kind.replace(",", "").replace(" ", "_")


def _goodness(one: tuple[Case, Block]) -> tuple[float, float, int]:
    """What comes first: most claims wrong, then the worst outline."""
    case, shown = one
    right = case.judgement.right
    return sum(right.values()) / len(right), -1.0 if shown.fit is None else shown.fit, case.number


def _wrong(case: Case) -> list[str]:
    return [name for name, right in case.judgement.right.items() if not right]


def _title(case: Case, shown: Block) -> str:
    """For a sheet, whose font has Latin letters only: the example's number and what is wrong."""
    fit = "" if shown.fit is None else f"  fit {shown.fit:.2f}"
    return f"{case.number}{fit}  {', '.join(_wrong(case)) or 'right'}"


def _page(rows: Sequence[Row], parts: Sequence[str], settings: EvaluationSettings) -> str:
    canvas = settings.canvas
    what = (
        f"{settings.count} examples of each kind in held-out wordings, {canvas.width}x{canvas.height}, videos of "
        f"{canvas.frames} frames, {settings.steps} steps, guidance {settings.cfg:g}, seeds from {settings.seed} on; "
        f"outlines judged by {settings.judge}."
    )
    lines = [
        f'<tr><td><a href="#{file_name(row.kind)}">{escape(row.kind)}</a></td><td>{escape(name)}</td>'
        f'<td class="number{" wrong" if right < count else ""}">{right} of {count}</td>'
        f'<td class="number">{right / max(1, count):.0%}</td></tr>'
        for row in rows
        for name, (right, count) in row.measures.items()
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>unison eval demo</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>unison eval demo</h1>\n<p>{escape(what)}</p>\n"
        "<p>In each block: what was given, wanted and made; then an outline on what was made: of what is asked for "
        "where its place is given (controls, edits), else of the asked shape where it lies best. fit: how much of the "
        "asked shape, where it lies best, and of what was made is both, by coverage, in the middle frame. The worst "
        "come first.</p>\n<table><tr><th>kind</th><th>measure</th><th>right</th><th>share</th></tr>\n"
        + "\n".join([*lines, "</table>", *parts, "</body></html>\n"])
    )


def _section(row: Row, shown: Sequence[tuple[Case, Block]]) -> str:
    head = f'<h2 id="{file_name(row.kind)}">{escape(row.kind)}</h2>\n'
    if shown:
        return head + '<div class="cases">\n' + "\n".join(_figure(*one) for one in shown) + "\n</div>"
    if not row.wrong:
        return head + "<p>None was wrong.</p>"
    return head + (
        "<table><tr><th></th><th>asked</th><th>wanted</th><th>made</th></tr>\n"
        + "\n".join(_told(told) for told in row.wrong)
        + "\n</table>"
    )


def _figure(case: Case, shown: Block) -> str:
    figures = dict(case.judgement.figures) | ({} if shown.fit is None else {"fit": shown.fit})
    said = "; ".join(f"{name} {value:.3f}" for name, value in figures.items())
    wrong = ", ".join(_wrong(case))
    return (
        f'<figure class="{"wrong" if wrong else "right"}"><figcaption>{case.number}. '
        f"{escape(case.drawn.instruction)}<br><b>{escape((wrong and f'wrong: {wrong}') or 'right')}</b> "
        f"<small>{escape(said)}</small></figcaption>{_img(picture(shown))}</figure>"
    )


def _told(told: Told) -> str:
    seen = "" if told.medium is None else _img(picture(strip(told.medium)))
    words = "".join(f"<td>{escape(text) or '<i>nothing</i>'}</td>" for text in (told.asked, told.wanted, told.made))
    return f"<tr><td>{seen}</td>{words}</tr>"


def _img(drawn: Image) -> str:
    return f'<img alt="" width="{drawn.width}" src="data:image/png;base64,{b64encode(_png(drawn)).decode()}">'


def _png(drawn: Image) -> bytes:
    file = BytesIO()
    drawn.save(file, "PNG", optimize=True)
    return file.getvalue()


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise ResourceError(f"{path} cannot be written ({error.strerror}); make room there") from error
