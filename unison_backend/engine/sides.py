"""What a run says of two experts, held against the models it has, and which steps each of them makes."""

from __future__ import annotations

from ..errors import InputError
from ..weights.experts import BOUNDARY
from .settings import EngineOptions, SamplingSettings


def check_sides(settings: SamplingSettings, options: EngineOptions, *, two: bool) -> None:
    """Raise InputError for settings of two experts where the model is one. two: whether there are two."""
    given = {
        "cfg_low (--cfg-low)": settings.cfg_low is not None,
        "boundary (--boundary)": settings.boundary is not None,
        "--lora-high and --lora-low": any(lora.side for lora in options.loras),
    }
    for name, is_given in given.items():
        if is_given and not two:
            raise InputError(f"{name} is for a model of two experts (Wan2.2-VACE-Fun), and this one is a single model")


def steps_of_each(settings: SamplingSettings, boundary: float = BOUNDARY) -> str:
    """A sentence on which steps each expert makes. boundary: the model's own, used where the settings name none."""
    from .experts import shares

    high, low = shares(settings.steps, settings.shift, boundary if settings.boundary is None else settings.boundary)
    idle = {high: "high", low: "low"}.get(0)
    if idle is not None:
        return f"two experts: all {settings.steps} steps were the other one's, the {idle} noise expert made none"
    return (
        f"two experts: steps 1 to {high} were the high noise one's, {high + 1} to {settings.steps} the low noise one's"
    )
