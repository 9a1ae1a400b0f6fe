"""Whatever an untrained model says by prompt is a plan: many instructions, sampled hot, each judged by itself.

    python scripts/try_plans_by_prompt.py qwen25|qwen3 [--count 1000] [--tokenizer DIR] [--temperature 2]

The model is a Qwen2.5-VL or Qwen3-VL of two layers with random weights, which chooses nearly evenly among all tokens
that it is left: the plan's schema is all that holds it. The instructions are the sentences that the rules are measured
with, their media only named. A plan is right when the model's first answer is one (nothing is asked twice, no rules
help), its JSON names only media that are there, each in one role, its texts are within their bounds, and it survives
being written and read again. Prints a line for each that is not; the exit status is 1 then.

DIR holds a Qwen2.5-VL's tokenizer: by default ComfyUI's own (COMFYUI_PATH), with its 151,665 tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unison_backend.errors import UnisonError
from unison_backend.plan.as_json import from_json, to_json
from unison_backend.plan.prompt import Prompt, parse_pads
from unison_backend.planner.answers import AnswerSettings
from unison_backend.planner.prompt.local.loading import Loaded
from unison_backend.planner.prompt.local.model import LocalModel
from unison_backend.planner.prompt.plan_schema import MAX_TARGET
from unison_backend.planner.prompt.planner import PromptPlanner

SENTENCES = Path(__file__).parents[1] / "tests" / "unit" / "planner" / "rules" / "sentences"
ANSWER = 8  # tokens; four characters each are allowed
_CHARACTERS = 4 * ANSWER


def untrained(family: str, tokenizer: Any) -> Loaded:
    """A model of two layers with random weights. family: qwen25 or qwen3."""
    import torch
    import transformers as hub

    text: dict[str, Any] = {
        **{"vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2},
        **{"num_attention_heads": 4, "num_key_value_heads": 2},
    }
    vision: dict[str, Any] = {"depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2}
    vision |= {"out_hidden_size": 32}
    if family == "qwen25":
        text |= {"rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}
        config: Any = hub.Qwen2_5_VLConfig(text_config=text, vision_config=vision)
        kind: Any = hub.Qwen2_5_VLForConditionalGeneration
    else:
        text |= {"head_dim": 8}
        text |= {"rope_scaling": {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True}}
        vision |= {"patch_size": 16, "deepstack_visual_indexes": [0], "num_position_embeddings": 64}
        config, kind = hub.Qwen3VLConfig(text_config=text, vision_config=vision), hub.Qwen3VLForConditionalGeneration
    torch.manual_seed(0)
    model = kind(config).eval().requires_grad_(False)
    return Loaded(model, tokenizer, None, (int(tokenizer.eos_token_id),))


class Restless(LocalModel):
    """A model that says something else at every turn, and counts what it was asked and how much it said."""

    def __init__(self, loaded: Loaded, name: str, temperature: float, seed: int = 0) -> None:
        super().__init__(loaded, name)
        self.turns, self.tokens = 0, 0
        self._generate, self._draw, self._temperature = loaded.model.generate, random.Random(seed), temperature
        loaded.model.generate = self._sampled

    def _sampled(self, **options: Any) -> Any:
        import torch

        torch.manual_seed(self._draw.getrandbits(30))
        self.turns += 1
        made = self._generate(**options | {"do_sample": True, "temperature": self._temperature, "top_k": 0})
        self.tokens += made.shape[1] - options["input_ids"].shape[1]
        return made


def strict_planner(model: LocalModel) -> PromptPlanner:
    """The model as a planner for which no rules plan where it fails."""
    return PromptPlanner(model, by_rules=False, settings=AnswerSettings(ANSWER))


def fault(planner: PromptPlanner, model: Restless, prompt: Prompt) -> tuple[str, str]:
    """(task, what is wrong with the plan of `prompt`: "" for nothing)."""
    before = model.turns
    try:
        plan = planner.plan(prompt).plan
    except UnisonError as error:
        return "", str(error)
    if model.turns - before != 1:
        return "", f"asked {model.turns - before} times"
    said = json.loads(plan.raw) if plan.task.is_generation else {"answer": plan.answer}
    return str(plan.task), _fault_of(said, len(prompt.media)) or (
        "" if from_json(to_json(plan)) == plan else "not kept"
    )


def _fault_of(said: dict[str, Any], media: int) -> str:
    named = [said.get(name) for name in ("mask", "source", "first_frame", "last_frame")]
    ids = [number for number in (*named, *said.get("references", ())) if number is not None]
    if not all(0 <= number < media for number in ids):
        return f"names media {ids} of {media}"
    if len(set(ids)) < len(ids) and not said.get("references"):
        return f"one medium in two roles: {ids}"
    if len(said.get("target") or "") > MAX_TARGET or len(said.get("answer") or "") > _CHARACTERS:
        return "a text beyond its bounds"
    return ""


def instructions(count: int, seed: int = 0) -> list[str]:
    """Sentences of all sets, drawn without repeating any as long as there are others."""
    lines = [line for file in sorted(SENTENCES.rglob("*.jsonl")) for line in file.read_text("utf-8").splitlines()]
    words = [str(json.loads(line)["prompt"]) for line in lines if line.strip()]
    random.Random(seed).shuffle(words)
    return [words[number % len(words)] for number in range(count)]


def main(arguments: Sequence[str]) -> int:
    """Plan them all; the exit status."""
    import torch
    import transformers

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("family", choices=["qwen25", "qwen3"])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--tokenizer", type=Path, metavar="DIR")
    parser.add_argument("--temperature", type=float, default=2.0)
    options = parser.parse_args(arguments)
    comfy = Path(os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
    folder = options.tokenizer or comfy / "comfy" / "text_encoders" / "qwen25_tokenizer"
    torch.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = Restless(untrained(options.family, tokenizer), options.family, options.temperature)
    planner, tasks, wrong, start = strict_planner(model), Counter[str](), 0, time.process_time()
    for number, words in enumerate(instructions(options.count), 1):
        task, problem = fault(planner, model, parse_pads(words))
        tasks[task or "none"] += 1
        wrong += bool(problem)
        if problem:
            print(f"{words!r}: {problem}", flush=True)  # noqa: T201
        if number % 50 == 0 or number == options.count:
            seconds = time.process_time() - start
            print(f"{number} planned, {wrong} wrong, {model.tokens} tokens, {seconds:.0f} CPU s", flush=True)  # noqa: T201
    print(", ".join(f"{task} {count}" for task, count in tasks.most_common()))  # noqa: T201
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
