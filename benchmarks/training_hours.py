"""Hours that many samples take to train on, COMPUTED: operations counted on meta tensors, at a share of a GPU's peak.

Usage: python3 -m uv run python benchmarks/training_hours.py [--samples 500000] [--share 0.4] [--ids 64]

A step's forward pass, what is computed again, and the way back of both recipes on the published configurations
(Wan2.1-VACE-1.3B at 832x480, a picture and 81 frames; Qwen2.5-VL-3B with a LoRA of rank 64, --ids a record, with the
--keep of four questions among sixteen records). One and two layers are counted; the others are like them. Nothing is
run: a GPU's real share of its peak is not in these figures, nor what reads, encodes, saves and evaluates. Peaks are
the makers' dense bfloat16 ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from planner import full_config
from torch.utils.flop_counter import FlopCounterMode
from training import FEATURE_ROWS, FULL, TEXT_ROWS, VACE

from unison_backend.conditioning.projector import Projector
from unison_backend.demo import set as demo
from unison_backend.training.planning_lora import LoraSettings, add_lora
from unison_backend.training.projector import Sample, batch_loss, freeze

PEAKS = {"H200": 989.0, "A100": 312.0, "RTX 4090": 165.0}  # TFLOP/s, bfloat16 without sparsity
VACE_PAIRS, PLANNER_LAYERS = 15, 36
PLAN_IDS = 8  # that a record learns
QUESTION_IDS, ANSWER_IDS = 40, 12


def whole(count: Callable[[int], float], layers: int) -> float:
    """What so many layers take, from one and two of them: each is like the other, and all beside them is there once."""
    one = count(1)
    return one + (layers - 1) * (count(2) - one)


def projecting(shape: tuple[int, int, int], pairs: int) -> float:
    """TFLOP of one sample of the projector, forward and back, the blocks computed twice.

    pairs: each two blocks of the video model with the VACE block at their first one.
    """
    from diffusers import WanVACETransformer3DModel

    config = {**VACE, "num_layers": 2 * pairs, "vace_layers": list(range(0, 2 * pairs, 2))}
    with torch.device("meta"):
        transformer = WanVACETransformer3DModel(**config)
        projector = Projector(2048, 2048)
        sample = Sample(
            torch.empty(16, *shape), torch.empty(96, *shape), torch.empty(TEXT_ROWS, 4096),
            torch.empty(FEATURE_ROWS, 2048),
        )  # fmt: skip
        freeze(transformer)
        with FlopCounterMode(display=False) as counted:
            loss = batch_loss(projector, transformer, [sample], torch.empty(1), [torch.empty(16, *shape)], "meta")
            loss.backward()
    return float(counted.get_total_flops()) / 1e12


def planning(ids: int, settings: LoraSettings, layers: int) -> float:
    """TFLOP of one record of the planner, with its share of the questions that are held to the base's answers."""
    from transformers import Qwen2_5_VLForConditionalGeneration

    config = full_config(demo.ensure().planner)
    config.text_config.num_hidden_layers, config.text_config.layer_types = layers, ["full_attention"] * layers
    config.vision_config.depth = 1  # records have no pixels
    with torch.device("meta"):
        base = Qwen2_5_VLForConditionalGeneration(config).float().requires_grad_(False)
        qwen: Any = SimpleNamespace(base=base, token_ids={})
        model = add_lora(qwen, settings).train()

        def logits(rows: int, length: int, learned: int) -> torch.Tensor:
            given = torch.zeros(rows, length, dtype=torch.long)
            positions = torch.zeros(3, rows, length, dtype=torch.long)
            made = model(input_ids=given, position_ids=positions, use_cache=False, logits_to_keep=learned)
            found: torch.Tensor = made.logits
            return found

        with FlopCounterMode(display=False) as counted:
            logits(settings.batch, ids, PLAN_IDS).float().square().mean().backward()
            if settings.keep:
                with torch.no_grad(), model.disable_adapter():
                    logits(settings.keep, QUESTION_IDS + ANSWER_IDS, ANSWER_IDS)
                logits(settings.keep, QUESTION_IDS + ANSWER_IDS, ANSWER_IDS).float().square().mean().backward()
    return float(counted.get_total_flops()) / 1e12 / settings.batch


def main() -> None:
    """Count and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=500_000)
    parser.add_argument("--share", type=float, default=0.4, help="of the peak that is reached")
    parser.add_argument("--ids", type=int, default=64, help="of a planning record with its chat template")
    options = parser.parse_args()
    counted = {f"projector, {name}": whole(partial(projecting, shape), VACE_PAIRS) for name, shape in FULL.items()}
    counted["planner"] = whole(partial(planning, options.ids, LoraSettings()), PLANNER_LAYERS)
    found: dict[str, Any] = {"samples": options.samples, "share of the peak": options.share, "torch": torch.__version__}
    for name, work in counted.items():
        hours = {gpu: round(options.samples * work / (peak * options.share) / 3600, 1) for gpu, peak in PEAKS.items()}
        found[name] = {"TFLOP a sample": round(work, 3), "GPU hours, computed": hours}
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
