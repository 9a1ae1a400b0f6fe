"""Which device computes."""

from __future__ import annotations

import torch

from ..errors import InputError


def pick_device(name: str = "auto") -> torch.device:
    """ "auto" is the first GPU if there is one, else the CPU; any torch device name is taken as it is."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError:
        raise InputError(f"{name!r} is no device; use auto, cpu or cuda") from None
