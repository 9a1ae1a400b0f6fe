"""The training loop on a toy problem: it learns, resumes to the bit, stops when told, and says what is wrong."""

import json
import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from unison_backend.errors import Cancelled, InputError, ResourceError, WeightsError
from unison_backend.training.log import LOG_EVERY, LOG_FILE
from unison_backend.training.loop import STATE_FILE, Fit
from unison_backend.training.schedule import Schedule
from unison_backend.training.seeding import generator_at

SCHEDULE = Schedule(steps=40, lr=0.05, warmup=4, weight_decay=0.0, save_every=1000, seed=3)
HALF = 17


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


def regression(module):
    """Loss of fitting the sum of the inputs' sines, split into two terms."""

    def loss(generator, step):
        x = torch.randn(16, 3, generator=generator)
        error = module(x)[:, 0] - x.sin().sum(1)
        return {"mse": error.square().mean(), "l1": 0.1 * error.abs().mean()}

    return loss


def fitted(folder, schedule=SCHEDULE, until=None, **options):
    module = network()
    fit = Fit(module, schedule, folder)
    fit.run(regression(module), stage="fitting", until=until, **options)
    return fit


def lines(folder):
    return [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]


def state_of(fit):
    weights = {f"weights {name}": value for name, value in fit.parameters.items()}
    averaged = {f"averaged {name}": value for name, value in fit.averaged.items()}
    assert bool(averaged) == bool(fit.schedule.ema)
    states = fit.optimizer.state_dict()["state"]
    moments = {f"{index} {name}": value for index, state in states.items() for name, value in state.items()}
    return weights | averaged | moments


def assert_equal_states(one, other):
    one, other = state_of(one), state_of(other)
    assert one.keys() == other.keys() and len(one) in (4 + 4 * 3, 4 * 2 + 4 * 3)
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_losses_fall_and_the_log_says_so(tmp_path):
    fit = fitted(tmp_path, Schedule(steps=200, lr=0.02, warmup=10, weight_decay=0.0, save_every=1000))
    log = lines(tmp_path)
    assert fit.step == 200 and log[-1]["mse"] < 0.2 * log[0]["mse"]
    assert [line["step"] for line in log] == list(range(LOG_EVERY, 201, LOG_EVERY))
    assert set(log[0]) == {"step", "lr", "seconds_per_step", "gradient_norm", "mse", "l1"}
    assert log[3]["lr"] == fit.schedule.rate(79)


def test_a_log_line_is_the_mean_of_its_steps(tmp_path):
    module = nn.Linear(1, 1)
    fit = Fit(module, Schedule(steps=LOG_EVERY + 3, lr=1e-9), tmp_path)
    fit.run(lambda generator, step: {"value": module.weight.sum() * 0 + step}, stage="counting")
    assert [line["value"] for line in lines(tmp_path)] == [(LOG_EVERY - 1) / 2, LOG_EVERY + 1]


def test_a_term_that_some_steps_have_is_the_mean_of_those(tmp_path):
    module = nn.Linear(1, 1)
    fit = Fit(module, Schedule(steps=LOG_EVERY, lr=1e-9), tmp_path)
    fit.run(lambda generator, step: {"ab"[step % 4 == 0]: module.weight.sum() * 0 + 7.0}, stage="counting")
    assert (lines(tmp_path)[0]["a"], lines(tmp_path)[0]["b"]) == (7, 7)


@pytest.mark.parametrize("options", [{}, {"accumulate": 2}, {"ema": 0.9}, {"accumulate": 2, "ema": 0.9}])
def test_a_resumed_run_is_the_unbroken_one_to_the_bit(tmp_path, options):
    schedule = Schedule(**vars(SCHEDULE) | options)
    whole = fitted(tmp_path / "whole", schedule)
    first = fitted(tmp_path / "parts", schedule, until=HALF)
    assert first.step == HALF
    resumed = fitted(tmp_path / "parts", schedule)
    assert resumed.step == whole.step == 40
    assert_equal_states(resumed, whole)


def with_muon(folder, until=None):
    module = network()
    fit = Fit(module, SCHEDULE, folder, matrices=lambda name, value: name == "0.weight")
    fit.run(regression(module), stage="fitting", until=until)
    return fit


