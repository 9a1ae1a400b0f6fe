"""Interlaced frames to whole ones, as many as there were, by FFmpeg's bwdif."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from ..errors import MediaError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph

# One frame for each that comes in; frames that are not flagged as interlaced stay as they are.
BWDIF = "mode=send_frame:parity=auto:deint=interlaced"
NOTE = "it is interlaced: whole frames are made of its fields (bwdif)"

Numbered = tuple[int, "VideoFrame"]


def without_fields(frames: Iterable[Numbered], time_base: Fraction | None) -> Iterator[Numbered]:
    """The same numbers with frames that hold one moment each. Until the first interlaced frame nothing is touched.

    Each waits for the one behind it, which the filter looks at; before an error of `frames` what waits is given out.
    """
    filtered = _Filtered(time_base)
    try:
        for number, frame in frames:
            if not (filtered.is_running or frame.interlaced_frame):
                yield number, frame
                continue
            yield from filtered.with_frame(number, frame)
    except MediaError:
        yield from filtered.rest()
        raise
    yield from filtered.rest()


class _Filtered:
    def __init__(self, time_base: Fraction | None) -> None:
        self._time_base = time_base or Fraction(1, 90000)
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str] | None = None
        self._numbers: deque[int] = deque()

    @property
    def is_running(self) -> bool:
        return self._graph is not None

    def with_frame(self, number: int, frame: VideoFrame) -> Iterator[Numbered]:
        """What is ready once this frame is there."""
        shape = (frame.width, frame.height, frame.format.name)
        if self._graph is None or shape != self._shape:
            yield from self.rest()
            self._graph, self._shape = self._made(frame), shape
        self._numbers.append(number)
        self._graph.push(frame)
        yield from self._ready()

    def rest(self) -> Iterator[Numbered]:
        """What still waits; the filter starts anew afterwards."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._ready()
        self._graph = None

    def _ready(self) -> Iterator[Numbered]:
        import av
        from av import VideoFrame

        while self._graph is not None and self._numbers:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            if isinstance(frame, VideoFrame):
                yield self._numbers.popleft(), frame

    def _made(self, frame: VideoFrame) -> Graph:
        from av.filter import Graph

        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=self._time_base
        )
        bwdif, sink = graph.add("bwdif", BWDIF), graph.add("buffersink")
        source.link_to(bwdif)
        bwdif.link_to(sink)
        graph.configure()
        return graph
