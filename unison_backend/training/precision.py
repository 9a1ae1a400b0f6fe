"""Whether a device computes in bfloat16, or only pretends to, and what is computed in it."""

from __future__ import annotations

import torch


def computes_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are worth it on `device`.

    A CPU without instructions for them does them one value at a time, sixty times as slowly (measured, AVX2).
    """
    return device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def mixed_precision(device: torch.device) -> torch.autocast:
    """bfloat16 where the device computes in it; else everything stays float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=computes_bfloat16(device))
