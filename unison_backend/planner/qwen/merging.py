"""A planning LoRA merged into its base, for good: a folder that transformers and LLaMA-Factory load.

What is unusual: the merged folder keeps the base's own small files, changed only where they must be, so that whatever
reads the base reads the result; and it appears only once it was read back and its logits were compared.
"""

from __future__ import annotations

import gc
import json
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, ResourceError, WeightsError
from ...plan.tokens import ADDED_TOKENS
from ...progress import Progress, silent
from ...unfinished import finished, unfinished
from ...weights.small_json import read_json
from .adapters import read_adapter
from .checkpoint import DTYPES, untie
from .loading import Qwen, load_qwen
from .way_back import reversed_state, why_none, write_way_back

if TYPE_CHECKING:
    from torch import Tensor

_STAGE = "merging"
_SMALL = (".json", ".jinja", ".txt")
_TOKEN_FILES = ("tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json")

PROBE = "Make a 4 second video of a red fox that runs through the snow."
# Largest difference of logits, in units of the largest logit (at least 1). bf16: measured 1.5e-2 on a small model.
TOLERANCES = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 2e-2}


def merge(base: Path, lora: Path, out: Path, *, dtype: str = "auto", progress: Progress = silent) -> str | None:
    """Write the Qwen2.5-VL folder `out`: `base` with the LoRA in `lora` added to its weights, for good.

    Safetensors shards, head untied, the plan's tokens in the tokenizer when the LoRA brings rows for them (else the
    result must not pass for a planner), all other small files as in `base`. The result is read back and its logits
    are compared with the adapter's before it gets its name; whatever fails, nothing is left behind. Beside the weights
    lies what takes the LoRA off again for answers (`way_back`); where that cannot be, why is returned.
    Raises InputError for `out`, WeightsError as `load_qwen` and for a result that differs, ResourceError (disk).
    """
    base, out = Path(base), Path(out)
    _check_out(base, out)
    progress(_STAGE, 0, 4)
    qwen = load_qwen(base, lora, dtype=dtype, attention="sdpa")
    temporary = unfinished(out)
    try:
        adapter = read_adapter(lora)
        missing = why_none(adapter)
        expected = _probe(qwen)
        if not missing:
            state = reversed_state(qwen.model)
            with qwen.without_adapter():
                answering = _probe(qwen)
        progress(_STAGE, 1, 4)
        _write(qwen, base, temporary)
        if not missing:
            write_way_back(qwen, adapter, state, temporary)
        progress(_STAGE, 2, 4)
        _verify(temporary, qwen, expected)
        if not missing:
            _verify_way_back(temporary, qwen, answering)
        progress(_STAGE, 3, 4)
        gc.collect()  # Windows does not rename a folder whose files are mapped
        if out.is_dir():
            out.rmdir()
        temporary.rename(out)
    except OSError as error:
        raise ResourceError(f"{out} cannot be written ({error}); make room or choose another folder") from error
    finally:
        finished(temporary)
    progress(_STAGE, 4, 4)
    return missing


def _check_out(base: Path, out: Path) -> None:
    if out.resolve() == base.resolve():
        raise InputError(f"{out} is the base itself; choose a new folder")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"{out} exists already; choose a new or empty folder")


def _probe(qwen: Qwen) -> Tensor:
    """Logits [1, S, rows] of a fixed text and the 14 tokens, fp32 on the CPU."""
    import torch

    ids = [*qwen.tokenizer(PROBE, add_special_tokens=False).input_ids, *qwen.token_ids.values()]
    with torch.no_grad():
        logits: Tensor = qwen.base(input_ids=torch.tensor([ids])).logits.float()
    return logits


def _write(qwen: Qwen, base: Path, folder: Path) -> None:
    """The merged folder; `qwen` holds the merged model afterwards."""
    from safetensors import SafetensorError
    from transformers import GenerationConfig

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on the head, which is untied below
            model = qwen.model.merge_and_unload(safe_merge=True)
    except ValueError as error:  # peft found a NaN
        raise WeightsError(f"the LoRA cannot be merged: {error}") from error
    untie(model)
    qwen.model, qwen.has_adapter = model, False
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    folder.mkdir(parents=True)
    if shutil.disk_usage(folder).free < 1.02 * size:
        raise ResourceError(f"{folder.parent} has no room for the merged planner; free {size / 1e9:.1f} GB")
    model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]  # the base's is copied, valid or not
    try:
        model.save_pretrained(folder, max_shard_size="4GB")
    except SafetensorError as error:
        raise ResourceError(f"{folder.parent}: the merged weights cannot be written ({error})") from error
    _write_small_files(qwen, base, folder)


