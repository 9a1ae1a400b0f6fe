"""Media of an instruction as files on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..plan.geometry import MediaInfo
from ..plan.names import name_of
from ..plan.prompt import Medium
from ..plan.tasks import MediaKind
from ..progress import Cancel, never

if TYPE_CHECKING:
    from torch import Tensor

    from .black_and_white import Look
    from .fit import Fit


class FileMedia:
    """Media by index. Files are probed once and decoded when asked for.

    like: media of the same instruction; what is known of a file there is not looked up again.
    """

    def __init__(self, media: Sequence[Medium], like: FileMedia | None = None) -> None:
        self.media = tuple(media)
        self._known: dict[tuple[str, MediaKind], MediaInfo] = {} if like is None else like._by_file()

    @property
    def infos(self) -> tuple[MediaInfo | None, ...]:
        """What is known of each medium; None for a pad without a file. Raises MediaError for any other file."""
        return self._probed

    @cached_property
    def _probed(self) -> tuple[MediaInfo | None, ...]:
        from .probe import probe

        known = self._known
        for medium in self.media:
            if medium.path is not None and (medium.path, medium.kind) not in known:
                known[medium.path, medium.kind] = probe(Path(medium.path), medium.kind)
        return tuple(None if m.path is None else known[m.path, m.kind] for m in self.media)

    def to_show(self) -> FileMedia | None:
        """Itself, where every medium has a file that can be looked at. Raises MediaError as `infos`."""
        return None if None in self.infos else self

    def _by_file(self) -> dict[tuple[str, MediaKind], MediaInfo]:
        """What is known by now, as a copy."""
        return dict(self._known)

    def info(self, index: int) -> MediaInfo:
        info = self._probed[index]
        if info is None:
            raise ValueError(f"{self.label(index)} has no file")
        return info

    def look(self, index: int, cancel: Cancel = never) -> Look:
        """How much a medium's file looks like a mask; a pad without a file does not."""
        from .black_and_white import Look, look_of_file

        info = self._probed[index]
        return Look.PICTURE if info is None else look_of_file(self.path(index), info.kind, info.num_frames, cancel)

    def path(self, index: int) -> Path:
        return Path(self.media[index].path or "")

    @property
    def labels(self) -> tuple[str, ...]:
        """How the person knows each medium, "" for a pad."""
        return tuple(medium.label for medium in self.media)

    def label(self, index: int) -> str:
        return name_of(index, [medium.kind for medium in self.media], self.labels)

    def picture(self, index: int, *, as_mask: bool = False) -> Tensor:
        import torch

        from .pictures import load_image

        return torch.from_numpy(load_image(self.path(index), as_mask=as_mask))

    def with_alpha(self, index: int) -> Tensor | None:
        import torch

        from .pictures import load_with_alpha

        pixels = load_with_alpha(self.path(index))
        return None if pixels is None else torch.from_numpy(pixels)

    def frames(
        self, index: int, indices: Sequence[int], cancel: Cancel, *, as_mask: bool = False, fit: Fit | None = None
    ) -> Iterator[Tensor]:
        import torch

        from .probe import iter_frames

        frames = iter_frames(self.path(index), indices, cancel, as_mask=as_mask, fit=fit)
        return (torch.from_numpy(frame) for frame in frames)
