"""Tokenizers for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from unison_backend.demo.set import ensure_untrained
from unison_backend.plan.tokens import ADDED_TOKENS

from .folders import make_plain
from .grammars import (
    MIXED,
    NUMBERS,
    built,
    host_folder,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small only lose time with more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_untrained(tmp_path_factory.mktemp("cache")).planner


@pytest.fixture(scope="module")
def demo(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


@pytest.fixture(scope="module")
def merged() -> Any:
    return built(numbers=[*NUMBERS, *MIXED])


@pytest.fixture(scope="module")
def host() -> Any:
    """The tokenizer that ComfyUI bundles, with the 14 tokens added as the planner adds them."""
    if not host_folder().is_dir():
        pytest.skip(f"no ComfyUI with a Qwen2.5 tokenizer at {host_folder()} (COMFYUI_PATH says where)")
    tokenizer = AutoTokenizer.from_pretrained(host_folder(), local_files_only=True)
    tokenizer.add_special_tokens({"additional_special_tokens": list(ADDED_TOKENS)})
    return tokenizer


@pytest.fixture(params=["demo", "merged", "host"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def embedded() -> Path:
    return ensure_untrained().planner


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, embedded: Path) -> Path:
    """As the hub's 3B: tied head, no planning tokens, padding rows behind the tokenizer's."""
    return make_plain(embedded, tmp_path_factory.mktemp("plain") / "qwen")
