"""The projector: planner features in, four extra text tokens out (reference: module.py, ProjMLP).

Two things the reference leaves to chance are fixed here: it always runs in eval mode (its dropout would otherwise
be active at inference) and in float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from ..errors import WeightsError
from ..weights.fit import assign
from ..weights.state import load_state_dict

NUM_ROWS = 56  # rows of features that are looked at
NUM_TOKENS = 4  # projected tokens that come out
DROPOUT = 0.1
KEYS = ("ln_in", "net.0", "net.3", "ln_out", "seq_adjust")


class Projector(nn.Module):
    """LayerNorm, two linear layers with an exact GELU, LayerNorm, then 56 rows mixed down to 4.

    operations: where the layer classes come from; a host passes its own, so that it can cast and move them.
    """

    def __init__(
        self, input_dim: int = 2048, hidden_dim: int = 2048, output_dim: int = 4096, operations: Any = nn
    ) -> None:
        super().__init__()
        self.input_dim = input_dim
        self.ln_in = operations.LayerNorm(input_dim)
        self.net = nn.Sequential(
            operations.Linear(input_dim, hidden_dim),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            operations.Linear(hidden_dim, output_dim),
        )
        self.ln_out = operations.LayerNorm(output_dim)
        self.seq_adjust = operations.Linear(NUM_ROWS, NUM_TOKENS)

    def forward(self, features: Tensor) -> Tensor:
        """[B, S, input_dim] float32 to [B, 4, output_dim]; S is cut or zero-padded to 56 behind the second norm."""
        if features.ndim != 3 or features.shape[-1] != self.input_dim:
            raise WeightsError(
                f"the projector takes features of width {self.input_dim}, these are {list(features.shape)}: "
                "use the projector that was trained with this planner"
            )
        rows = self.ln_out(self.net(self.ln_in(features[:, :NUM_ROWS])))
        rows = functional.pad(rows, (0, 0, 0, NUM_ROWS - rows.shape[1]))
        mixed: Tensor = self.seq_adjust(rearrange(rows, "batch row width -> batch width row"))
        return rearrange(mixed, "batch width token -> batch token width")


def load_projector(path: Path | str, *, device: torch.device | str = "cpu", operations: Any = nn) -> Projector:
    """A projector in eval mode from `.safetensors` or the reference's `projector.pth`; widths are read from the file.

    Raises WeightsError when the file is none or holds something else.
    """
    state = load_state_dict(path, prefixes=("module.",))
    expected = {f"{key}.{part}" for key in KEYS for part in ("weight", "bias")}
    if set(state) != expected:
        odd = sorted(set(state) ^ expected)[:3]
        raise WeightsError(
            f"{path} is no projector: it differs in {', '.join(odd)}; expected are {', '.join(sorted(expected))}"
        )
    hidden_dim, input_dim = state["net.0.weight"].shape
    with torch.device("meta"):
        projector = Projector(input_dim, hidden_dim, state["net.3.weight"].shape[0], operations)
    assign(projector, state, f"{path} as a projector", dtype=torch.float32, device=device)
    return projector.eval().requires_grad_(False)


@torch.no_grad()
def project(projector: Projector, features: Tensor) -> Tensor:
    """The projected tokens [1, 4, 4096] of planner features [1, S, D] (the template's first row already dropped)."""
    weight = projector.seq_adjust.weight
    result: Tensor = projector.eval()(features.to(device=weight.device, dtype=torch.float32))
    return result
