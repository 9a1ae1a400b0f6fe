"""Zero rows of text collapsed in the real host: the latents of the slow path, from a fraction of the rows.

`apart` is the norm of the difference of the latents over the norm of the slow path's. Forwards are batch x rows of text.
"""

import pytest

EXACT = 1e-5


@pytest.fixture(scope="module")
def numbers(run_inside):
    return run_inside("padding.py")


SHAPES = {
    "ksampler": (["2x2048"] * 2, ["2x288"] * 2),
    "sampler_custom": (["2x2048"] * 2, ["2x288"] * 2),
    "unipc": (["2x2048"] * 2, ["2x288"] * 2),
    "cfg_1": (["1x2048"] * 2, ["1x16"] * 2),
    "guider_with_three_sides": (["3x2048"] * 2, ["3x288"] * 2),
    "batch_of_two": (["4x2048"] * 2, ["4x288"] * 2),
    "lora": (["2x2048"] * 2, ["2x288"] * 2),
    # one forward in place of two
    "combine": (["2x2048", "1x512"] * 2, ["3x288"] * 2),
    "concat": (["1x4096", "1x2048"] * 2, ["2x296"] * 2),
    "timestep_range": (["2x2048", "2x2048", "3x2048"], ["2x288", "2x288", "3x288"]),
    "masks": (["3x2048"] * 2, ["3x288"] * 2),
    "as_long_as_the_sequence": (["1x2048"] * 2, ["1x24"] * 2),
}


@pytest.mark.parametrize("case", SHAPES)
def test_the_latents_are_those_of_all_rows(numbers, case):
    found = numbers[case]
    assert (found["before"], found["after"]) == SHAPES[case]
    assert found["whole"]
    assert found["size"] > 0.5
    assert found["apart"] < EXACT


def test_context_windows(numbers):
    """How many of them there are, the hosts' versions count differently: two or three for each of the two steps."""
    found = numbers["context_windows"]
    assert len(found["after"]) in (4, 6)
    assert found["before"] == ["2x2048"] * len(found["after"])
    assert found["after"] == ["2x288"] * len(found["after"])
    assert found["apart"] < EXACT


def test_a_lora_is_at_work_in_both(numbers):
    assert numbers["lora"]["changed"] > 0.01


def test_text_as_long_as_the_sequence_gets_other_rows(numbers):
    """Attention over itself and over the text are told apart by their lengths."""
    assert numbers["as_long_as_the_sequence"]["rows"] == numbers["as_long_as_the_sequence"]["length"]


def test_easy_cache_skips_the_same_steps(numbers):
    found = numbers["easy_cache"]
    assert found["before"] == ["2x2048"] * len(found["after"])
    assert found["after"] == ["2x288"] * len(found["after"])
    assert 0 < len(found["after"]) < 5
    assert found["apart"] < EXACT


def test_compiled_layers(numbers):
    found = numbers["compiled"]
    assert found["after"] == ["2x288"] * 2
    assert found["apart"] < EXACT
    first, second = found["graphs"]
    assert first == second > 0


def test_another_packs_attention_keeps_what_is_not_the_text(numbers):
    found = numbers["attention_override"]
    assert all(found[order]["apart"] < EXACT for order in ("before_ours", "behind_ours"))
    assert all(found[order]["after"] == ["2x288"] * 2 for order in ("before_ours", "behind_ours"))
    assert found["asked"] == [12]  # 12 places of latents in a picture of 64x48


def test_unloaded_and_loaded_again_it_is_one_model(numbers):
    found = numbers["unload_and_reload"]
    assert (found["unloaded"], found["loaded"]) == ([], ["WAN21_Vace"])
    assert found["apart"] == found["first"] < EXACT


def test_vace_at_strength_0_is_left_out(numbers):
    found = numbers["vace_strength_0"]
    assert all(found[name]["apart"] < EXACT for name in ("alone", "chained"))
    # calls of VACE's first block, slow and fast: 2 and 0 with one context; 4 and 2 with another that stays
    assert (found["alone"]["blocks"], found["chained"]["blocks"]) == (2, 6)


@pytest.mark.parametrize(("part", "name"), [("layer", "WanT2VCrossAttention.forward"), ("attention", "attention")])
def test_where_another_pack_changed_the_host_all_rows_stay(numbers, part, name):
    found = numbers["foreign_parts"]
    assert found[part]["after"] == ["2x2048"] * 2
    assert found[part]["apart"] == 0
    assert sum(line.endswith(f"{name}") and "replaced" in line for line in found["log"]) >= 1


def test_a_layer_that_was_put_back_is_the_hosts_again(numbers):
    assert numbers["foreign_parts"]["taken_back"]["after"] == ["2x288"] * 2


def test_the_node_twice_is_the_node_once(numbers):
    assert numbers["node"]["wrappers"] == {"sampler_sample": 1, "apply_model": 1}
    assert numbers["node"]["notices"] == {"unison_notices": []}
    assert numbers["node"]["other"] == "Linear is not the host's text-to-video Wan or VACE"


def test_in_bfloat16_it_is_as_near_as_all_rows_are(numbers):
    found = numbers["bfloat16"]
    assert found["dtype"] == "torch.bfloat16"
    assert 0 < found["fast"] < 1.1 * found["slow"]


RUNS = [f"{run}, {order}" for run in ("ksampler", "unipc", "strength_0") for order in ("split_last", "split_first")]


@pytest.mark.parametrize("run", RUNS)
def test_each_side_on_a_device_of_its_own(numbers, run):
    """The host's MultiGPU CFG Split, on either side of our node: each network is asked once a step, with few rows."""
    if numbers["several_devices"] is None:
        pytest.skip("this ComfyUI has no MultiGPU CFG Split")
    found = numbers["several_devices"][run]
    assert found["asked"] == [0, 0, 1, 1]
    assert found["after"] == ["1x288"] * 4
    assert found["whole"] and found["size"] > 0.5 and found["apart"] < EXACT
