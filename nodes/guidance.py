"""The guidance that suits a model: the embedded set's is its own, every other's the reference's."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..unison_backend.defaults import CFG
from .schema import schema

# On a ModelPatcher; the host hands attachments on to clones, so LoRAs and patches keep it.
KEY = "unison_cfg"


def marked(model: Any, cfg: float) -> Any:
    """The MODEL with the guidance that suits it noted on it."""
    model.set_attachments(KEY, cfg)
    return model


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
