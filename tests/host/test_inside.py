"""Our nodes' numbers with the host's own objects, and the host's memory manager with a planner in it."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def numbers(run_inside):
    return run_inside("conditioning.py")


def test_both_sides_have_2048_rows(numbers):
    assert numbers["rows"] == [[1, 2048, 4096], [1, 2048, 4096]]


def test_projected_tokens_stand_behind_the_words(numbers):
    assert numbers["filled"] == 4
    assert numbers["projected_at"]


def test_text_is_cleaned_and_not_weighted(numbers):
    assert numbers["cleaned"] == 0
    assert numbers["weighted"] > 0  # the host's own reading of parentheses and colons is another one


def test_a_stock_text_encode_gives_the_same_rows(numbers):
    assert numbers["stock"] < 1e-5


def test_long_text_is_cut_as_in_the_reference(numbers):
    assert numbers["long"] == [512, True]


@pytest.mark.parametrize("case", ["plain", "reference"])
def test_our_vace_context_is_the_hosts(numbers, case):
    found = numbers["vace"][case]
    assert found["difference"] < 1e-5
    assert found["strength"] == [[0.7], [0.7]]
    assert found["latent"][0] == found["latent"][1]
    assert found["trim"][0] == found["trim"][1] == (case == "reference")
    assert found["kept"] == 1
    assert numbers["vace"]["input"] == ["kept"]  # what came in is left as it was


def test_unipc_refuses_models_that_are_no_flow(numbers):
    assert "flow models such as Wan" in numbers["refused"]


def test_the_host_evicts_a_planner_and_brings_it_back(run_inside):
    found = run_inside("memory.py")
    planner, sampler = "UnisonPlannerWeights", "WAN21_Vace"
    planned, short, replanned, unloaded, alone, evicted, back, dropped = found["steps"]
    assert planned == alone == [planner]
    assert set(short) == set(replanned) == {planner, sampler}
    assert 0 < found["partly"] < 1
    assert unloaded == []
    assert evicted == [sampler]
    assert planner in back
    assert planner not in dropped
    assert found["same"]
    assert not [line for line in found["warnings"] if "leak" in line]


def test_the_host_evicts_annotators_and_brings_them_back(run_inside, tmp_path):
    path = Path(__file__).resolve().parents[1] / "unit" / "tiny_annotators.py"
    spec = importlib.util.spec_from_file_location("tiny_annotators", path)
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    tiny.make_detector(tmp_path / "dino")
    tiny.make_segmenter(tmp_path / "sam")
    found = run_inside("annotators.py", str(tmp_path / "dino"), str(tmp_path / "sam"))
    annotators, sampler = ["UnisonAnnotatorWeights"] * 2, "WAN21_Vace"
    looked, evicted, again, dropped = found["steps"]
    assert looked == annotators
    assert evicted == [sampler]
    assert again.count("UnisonAnnotatorWeights") >= 1
    assert found["same"]
    assert 0 < found["marked"] < 1  # a mask that is all or nothing would be the same whatever became of the weights
    assert "UnisonAnnotatorWeights" not in dropped