def _write_small_files(qwen: Qwen, base: Path, folder: Path) -> None:
    """Everything beside the weights as in `base`, but the config's head, rows and dtype, and the added tokens."""
    (folder / "generation_config.json").unlink(missing_ok=True)
    for path in base.iterdir():
        if path.suffix in _SMALL and not path.name.endswith(".index.json"):
            shutil.copyfile(path, folder / path.name)
    config = read_json(base / "config.json")
    rows, dtype = qwen.base.get_input_embeddings().weight.shape[0], str(qwen.base.dtype).removeprefix("torch.")
    values = {"vocab_size": rows, "tie_word_embeddings": False, "dtype": dtype, "torch_dtype": dtype}
    for part in (config, *(part for part in config.values() if isinstance(part, dict))):
        part.update({name: value for name, value in values.items() if name in part})
    _write_json(folder / "config.json", config | {"tie_word_embeddings": False})
    if qwen.has_planning:
        _write_tokens(qwen, folder)


def _write_tokens(qwen: Qwen, folder: Path) -> None:
    """Add the 14 tokens to the tokenizer's files in `folder`, whichever of them there are."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    entries = [{"id": number, "content": token, **flags} for token, number in qwen.token_ids.items()]
    if not (folder / "tokenizer.json").is_file():
        qwen.tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    for path in (folder / name for name in _TOKEN_FILES if (folder / name).is_file()):
        content = read_json(path)
        if path.name == "added_tokens.json":
            content |= qwen.token_ids
        _list_tokens(content, entries)
        _write_json(path, content)


def _list_tokens(content: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    """Put the tokens into whichever lists of added ones a file has."""
    for name in ("additional_special_tokens", "extra_special_tokens"):
        if isinstance(listed := content.get(name), list):
            listed += [token for token in ADDED_TOKENS if token not in listed]
    if isinstance(listed := content.get("added_tokens"), list):
        known = {have["content"] for have in listed}
        listed += [entry for entry in entries if entry["content"] not in known]
    if isinstance(decoder := content.get("added_tokens_decoder"), dict):
        decoder.update({str(entry["id"]): {k: v for k, v in entry.items() if k != "id"} for entry in entries})


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_bytes((json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


def _verify(folder: Path, merged: Qwen, expected: Tensor) -> None:
    """Read `folder` back: the same weights and token ids as `merged`, and the logits `expected` of base and LoRA."""
    import torch

    again = _again(folder, merged)
    held = merged.base.state_dict()
    for key, tensor in again.base.state_dict().items():
        if not torch.equal(tensor, held[key]):
            raise WeightsError(f"{folder.parent}: {key} was not written as it was merged; try another disk")
    if again.token_ids != merged.token_ids or again.has_planning != merged.has_planning:
        raise WeightsError(f"{folder.parent}: the merged tokenizer has other ids; use the base's complete folder")
    difference, limit = _compared(_probe(again), expected, merged)
    if not difference <= limit:
        raise WeightsError(
            f"merged logits differ from the LoRA's by {difference:.2g} ({merged.base.dtype} allows {limit:.2g})"
        )


def _verify_way_back(folder: Path, merged: Qwen, expected: Tensor) -> None:
    """Read `folder` back as who answers with it: the base's logits `expected`, but for the 14 tokens'."""
    again = _again(folder, merged, answering=True)
    with again.without_adapter():
        made = _probe(again)
    others = [n for n in range(made.shape[-1]) if n not in set(merged.token_ids.values())]
    text = made.shape[1] - len(merged.token_ids)
    difference, limit = _compared(made[:, :text, others], expected[:, :text, others], merged)
    if not difference <= limit:
        raise WeightsError(
            f"with the LoRA taken off again the logits differ from the base's by {difference:.2g} "
            f"({merged.base.dtype} allows {limit:.2g}); merge with --dtype fp32"
        )


def _again(folder: Path, merged: Qwen, *, answering: bool = False) -> Qwen:
    name = str(merged.base.dtype).removeprefix("torch.")
    short = next(short for short, full in DTYPES.items() if full == name)
    return load_qwen(folder, dtype=short, attention="sdpa", answering=answering)


def _compared(made: Tensor, expected: Tensor, merged: Qwen) -> tuple[float, float]:
    """The largest difference of logits, and what the dtype allows."""
    tolerance = TOLERANCES[str(merged.base.dtype).removeprefix("torch.")]
    return float((made - expected).abs().max()), tolerance * max(1.0, float(expected.abs().max()))
