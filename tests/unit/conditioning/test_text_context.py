"""Texts without an end: the beginning is cleaned, and what T5 reads of it is the same."""

from __future__ import annotations

from unison_backend.conditioning import text_context
from unison_backend.conditioning.text_context import clean_text


def test_only_the_beginning_of_a_long_text_is_mended(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import ftfy

    seen = []
    real = ftfy.fix_text
    monkeypatch.setattr(ftfy, "fix_text", lambda text: (seen.append(len(text)), real(text))[1])
    text = "caf\u00c3\u00a9 &amp; " * 100_000
    cleaned = clean_text(text)
    assert max(seen) <= text_context._MOST_CHARACTERS
    assert cleaned.startswith("caf\u00e9 & caf\u00e9 & ") and cleaned[:10_000] == clean_text(text[:40_000])[:10_000]


def test_blanks_and_entities_do_not_use_it_up() -> None:
    assert clean_text(" " * 200_000 + "a fox") == "a fox"
    assert clean_text("&#32;" * 50_000 + "a fox") == "a fox"
