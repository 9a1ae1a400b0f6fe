"""Which of a server's models make a result."""

import pytest

from unison_backend.comfy.models import choose
from unison_backend.comfy.server import Server
from unison_backend.errors import InputError

from ..comfy_server import Comfy, combo, serving

REAL = (
    combo("UNETLoader", "unet_name", ["sd15.safetensors", "wan/wan2.1_vace_14B_fp16.safetensors",
                                      "wan/wan2.1_vace_1.3B_fp16.safetensors"])
    | combo("CLIPLoader", "clip_name", ["clip_l.safetensors", "umt5_xxl_fp8_e4m3fn_scaled.safetensors"], new=True)
    | combo("VAELoader", "vae_name", ["pixel_space", "wan_2.1_vae.safetensors"])
)  # fmt: skip


@pytest.fixture
def server():
    """`server(nodes)` is a server that lists them."""
    opened = []

    def start(nodes):
        context = serving(Comfy({"UnisonPlanFromJSON": {}, **nodes}))
        opened.append(context)
        return Server(context.__enter__().url)

    yield start
    for context in opened:
        context.__exit__(None, None, None)


def test_real_models_are_found_by_their_names_in_folders(server):
    models = choose(server(REAL), {})
    assert models.names == {
        "vace": "wan/wan2.1_vace_1.3B_fp16.safetensors",
        "text_encoder": "umt5_xxl_fp8_e4m3fn_scaled.safetensors",
        "vae": "wan_2.1_vae.safetensors",
    }
    assert not models.embedded
    assert "wan2.1_vace_1.3B_fp16.safetensors" in models.notices[0]


def test_a_name_without_its_folder_is_enough(server):
    assert choose(server(REAL), {"vace": "wan2.1_vace_14B_fp16.safetensors"}).names["vace"].startswith("wan/")


def test_a_name_that_is_not_there_says_what_is(server):
    with pytest.raises(InputError, match=r"has no vace 'mine\.safetensors': it lists sd15\.safetensors, wan/"):
        choose(server(REAL), {"vace": "mine.safetensors"})


def test_half_a_set_says_what_is_missing_and_where_it_goes(server):
    with pytest.raises(InputError, match=r"lists no UMT5-XXL \(models/text_encoders/\)"):
        choose(server({**REAL, "CLIPLoader": {}}), {})


def test_none_at_all_are_the_embedded_models_and_it_is_said(server):
    models = choose(server(combo("UNETLoader", "unet_name", ["sd15.safetensors"])), {})
    assert models.embedded
    assert "embedded demo models make the result" in models.notices[0]


def test_a_lora_and_the_embedded_models_do_not_go_together(server):
    nodes = combo("LoraLoaderModelOnly", "lora_name", ["a.safetensors"])
    with pytest.raises(InputError, match="lists no Wan VACE"):
        choose(server(nodes), {}, [("a.safetensors", 1.0)])


def test_planning_weights_bring_the_projector(server):
    planner = {"UnisonLoadPlanner": {"input": {"required": {
        "planner": [["auto", "rules", "Qwen2.5-VL-3B"], {}], "lora": [["none", "unison-lora"], {}]}}}}  # fmt: skip
    projector = combo("UnisonLoadProjector", "projector", ["projector.pth"])
    names = choose(server(REAL | planner | projector), {}).names
    assert (names["planner"], names["lora"]) == ("Qwen2.5-VL-3B", "unison-lora")
    assert names["projector"] == "projector.pth"
    # Without them the projector is idle, and what its loader lists may be only what belongs there.
    assert "projector" not in choose(server(REAL | projector), {}).names


def test_annotators_are_there_when_both_are(server):
    both = combo("UnisonLoadDetector", "detector", ["dino"]) | combo("UnisonLoadSegmenter", "segmenter", ["none found"])
    assert not choose(server(both), {}).finds_masks
    both |= combo("UnisonLoadSegmenter", "segmenter", ["sam2"])
    assert choose(server(both), {}).finds_masks


def test_a_control_model_is_taken_for_the_map_that_its_name_says(server):
    listed = combo("UnisonLoadControlModel", "control", ["vitpose", "raft_large.pth", "Depth-Anything-V2-Small"])
    models = choose(server(listed), {})
    assert models.control_model("depth") == "Depth-Anything-V2-Small"
    assert models.control_model("flow") == "raft_large.pth"
    assert models.control_model("canny") is None
