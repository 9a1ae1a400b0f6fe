"""Fixtures that several files of unit tests ask for by name."""

import pytest


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries are told that there is no network, and a connection all the same fails the test."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was used"))
