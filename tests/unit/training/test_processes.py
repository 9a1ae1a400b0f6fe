"""Two processes through accelerate (gloo, on the CPU) train what one does with the same batches, and encode once."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import nn

from unison_backend.demo import set as demo
from unison_backend.errors import Cancelled, UnsupportedError
from unison_backend.media.write import write_image
from unison_backend.training import planning_lora, planning_watch, projector_data
from unison_backend.training.log import EVALUATIONS_FILE, read_log, read_rows
from unison_backend.training.loop import STATE_FILE, Fit
from unison_backend.training.planning_data import draw
from unison_backend.training.planning_score import evaluate
from unison_backend.training.processes import ALONE, Processes, check_whole, joined
from unison_backend.training.projector_run import ProjectorRun, train_from_manifest
from unison_backend.training.schedule import Schedule
from unison_backend.training.watch import Watching

SCHEDULE = Schedule(steps=2, lr=1e-2, weight_decay=0.0, seed=3)
PAIRS = [("Draw a fox.", "<CFI>"), ("A video of a cat.", "<CFV>"), ("Draw 64x64.", "<CFI>"), ("What is it?", "")]
HELD_OUT = draw(5, seed=9, held_out=True)  # an odd number: the shares of two processes differ
WORDS = ("a red circle", "a blue star", "a green square", "a white circle")


def scored(planner, records, **options):
    """Plans as they are really made, but that nobody learned to plan yet: right are those of instructions under 60
    characters."""
    made = evaluate(planner, records, **options)
    right = [len(record.prompt) < 60 for record in records]
    languages = {}
    for record, is_right in zip(records, right, strict=True):
        have = languages.get(record.language, (0, 0))
        languages[record.language] = (have[0] + is_right, have[1] + 1)
    return replace(made, tasks={"all": (sum(right), len(right))}, languages=languages)


def fit_a_line(folder, schedule, count_reduced=None):
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=True)
    fit = Fit(nn.Linear(3, 1), schedule, folder, accelerator)
    if count_reduced is not None:
        from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

        fit.module.register_comm_hook(None, lambda state, bucket: count_reduced() or allreduce_hook(state, bucket))

    def loss(generator, step):
        x = torch.randn(4, 3, generator=generator)
        return {"mse": (fit.module(x)[:, 0] - x.sum(1)).square().mean()}

    fit.run(loss, stage="fitting")


def train_all(folder, *, parts, rank=0):
    """A toy, a planning LoRA and a projector, with `parts` batches a step in each process."""
    schedule, reduced = replace(SCHEDULE, accumulate=parts), []
    together = torch.distributed.is_initialized()
    fit_a_line(
        folder / "line", replace(schedule, accumulate=2 * parts), (lambda: reduced.append(1)) if together else None
    )
    (folder / f"reduced{rank}.json").write_text(json.dumps(len(reduced)))
    settings = planning_lora.LoraSettings(rank=4, alpha=8, batch=2, keep=1)
    planning_watch.evaluate = scored
    planning_lora.train(demo.ensure_untrained().planner, PAIRS, folder / "lora", schedule, settings, dtype="fp32",
                        watching=Watching(eval_every=1, keep_last=1), held_out=HELD_OUT)  # fmt: skip
    planning_watch.evaluate = evaluate
    encoded, encode = [], projector_data.encode_pair
    projector_data.encode_pair = lambda decoded, *rest: encoded.append(decoded.prompt.text) or encode(decoded, *rest)
    run = ProjectorRun(folder.parent / "pairs.jsonl", folder / "projector", hidden=8, held_out=0.25)
    train_from_manifest(run, schedule, watching=Watching(eval_every=2))
    projector_data.encode_pair = encode
    (folder / f"encoded{rank}.json").write_text(json.dumps(encoded))


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_processes as own
own.train_all(Path(sys.argv[2]), parts=1, rank=own.joined().rank)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folders with what one process with two batches a step made, and what two with one did."""
    folder = tmp_path_factory.mktemp("trained")
    for number in range(len(WORDS)):
        write_image(folder / f"{number}.png", np.full((64, 64, 3), number / 4, dtype=np.float32))
    rows = [{"prompt": words, "target": f"{number}.png"} for number, words in enumerate(WORDS)]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    one, two = folder / "one", folder / "two"
    for made in (one, two):
        made.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = []
    for rank in range(2):
        places = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        environment = os.environ | places | {"MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
        command = [sys.executable, "-c", WORKER, str(Path(__file__).parent), str(two)]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    train_all(one, parts=2)
    for process in started:
        error = process.communicate(timeout=600)[1]
        assert process.returncode == 0, error
    return one, two


@pytest.mark.parametrize("name", ["line", "lora", "projector"])
def test_two_processes_lose_what_one_with_the_same_batches_does(trained, name):
    one, two = (read_log(folder / name) for folder in trained)
    assert len(one) == len(two) == 1 and one[0].keys() == two[0].keys()
    for term in one[0].keys() - {"seconds_per_step"}:
        assert two[0][term] == pytest.approx(one[0][term], rel=1e-4, abs=2e-6), term


@pytest.mark.parametrize("file", ["lora/adapter/adapter_model.safetensors", "projector/projector.safetensors"])
def test_two_processes_end_with_the_weights_of_one(trained, file):
    one, two = (load_file(folder / file) for folder in trained)
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=2e-4)


