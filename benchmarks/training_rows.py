"""Planning records in rows (`train planner --pack N`) against a row each: CPU seconds of a batch, and what is padding.

Usage: python3 -m uv run python benchmarks/training_rows.py [--batch 16] [--rounds 20]

The embedded planner with its LoRA on one thread, forward and backward; all ways take each batch in turn, in one
process. "about one length": how `train planner` chooses a batch; "any": records drawn at random.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from unison_backend.demo import set as demo
from unison_backend.plan.tokens import ADDED_TOKENS
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.training.planning_lora import LoraSettings, add_lora, loss_of
from unison_backend.training.planning_samples import choose, to_batch, to_rows
from unison_backend.training.records.stream import stream
from unison_backend.training.seeding import generator_at
from unison_backend.training.shown import Samples, Shown

RECORDS = 4000


def padding(chosen: Sequence[Shown], each: int) -> float:
    """The share of a batch's ids that is padding."""
    samples = [one.sample for one in chosen]
    ids = to_rows(samples, each=each, pad=0)[0] if each > 1 else to_batch(samples, pad=0)[0]
    return 1 - sum(len(sample.ids) for sample in samples) / ids.numel()


def measure(batch: int, rounds: int) -> dict[str, Any]:
    """Figures by how a batch is chosen and how many records stand in a row."""
    torch.set_num_threads(1)
    qwen = load_qwen(demo.ensure().planner, dtype="fp32")
    end = qwen.tokenizer.convert_tokens_to_ids("<|im_end|>")
    signals = [qwen.token_ids[token] for token in ADDED_TOKENS if token not in ("<IMGPAD>", "<VIDPAD>")]
    samples = Samples(qwen, [(record.prompt, record.tokens) for record in stream(RECORDS)], end)
    model = add_lora(qwen, LoraSettings()).train()
    found: dict[str, Any] = {"torch": torch.__version__, "batch": batch, "rounds": rounds}
    for way in ("about one length", "any"):
        seconds, padded = dict.fromkeys((0, 4, batch), 0.0), dict.fromkeys((0, 4, batch), 0.0)
        for number in range(rounds + 1):
            generator = generator_at(0, number)
            numbers = (
                choose(samples.lengths, batch, generator)
                if way != "any"
                else torch.randint(len(samples.lengths), (batch,), generator=generator).tolist()
            )
            chosen = [samples[index] for index in numbers]
            for each in seconds:
                began = time.process_time()
                loss_of(model, qwen, chosen, signals, end, each).backward()
                if number:  # the first one warms up
                    seconds[each] += time.process_time() - began
                    padded[each] += padding(chosen, each)
        found[way] = {
            f"{each or 1} in a row": {
                "CPU s a batch": round(seconds[each] / rounds, 4),
                "ratio": round(seconds[each] / seconds[0], 3),
                "padding": round(padded[each] / rounds, 3),
            }
            for each in seconds
        }
    return found


def main() -> None:
    """Measure and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    sys.stdout.write(json.dumps(measure(options.batch, options.rounds), indent=2) + "\n")


if __name__ == "__main__":
    main()
