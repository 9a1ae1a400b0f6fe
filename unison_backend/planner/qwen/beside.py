"""What stands beside a Qwen2.5-VL's weights: tokenizer, processor, and which tokens end a turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import LibraryError, UnisonError, WeightsError, broken_library
from ...plan.tokens import ADDED_TOKENS
from ...weights.folder import LOAD_ERRORS, first_line, is_library_error
from ...weights.small_json import read_json, short_repr
from . import single_file
from .checkpoint import Folder
from .options import imports


def load_tokenizer(folder: Path) -> tuple[Any, bool]:
    """The folder's tokenizer with all 14 tokens, and whether it knew them before."""
    from transformers import AutoTokenizer

    if not (folder / "tokenizer.json").is_file() and not (folder / "merges.txt").is_file():
        raise WeightsError(f"{folder} has no tokenizer.json; download the complete folder")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except BaseException as error:
        if not is_library_error(error):
            raise
        raise WeightsError(f"{folder}: its tokenizer cannot be read ({first_line(error)})") from error
    known = set(ADDED_TOKENS) <= set(tokenizer.get_vocab())
    tokenizer.add_tokens(list(ADDED_TOKENS), special_tokens=True)
    return tokenizer, known


def generation_of(files: Folder, tokenizer: Any) -> Any:
    """What transformers has to know for generating: which tokens end a turn. The folder's other habits are left out.

    They are its author's (beams, penalties, time limits), and ours are given with each call. Raises WeightsError.
    """
    from transformers import GenerationConfig

    path = files.beside / "generation_config.json"
    given = read_json(path) if path.is_file() else {}
    said = next((part["eos_token_id"] for part in (given, files.text_config, files.config)
                 if part.get("eos_token_id") is not None), tokenizer.eos_token_id)  # fmt: skip
    ends = said if isinstance(said, list) else [said]
    if not ends or not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < len(tokenizer) for n in ends):
        raise WeightsError(
            f"{path if given else files.beside}: eos_token_id is {short_repr(said)}; it is the number of a token, or a "
            "list of them. Download it again"
        )
    return GenerationConfig(eos_token_id=ends)  # type: ignore[no-untyped-call]


def load_processor(files: Folder, tokenizer: Any) -> tuple[Any | None, UnisonError | None]:
    """The processor with `tokenizer` in it, or None and why."""
    from transformers import AutoProcessor

    folder, read = files.beside, AutoProcessor.from_pretrained
    try:
        if files.small and not (folder / "preprocessor_config.json").is_file():
            return single_file.standard_processor(tokenizer), None
        processor = read(folder, local_files_only=True)  # type: ignore[no-untyped-call]
    except LOAD_ERRORS as error:
        if told := broken_library(error):
            return None, LibraryError(f"pictures and videos cannot be shown: {told}")
        cure = "install torchvision" if not imports("torchvision") else "download the complete folder"
        return None, WeightsError(f"pictures and videos cannot be shown ({first_line(error)}); {cure}")
    if not hasattr(processor, "image_processor"):
        return None, WeightsError(f"{folder} has no preprocessor_config.json; download the complete folder")
    processor.tokenizer = tokenizer
    return processor, None
