"""The last step of an edit: what was not to change is the source again."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..unison_backend.errors import InputError
from ..unison_backend.sources.composite import check_pair, composite
from ..unison_backend.sources.masks import FEATHER, MAX_FEATHER
from . import host
from .schema import ABSENT, SourcesSocket, schema
from .sources_socket import HostSources, fitted_mask, stretched


class UnisonComposite(io.ComfyNode):
    """Generated pictures inside the mask, the source outside."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonComposite",
            "Sources",
            display_name="Composite",
            description="Puts the source back wherever the mask left it alone, to the bit, with a feather outside the "
            "mask. Sources of a plan that is no edit leave the pictures as they are.",
            search_aliases=["unison", "inpaint stitch", "ImageCompositeMasked", "paste back"],
            inputs=[
                io.Image.Input("images", tooltip="What was generated."),
                SourcesSocket.Input("sources", optional=True, tooltip="From Prepare Sources."),
                io.Image.Input(
                    "source", optional=True, tooltip="In place of sources: one picture, or as many as images."
                ),
                io.Mask.Input("mask", optional=True, tooltip="With source: white = generated. One is repeated."),
                io.Int.Input(
                    "feather",
                    default=FEATHER,
                    min=0,
                    max=MAX_FEATHER,
                    tooltip="Pixels outside the mask over which one becomes the other.",
                ),
            ],
            outputs=[io.Image.Output(display_name="images", tooltip="As many as came in.")],
        )

    @classmethod
    def validate_inputs(
        cls, images: Any = None, sources: Any = ABSENT, source: Any = ABSENT, mask: Any = ABSENT
    ) -> bool | str:
        # `images`, because the host hears no complaint that comes without a given input.
        try:
            check_pair(source is not ABSENT, mask is not ABSENT, sources is not ABSENT)
        except InputError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls, images: Any, feather: int, sources: HostSources | None = None, source: Any = None, mask: Any = None
    ) -> io.NodeOutput:
        check_pair(source is not None, mask is not None, sources is not None)
        made = images[..., :3].float().cpu()
        count, height, width = made.shape[:3]
        if source is not None:
            kept = source[..., :3].float().cpu()
            kept = kept.expand(count, -1, -1, -1) if kept.shape[0] == 1 else kept
            marked = fitted_mask(mask.float().cpu(), count, height, width)
        elif not sources.is_edit:
            return io.NodeOutput(images)
        else:
            # Sources of a whole video are longer than what was cut again.
            cut = slice(count if count == sources.kept_frames else None)
            kept, marked = sources.sources.video[cut], sources.sources.mask[cut]
        with host.interruptible():
            mixed = composite(made, kept, marked, feather, host.progress_bar(), host.cancelled)
        shown = stretched("mask", None if source is None else mask, width, height)
        return io.NodeOutput(host.to_results(mixed), ui=shown)


NODES = (UnisonComposite,)
