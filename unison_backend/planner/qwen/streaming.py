"""What a model writes, handed on while it writes."""

from __future__ import annotations

from typing import Any

from ..base import Stream


def streamer(tokenizer: Any, stream: Stream) -> Any:
    """A text streamer that hands finished words on instead of printing them."""
    from transformers import TextStreamer

    class Heard(TextStreamer):
        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            if text:
                stream(text)

    return Heard(tokenizer, skip_prompt=True, skip_special_tokens=True)
