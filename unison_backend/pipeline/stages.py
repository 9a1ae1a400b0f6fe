"""The models of a run, each loaded when a stage asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.ranks import ALONE, Ranks
from ..errors import InputError
from ..progress import Progress, silent
from ..weights.find import ModelPaths

if TYPE_CHECKING:
    from ..conditioning.projector import Projector
    from ..conditioning.text_encoder import TextEncoder
    from ..engine.engine import Engine
    from ..engine.settings import EngineOptions, SamplingSettings
    from ..planner.qwen.loading import Qwen


class Stages:
    """The models of a run on its device, each loaded anew whenever it is asked for. Nothing is kept here.

    Every method raises WeightsError, or InputError when there is no such file.
    """

    def __init__(
        self, models: ModelPaths, device: str = "auto", options: EngineOptions | None = None, ranks: Ranks = ALONE
    ) -> None:
        from ..engine.device import pick_device
        from ..engine.settings import PLAIN

        self.models, self.device, self.options, self.ranks = models, pick_device(device), options or PLAIN, ranks

    def qwen(self, progress: Progress = silent) -> Qwen:
        """The planner's model with its LoRA."""
        from ..planner.qwen.loading import load_qwen

        paths = _path(self.models.planner), self.models.lora
        return load_qwen(*paths, device=self.device, answering=True, progress=progress)

    def projector(self) -> Projector:
        """The projector."""
        from ..conditioning.projector import load_projector

        return load_projector(_path(self.models.projector), device=self.device)

    def text_encoder(self) -> TextEncoder:
        """T5, in bfloat16 as in the reference; the small demo encoder in float32, which costs nothing."""
        import torch

        from ..conditioning.text_encoder import load_text_encoder

        dtype = torch.float32 if self.models.demo else torch.bfloat16
        return load_text_encoder(_path(self.models.text_encoder), dtype=dtype, device=self.device)

    def engine(self, progress: Progress = silent) -> Engine:
        """Transformer, with its LoRA, or both experts, and VAE."""
        from ..engine.engine import Engine

        models = self.models
        paths = _path(models.vace), _path(models.vae)
        bases = models.vace_base, models.vace_low_base
        engine = Engine.load(*paths, self.device, self.options, progress, models.vace_low, models.boundary, bases)
        engine.ranks = self.ranks
        return engine

    def check_ranks(self, settings: SamplingSettings) -> None:
        """Raise InputError where the processes of a run cannot share its transformer. Reads shapes alone."""
        if self.ranks.count == 1:
            return
        from ..engine.ranks import check_heads
        from ..weights.wan import load_transformer

        models = self.models
        low = settings.cfg if settings.cfg_low is None else settings.cfg_low
        experts = ((models.vace, models.vace_base, settings.cfg), (models.vace_low, models.vace_low_base, low))
        for path, base, cfg in experts:
            if path is not None:
                two = models.vace_low is not None
                shapes: Any = load_transformer(path, device="meta", expert=two, base=base)
                check_heads(self.ranks.count, 1 if cfg == 1 else 2, shapes.config.num_attention_heads)


def _path(path: Path | None) -> Path:
    if path is None:
        raise InputError("a model file is missing; `unison doctor` says which")
    return path
