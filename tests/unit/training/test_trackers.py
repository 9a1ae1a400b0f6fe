"""What a training writes besides its log: CSV and TensorBoard files that go on to the bit where a run was killed."""

import csv
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from unison_backend.errors import InputError, UnsupportedError
from unison_backend.training.log import read_log
from unison_backend.training.loop import Fit
from unison_backend.training.schedule import Schedule
from unison_backend.training.trackers import CSV_FILE, TENSORBOARD_FOLDER, check_trackers, names, open_trackers, show
from unison_backend.training.watch import Watch, Watching

SCHEDULE = Schedule(steps=50, lr=0.05, warmup=4, weight_decay=0.0, save_every=15, seed=3)
TRAIN = {"train/loss", "train/gradient_norm", "train/learning_rate", "train/steps_per_second"}


def fitted(folder, log_with, killed=None):
    torch.manual_seed(0)
    module = nn.Linear(3, 1)

    def loss(generator, step):
        if step == killed:
            raise KeyboardInterrupt
        x = torch.randn(4, 3, generator=generator)
        return {"loss": (module(x)[:, 0] - x.sum(1)).square().mean()}

    Fit(module, SCHEDULE, folder, watch=Watch(Watching(log_with))).run(loss, stage="fitting")


def killed_and_gone_on(folder, log_with):
    """Killed at step 45, behind the log's line of step 40 and the state of step 30."""
    with pytest.raises(KeyboardInterrupt):
        fitted(folder, log_with, killed=45)
    fitted(folder, log_with)


def table(folder):
    with (folder / CSV_FILE).open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_a_csv_file_has_every_figure_of_the_log_and_each_step_once_after_a_kill(tmp_path):
    killed_and_gone_on(tmp_path / "parts", ("csv",))
    fitted(tmp_path / "whole", ("csv",))
    parts, whole = table(tmp_path / "parts"), table(tmp_path / "whole")
    assert [row["step"] for row in parts] == [20, 40, 50] and set(parts[0]) == {"step"} | TRAIN
    speed = "train/steps_per_second"
    assert [row | {speed: 0} for row in parts] == [row | {speed: 0} for row in whole]
    log = read_log(tmp_path / "parts")
    assert [(row["train/loss"], row["train/learning_rate"]) for row in parts] == [(r["loss"], r["lr"]) for r in log]
    assert parts[0][speed] == pytest.approx(1 / log[0]["seconds_per_step"], abs=1e-3)


def test_a_csv_file_begun_later_has_what_came_before(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path, (), killed=45)
    assert not (tmp_path / CSV_FILE).exists()
    fitted(tmp_path, ("csv",))
    assert [row["step"] for row in table(tmp_path)] == [20, 40, 50]


def test_tensorboard_shows_the_logs_figures_once_after_a_kill(tmp_path):
    killed_and_gone_on(tmp_path, ("tensorboard",))
    events = EventAccumulator(str(tmp_path / TENSORBOARD_FOLDER))
    events.Reload()
    assert set(events.Tags()["scalars"]) == TRAIN
    shown = [(event.step, event.value) for event in events.Scalars("train/loss")]
    log = [(row["step"], pytest.approx(row["loss"], rel=1e-6)) for row in read_log(tmp_path)]
    assert shown == log and [step for step, _ in shown] == [20, 40, 50]


def test_tensorboard_shows_a_picture_of_the_step(tmp_path):
    drawn = np.zeros((4, 6, 3), dtype=np.uint8)
    drawn[:, 3:] = 255
    Image.fromarray(drawn).save(tmp_path / "sheet.png")
    trackers = open_trackers(["csv", "tensorboard"], tmp_path, 0, {"seed": 1})
    for tracker in trackers:
        show(tracker, tmp_path / "sheet.png", 40)
        tracker.finish()
    events = EventAccumulator(str(tmp_path / TENSORBOARD_FOLDER))
    events.Reload()
    (event,) = events.Images("eval/pictures")
    assert event.step == 40
    assert (np.asarray(Image.open(BytesIO(event.encoded_image_string)).convert("RGB")) == drawn).all()


def test_a_tracker_that_is_not_there_is_said_before_anything_is_trained(tmp_path, monkeypatch):
    with pytest.raises(
        InputError, match=r"--log-with paper: there is no such tracker; it is one of csv, .*tensorboard"
    ):
        fitted(tmp_path, ("paper",))
    monkeypatch.setattr("accelerate.tracking.get_available_trackers", lambda: [])
    with pytest.raises(UnsupportedError, match=r"takes the package tensorboard.*pip install .*extra tensorboard"):
        fitted(tmp_path, ("tensorboard",))
    assert not list(tmp_path.iterdir())
    check_trackers(["csv"])
    assert {"csv", "tensorboard", "wandb"} <= set(names())
