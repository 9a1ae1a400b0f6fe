"""The projector and the text context against plain computations."""

import math
import pickle

import pytest
import torch
from safetensors.torch import save_file

from unison_backend.conditioning.projector import Projector, load_projector, project
from unison_backend.conditioning.text_context import CONTEXT_ROWS, clean_text, negative_prompt, text_context
from unison_backend.errors import InputError, WeightsError


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(0)
    shapes = {"ln_in": (8,), "net.0": (12, 8), "net.3": (20, 12), "ln_out": (20,), "seq_adjust": (4, 56)}
    tensors = {}
    for key, shape in shapes.items():
        tensors[f"{key}.weight"] = torch.randn(shape, generator=generator)
        tensors[f"{key}.bias"] = torch.randn(shape[0], generator=generator)
    return tensors


def by_hand(state, features):
    """The published formula, step by step, for one batch of rows."""

    def norm(x, key):
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-5)
        return scaled * state[f"{key}.weight"] + state[f"{key}.bias"]

    hidden = norm(features, "ln_in") @ state["net.0.weight"].T + state["net.0.bias"]
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
    rows = norm(hidden @ state["net.3.weight"].T + state["net.3.bias"], "ln_out")
    padded = torch.zeros(rows.shape[0], 56, rows.shape[2])
    count = min(56, rows.shape[1])
    padded[:, :count] = rows[:, :count]
    return torch.einsum("ks,bsd->bkd", state["seq_adjust.weight"], padded) + state["seq_adjust.bias"][None, :, None]


@pytest.mark.parametrize("rows", [1, 10, 56, 90])
@pytest.mark.parametrize("form", ["safetensors", "pth", "module"])
def test_output_equals_the_formula(tmp_path, state, rows, form):
    path = tmp_path / ("projector.safetensors" if form == "safetensors" else "projector.pth")
    stored = {f"module.{k}": v for k, v in state.items()} if form == "module" else state
    save_file(stored, path) if form == "safetensors" else torch.save(stored, path)
    projector = load_projector(path)
    features = torch.randn(1, rows, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(project(projector, features), by_hand(state, features), atol=2e-5, rtol=1e-5)


def test_published_size():
    assert sum(p.numel() for p in Projector(2048).parameters()) == 12_601_572
    assert sum(p.numel() for p in Projector(3584).parameters()) == 15_750_372


def test_it_runs_in_eval_mode_even_when_left_in_training(tmp_path, state):
    save_file(state, tmp_path / "p.safetensors")
    projector = load_projector(tmp_path / "p.safetensors")
    features = torch.randn(1, 9, 8)
    expected = project(projector, features)
    projector.train()
    assert torch.equal(project(projector, features), expected)


def test_half_precision_files_compute_in_float32(tmp_path, state):
    save_file({k: v.half() for k, v in state.items()}, tmp_path / "p.safetensors")
    assert project(load_projector(tmp_path / "p.safetensors"), torch.randn(1, 9, 8)).dtype == torch.float32


def test_wrong_width_and_wrong_file_are_said(tmp_path, state):
    save_file(state, tmp_path / "p.safetensors")
    with pytest.raises(WeightsError, match="width 8"):
        project(load_projector(tmp_path / "p.safetensors"), torch.randn(1, 9, 16))
    del state["net.3.bias"]
    save_file(state, tmp_path / "q.safetensors")
    with pytest.raises(WeightsError, match=r"q\.safetensors is no projector.*net\.3\.bias"):
        load_projector(tmp_path / "q.safetensors")


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path):
    (tmp_path / "projector.pth").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    with pytest.raises(WeightsError):
        load_projector(tmp_path / "projector.pth")
    assert not (tmp_path / "ran").exists()


# Text context


@pytest.mark.parametrize("rows", [1, 37, 512])
def test_both_contexts_have_exactly_2048_rows(rows):
    text, projected = torch.randn(rows, 16), torch.randn(1, 4, 16)
    positive, negative = text_context(text, projected), text_context(text)
    naive = torch.zeros(1, 2048, 16)
    for i in range(rows):
        naive[0, i] = text[i]
    assert torch.equal(negative, naive)
    for k in range(4):
        naive[0, rows + k] = projected[0, k]
    assert torch.equal(positive, naive)
    assert positive.shape[1] == negative.shape[1] == CONTEXT_ROWS


def test_too_many_rows_and_unequal_widths_are_refused():
    with pytest.raises(InputError, match="2049 rows"):
        text_context(torch.zeros(2045, 4), torch.zeros(1, 4, 4))
    with pytest.raises(InputError, match="widths 4 and 8"):
        text_context(torch.zeros(3, 4), torch.zeros(1, 4, 8))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  a \n\t b  ", "a b"),
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("it\u2019s (very) Nice!", "it's (very) Nice!"),
        ("a\u3000b", "a b"),
        ("caf\u00c3\u00a9", "caf\u00e9"),
    ],
)
def test_cleaning(text, clean):
    assert clean_text(text) == clean


def test_the_default_negative_prompt_is_wans():
    text = negative_prompt()
    assert (len(text), text.count("\uff0c") + 1) == (137, 28)
