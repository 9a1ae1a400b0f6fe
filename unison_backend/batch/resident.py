"""Models that stay loaded from one instruction to the next, where memory has room for all of them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..engine.settings import EngineOptions
from ..pipeline.stages import Stages
from ..progress import Progress, silent
from ..weights.find import ModelPaths, files_below

# A file's bytes become up to so many in memory (fp8 and bfloat16 files, float32 modules) with room to work.
_GROWTH = 2.0
_REMEMBERED = 8


class Resident(Stages):
    """`Stages` that keeps what it loaded. Where not all models fit, one that is asked for lets the others go first."""

    def __init__(self, models: ModelPaths, device: str = "auto", options: EngineOptions | None = None) -> None:
        super().__init__(models, device, options)
        self._held: dict[str, Any] = {}
        sides = (models.vace, models.vace_base, models.vace_low, models.vace_low_base)
        self._sizes = {
            "qwen": _bytes(models.planner) + _bytes(models.lora),
            "projector": _bytes(models.projector),
            "text_encoder": _bytes(models.text_encoder),
            "engine": sum(map(_bytes, (*sides, models.vae))),
        }
        self.fits = sum(self._sizes.values()) * _GROWTH < self._free()

    def qwen(self, progress: Progress = silent) -> Any:
        """The planner's model, kept."""
        return self._kept("qwen", lambda: super(Resident, self).qwen(progress))

    def projector(self) -> Any:
        """The projector, kept."""
        return self._kept("projector", super().projector)

    def text_encoder(self) -> Any:
        """T5, kept, with the rows of its last texts: the negative one is the same for every line."""
        return self._kept("text_encoder", lambda: _Remembering(super(Resident, self).text_encoder()))

    def engine(self, progress: Progress = silent) -> Any:
        """Transformer and VAE, kept."""
        return self._kept("engine", lambda: super(Resident, self).engine(progress))

    def let_go(self) -> None:
        """Forget every model, and give its memory back."""
        self._held.clear()
        gc.collect()
        if self.device.type == "cuda":
            import torch

            torch.cuda.empty_cache()

    def _kept(self, name: str, load: Callable[[], Any]) -> Any:
        if name not in self._held:
            if not self.fits:
                self.let_go()
            self._held[name] = load()
        return self._held[name]

    def _free(self) -> int:
        """Bytes that the device has free."""
        if self.device.type == "cuda":
            import torch

            return int(torch.cuda.mem_get_info(self.device)[0])
        import psutil

        return int(psutil.virtual_memory().available)


class _Remembering:
    """A text encoder that gives the rows of a text it read lately without reading it again."""

    def __init__(self, encoder: Any) -> None:
        self._encoder, self._rows = encoder, dict[str, Any]()

    def encode(self, text: str) -> Any:
        """Rows [n, D] of `text`."""
        if text not in self._rows:
            while len(self._rows) >= _REMEMBERED:
                self._rows.pop(next(iter(self._rows)))
            self._rows[text] = self._encoder.encode(text)
        else:
            self._rows[text] = self._rows.pop(text)  # the last one used goes last
        return self._rows[text]


def _bytes(path: Path | None) -> int:
    if path is None:
        return 0
    return sum(file.stat().st_size for file in ([path] if path.is_file() else files_below(path)))