def test_muon_trains_the_chosen_matrices_and_adamw_the_rest(tmp_path):
    fit = with_muon(tmp_path)
    muon, rest = ([value for group in part.param_groups for value in group["params"]] for part in fit.optimizer.parts)
    assert [value.shape for value in muon] == [(8, 3)] and len(rest) == 3
    assert all(group["lr"] == SCHEDULE.rate(39) for group in fit.optimizer.param_groups)
    start = network().state_dict()
    assert all(not torch.equal(value, start[name]) for name, value in fit.parameters.items())
    adamw = fitted(tmp_path / "adamw")
    assert not torch.equal(fit.parameters["0.weight"], adamw.parameters["0.weight"])


def test_a_kernel_is_trained_as_the_matrix_of_its_rows(tmp_path):
    """A convolution over its whole input is a linear layer: Muon takes the same steps with both."""

    def fit(module, folder):
        inputs = torch.randn(16, 12, generator=torch.Generator().manual_seed(2))

        def loss(generator, step):
            made = module(inputs.view(16, *module.weight.shape[1:])).flatten(1)
            return {"mse": functional.mse_loss(made, inputs[:, :4])}

        trained = Fit(module, SCHEDULE, folder, matrices=lambda name, value: value.ndim > 1)
        trained.run(loss, stage="fitting")
        return trained.parameters["weight"].flatten(1)

    torch.manual_seed(0)
    linear, convolution = nn.Linear(12, 4), nn.Conv2d(3, 4, 2)
    convolution.load_state_dict({"weight": linear.weight.view(4, 3, 2, 2), "bias": linear.bias})
    start = linear.weight.detach().clone()
    flat, kernel = fit(linear, tmp_path / "linear"), fit(convolution, tmp_path / "convolution")
    torch.testing.assert_close(kernel, flat, atol=1e-3, rtol=1e-2)
    assert (flat - start).abs().mean() > 0.01


def test_a_resumed_run_with_muon_is_the_unbroken_one_to_the_bit(tmp_path):
    whole = with_muon(tmp_path / "whole")
    assert with_muon(tmp_path / "parts", until=HALF).step == HALF
    resumed = with_muon(tmp_path / "parts")
    assert resumed.step == whole.step == 40
    for name, value in whole.parameters.items():
        assert torch.equal(value, resumed.parameters[name]), name


def test_losses_fall_with_muon(tmp_path):
    with_muon(tmp_path)
    log = lines(tmp_path)
    assert log[-1]["mse"] < 0.8 * log[0]["mse"], log


def test_dropout_is_the_same_in_a_resumed_run_and_torchs_generator_is_left_alone(tmp_path):
    def run(folder, until=None):
        module = nn.Sequential(network(), nn.Dropout(0.5))
        fit = Fit(module, SCHEDULE, folder)
        torch.manual_seed(len(str(folder)))  # whatever was drawn before
        fit.run(regression(module), stage="fitting", until=until)
        return fit

    whole = run(tmp_path / "whole")
    run(tmp_path / "parts", until=HALF)
    torch.rand(7)
    assert_equal_states(run(tmp_path / "parts"), whole)
    run(tmp_path / "other")
    drawn = torch.rand(1)
    torch.manual_seed(len(str(tmp_path / "other")))
    assert torch.equal(torch.rand(1), drawn)


def test_another_seed_is_another_run(tmp_path):
    one, other = fitted(tmp_path / "one"), fitted(tmp_path / "other", Schedule(**vars(SCHEDULE) | {"seed": 4}))
    assert not torch.equal(one.parameters["0.weight"], other.parameters["0.weight"])


def test_every_batch_is_its_own():
    places = [(seed, batch) for seed in (0, 1, 2, 21, 2**31) for batch in (0, 1, 7999)]
    drawn = {tuple(torch.rand(4, generator=generator_at(*place)).tolist()) for place in places}
    assert len(drawn) == len(places)


