"""Graphs that are wired by hand: routes, guidance, fewer steps, two experts."""

from unison_backend.demo.set import CFG
from unison_backend.plan.tasks import Task
from unison_backend.weights.experts import BOUNDARY, side_of

from .shipped import API, BYPASSED, FAST_LORA, FAST_LORAS, NAMES, ROLES, WIRED, read, workflow_of


def test_routes_are_these_branches_and_no_other():
    roles = ROLES["unison_route"]
    prompt = read(API / "unison_route.json")
    branches = {
        "sources_text": ("text_to_image", "text_to_video"),
        "sources_reference": ("image_reference", "video_reference"),
        "sources_frames": ("image_to_video",),
        "sources_control": ("image_control", "video_control"),
        "sources_editing": ("image_editing", "video_editing"),
    }
    wanted = {task: [roles[role], 0] for role, tasks in branches.items() for task in tasks}
    assert prompt[roles["route_task"]]["inputs"] == {"plan": [roles["planner"], 0], **wanted}
    assert set(wanted) | {"text_understanding", "image_understanding", "video_understanding"} == {str(t) for t in Task}
    for role in branches:
        assert prompt[roles[role]]["inputs"]["plan"] == [roles["planner"], 0]


def test_graphs_sample_with_the_guidance_of_their_models():
    """Stock samplers take the demo models' number; the subgraph asks the model, whatever it is."""
    for name, role in (
        ("unison_demo", "sampler"),
        ("unison_experts", "sample"),
        ("unison_mixed_nodes", "sample"),
        ("unison_route", "sample"),
    ):
        assert read(API / f"{name}.json")[ROLES[name][role]]["inputs"]["cfg"] == CFG
    for name in (n for n in NAMES if n not in WIRED):
        assert read(API / f"{name}.json")[ROLES[name]["sampler"]]["inputs"]["cfg"] == 0


def test_the_fast_workflow_samples_as_the_template_that_ships_its_lora():
    """ComfyUI's video_wan_vace_14B_t2v, but for its 4 steps."""
    roles, prompt = ROLES["unison_fast"], read(API / "unison_fast.json")
    sample = prompt[roles["sample"]]
    assert sample["class_type"] == "KSampler"
    settings = {"steps": 8, "cfg": 1.0, "sampler_name": "uni_pc", "scheduler": "simple", "denoise": 1.0}
    assert settings.items() <= sample["inputs"].items()
    shift, padding = prompt[roles["shift"]]["inputs"], prompt[roles["padding"]]["inputs"]
    assert (shift["shift"], shift["model"]) == (8.0, [roles["padding"], 0])
    assert padding["model"] == [roles["models"], 0]
    (lora,) = [node for node in workflow_of("unison_fast")["nodes"] if node["type"] == "LoraLoaderModelOnly"]
    assert lora["mode"] == BYPASSED and lora["widgets_values"] == [FAST_LORA, 0.7]
    url = f"{FAST_LORAS}/resolve/main/{FAST_LORA}"
    assert lora["properties"]["models"] == [{"name": FAST_LORA, "url": url, "directory": "loras"}]


def test_two_experts_share_the_steps_where_wan_changes_them():
    roles, prompt = ROLES["unison_experts"], read(API / "unison_experts.json")
    first, last = (prompt[roles[role]] for role in ("sample", "sample_low"))
    assert {first["class_type"], last["class_type"]} == {"KSamplerAdvanced"}
    shared = ("steps", "cfg", "sampler_name", "scheduler", "noise_seed", "positive", "negative")
    assert all(first["inputs"][name] == last["inputs"][name] for name in shared)
    assert last["inputs"]["latent_image"] == [roles["sample"], 0]
    noise = ("add_noise", "return_with_leftover_noise")
    assert [first["inputs"][name] for name in noise] == ["enable", "enable"]
    assert [last["inputs"][name] for name in noise] == ["disable", "disable"]
    steps, shift = first["inputs"]["steps"], prompt[roles["shift"]]["inputs"]["shift"]
    assert shift == prompt[roles["shift_low"]]["inputs"]["shift"]
    times = [shift * u / (1 + (shift - 1) * u) for u in (1 - step / steps for step in range(steps))]
    change = sum(time >= BOUNDARY for time in times)
    ends = [(entry["inputs"]["start_at_step"], entry["inputs"]["end_at_step"]) for entry in (first, last)]
    assert ends == [(0, change), (change, 10000)]
    for end, models in (("", "models"), ("_low", "models_low")):
        assert prompt[roles[f"padding{end}"]]["inputs"]["model"] == [roles[models], 0]
    files = [
        node["widgets_values"][0] for node in workflow_of("unison_experts")["nodes"] if node["type"] == "UNETLoader"
    ]
    assert [side_of(file) for file in files] == ["high", "low"]
