"""What a run of the engine can be told; no torch here, so that it can be checked before anything is loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..defaults import CFG, SEED, SHIFT, STEPS, VACE_STRENGTH
from ..errors import InputError, one_line, shown


@dataclass(frozen=True)
class SamplingSettings:
    """How latents are denoised. cfg 1 runs the positive side only.

    Of a model of two experts: cfg_low is the low noise one's guidance (None: the same), boundary the share of the
    training timesteps at which they change (None: the model's own).
    """

    steps: int = STEPS
    cfg: float = CFG
    shift: float = SHIFT
    seed: int = SEED
    vace_strength: float = VACE_STRENGTH
    cfg_low: float | None = None
    boundary: float | None = None

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("steps", self.steps, 1, 1000),
            ("cfg", self.cfg, 0, 100),
            ("shift", self.shift, 0.01, 100),
            ("seed", self.seed, 0, 2**64 - 1),
            ("vace_strength", self.vace_strength, 0, 10),
            ("cfg_low", self.cfg_low, 0, 100),
            ("boundary", self.boundary, 0.001, 0.999),
        ):
            if value is not None and not low <= value <= high:
                raise InputError(f"{name} is {value}; allowed is {low} to {high}")


REFERENCE = SamplingSettings()

ATTENTIONS = ("auto", "sdpa", "flash", "sage")
OFFLOADS = ("none", "model", "group")
VAE_DTYPES = ("auto", "fp32", "bf16", "fp16")
MOST_STRENGTH = 10.0
EASY = "easy"
EASY_THRESHOLD = 0.05  # the authors' for Wan 2.1


class Lora(NamedTuple):
    """A LoRA file, how strongly it is added, and to which of two experts ("high", "low"; "": to both, or the only)."""

    path: Path
    strength: float = 1.0
    side: str = ""


def parse_lora(text: str) -> Lora:
    """`FILE` or `FILE:STRENGTH`; what follows the last colon is a strength if it is a number (`C:\\...` has none).

    Raises InputError for a strength outside -10 to 10.
    """
    file, colon, last = text.rpartition(":")
    try:
        strength = float(last) if colon and file else math.nan
    except ValueError:
        return Lora(Path(text))
    if not (colon and file):
        return Lora(Path(text))
    if not -MOST_STRENGTH <= strength <= MOST_STRENGTH:
        raise InputError(
            f"--lora {one_line(text)[-200:]}: the strength is {one_line(last)[:40]}; "
            f"allowed is {-MOST_STRENGTH:g} to {MOST_STRENGTH:g}"
        )
    return Lora(Path(file), strength)


def parse_cache(text: str | None) -> float:
    """`easy` or `easy:THRESHOLD` as the threshold; 0 for None, which is no cache.

    Raises InputError for anything else and for thresholds that are not above 0 to 1.
    """
    if text is None:
        return 0.0
    name, colon, last = text.partition(":")
    try:
        threshold = float(last) if colon else EASY_THRESHOLD
    except ValueError:
        threshold = math.nan
    if name != EASY or not 0 < threshold <= 1:
        raise InputError(
            f"--cache is {shown(text)}; it is easy or easy:THRESHOLD, above 0 to 1 (easy:{EASY_THRESHOLD:g})"
        )
    return threshold


@dataclass(frozen=True)
class EngineOptions:
    """How the engine is loaded and computes. LoRA, cache, the kernel "sage" and the VAE's options change what is made.

    attention: the kernel of self attention. offload: "model" has transformer and VAE on the device only while each
    works, "group" one block of the transformer at a time. compile: torch.compile of the repeated blocks. cache:
    EasyCache's threshold, 0 for none. vae_dtype: "auto" is the reference's fp32. vae_tiled: None takes tiles where the
    free memory does not take the whole.
    """

    loras: tuple[Lora, ...] = ()
    attention: str = "auto"
    offload: str = "none"
    compile: bool = False
    cache: float = 0.0
    vae_dtype: str = "auto"
    vae_tiled: bool | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("--attention", self.attention, ATTENTIONS),
            ("--offload", self.offload, OFFLOADS),
            ("--vae-dtype", self.vae_dtype, VAE_DTYPES),
        ):
            if value not in known:
                raise InputError(f"{name} is {value!r}; it is one of {', '.join(known)}")
        if self.compile and self.offload == "group":
            raise InputError("--compile and --offload group do not go together: compiled blocks have to stay in place")


PLAIN = EngineOptions()


class Preset(NamedTuple):
    """Values of the sampler that belong together. loras: (what the transformer's name has, LoRA's name, strength)."""

    steps: int
    cfg: float
    shift: float
    loras: tuple[tuple[str, str, float], ...] = ()


PRESETS = {
    "reference": Preset(STEPS, CFG, SHIFT),
    # LoRA, strength, cfg and shift as in ComfyUI's own templates (video_wan_vace_14B_t2v and _ref2v: CausVid LoRAs in
    # both sizes). They take 4 steps; twice as many here, for pictures rather than previews.
    "fast": Preset(8, 1.0, 8.0, (("14b", "*causvid*14b*", 0.3), ("", "*causvid*1*3b*", 0.7))),
}
