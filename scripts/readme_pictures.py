"""Makes the pictures beside README's twelve examples: `python scripts/readme_pictures.py`.

What the examples are given is drawn from the shape world; then every command of that table is run as it is printed.
Videos become GIFs, twice as large; answers are printed, to be compared with the table's.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FOLDER = ROOT / "docs" / "examples"
ENLARGED = 2
FRAME_MS = 120
FRAMES = 9
SIDE = 64


def commands() -> list[list[str]]:
    """The arguments of every `unison ...` in README's table of examples."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.split("<!-- examples -->")[1]
    return [shlex.split(found)[1:] for found in re.findall(r"`(unison run [^`]+)`", part)]


def draw() -> None:
    """The pictures, clips, masks and maps that the examples are given."""
    from unison_backend.demo.world.shapes import Scene, Thing, render, silhouette
    from unison_backend.demo.world.tasks import edge_map
    from unison_backend.media.write import write_image, write_video

    def still(name: str, scene: Scene) -> None:
        write_image(FOLDER / f"{name}.png", render(scene, 1, SIDE, SIDE)[0].numpy())

    def clip(name: str, frames: object) -> None:
        write_video(FOLDER / f"{name}.mp4", frames.numpy(), Fraction(24))  # type: ignore[attr-defined]

    square = Thing("square", "yellow", 0.5, 0.5, 0.23)
    still("square", Scene("purple", (square, Thing("circle", "white", 0.14, 0.14, 0.1))))
    wide = silhouette(Thing("circle", "white", 0.5, 0.5, 0.36), 1, SIDE, SIDE)
    write_image(FOLDER / "square_mask.png", wide[0, ..., None].expand(-1, -1, 3).numpy())
    write_image(FOLDER / "edges.png", edge_map(Thing("star", "white", 0.5, 0.5, 0.3), 1)[0].numpy())
    still("star", Scene("white", (Thing("star", "red", radius=0.34),)))
    still("first", Scene("green", (Thing("circle", "orange", 0.3, 0.5, 0.2),)))
    moving = Thing("circle", "red", 0.5, 0.5, 0.2).moving("right")
    clip("circle", render(Scene("black", (moving,)), FRAMES, SIDE, SIDE))
    cover = silhouette(Thing("circle", "white", 0.5, 0.5, 0.26).moving("right"), FRAMES, SIDE, SIDE) > 0.5
    clip("circle_mask", cover[..., None].expand(-1, -1, -1, 3).float())
    clip("edges", edge_map(Thing("triangle", "white", 0.5, 0.5, 0.24).moving("up"), FRAMES))
    for path in FOLDER.glob("*.mp4"):
        to_gif(path, FOLDER / f"{path.stem}.gif")


def to_gif(video: Path, out: Path) -> None:
    """The video as a GIF that repeats, its pixels enlarged."""
    from unison_backend.media.video import load_video

    frames = [Image.fromarray((frame * 255).round().astype("uint8")) for frame in load_video(video)]
    large = [
        frame.resize((ENLARGED * frame.width, ENLARGED * frame.height), Image.Resampling.NEAREST) for frame in frames
    ]
    large[0].save(out, save_all=True, append_images=large[1:], duration=FRAME_MS, loop=0)


def make(arguments: list[str], scratch: Path) -> None:
    """Run one command; its picture lands in docs/examples under the name that it has there."""
    from unison_backend import cli

    if "--out" not in arguments:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            status = cli.main([*arguments, "--quiet"])
        sys.stdout.write(f"{status}  {arguments[1]}  ->  {printed.getvalue().strip()}\n")
        return
    at = arguments.index("--out") + 1
    made = scratch / Path(arguments[at]).name
    status = cli.main([*arguments[:at], str(made), *arguments[at + 1 :], "--quiet"])
    sys.stdout.write(f"{status}  {arguments[1]}\n")
    if made.suffix == ".mp4":
        to_gif(made, FOLDER / f"made_{made.stem}.gif")
    else:
        picture = Image.open(made).convert("RGB")
        picture.resize((ENLARGED * picture.width, ENLARGED * picture.height), Image.Resampling.NEAREST).save(
            FOLDER / f"made_{made.stem}.png"
        )


def main() -> int:
    """Draw what is given, run what is printed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    draw()
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(ROOT):
        for arguments in commands():
            make(arguments, Path(scratch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
