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
from pathlib import Path

from draw_samples import draw
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FOLDER = ROOT / "docs" / "examples"
ENLARGED = 2
FRAME_MS = 120


def commands() -> list[list[str]]:
    """The arguments of every `unison ...` in README's table of examples."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.split("<!-- examples -->")[1]
    return [shlex.split(found)[1:] for found in re.findall(r"`(unison run [^`]+)`", part)]


def draw_given() -> None:
    """What the examples are given, with a GIF of every clip."""
    draw(FOLDER)
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
    draw_given()
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(ROOT):
        for arguments in commands():
            make(arguments, Path(scratch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
