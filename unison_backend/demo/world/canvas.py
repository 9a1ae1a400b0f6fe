"""What an example is drawn on: its size, its length, and how exactly its edges are drawn."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .. import set as demo
from .shapes import Scene, Thing, render, silhouette


@dataclass(frozen=True)
class Canvas:
    """height, width: in pixels; frames: of a video (a picture has one); samples: as `silhouette` takes it.

    The default is what the shipped set was trained on.
    """

    height: int = demo.SIDE
    width: int = demo.SIDE
    frames: int = demo.FRAMES
    samples: int = 1

    def render(self, scene: Scene, frames: int) -> Tensor:
        """The scene as [T, H, W, 3] float32 in 0..1."""
        return render(scene, frames, self.height, self.width, self.samples)

    def silhouette(self, thing: Thing, frames: int) -> Tensor:
        """How much of each pixel the thing covers, [T, H, W] float32 in 0..1."""
        return silhouette(thing, frames, self.height, self.width, self.samples)


SHIPPED = Canvas()
