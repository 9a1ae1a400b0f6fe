"""What stage one costs: loading, prefill, tokens; one prefill against two; constrained against free decoding; memory.

Usage: python3 -m uv run python benchmarks/planner.py [--folder DIR | --full-size] [--device cuda] [--dtype bf16]

--full-size builds Qwen2.5-VL-3B's own configuration with random weights (7.5 GB in bf16; meant for a GPU). Default is
the embedded model. Medians of several repetitions in one process; two things are compared in the same run.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from unison_backend.demo import set as demo
from unison_backend.plan.prompt import Prompt, parse_pads
from unison_backend.planner.qwen.chat import chat_ids
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.planner.qwen.planner import QwenPlanner

PROMPT = (
    "Please create a video with a width of 768 pixels and a height of 480 pixels, that is 3 seconds long, of a lion "
    "walking around in its habitat."
)


def full_config(small: Path) -> Any:
    """Qwen2.5-VL-3B's configuration (published config.json), the rest as in the folder `small`."""
    from transformers import Qwen2_5_VLConfig

    config = Qwen2_5_VLConfig.from_pretrained(small)
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 2048, 11008, 36
    text.num_attention_heads, text.num_key_value_heads, text.vocab_size = 16, 2, 151936
    text.layer_types = ["full_attention"] * 36
    text.rope_parameters = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    vision.depth, vision.hidden_size, vision.intermediate_size, vision.num_heads = 32, 1280, 3420, 16
    vision.out_hidden_size, vision.fullatt_block_indexes = 2048, [7, 15, 23, 31]
    config.tie_word_embeddings = False
    return config


def full_size(folder: Path, dtype: torch.dtype) -> None:
    """Qwen2.5-VL-3B's configuration with random weights and the embedded tokenizer."""
    from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

    small = demo.ensure().planner
    config = full_config(small)
    torch.manual_seed(0)
    previous = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        model = Qwen2_5_VLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(previous)
    model.save_pretrained(folder)
    AutoProcessor.from_pretrained(small).save_pretrained(folder)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one folder, in seconds and MB."""
    start = perf_counter()
    qwen = load_qwen(folder, dtype=options.dtype, device=options.device)
    figures: dict[str, Any] = {"load_s": perf_counter() - start}
    planner, prompt = QwenPlanner(qwen, force_plan=True), parse_pads(PROMPT)
    ids = torch.tensor([planner.ids(prompt)], device=qwen.device)
    rounds = options.rounds
    with torch.no_grad():
        figures["prompt_tokens"] = ids.shape[1]
        figures["prefill_s"] = _median(lambda: qwen.base.model(input_ids=ids), rounds)
        figures["plan_and_features_one_prefill_s"] = _median(lambda: planner.plan(prompt), rounds)
        figures["plan_and_features_two_prefills_s"] = _median(lambda: _two_prefills(planner, prompt), rounds)
        figures["constrained_token_s"], figures["free_token_s"] = _token_times(planner, prompt, rounds)
    figures["one_prefill_to_two"] = (
        figures["plan_and_features_one_prefill_s"] / figures["plan_and_features_two_prefills_s"]
    )
    figures["constrained_to_free"] = figures["constrained_token_s"] / figures["free_token_s"]
    return figures | memory(qwen.device)


def _two_prefills(planner: QwenPlanner, prompt: Prompt) -> None:
    """As the reference does it: the plan, then the whole prompt once more for its states."""
    planner.plan(prompt)
    ids = chat_ids(planner.qwen.tokenizer, prompt, add_generation_prompt=False)
    planner.qwen.base.model(input_ids=torch.tensor([ids], device=planner.qwen.device))


def _token_times(planner: QwenPlanner, prompt: Prompt, rounds: int) -> tuple[float, float]:
    """Seconds a token with and without the grammar, over as many tokens as the plan has."""
    from unison_backend.planner.qwen.grammar import PlanGrammar
    from unison_backend.planner.qwen.processors import PlanProcessor

    qwen, ids = planner.qwen, planner.ids(prompt)
    tensor = torch.tensor([ids], device=qwen.device)

    def decode(tokens: int, processors: list[Any]) -> int:
        made = qwen.model.generate(
            input_ids=tensor, max_new_tokens=tokens, min_new_tokens=tokens if not processors else None, do_sample=False,
            logits_processor=processors, eos_token_id=list(PlanGrammar(qwen.tokenizer, ()).end_ids), pad_token_id=0,
        )  # fmt: skip
        return int(made.shape[1] - len(ids))

    grammar = PlanGrammar(qwen.tokenizer, (), force_plan=True)
    count = decode(64, [PlanProcessor(grammar, len(ids))])
    prefill = _median(lambda: decode(1, []), rounds)
    constrained = _median(lambda: decode(64, [PlanProcessor(grammar, len(ids))]), rounds)
    free = _median(lambda: decode(max(count, 2), []), rounds)
    return (constrained - prefill) / max(count - 1, 1), (free - prefill) / max(count - 1, 1)


def _median(job: Callable[[], Any], rounds: int) -> float:
    times = []
    for _ in range(rounds + 1):
        start = perf_counter()
        job()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(perf_counter() - start)
    return statistics.median(times[1:])


def memory(device: torch.device) -> dict[str, float]:
    """Peak memory so far: of the device since it was last asked, else of the process."""
    if device.type == "cuda":
        return {"peak_device_mb": torch.cuda.max_memory_allocated() / 2**20}
    return {"peak_process_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10}


def main() -> None:
    """Measure and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="a Qwen2.5-VL folder")
    parser.add_argument("--full-size", action="store_true", help="the 3B configuration with random weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="auto", choices=("auto", "bf16", "fp16", "fp32"))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or demo.ensure().planner
        if options.full_size:
            folder = Path(temporary) / "full"
            full_size(folder, torch.bfloat16)
        figures = measure(folder, options)
    name = torch.cuda.get_device_name(0) if options.device == "cuda" else "cpu"
    sys.stdout.write(json.dumps({"device": name, "torch": torch.__version__} | figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