def test_two_batches_of_a_step_are_different_and_add_up(tmp_path):
    seen = []
    module = nn.Linear(1, 1, bias=False)

    def loss(generator, step):
        seen.append((step, round(torch.rand((), generator=generator).item(), 6)))
        return {"loss": module.weight.sum() * len(seen)}

    fit = Fit(module, Schedule(steps=3, lr=1e-3, accumulate=2, clip=1e9), tmp_path)
    fit.run(loss, stage="counting")
    assert [step for step, _ in seen] == [0, 0, 1, 1, 2, 2] and len({value for _, value in seen}) == 6
    assert module.weight.grad.item() == pytest.approx((5 + 6) / 2)


def test_gradients_are_clipped(tmp_path):
    module = nn.Linear(1, 1, bias=False)
    fit = Fit(module, Schedule(steps=1, lr=1e-3, clip=0.5), tmp_path)
    fit.run(lambda generator, step: {"loss": 100 * module.weight.sum()}, stage="clipping")
    assert module.weight.grad.item() == pytest.approx(0.5, rel=1e-4)


def test_averaged_weights_follow_and_can_be_used(tmp_path):
    plain = fitted(tmp_path / "plain")
    assert plain.averaged == {} == torch.load(tmp_path / "plain" / STATE_FILE)["averaged"]
    trained = plain.parameters["0.weight"].clone()
    plain.use_averaged()
    assert torch.equal(plain.parameters["0.weight"], trained)
    fit = fitted(tmp_path / "averaged", Schedule(**vars(SCHEDULE) | {"ema": 0.9}))
    assert torch.equal(fit.parameters["0.weight"], plain.parameters["0.weight"])  # the average has no say in training
    assert not torch.equal(fit.averaged["0.weight"], fit.parameters["0.weight"])
    fit.use_averaged()
    assert torch.equal(fit.averaged["0.weight"], fit.parameters["0.weight"])
    averaging = Schedule(**vars(SCHEDULE) | {"ema": 0.9, "allow_change": True})
    again = Fit(network(), averaging, tmp_path / "plain")  # its state has no average: that begins with its weights
    assert torch.equal(again.averaged["0.weight"], trained)


def test_the_average_is_warmed_up(tmp_path):
    """Its decay begins at 2/11 and rises to what was asked for, so that the untrained weights leave it soon."""
    module = nn.Linear(1, 1, bias=False)
    start = module.weight.item()
    fit = Fit(module, Schedule(steps=1, lr=1.0, warmup=0, weight_decay=0.0, ema=0.9), tmp_path)
    fit.run(lambda generator, step: {"loss": module.weight.sum()}, stage="averaging")
    assert fit.averaged["weight"].item() == pytest.approx(2 / 11 * start + 9 / 11 * module.weight.item())


def test_only_what_needs_gradients_is_trained_and_saved(tmp_path):
    module = network()
    module[0].requires_grad_(False)
    before = module[0].weight.clone()
    fit = Fit(module, SCHEDULE, tmp_path)
    fit.run(regression(module), stage="fitting", until=3)
    assert torch.equal(module[0].weight, before) and set(fit.parameters) == {"2.weight", "2.bias"}
    assert set(torch.load(tmp_path / STATE_FILE)["weights"]) == {"2.weight", "2.bias"}


def test_a_cancelled_run_is_saved_and_goes_on_where_it_was(tmp_path):
    asked = []

    def cancel():
        asked.append(1)
        return len(asked) > 9

    with pytest.raises(Cancelled, match="fitting"):
        fitted(tmp_path, cancel=cancel)
    assert torch.load(tmp_path / STATE_FILE)["step"] == 9
    assert_equal_states(fitted(tmp_path), fitted(tmp_path / "whole"))


def test_progress_counts_steps(tmp_path):
    seen = []
    fitted(tmp_path, until=3, progress=lambda *step: seen.append(step))
    assert seen == [("fitting", number, 40) for number in (1, 2, 3)]


