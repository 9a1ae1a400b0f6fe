"""What the models of depth, pose and flow maps share.

Networks see one frame, or two, at a time, in float32. What is particular to our maps is their scale: depth and flow are
scaled once for a whole clip (the reference scales every frame by itself, so that a resting scene flickers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...memory import memory_errors

if TYPE_CHECKING:
    from typing import Self

    import torch

    Device = torch.device | str

CURE = "use a smaller video or the CPU"


@dataclass
class ControlModel:
    """A loaded annotator, in eval mode and without gradients. model: the nn.Module that a host holds and moves."""

    model: Any
    kind: ClassVar[str]

    @property
    def device(self) -> torch.device:
        """Where the weights are now."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def to(self, device: Device) -> Self:
        """Move all weights; raises ResourceError when the memory is too small."""
        with memory_errors(f"moving the {self.kind} model to {device}", "use the CPU"):
            self.model.to(device)
        return self
