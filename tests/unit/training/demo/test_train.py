"""The one command over its stages: what is done is skipped, what it cost is told, its losses are drawn."""

import json

import pytest
import torch
from PIL import Image

from unison_backend.errors import Cancelled
from unison_backend.training.demo import ledger, stages
from unison_backend.training.demo.ledger import COSTS_FILE
from unison_backend.training.demo.work import Work, save, scaled
from unison_backend.training.loop import Fit
from unison_backend.training.schedule import Schedule

SCHEDULE = Schedule(steps=40, lr=1e-2, warmup=1, seed=1)


def stage(name, parts):
    """A stage like the real ones, but of a line: parts that are trained one after the other, then a file."""

    def run(work: Work, share, progress, cancel):
        out = work.set / f"{name}.safetensors"
        if out.is_file():
            return
        model = torch.nn.Linear(1, 1)
        for part in parts:
            fit = Fit(model, scaled(SCHEDULE, share), work.state(name) / part)
            fit.run(
                lambda generator, step: {"loss": (model(torch.ones(1, 1)) - 3).square().mean()},
                stage=f"training {part}", progress=progress, cancel=cancel,
            )  # fmt: skip
        save(model.state_dict(), out)

    return run


@pytest.fixture(autouse=True)
def two_stages(monkeypatch):
    monkeypatch.setattr(stages, "STAGES", {"vae": stage("vae", ["things", "sizes"]), "text": stage("text", ["words"])})
    monkeypatch.setattr(ledger, "LEAST", 0.0)


def test_it_is_stopped_and_goes_on_and_says_and_draws(tmp_path):
    said, asked, plots = [], [], tmp_path / "plots"
    with pytest.raises(Cancelled):
        stages.train(tmp_path, device="cpu", plots=plots, say=said.append,
                     cancel=lambda: asked.append(1) or len(asked) > 61)  # fmt: skip
    assert not said and json.loads((tmp_path / COSTS_FILE).read_text()).keys() == {"vae"}
    half = Image.open(plots / "vae.png").size
    finished = stages.train(tmp_path, device="cpu", plots=plots, say=said.append)
    assert finished == tmp_path / "set" and (finished / "vae.safetensors").is_file()
    assert [line.split(":")[0] for line in said] == ["vae", "text"]
    assert "left: text, about" in said[0] and "left" not in said[1]
    assert sorted(path.name for path in plots.iterdir()) == ["text.png", "vae.png"] and half[0] > 600
    assert [folder.name for folder in Work(tmp_path, torch.device("cpu")).logs("vae")] == ["things", "sizes"]


def test_a_stage_that_is_done_is_not_trained_again(tmp_path):
    stages.train(tmp_path, device="cpu", only="text")
    before = (tmp_path / "set" / "text.safetensors").read_bytes()
    seen = []
    stages.train(tmp_path, device="cpu", progress=lambda stage, done, total: seen.append(stage))
    assert set(seen) == {"training things", "training sizes"}
    assert (tmp_path / "set" / "text.safetensors").read_bytes() == before


def test_a_share_of_the_steps(tmp_path):
    seen = []
    stages.train(tmp_path, device="cpu", only="text", share=0.1, progress=lambda *step: seen.append(step))
    assert seen[-1] == ("training words", 4, 4)
