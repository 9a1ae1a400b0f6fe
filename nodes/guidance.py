"""What suits a model, guidance and frames at once: the embedded set's are its own, every other's the reference's."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..unison_backend.defaults import CFG, NUM_FRAMES
from .schema import schema

# On a ModelPatcher; the host hands attachments on to clones, so LoRAs and patches keep it.
KEY, FRAMES_KEY = "unison_cfg", "unison_frames"


def marked(model: Any, cfg: float, frames: int) -> Any:
    """The MODEL with the guidance that suits it, and how many frames it makes at once, noted on it."""
    model.set_attachments(KEY, cfg)
    model.set_attachments(FRAMES_KEY, frames)
    return model


def frames_at_once(model: Any) -> int:
    """What is noted on a MODEL, else how many frames Wan makes at once."""
    noted = model.get_attachment(FRAMES_KEY)
    return NUM_FRAMES if noted is None else int(noted)


def suiting(model: Any) -> float:
    """What is noted on a MODEL, else the reference's guidance."""
    noted = model.get_attachment(KEY)
    return CFG if noted is None else float(noted)


class UnisonGuidance(io.ComfyNode):
    """The cfg that a MODEL wants, for samplers of any kind."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonGuidance",
            "Sampling",
            display_name="Guidance",
            description="The guidance that suits a model: 3 for the embedded demo models, 5 for any other. VACE "
            "Sampler asks it when its cfg is 0.",
            search_aliases=["unison", "cfg", "guidance scale"],
            inputs=[io.Model.Input("model", tooltip="With LoRAs and patches if you like.")],
            outputs=[io.Float.Output(display_name="cfg", tooltip="For the cfg of any sampler.")],
        )

    @classmethod
    def execute(cls, model: Any) -> io.NodeOutput:
        return io.NodeOutput(suiting(model))


NODES = (UnisonGuidance,)
