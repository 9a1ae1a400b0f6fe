"""The sampler as plain functions: against the reference's figures, diffusers' scheduler and exact solutions."""

import itertools
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from unison_backend.engine.unipc import SIGMA_MAX, TRAIN_TIMESTEPS, flow_sigmas, integer_time, sample_unipc
from unison_backend.errors import Cancelled, InputError

from .oracle import make_scheduler

# Measured on the reference's sampler: 50 steps, shift 5.
TIMES = """999 995 991 987 982 978 973 968 963 957 952 946 940 934 927 920 913 906 898 890 882 873 863 854 843 833
821 809 796 783 768 753 737 720 701 681 660 636 611 584 555 522 487 448 405 356 302 241 172 92"""


def noise(shape=(2, 3, 4), seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def toy_velocity(x, time):
    """Nonlinear in x and in time 0..1, and no element stands alone."""
    mixed = x + 0.5 * x.roll(1, -1)
    return torch.tanh(1.3 * mixed + 2 * time) * (0.4 + time) - 0.6 * x + math.cos(5 * time)


def toy_denoise(x, sigma):
    return x - sigma * toy_velocity(x, integer_time(sigma))


# --- the schedule


def test_sigmas_are_the_references():
    sigmas = flow_sigmas(50, 5.0)
    assert (sigmas.shape, sigmas.dtype, sigmas.device.type) == ((51,), torch.float32, "cpu")
    assert [f"{s:.6f}" for s in sigmas[:3].tolist()] == ["0.999800", "0.995732", "0.991530"]
    assert [f"{s:.6f}" for s in sigmas[-4:].tolist()] == ["0.241740", "0.172265", "0.092507", "0.000000"]
    assert (SIGMA_MAX, TRAIN_TIMESTEPS) == (0.999, 1000)


def test_times_are_the_references():
    expected = [int(t) / 1000 for t in TIMES.split()]
    assert [integer_time(s) for s in flow_sigmas(50, 5.0)[:-1].tolist()] == expected
    u = [0.999 * (1 - k / 50) for k in range(50)]
    assert [integer_time(5 * v / (1 + 4 * v)) for v in u] == expected


@pytest.mark.parametrize("steps", [1, 2, 7, 30, 200, 1000])
@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0, 5.0, 16.0, 100.0])
def test_sigmas_equal_the_schedulers(steps, shift):
    sigmas = flow_sigmas(steps, shift)
    torch.testing.assert_close(sigmas, make_scheduler(steps, shift).sigmas, atol=0, rtol=2e-7)
    assert sigmas[0] < 1 and sigmas[-1] == 0 and bool((sigmas.diff() < 0).all())


def test_whole_times_survive_float32():
    for thousandths in range(1, 1000):
        assert integer_time(thousandths / 1000) == thousandths / 1000
        assert integer_time(torch.tensor(thousandths / 1000, dtype=torch.float32).item()) == thousandths / 1000
        assert integer_time((thousandths + 0.999) / 1000) == thousandths / 1000


def test_time_never_reaches_zero():
    assert [integer_time(s) for s in (0.0, 0.0004, 0.001, 0.0015)] == [0.001] * 4


@pytest.mark.parametrize(
    "steps, shift", [(0, 5.0), (-1, 5.0), (1001, 5.0), (50, 0.0), (50, -1.0), (50, 100.1), (50, math.nan)]
)
def test_a_schedule_out_of_range_is_refused(steps, shift):
    with pytest.raises(InputError, match="allowed is"):
        flow_sigmas(steps, shift)


# --- against diffusers


