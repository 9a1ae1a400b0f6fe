"""The square pictures of the template browser: what goes in and what comes out. `python scripts/workflow_pictures.py`.

Everything shown is a result of the embedded models (docs/examples, by `readme_pictures.py`; of a clip its last frame
over the first ones) beside the sample that it was made from. Needs Pillow.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw
from workflow_texts import TITLES

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "docs" / "examples"
SIDE, SMALL, EDGE = 512, 168, 6
WHITE, GREY = (250, 250, 250), (28, 28, 30)

# (result, what it was made from) of each workflow; several results are tiles.
SHOWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "unison_demo": (("made_circle.png",), ()),
    "unison_auto": (("made_circle.png", "made_moving.gif", "made_edited.png", "made_animated.gif"), ()),
    "unison_app": (("made_animated.gif", "made_edited.png", "made_circle.png", "made_moving.gif"), ()),
    "unison_text_to_image_and_video": (("made_moving.gif",), ()),
    "unison_inpaint": (("made_inpainted.png",), ("painted.png",)),
    "unison_editing": (("made_recoloured.gif",), ("circle.gif",)),
    "unison_image_to_video": (("made_animated.gif",), ("first.png",)),
    "unison_reference": (("made_reference.png",), ("star.png",)),
    "unison_control": (("made_controlled.png",), ("edges.png",)),
    "unison_understanding": (("first.png",), ()),
    "unison_your_models": (("made_rising.gif", "made_followed.gif", "made_controlled.png", "made_reference.png"), ()),
    "unison_your_depth": (("made_followed.gif",), ("edges.gif",)),
    "unison_sam3": (("made_recoloured.gif",), ("circle.gif",)),
    "unison_mixed_nodes": (("made_followed.gif",), ("edges.gif",)),
    "unison_fast": (("made_rising.gif",), ("star.png",)),
    "unison_experts": (("made_rising.gif",), ()),
    "unison_route": (("made_circle.png", "made_recoloured.gif", "made_controlled.png", "made_reference.png"), ()),
}
ASKED = {"unison_understanding": ("What is shown?", "An orange circle")}


def frames(name: str) -> list[Image.Image]:
    """The frames of a file in docs/examples, one for a still; what is painted out of a picture is chequered."""
    path = EXAMPLES / name if name != "painted.png" else ROOT / "unison_backend/demo/samples/unison_painted.png"
    with Image.open(path) as file:
        found = []
        for number in range(getattr(file, "n_frames", 1)):
            file.seek(number)
            found.append(on_chequers(file.convert("RGBA")))
    return found


def on_chequers(picture: Image.Image) -> Image.Image:
    """Transparency as people know it."""
    large = picture.resize((SIDE, SIDE), Image.Resampling.NEAREST)
    ground = Image.new("RGBA", large.size, WHITE)
    draw = ImageDraw.Draw(ground)
    for x, y in squares(SIDE // 16):
        draw.rectangle((x, y, x + SIDE // 16, y + SIDE // 16), fill=(205, 205, 208))
    return Image.alpha_composite(ground, large).convert("RGB")


def squares(step: int) -> Iterator[tuple[int, int]]:
    """Every other square of a board."""
    return ((x, y) for y in range(0, SIDE, step) for x in range(0, SIDE, step) if (x + y) // step % 2)


def smooth(picture: Image.Image, side: int) -> Image.Image:
    """A small picture large, without its pixels as blocks."""
    return picture.resize((64, 64), Image.Resampling.BOX).resize((side, side), Image.Resampling.LANCZOS)


def result(name: str, side: int) -> Image.Image:
    """A result: a still, or a clip's last frame with a strip of its frames below."""
    found = frames(name)
    whole = smooth(found[-1], side)
    if len(found) > 1:
        count, strip = 4, side // 4
        for number in range(count):
            frame = smooth(found[number * (len(found) - 1) // (count - 1)], strip - EDGE)
            whole.paste(frame, (number * strip + EDGE // 2, side - strip + EDGE // 2))
    return whole


def picture(made: Sequence[str], given: Sequence[str]) -> Image.Image:
    """The whole square."""
    if len(made) > 1:
        half = (SIDE - EDGE) // 2
        board = Image.new("RGB", (SIDE, SIDE), GREY)
        for number, name in enumerate(made):
            place = (number % 2 * (half + EDGE), number // 2 * (half + EDGE))
            board.paste(smooth(frames(name)[-1], half), place)
        return board
    board = result(made[0], SIDE)
    for name in given:
        inset = Image.new("RGB", (SMALL + 2 * EDGE, SMALL + 2 * EDGE), WHITE)
        inset.paste(frames(name)[0].resize((SMALL, SMALL), Image.Resampling.LANCZOS), (EDGE, EDGE))
        place = 16 if len(frames(made[0])) > 1 else SIDE - inset.width - 16
        board.paste(inset, (place, place))
    return board


def caption(board: Image.Image, lines: Sequence[str]) -> None:
    """A question and its answer below the picture that was asked about."""
    draw = ImageDraw.Draw(board)
    draw.rectangle((0, SIDE - 128, SIDE, SIDE), fill=GREY)
    for number, line in enumerate(lines):
        draw.text((24, SIDE - 116 + 52 * number), line, fill=WHITE, font_size=40)


def main() -> int:
    """Make them all."""
    for name, (made, given) in SHOWN.items():
        board = picture(made, given)
        if name in ASKED:
            caption(board, ASKED[name])
        board.save(ROOT / "workflows" / f"{TITLES[name]}.jpg", quality=90, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