def test_a_finished_run_does_nothing_more(tmp_path):
    fit = fitted(tmp_path)
    before = {name: value.clone() for name, value in fit.parameters.items()}
    again = Fit(network(), SCHEDULE, tmp_path)
    again.run(lambda generator, step: pytest.fail("a step was made"), stage="fitting")
    assert all(torch.equal(again.parameters[name], before[name]) for name in before)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_weights(tmp_path, value):
    module = network()
    fit = Fit(module, SCHEDULE, tmp_path)
    fit.run(regression(module), stage="fitting", until=5)
    before = {name: parameter.clone() for name, parameter in fit.parameters.items()}
    with pytest.raises(ResourceError, match=r"the loss is (nan|inf) at step 5; lower the learning rate"):
        fit.run(lambda generator, step: {"loss": module(torch.ones(1, 3)).sum() * value}, stage="fitting")
    assert all(torch.equal(fit.parameters[name], before[name]) for name in before)
    assert torch.load(tmp_path / STATE_FILE)["step"] == 5


def test_the_state_is_written_on_the_way(tmp_path):
    module = network()
    fit = Fit(module, Schedule(**vars(SCHEDULE) | {"save_every": 6}), tmp_path)
    real = regression(module)

    def loss(generator, step):
        if step == 14:
            raise KeyboardInterrupt
        return real(generator, step)

    with pytest.raises(KeyboardInterrupt):
        fit.run(loss, stage="fitting")
    assert torch.load(tmp_path / STATE_FILE)["step"] == 12
    assert_equal_states(fitted(tmp_path), fitted(tmp_path / "whole"))


def killed_at(folder, step, schedule):
    module = network()
    fit = Fit(module, schedule, folder)
    real = regression(module)

    def loss(generator, number):
        if number == step:
            raise KeyboardInterrupt
        return real(generator, number)

    with pytest.raises(KeyboardInterrupt):
        fit.run(loss, stage="fitting")


@pytest.mark.parametrize("save_every", [1000, 15])
def test_no_step_is_logged_twice_after_a_kill_and_each_line_is_the_unbroken_runs(tmp_path, save_every):
    """Killed at step 25: after the line of step 20, before any state, or with a state of step 15."""
    schedule = Schedule(**vars(SCHEDULE) | {"save_every": save_every})
    killed_at(tmp_path / "parts", 25, schedule)
    assert [line["step"] for line in lines(tmp_path / "parts")] == [20]
    assert (tmp_path / "parts" / STATE_FILE).is_file() == (save_every == 15)
    assert_equal_states(fitted(tmp_path / "parts", schedule), fitted(tmp_path / "whole", schedule))
    whole, parts = ([line | {"seconds_per_step": 0} for line in lines(tmp_path / name)] for name in ("whole", "parts"))
    assert parts == whole and len(parts) == 2


def test_a_log_line_that_was_cut_short_is_dropped(tmp_path):
    fitted(tmp_path, until=HALF)
    (tmp_path / LOG_FILE).write_text('{"step": 1, "lr": 0.1}\n{"step": 2, "l')
    fitted(tmp_path)
    assert [line["step"] for line in lines(tmp_path)] == [1, 20, 40]


