"""FFmpeg's filter graphs, and the planes of frames as arrays."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph
    from numpy.typing import NDArray


def begun(frame: VideoFrame, time_base: Fraction | None, *filters: tuple[str, str]) -> tuple[Graph, Any]:
    """A graph that takes frames like this one through `filters` (names and options), and the last of them."""
    from av.filter import Graph

    graph = Graph()
    last: Any = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=time_base or Fraction(1, 90000)
    )
    for name, options in filters:
        behind = graph.add(name, options)
        last.link_to(behind)
        last = behind
    return graph, last


def bits_of(frame: VideoFrame) -> int:
    """Bits of the deepest channel."""
    return max(part.bits for part in frame.format.components)


def plane_of(frame: VideoFrame, number: int = 0) -> NDArray[Any]:
    """A plane of one channel as stored, uint8 or uint16 `[H, W]`, without a copy."""
    import numpy as np

    plane = cast("tuple[Any, ...]", frame.planes)[number]
    dtype = np.dtype(np.uint8 if bits_of(frame) == 8 else np.uint16)
    stored: NDArray[Any] = np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
    return stored[:, : plane.width]
