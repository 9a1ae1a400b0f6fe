"""Which of the media at hand take part in an instruction: all of them, or only those that it speaks of.

A graph has its loaders connected whatever is typed. With `named`, media take part that the words name (`<image1>`); a
lone picture or video serves words that need one and name none ("make the sky red"); a mask takes part in an edit. What
is merely connected changes nothing, and is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from ..errors import UnisonError
from ..plan.prompt import Medium, Prompt, bind_names, sockets_named
from ..plan.spec import Reason
from ..plan.tasks import Make
from .rules.intent_model import Intent
from .rules.media_meant import meant
from .rules.plan import planned

MediaUse = Literal["all", "named"]
MEDIA_USES: tuple[MediaUse, ...] = get_args(MediaUse)

Size = tuple[int, int]
# Orders that a mask belongs to.
_EDITS: frozenset[Intent] = frozenset(("edit", "restyle"))


@dataclass
class AtHand:
    """Media by socket, as `bind_names` takes them, and the size of each socket's pixels (width, height)."""

    media: Mapping[str, Sequence[Medium]]
    sizes: Mapping[str, Size]
    taken: set[str] = field(default_factory=set)
    reasons: list[Reason] = field(default_factory=list)

    def meant_by(self, text: str, make: Make = "auto") -> tuple[Prompt, tuple[Reason, ...]]:
        """The instruction with the media that it speaks of, and what there is to say about them.

        Raises PromptError for a name that is not connected.
        """
        self.taken, self.reasons = sockets_named(text), []
        if not self.taken <= {*self._pictures(), *self._masks()}:
            bind_names(text, self.media)  # which says what is connected
        if not self.taken & set(self._pictures()):
            self._take_unnamed(text)
        left = self._take_masks(text, make)
        left += [name for name in self._pictures() if name not in self.taken]
        if left:
            names = ", ".join(f"<{name}>" for name in left)
            self.reasons.append(Reason("media", f"connected and not spoken of, so left out: {names}"))
        return self._bound(text), tuple(self.reasons)

    def _pictures(self) -> list[str]:
        """Sockets with pictures and videos."""
        return [name for name, batch in self.media.items() if batch and not batch[0].is_mask]

    def _masks(self) -> list[str]:
        return [name for name, batch in self.media.items() if batch and batch[0].is_mask]

    def _bound(self, text: str) -> Prompt:
        return bind_names(text, {name: batch for name, batch in self.media.items() if name in self.taken})

    def _take_unnamed(self, text: str) -> None:
        """What words need that name no picture or video: what a mask belongs to, a picture, a video, in this order."""
        speaks = meant(text)
        masks = self._masks()
        marked = {self.sizes[name] for name in masks}
        candidates = sorted(self._pictures(), key=lambda name: (self.sizes[name] not in marked, self._kind(name)))
        for kind in speaks.kinds:
            self._take_first([name for name in candidates if self._kind(name) == kind])
        needs_one = speaks.needs_one or (bool(masks) and not speaks.is_new)
        if needs_one and not speaks.kinds:
            self._take_first(candidates)

    def _kind(self, name: str) -> str:
        return self.media[name][0].kind

    def _take_first(self, candidates: Sequence[str]) -> None:
        if not candidates:
            return
        taken = candidates[0]
        self.taken.add(taken)
        others = [name for name in candidates[1:] if self._kind(name) == self._kind(taken)]
        told = f"the words need a medium and name none: <{taken}> is taken"
        if others:
            told += f"; if another is meant, write <{others[0]}> where it belongs"
        self.reasons.append(Reason("media", told, is_warning=bool(others)))

    def _take_masks(self, text: str, make: Make) -> list[str]:
        """Take masks that are not named into an edit of what they belong to; those that are left."""
        masks = [name for name in self._masks() if name not in self.taken]
        edited = self._edited(text, make) if masks and self.taken else None
        if edited is None:
            return masks
        others = {self.sizes[name] for name in self._pictures() if name not in self.taken}
        exact = [name for name in masks if self.sizes[name] == edited]
        fitting = exact or [name for name in masks if self.sizes[name] not in others]
        self.taken.update(fitting)
        return [name for name in masks if name not in fitting]

    def _edited(self, text: str, make: Make) -> Size | None:
        """The size of what is edited; None where nothing is, or where words name its mask."""
        try:
            prompt = self._bound(text)
            result = planned(prompt, make)
        except UnisonError:  # the plan of the same words says so again, to the person
            return None
        plan, reading = result.plan, result.reading
        if plan.source is None or plan.mask is not None or reading is None or reading.intent not in _EDITS:
            return None
        return self.sizes[str(prompt.media[plan.source].name).partition(" ")[0]]
