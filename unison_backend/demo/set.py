"""The demo model set: every model of the pipeline, tiny, so that the whole path runs on any machine without a download.

A trained one comes with the package and knows coloured shapes. An untrained one is built into a cache folder in
seconds, checked on each use, and built again when it is damaged; its pictures are noise.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import ResourceError
from ..progress import Progress, silent
from ..unfinished import finished, unfinished

CFG = 3.0  # the guidance that suits these models: the reference's 5 bends their outlines (model card)
VERSION = 1  # goes up whenever the files would come out differently
SIDE, FRAMES = 64, 9  # pixels and frames of most of what they are trained on, and of what is made where nothing is said
SIZES, LENGTHS = ("64x64", "96x64", "64x96"), (9, 17)  # all of it
CACHE_VARIABLE = "UNISON_CACHE"

_NAME = f"demo-v{VERSION}"
_MANIFEST = "manifest.json"
_LORA = "planning_lora"
_SHIPPED = Path(__file__).resolve().parent / "weights"


@dataclass(frozen=True)
class DemoSet:
    """Where the demo models are: `planner` is a Qwen2.5-VL folder, the other four are safetensors files in `folder`.

    lora: the planning LoRA's folder, which only a trained set has. trained: whether its pictures mean anything.
    """

    folder: Path
    vace: Path
    vae: Path
    text_encoder: Path
    planner: Path
    projector: Path
    lora: Path | None = None
    trained: bool = False

    @property
    def missing(self) -> list[Path]:
        """The files of a trained set that are not there."""
        planner, lora = self.planner / "model.safetensors", self.folder / _LORA / "adapter_model.safetensors"
        needed = (self.vace, self.vae, self.text_encoder, planner, lora, self.projector)
        return [path for path in needed if not path.is_file()]

    @property
    def known(self) -> str:
        """What can be asked of the models, for whoever sees their pictures."""
        if self.trained:
            sizes = f"pictures and videos of {', '.join(SIZES)}, {' or '.join(map(str, LENGTHS))} frames"
            return f"they know coloured shapes, in {sizes}, and nothing else"
        return "they are untrained and make NOISE"


def cache_folder() -> Path:
    """UNISON_CACHE, else the platform's folder for caches with `unison` in it."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).expanduser()
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "unison"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "unison"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "unison"


def demo_set(folder: Path) -> DemoSet:
    """The set's paths under `folder`, whether it is built or not; one with a planning LoRA is a trained one."""
    lora = folder / _LORA
    has_lora = (lora / "adapter_model.safetensors").is_file()
    return DemoSet(
        folder=folder,
        vace=folder / "wan_vace.safetensors",
        vae=folder / "wan_vae.safetensors",
        text_encoder=folder / "umt5.safetensors",
        planner=folder / "qwen",
        projector=folder / "projector.safetensors",
        lora=lora if has_lora else None,
        trained=has_lora,
    )


def shipped() -> DemoSet | None:
    """The trained set that comes with the package; None where it, or a file of it, is missing."""
    files = demo_set(_SHIPPED)
    return None if files.missing else files


def ensure(cache: Path | None = None, progress: Progress = silent) -> DemoSet:
    """The trained set that comes with the package, else the untrained one (`ensure_untrained`)."""
    return shipped() or ensure_untrained(cache, progress)


def ensure_untrained(cache: Path | None = None, progress: Progress = silent) -> DemoSet:
    """The untrained set under `cache` (default: `cache_folder()`), built or repaired if need be.

    Two processes may call this at once: each builds its own temporary folder, and both results are the same files.
    Raises ResourceError when the folder cannot be written.
    """
    root = cache_folder() if cache is None else Path(cache)
    target = root / _NAME
    if is_intact(target):
        return demo_set(target)
    temporary = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        temporary = unfinished(target)
        build(temporary, progress)
        _publish(temporary, target)
    except OSError as error:
        raise ResourceError(
            f"the demo models cannot be written to {target} ({error}); make room (32 MB) or set {CACHE_VARIABLE} "
            "to a folder that can be written"
        ) from error
    finally:
        if temporary is not None:
            finished(temporary)
    return demo_set(target)


def build(folder: Path, progress: Progress = silent) -> DemoSet:
    """Write the set into `folder`, which must not exist yet, and its manifest last."""
    from . import build as models

    folder.mkdir()
    files = demo_set(folder)
    steps: tuple[tuple[Callable[[Path], None], Path], ...] = (
        (models.write_planner, files.planner),
        (models.write_projector, files.projector),
        (models.write_text_encoder, files.text_encoder),
        (models.write_vae, files.vae),
        (models.write_wan, files.vace),
    )
    for number, (write, path) in enumerate(steps):
        progress("demo models", number, len(steps))
        write(path)
    manifest = {name: [file.stat().st_size, _checksum(file)] for name, file in _listing(folder).items()}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    progress("demo models", len(steps), len(steps))
    return files


def is_intact(folder: Path) -> bool:
    """Whether every file of the manifest is there with its size and checksum (30 ms for the whole set)."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        checks = [(folder / name, size, checksum) for name, (size, checksum) in manifest.items()]
        return bool(checks) and all(
            file.stat().st_size == size and _checksum(file) == checksum for file, size, checksum in checks
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def _listing(folder: Path) -> dict[str, Path]:
    """The files under `folder` by their path in it, the manifest excepted."""
    files = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    return {name: file for name, file in files.items() if name != _MANIFEST}


def _checksum(file: Path) -> int:
    checksum = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _publish(temporary: Path, target: Path) -> None:
    """Make `temporary` the set at `target`: as a whole where nothing is there, else file by file, each at once."""
    try:
        temporary.replace(target)
    except OSError:
        if is_intact(target):  # another process was faster
            return
        if not target.is_dir():
            raise
        for name, file in [*_listing(temporary).items(), (_MANIFEST, temporary / _MANIFEST)]:
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