def with_scheduler(x, steps, shift, velocity):
    scheduler = make_scheduler(steps, shift)
    scheduler.sigmas = scheduler.sigmas.to(x.dtype)
    for t in scheduler.timesteps:
        x = scheduler.step(velocity(x, t.item() / 1000), t, x, return_dict=False)[0]
    return x


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10, 50])
@pytest.mark.parametrize("shift", [1.0, 5.0])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_samples_equal_the_schedulers(steps, shift, dtype, tolerance):
    x = noise(dtype=dtype)
    # At shift 1 whole times are rounded either way by the reference, so both are given the very same ones here.
    times = dict(zip(flow_sigmas(steps, shift).tolist(), make_scheduler(steps, shift).timesteps.tolist(), strict=False))

    def denoise(sample, sigma):
        return sample - sigma * toy_velocity(sample, times[sigma] / 1000)

    result = sample_unipc(denoise, x, flow_sigmas(steps, shift))
    assert result.dtype == dtype
    expected = with_scheduler(x, steps, shift, toy_velocity)
    torch.testing.assert_close(result, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("steps", [2, 3, 5, 10, 50])
def test_the_references_times_and_ours_give_one_sample(steps):
    """With integer_time in the callback nothing is left to the scheduler."""
    result = sample_unipc(toy_denoise, noise(), flow_sigmas(steps, 5.0))
    torch.testing.assert_close(result, with_scheduler(noise(), steps, 5.0, toy_velocity), atol=1e-5, rtol=1e-5)


def test_the_toy_depends_on_sample_and_time():
    """Else the comparisons above would say little."""
    sigmas = flow_sigmas(10, 5.0)
    result = sample_unipc(toy_denoise, noise(), sigmas)
    late = sample_unipc(lambda x, s: x - s * toy_velocity(x, 0.9 * integer_time(s)), noise(), sigmas)
    euler = noise()
    for a, b in itertools.pairwise(sigmas.tolist()):
        euler = euler + (b - a) * toy_velocity(euler, integer_time(a))
    assert (result - late).abs().max() > 1e-2
    assert (result - euler).abs().max() > 1e-2
    assert (result - sample_unipc(toy_denoise, noise(seed=1), sigmas)).abs().max() > 1e-2


# --- the contract


def test_one_evaluation_per_step_and_reports_in_order():
    sigmas = flow_sigmas(6, 5.0)
    events, asked, clean = [], [], []

    def denoise(x, sigma):
        events.append("denoise")
        asked.append((x, sigma))
        clean.append(toy_denoise(x, sigma))
        return clean[-1]

    def step_done(number, x, sigma, denoised):
        events.append(number)
        assert torch.equal(x, asked[-1][0]) and sigma == asked[-1][1] and torch.equal(denoised, clean[-1])

    start = noise()
    result = sample_unipc(denoise, start, sigmas, step_done)
    assert events == [event for number in range(6) for event in ("denoise", number)]
    assert [sigma for _, sigma in asked] == sigmas[:-1].tolist()
    assert torch.equal(asked[0][0], start)  # not scaled by the first sigma
    assert torch.equal(result, clean[-1])  # the last step adds nothing


def test_nothing_that_was_handed_over_is_changed():
    x, sigmas = noise(), flow_sigmas(8, 5.0)
    x_before, sigmas_before, seen = x.clone(), sigmas.clone(), []

    def step_done(number, x_in, sigma, denoised):
        seen.append((x_in, x_in.clone(), denoised, denoised.clone()))

    sample_unipc(toy_denoise, x, sigmas, step_done)
    assert torch.equal(x, x_before) and torch.equal(sigmas, sigmas_before)
    assert len(seen) == 8
    assert all(torch.equal(a, b) and torch.equal(c, d) for a, b, c, d in seen)


def test_lists_and_tensors_are_one_schedule():
    sigmas = flow_sigmas(5, 5.0)
    expected = sample_unipc(toy_denoise, noise(), sigmas)
    assert torch.equal(sample_unipc(toy_denoise, noise(), sigmas.tolist()), expected)
    assert torch.equal(sample_unipc(toy_denoise, noise(), sigmas.double()), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_samples_type_is_kept(dtype):
    """Whatever type the network answers in."""
    seen = []
    for last in (0.0, 0.1):
        result = sample_unipc(
            lambda x, s: toy_denoise(x, s).half(), noise(dtype=dtype), [0.9, 0.5, 0.2, last], lambda *e: seen.append(e)
        )
        assert result.dtype == dtype
    assert {tensor.dtype for _, x, _, clean in seen for tensor in (x, clean)} == {dtype}


def test_what_a_callback_raises_ends_the_run():
    calls = []

    def step_done(number, *rest):
        calls.append(number)
        if number == 2:
            raise Cancelled("sampling")

    with pytest.raises(Cancelled):
        sample_unipc(toy_denoise, noise(), flow_sigmas(10, 5.0), step_done)
    assert calls == [0, 1, 2]


def test_no_gradients_are_kept():
    weight = torch.ones((), requires_grad=True)
    assert not sample_unipc(lambda x, s: x * weight * 0.5, noise(), [0.9, 0.5, 0.2]).requires_grad


@pytest.mark.parametrize(
    "sigmas, said",
    [
        ([], "at least two"),
        ([0.5], "at least two"),
        ([1.0, 0.5, 0.0], "UnisonSigmas"),
        ([14.6, 3.0, 0.5, 0.0], "starts below 1"),
        ([0.5, 1.0, 0.0], "UnisonSigmas"),
        ([0.9, -0.1], "holds sigma -0.1"),
        ([0.9, math.nan, 0.0], "holds sigma nan"),
        ([math.inf, 0.5], "holds sigma inf"),
        ([0.5, 0.5, 0.0], "sigma 1 of the schedule"),
        ([0.9, 0.2, 0.5, 0.0], "sigma 2 of the schedule"),
        ([0.1, 0.5, 0.9], "each has to be lower"),
        ([0.9, 0.0, 0.0], "sigma 2 of the schedule"),
        ([0.9, 0.0, 0.5], "sigma 2 of the schedule"),
    ],
)
@pytest.mark.parametrize("form", [list, torch.tensor])
def test_a_bad_schedule_is_refused_before_anything_runs(sigmas, said, form):
    def denoise(x, sigma):
        raise AssertionError("evaluated")

    with pytest.raises(InputError, match=said):
        sample_unipc(denoise, noise(), form(sigmas))


# --- partial schedules


def test_a_schedule_split_in_two():
    sigmas, evaluated = flow_sigmas(20, 5.0), []

    def denoise(x, sigma):
        evaluated.append(sigma)
        return toy_denoise(x, sigma)

    first = sample_unipc(denoise, noise(), sigmas[:11])
    assert first.shape == noise().shape and bool(first.isfinite().all())
    second = sample_unipc(denoise, first, sigmas[10:])
    assert evaluated == sigmas[:-1].tolist()
    # Order starts over at the seam, so the halves are near the whole, not equal to it.
    whole = sample_unipc(toy_denoise, noise(), sigmas)
    torch.testing.assert_close(second, whole, atol=0.05, rtol=0)
    assert not torch.equal(second, whole)


def test_the_last_step_above_zero_is_first_order():
    """Two steps: the second is b/a x + (1 - b) (1 - exp(-h)) m from the corrected sample, with nothing of the first."""
    a, b, c = 0.9, 0.6, 0.3
    seen = []
    result = sample_unipc(toy_denoise, noise(dtype=torch.float64), [a, b, c], lambda *event: seen.append(event))
    x, m0, m1 = seen[0][1], seen[0][3], seen[1][3]

    def rest(early, late):
        return (1 - late) - late / early * (1 - early)  # alpha_b (1 - exp(-h)) without logarithms

    predicted = b / a * x + rest(a, b) * m0
    torch.testing.assert_close(seen[1][1], predicted, atol=1e-12, rtol=0)
    corrected = predicted + rest(a, b) * (m1 - m0) / 2
    torch.testing.assert_close(result, c / b * corrected + rest(b, c) * m1, atol=1e-12, rtol=0)


# --- exact solutions


def gaussian_errors(steps):
    """Greatest errors at the last evaluation and at the end, sigma 0.1, over even steps in lam.

    The data are drawn from N(0.7, 0.6^2), so that both the prediction and the flow's solution are known.
    """
    mean, spread, high, low = 0.7, 0.6, 0.95, 0.1

    def width(sigma):
        return math.sqrt(((1 - sigma) * spread) ** 2 + sigma**2)

    def denoise(x, sigma):
        return mean + (1 - sigma) * spread**2 / width(sigma) ** 2 * (x - (1 - sigma) * mean)

    z, errors = torch.linspace(-3, 3, 13, dtype=torch.float64), []

    def solution(sigma):
        return (1 - sigma) * mean + width(sigma) * z

    ends = [math.log((1 - sigma) / sigma) for sigma in (high, low)]
    sigmas = [1 / (1 + math.exp(ends[0] + (ends[1] - ends[0]) * k / steps)) for k in range(steps + 1)]
    result = sample_unipc(
        denoise, solution(sigmas[0]), sigmas, lambda i, x, s, m: errors.append((x - solution(s)).abs().max().item())
    )
    return errors[-1], (result - solution(sigmas[-1])).abs().max().item()


def test_halving_the_steps_does_better_than_halve_the_error():
    """Third order inside, by the corrector; the closing first-order step leaves second order. Euler's ratio is 2."""
    inside, end = zip(*(gaussian_errors(steps) for steps in (80, 160, 320, 640)), strict=True)
    assert min(early / late for early, late in itertools.pairwise(inside)) > 6, inside
    assert min(early / late for early, late in itertools.pairwise(end)) > 3.3, end
    assert end[0] < 1e-3


@settings(deadline=None)
@given(
    sigmas=st.lists(st.floats(1e-300, 1 - 2**-53), min_size=2, max_size=12, unique=True),
    to_zero=st.booleans(),
    target=st.floats(-3, 3),
)
def test_an_unchanging_prediction_is_solved_exactly(sigmas, to_zero, target):
    """The straight line from the start to the target, however odd the steps."""
    levels = sorted(sigmas, reverse=True)
    lams = [math.log1p(-s) - math.log(s) for s in levels]
    assume(all(a < b for a, b in itertools.pairwise(lams)))
    levels += [0.0] if to_zero else []
    x = noise((5,), dtype=torch.float64)
    result = sample_unipc(lambda x, s: torch.full_like(x, target), x, levels)
    start, end = levels[0], levels[-1]
    expected = (1 - end) * target + end / start * (x - (1 - start) * target)
    torch.testing.assert_close(result, expected, atol=1e-9, rtol=1e-9)


@settings(deadline=None)
@given(
    grid=st.sets(st.integers(1, 999), min_size=2, max_size=40),
    to_zero=st.booleans(),
    slope=st.floats(-2, 2),
    offset=st.floats(-3, 3),
)
def test_any_descending_schedule_stays_finite(grid, to_zero, slope, offset):
    sigmas = [k / 1000 for k in sorted(grid, reverse=True)] + ([0.0] if to_zero else [])
    result = sample_unipc(lambda x, s: x - s * (slope * x + offset), noise((5,)), sigmas)
    assert result.shape == (5,) and bool(result.isfinite().all())