def test_two_processes_find_the_figures_of_one_and_the_first_alone_writes_them(trained):
    one, two = (read_rows(folder / "lora" / EVALUATIONS_FILE) for folder in trained)
    right = [len(record.prompt) < 60 for record in HELD_OUT]
    assert one == two and [row["step"] for row in one] == [1, 2] and 0 < sum(right) < len(right)
    assert {row["exact"] for row in two} == {round(sum(right) / len(right), 6)} and "exact_zh" in two[0]
    one, two = (read_rows(folder / "projector" / EVALUATIONS_FILE) for folder in trained)
    assert [row["step"] for row in two] == [2] and two[0]["loss"] == pytest.approx(one[0]["loss"], rel=1e-4)
    for folder in trained:
        assert (folder / "lora" / "best" / "adapter_model.safetensors").is_file()
        assert (folder / "projector" / "best" / "projector.safetensors").is_file()
        assert not list(folder.rglob(".unison-*"))


def test_each_encodes_its_share_and_nothing_is_encoded_twice(trained):
    shares = [json.loads((trained[1] / f"encoded{rank}.json").read_text()) for rank in range(2)]
    assert shares == [[WORDS[0], WORDS[2]], [WORDS[1], WORDS[3]]]
    samples = [sorted(path.name for path in (folder / "projector" / "samples").iterdir()) for folder in trained]
    assert samples[0] == samples[1] and len(samples[0]) == 4
    answers = [(folder / "lora" / "answers.jsonl").read_text() for folder in trained]
    assert answers[0] == answers[1] and len(answers[0].splitlines()) == 1


def test_gradients_are_shared_once_a_step(trained):
    """With two batches a step in each process."""
    for rank in range(2):
        assert json.loads((trained[1] / f"reduced{rank}.json").read_text()) == SCHEDULE.steps


def test_one_process_is_alone():
    assert joined("cuda:1") == ALONE and ALONE.is_first
    assert ALONE.part([1, 2, 3]) == [1, 2, 3] and ALONE.gathered([1]) == [1]
    assert Processes(1, 2).part(range(5)) == range(1, 5, 2)
    ALONE.wait()


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED", "MEGATRON_LM"])
def test_weights_that_are_split_over_processes_are_refused(kind):
    with pytest.raises(UnsupportedError, match=f"asks for {kind}, which splits weights"):
        check_whole(SimpleNamespace(distributed_type=SimpleNamespace(value=kind)))


def test_all_stop_when_one_is_asked(tmp_path):
    """The others are told by a sum over processes; here by one who says that another was asked."""
    accelerator = Accelerator(cpu=True)
    others = SimpleNamespace(
        num_processes=2, process_index=0, is_main_process=True, device="cpu", distributed_type="MULTI_CPU",
        prepare=accelerator.prepare, reduce=lambda value, how: value + 1,
    )  # fmt: skip
    fit = Fit(nn.Linear(1, 1), SCHEDULE, tmp_path, others)
    with pytest.raises(Cancelled, match="fitting"):
        fit.run(lambda generator, step: {"loss": fit.module.weight.sum()}, stage="fitting")
    assert fit.step == 0 and (tmp_path / STATE_FILE).is_file()
