"""Sample media for the workflows: copied once to the host's input folder, and as a node for graphs without loaders."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ..unison_backend.demo import samples
from ..unison_backend.media.pictures import load_image, load_with_alpha
from .schema import schema

OFF_VARIABLE = "UNISON_SAMPLE_MEDIA"
SETTING = "Unison.SampleMedia"
_OFF = ("0", "false", "no", "off")
_MARKER = Path("unison") / "sample_media.json"


def put() -> None:
    """Copy the sample media to the top level of the input folder: each once ever, and never over a file.

    What was copied before is noted in the user folder, so that a file which a person deletes stays deleted. A folder
    that cannot be written only means that the samples are missing. UNISON_SAMPLE_MEDIA=0 or the setting switch it off.
    """
    if not wanted():
        return
    marker = Path(folder_paths.get_user_directory()) / _MARKER
    target = Path(folder_paths.get_input_directory())
    try:
        known = _known(marker)
        new = [file for file in samples.files() if file.name not in known]
        copied = [file for file in new if not (target / file.name).exists()]
        if not new:
            return
        marker.parent.mkdir(parents=True, exist_ok=True)
        for file in copied:
            shutil.copyfile(file, target / file.name)
        marker.write_text(json.dumps(sorted(known | {file.name for file in new}), indent=1), encoding="utf-8")
    except OSError as error:
        logging.info("Unison: the workflows' sample media were not put into %s (%s)", target, error)
    else:
        logging.info("Unison: %s sample files for the workflows were put into %s", len(copied), target)


def wanted() -> bool:
    """Whether the person lets sample media be copied."""
    if os.environ.get(OFF_VARIABLE, "").strip().lower() in _OFF:
        return False
    settings = Path(folder_paths.get_user_directory()) / "default" / "comfy.settings.json"
    try:
        stored = json.loads(settings.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return not isinstance(stored, dict) or stored.get(SETTING) is not False


def _known(marker: Path) -> set[str]:
    """Names that were copied before, or found in place."""
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return set()
    return {name for name in found if isinstance(name, str)} if isinstance(found, list) else set()


class UnisonExampleMedia(io.ComfyNode):
    """A picture, its mask and a video out of the pack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonExampleMedia",
            "Loaders",
            display_name="Example Media",
            description="A picture, its mask and a video that come with the pack: coloured shapes, which the embedded "
            "models know. For trying a graph out; put Load Image and Load Video in its place for your own.",
            search_aliases=["unison", "sample picture", "test image", "test video", "example image"],
            inputs=[
                io.Combo.Input(
                    "picture",
                    options=list(samples.PICTURES),
                    default="square",
                    tooltip="painted has a mask painted on it; edges is a map to follow.",
                ),
                io.Combo.Input(
                    "clip",
                    options=list(samples.CLIPS),
                    default="circle",
                    tooltip="circle_mask is white over the circle of the other clip; edges is a map to follow.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="64x64."),
                io.Mask.Output(display_name="mask", tooltip="White = change; all black where the picture has none."),
                io.Video.Output(display_name="video", tooltip="64x64, 9 frames, 24 a second."),
            ],
        )

    @classmethod
    def validate_inputs(cls, picture: str | None, clip: str | None) -> bool | str:
        for name, value, known in (("picture", picture, samples.PICTURES), ("clip", clip, samples.CLIPS)):
            if value is not None and value not in known:
                return f"{name} is {value!r}; there are {', '.join(known)}"
        return True

    @classmethod
    def execute(cls, picture: str, clip: str) -> io.NodeOutput:
        import torch
        from comfy_api.latest import InputImpl

        path = samples.FOLDER / samples.PICTURES[picture]
        painted = load_with_alpha(path)
        pixels = torch.from_numpy(load_image(path) if painted is None else painted)[None]
        mask = torch.zeros(pixels.shape[:3]) if painted is None else 1 - pixels[..., 3]
        if (file := samples.MASKS.get(picture)) is not None:
            mask = torch.from_numpy(load_image(samples.FOLDER / file, as_mask=True))[None, ..., 0]
        return io.NodeOutput(pixels[..., :3], mask, InputImpl.VideoFromFile(str(samples.FOLDER / samples.CLIPS[clip])))


NODES = (UnisonExampleMedia,)
