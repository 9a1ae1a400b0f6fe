"""The text's zero rows at the price of three, for graphs whose sampler is not ours."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import host_run
from .host_network import other_kind
from .schema import schema


class UnisonExactPadding(io.ComfyNode):
    """A MODEL that attends the zero rows of a text context as three rows, with any sampler."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonExactPadding",
            "Sampling",
            display_name="Exact Padding",
            description="Makes the zero rows of a text context (about 2000 of 2048) cost what three rows cost, with "
            "any sampler. The picture is the same. UniPC Sampler and VACE Sampler do it by "
            "themselves.",
            search_aliases=["unison", "speed", "padding", "text context", "faster"],
            inputs=[io.Model.Input("model", tooltip="Wan 2.1 text to video or VACE; others pass as they are.")],
            outputs=[io.Model.Output(display_name="model", tooltip="For any sampler.")],
        )

    @classmethod
    def execute(cls, model: Any) -> io.NodeOutput:
        # What other nodes put into the network comes and goes; host_run looks at that when a run begins, and logs it.
        why = other_kind(model.model.diffusion_model)
        notices = [f"the text keeps all its rows: {why}"] if why else []
        return io.NodeOutput(host_run.attach(model), ui={"unison_notices": notices})


NODES = (UnisonExactPadding,)
