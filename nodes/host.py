"""The host's services in the backend's words: progress, cancel, interrupts, memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from ..unison_backend.errors import Cancelled, UnisonError
from .values import check_values, kinds_of


def qwen_tokenizer() -> Path:
    """Where the host keeps Qwen2.5's tokenizer, which its own text encoders take."""
    from comfy import model_management

    return Path(model_management.__file__).parent / "text_encoders" / "qwen25_tokenizer"


def cancelled() -> bool:
    """A backend `Cancel`: True once the person pressed stop. The request itself stays for `interruptible`."""
    from comfy import model_management

    return bool(model_management.processing_interrupted())


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, a backend `Cancelled` becomes the host's own interrupt, which takes the request back."""
    from comfy import model_management

    try:
        yield
    except Cancelled:
        model_management.throw_exception_if_processing_interrupted()
        raise model_management.InterruptProcessingException() from None


def guarded(node: Any) -> Any:
    """The node class, whose `execute` refuses what no link can bring and tells of a failure in words that a person at
    the graph can use.

    A library that does not load is told in one sentence, and files by the host's own folders in place of whole paths.
    """
    plain = node.execute.__func__

    @wraps(plain)
    def execute(cls: Any, *values: Any, **inputs: Any) -> Any:
        try:
            check_values(kinds_of(node), inputs)
            return plain(cls, *values, **inputs)
        except Exception as error:
            from ..unison_backend.errors import broken_library

            told = broken_library(error)
            if told is not None:
                raise told from error
            if isinstance(error, UnisonError):
                error.args = (without_folders(str(error)),)
            raise

    node.execute = classmethod(execute)
    return node


def without_folders(text: str) -> str:
    """A text with the paths of the host's folders cut to what its interface shows: `input/a.png`, `models/unison`."""
    import folder_paths

    places = [
        (folder_paths.get_input_directory(), "input"),
        (folder_paths.get_output_directory(), "output"),
        (folder_paths.get_temp_directory(), "temp"),
        (folder_paths.models_dir, "models"),
    ]
    for folder, shown in places:
        for written in {Path(folder).absolute(), Path(folder).resolve()}:
            text = text.replace(f"{written}{os.sep}", f"{shown}/")
    return text


def name_errors_plainly() -> None:
    """Let the host show `InputError` where it puts an exception's module, for a pack a path, before the name."""
    kinds = [UnisonError]
    while kinds:
        kind = kinds.pop()
        kind.__module__ = "builtins"  # the one module that `full_type_name` leaves out
        kinds += kind.__subclasses__()


def progress_bar() -> Callable[[str, int, int], None]:
    """A backend `Progress` shown as the running node's bar; a stage of unknown length shows nothing."""
    from comfy.utils import ProgressBar

    bars: dict[tuple[str, int], Any] = {}

    def show(stage: str, done: int, total: int) -> None:
        if total > 0:
            bars.setdefault((stage, total), ProgressBar(total)).update_absolute(done, total)

    return show


def text_on_node(node_id: str | None) -> Callable[[str], None]:
    """Shows a growing text on a node while it runs; silent where no server is (tests, other programs)."""
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    parts: list[str] = []

    def add(piece: str) -> None:
        parts.append(piece)
        if server is not None and node_id is not None:
            server.send_progress_text("".join(parts), node_id)

    return add


def model_patcher(module: Any, device: str = "auto") -> Any:
    """A ModelPatcher around a plain module, so that the host loads, offloads and frees it.

    device: "auto" is where the host runs text encoders, else "cpu". The class is looked up now, because the host
    replaces it at start-up when its dynamic memory is on.
    """
    import torch
    from comfy import model_management, model_patcher

    patcher = getattr(model_patcher, "CoreModelPatcher", model_patcher.ModelPatcher)
    cpu = torch.device("cpu")
    return patcher(
        module,
        load_device=cpu if device == "cpu" else model_management.text_encoder_device(),
        offload_device=cpu if device == "cpu" else model_management.text_encoder_offload_device(),
    )


def load(*patchers: Any, memory_required: int) -> None:
    """Bring weights to their device, whole and together: plain layers have no way to run from two places."""
    from comfy import model_management

    model_management.load_models_gpu(list(patchers), memory_required=memory_required, force_full_load=True)


def to_results(tensor: Any) -> Any:
    """A tensor where the host keeps what nodes hand on."""
    from comfy import model_management

    return tensor.to(model_management.intermediate_device())


def pictures(images: Any, node: Any) -> dict[str, list[str]]:
    """What a card shows of pictures [N, H, W, 3]: names of temporary files, as the host's /view takes them.

    As plain texts: what stands as `images` in a result becomes the run's picture and an asset.
    """
    from urllib.parse import urlencode

    from comfy_api.latest import ui

    files = ui.PreviewImage(images, cls=node).as_dict()["images"]
    return {"unison_pictures": [urlencode(dict(file)) for file in files]}
