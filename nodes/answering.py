"""The answer to a question, where a person looks for it: on the node, and in app mode as the result."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io

from .schema import schema


class UnisonAnswer(io.ComfyNode):
    """Shows a text, and hands it to app mode as a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonAnswer",
            "Planning",
            display_name="Answer",
            description="Shows the planner's answer. App mode shows it as the result. Where a picture or video is "
            "made, there is no answer and this node does not run.",
            search_aliases=["unison", "show text", "preview text", "caption", "question", "answer"],
            inputs=[
                io.String.Input("answer", force_input=True, tooltip="From Planner, or from Route by Modality's text."),
                io.Boolean.Input(
                    "save",
                    optional=True,
                    default=False,
                    tooltip="On: also kept as a text file in the output folder. Off: in the temporary one.",
                ),
                io.String.Input(
                    "filename_prefix", optional=True, default="unison/answer", tooltip="Where it is kept, and its name."
                ),
            ],
            outputs=[io.String.Output(display_name="answer", tooltip="The same text.")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, answer: str, save: bool = False, filename_prefix: str = "unison/answer") -> io.NodeOutput:
        kind = "output" if save else "temp"
        root = folder_paths.get_output_directory() if save else folder_paths.get_temp_directory()
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(filename_prefix, root)
        file = f"{name}_{counter:05}_.txt"
        (Path(folder) / file).write_text(answer, encoding="utf-8")
        shown = {"text": [answer], "files": [{"filename": file, "subfolder": subfolder, "type": kind}]}
        return io.NodeOutput(answer, ui={"unison_answer": [answer], **shown})


NODES = (UnisonAnswer,)
