"""Muon in float32 takes torch's steps, keeps torch's state and makes matrices orthogonal."""

import pytest
import torch
from torch import nn

from unison_backend.training import muon
from unison_backend.training.muon import Float32Muon, WithMuon, orthogonal

COEFFICIENTS = (3.4445, -4.775, 2.0315)


def matrices(shapes=((12, 40), (40, 12))):
    generator = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def trained(kind, steps=4):
    generator, values = torch.Generator().manual_seed(2), matrices()
    optimizer = kind(values, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(steps):
        for value in values:
            value.grad = torch.randn(value.shape, generator=generator)
        optimizer.step()
    return values, optimizer.state_dict()["state"]


def test_its_steps_and_its_state_are_torchs():
    ours, theirs = trained(Float32Muon), trained(torch.optim.Muon)
    for before, one, other in zip(matrices(), ours[0], theirs[0], strict=True):
        assert (one - before).abs().mean() > 1e-3
        torch.testing.assert_close(one - before, other - before, atol=3e-4, rtol=3e-2)  # torch's are in bfloat16
    for number, state in theirs[1].items():
        assert state.keys() == ours[1][number].keys()
        torch.testing.assert_close(state["momentum_buffer"], ours[1][number]["momentum_buffer"])


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (10, 10)])
def test_singular_values_come_to_lie_around_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    values = torch.linalg.svdvals(orthogonal(matrix, COEFFICIENTS, 5, 1e-7))
    assert values.min() > 0.4 and values.max() < 1.3
    assert torch.linalg.svdvals(matrix).max() > 3


@pytest.mark.parametrize(("computes", "kind"), [(True, torch.optim.Muon), (False, Float32Muon)])
def test_float32_is_for_devices_without_bfloat16(computes, kind, monkeypatch):
    monkeypatch.setattr(muon, "computes_bfloat16", lambda device: computes)
    rest = torch.optim.AdamW([nn.Parameter(torch.zeros(3))])
    assert type(WithMuon(matrices(), rest, 0.01, 0.0).parts[0]) is kind
