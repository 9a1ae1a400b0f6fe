"""Films a newcomer's way in a real ComfyUI with a clean user folder: `python tests/browser/film_newcomer.py [FOLDER]`.

The pictures go to docs/screenshots/newcomer_*.png, which docs/first_steps.md shows, and plan_card.png; look at them
before they are committed. Needs what the browser tests need (test_frontend.py); the host is named as in tests/host/host_install.py.
"""

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "host")]

import comfy_host  # noqa: E402
import sessions  # noqa: E402
from host_install import find_host  # noqa: E402
from PIL import Image, ImageDraw, ImageOps  # noqa: E402

SAID = {
    "own": "Create a 64x64 image of a yellow star on a purple background.",
    "masked": "Make the circle in <image1> red.",
    "question": "What colour is the background in <image1>?",
    "mistaken": "In which direction does the circle in <video1> move?",
}
# A palette would take small things' colours away, the chosen link's green first; fewer bits halve a file as well.
BITS = 5
# The node and its card in the fifth picture: README shows it by itself, and `scripts/draw_help.py` its card.
NODE = (757, 78, 1150, 812)


def draw(file):
    """A picture of one's own, of the kind that the embedded models know."""
    picture = Image.new("RGB", (64, 64), (25, 140, 50))
    ImageDraw.Draw(picture).ellipse((18, 18, 46, 46), fill=(240, 240, 240))
    picture.save(file)


def main(arguments):
    """Film, and put the pictures into FOLDER; what each run came to is printed."""
    target = Path(arguments[0]) if arguments else ROOT / "docs" / "screenshots"
    install, tools = find_host(), sessions.find_tools()
    for reason in (install, tools):
        if isinstance(reason, str):
            raise SystemExit(reason)
    work = Path(tempfile.mkdtemp(prefix="newcomer-"))
    draw(work / "my_picture.png")
    titles = sorted(path.stem for path in (ROOT / "workflows").glob("One Sentence - *.json"))
    settings = {
        "nodes2": True,
        "scale": 1,
        "settings": {"Comfy.Locale": "en", "Comfy.RightSidePanel.IsOpen": False},
        "pack": comfy_host.PACK,
        "template": titles[0],
        "picture": str(work / "my_picture.png"),
        "said": SAID,
    }
    with comfy_host.ComfyHost(install, base=work / "host", watch=False) as host:
        ends = sessions.drive("newcomer.mjs", host, settings, work)
    for file in sorted(work.glob("[0-9]_*.png")):
        small = ImageOps.posterize(Image.open(file).convert("RGB"), BITS)
        small.save(target / f"newcomer_{file.name}", optimize=True)
    Image.open(target / "newcomer_5_painted.png").crop(NODE).save(target / "plan_card.png", optimize=True)
    shutil.rmtree(work)
    sys.stdout.writelines(f"{name}: {end}\n" for name, end in ends.items())


if __name__ == "__main__":
    main(sys.argv[1:])