CHANGES = {
    "seed": ({"seed": 4}, {}, "seed 3, now 4"),
    "rate": ({"lr": 0.1}, {}, "lr 0.05, now 0.1"),
    "steps": ({"steps": 80}, {}, "steps 40, now 80"),
    "decay": ({"weight_decay": 0.1}, {}, "weight decay 0.0, now 0.1"),
    "batch": ({}, {"batch": 2}, "batch 1, now 2"),
    "data": ({}, {"data": "b"}, "other data"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_state_of_another_training_is_refused_or_what_differs_is_said(tmp_path, name):
    schedule, made_with, said = CHANGES[name]
    first = Fit(network(), SCHEDULE, tmp_path, made_with={"batch": 1, "data": "a"})
    first.run(regression(first.module), stage="fitting", until=HALF)
    changed = Schedule(**vars(SCHEDULE) | schedule)
    made = {"batch": 1, "data": "a"} | made_with
    with pytest.raises(InputError, match=rf"trained otherwise \({said}\).*--allow-change"):
        Fit(network(), changed, tmp_path, made_with=made)
    heard = []
    allowed = Schedule(**vars(changed) | {"allow_change": True})
    fit = Fit(network(), allowed, tmp_path, made_with=made, say=heard.append)
    assert heard == [f"going on from step {HALF}, which was trained otherwise: {said}"] and fit.step == HALF
    assert fit.optimizer.param_groups[0]["weight_decay"] == changed.weight_decay


def test_how_often_is_saved_is_no_other_training_and_a_state_of_before_is_said(tmp_path):
    fitted(tmp_path, until=HALF)
    heard = []
    assert Fit(network(), Schedule(**vars(SCHEDULE) | {"save_every": 1}), tmp_path, say=heard.append).step == HALF
    assert heard == []
    state = torch.load(tmp_path / STATE_FILE)
    del state["made_with"], state["waiting"]
    torch.save(state, tmp_path / STATE_FILE)
    assert Fit(network(), SCHEDULE, tmp_path, say=heard.append).step == HALF
    assert "does not say what it was trained with" in heard[0]


def foreign(path):
    torch.save({"step": 3, "weights": {"other": torch.zeros(1)}, "averaged": {}, "optimizer": {}}, path)


def of_other_sizes(path):
    module = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    Fit(module, SCHEDULE, path.parent).save()


def damaged(path):
    fitted(path.parent, until=2)
    path.write_bytes(path.read_bytes()[:-300])


class Code:
    def __reduce__(self):
        return (print, ("ran",))


def with_code(path):
    torch.save({"step": 3, "weights": Code()}, path)


@pytest.mark.parametrize("write", [foreign, of_other_sizes, damaged, with_code])
def test_what_is_no_state_of_this_training_is_said_and_left_alone(tmp_path, write, capsys):
    path = tmp_path / STATE_FILE
    write(path)
    before = path.read_bytes()
    module = network()
    with pytest.raises(WeightsError, match=r"state\.pt is no state of this training.*another folder"):
        Fit(module, SCHEDULE, tmp_path)
    assert path.read_bytes() == before and "ran" not in capsys.readouterr().out


def test_a_full_disk_is_said_and_the_last_state_stays(tmp_path, monkeypatch):
    fit = fitted(tmp_path, until=5)
    before = (tmp_path / STATE_FILE).read_bytes()

    def full(state, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unison_backend.training.loop.torch.save", full)
    with pytest.raises(ResourceError, match=r"No space left on device.*make room"):
        fit.save()
    assert (tmp_path / STATE_FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"steps": 0}, "at least 1 step"),
        ({"lr": 0}, "above 0"),
        ({"accumulate": 0}, "accumulate"),
        ({"save_every": 0}, "save every 0"),
        ({"warmup": 10}, "warmup is 10 of 10 steps; it has to end"),
        ({"warmup": -1}, "warmup is -1"),
        ({"ema": 1.0}, "ema is 1.0"),
        ({"weight_decay": -0.1}, "weight decay -0.1"),
    ],
)
def test_schedules_have_limits(wrong, said):
    with pytest.raises(InputError, match=said):
        Schedule(**{"steps": 10, "lr": 1.0} | wrong)


def test_the_rate_rises_in_a_line_and_falls_in_a_cosine():
    schedule = Schedule(steps=110, lr=2.0, warmup=10, floor=0.1)
    rates = [schedule.rate(step) for step in range(110)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert max(rates) == rates[9] == rates[10] == 2.0
    assert all(one > other for one, other in pairwise(rates[10:]))
    assert rates[60] == pytest.approx(2.0 * 0.55) and schedule.rate(110) == pytest.approx(0.2)
    assert schedule.rate(10_000) == pytest.approx(0.2)
    assert Schedule(steps=5, lr=1.0, warmup=0).rate(0) == 1.0


def test_a_warm_up_is_a_tenth_of_the_steps_at_most_and_reaches_the_peak():
    recipe = Schedule(steps=5000, lr=1e-4, warmup=200)
    assert [recipe.of_steps(steps).warmup for steps in (10_000, 2000, 100, 5)] == [200, 200, 10, 1]
    assert max(recipe.of_steps(100).rate(step) for step in range(100)) == recipe.lr


def test_the_optimizer_gets_the_rate(tmp_path):
    fit = fitted(tmp_path, until=3)
    assert fit.optimizer.param_groups[0]["lr"] == SCHEDULE.rate(2)
