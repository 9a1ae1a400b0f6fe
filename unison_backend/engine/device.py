"""Which device computes, and what can compute there."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from ..errors import InputError, UnsupportedError

# (option's value, the package it takes): diffusers' backends of the same names call it.
PACKAGES = {"flash": "flash_attn", "sage": "sageattention"}


def pick_device(name: str = "auto") -> torch.device:
    """ "auto" is the first GPU if there is one, else the CPU; any torch device name is taken as it is."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"--device {name} is no device; use auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"--device {name}: there is no such GPU here; {_gpus()}")
    return device


def _gpus() -> str:
    count = torch.cuda.device_count()
    if not count:
        return "PyTorch sees none, use cpu"
    return "PyTorch sees " + ", ".join(f"cuda:{index}" for index in range(count))


def check_attention(name: str, device: torch.device) -> None:
    """Raise UnsupportedError when an attention kernel that was asked for cannot run here."""
    package = PACKAGES.get(name)
    if package is None:
        return
    if find_spec(package) is None:
        raise UnsupportedError(
            f"--attention {name} takes the package {package}, which is not installed; --attention sdpa needs nothing"
        )
    if device.type != "cuda":
        raise UnsupportedError(f"--attention {name} runs on CUDA only, not on {device}; --attention sdpa runs anywhere")
