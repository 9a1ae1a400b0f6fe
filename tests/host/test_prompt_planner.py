"""Plain vision-language models plan by prompt in the real host, held by its memory manager.

The host's Python takes the package llguidance; UNISON_TEST_LLGUIDANCE names a folder with it for a host that has none.
"""

import graphs
import pytest
from host_packages import environment_with, imports, unit_module
from host_prompts import Graph, steps

from unison_backend.demo import set as demo

tiny = unit_module("tiny_chat_models")


@pytest.fixture(scope="module")
def asking(host_install, host_environment, tmp_path_factory):
    """A host with llguidance, a plain Qwen2.5-VL as folder and as file, and a Qwen3-VL."""
    import comfy_host

    env = environment_with(host_install, "llguidance", "UNISON_TEST_LLGUIDANCE")
    base = tmp_path_factory.mktemp("asking")
    furnish(base / "models", tmp_path_factory.mktemp("cache"))
    with comfy_host.ComfyHost(host_install, base=base, env={**host_environment, **env}) as running:
        yield running


def furnish(models, cache):
    small = demo.ensure_untrained(cache).planner
    (models / "LLM").mkdir(parents=True)
    tiny.plain(small, models / "LLM" / "plain")
    tiny.qwen3(small, models / "LLM" / "qwen3")
    whole = tiny.as_the_hub(small, cache / "whole")
    tiny.in_one_file(whole, models, tiny.load_file(whole / "model.safetensors"))
    tiny.forget_signals(models / "unison" / "qwen2.5-vl-tokenizer")


def planned(instruction, name, settings=None, **inputs):
    """(graph, loader, planner): a plan by the model of this name."""
    graph = Graph()
    loader = graph.node("UnisonLoadPlanner", planner=name, lora="none", **inputs)
    planner = graph.node("UnisonPlanner", instruction=instruction, planner=loader, **settings or {"max_new_tokens": 2})
    graph.node("PreviewAny", source=planner[2])
    return graph, loader, planner


def told(card):
    return [reason["text"] for reason in card["reasons"]]


FILE = f"text_encoders/{tiny.NAME}"


@pytest.mark.parametrize("name", ["LLM/plain", "LLM/qwen3", FILE])
def test_a_named_model_without_planning_weights_plans_by_prompt(asking, name):
    options = asking.object_info("UnisonLoadPlanner")["input"]["required"]["planner"]
    assert name in (options[0] if isinstance(options[0], list) else options[1]["options"])
    graph, _, planner = planned("Create a picture of a dog.", name, {"output": "picture"})
    run = graphs.succeeded(asking.run(graph.prompt))
    card = run.outputs[planner.id]["unison_plan"][0]
    assert (card["planner"], card["task"]) == ("prompt", "text_to_image")
    assert told(card)[0] == f"planned by prompt: {name} has no planning weights"
    assert not any("planned by the rules" in text for text in told(card))
    assert max(steps(event, planner.id) for event in run.events) > 20  # tokens


def test_it_sees_its_pictures_and_comes_back_after_it_was_freed(asking):
    graph = Graph()
    loader = graph.node("UnisonLoadPlanner", planner="LLM/qwen3", lora="none", plan_by="prompt")
    picture = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0xFF0000)
    planner = graph.node(
        "UnisonPlanner", instruction="paint it blue", planner=loader, image1=picture, output="picture", max_new_tokens=2
    )
    details = graph.node("UnisonPlanDetails", plan=planner[0])
    graph.node("PreviewAny", source=details[16])
    cards = []
    for words in ("paint it blue", "paint it green"):
        graph.prompt[planner.id]["inputs"]["instruction"] = words
        run = graphs.succeeded(asking.run(graph.prompt))
        cards.append(run.outputs[planner.id]["unison_plan"][0])
        asking.post("/free", {"unload_models": True, "free_memory": False})
    assert [card["planner"] for card in cards] == ["prompt", "prompt"]
    assert cards[0]["task"] == cards[1]["task"] != "text_to_video"
    assert not any("has no planning weights" in text for text in told(cards[0]))  # it was asked for


def test_cancel_stops_a_plan_under_way(asking):
    graph, _, planner = planned("Why is the sky blue?", "LLM/plain", {"output": "auto", "max_new_tokens": 1000})
    handle = asking.start(graph.prompt)
    handle.wait_for(lambda event: steps(event, planner.id) > 2)
    handle.interrupt()
    run = handle.result()
    assert run.status == "interrupted", run.why
    assert max(steps(event, planner.id) for event in run.events) < 300
    graph, _, _ = planned("a cat", "LLM/plain", {"output": "picture", "max_new_tokens": 2})
    graphs.succeeded(asking.run(graph.prompt))


def test_auto_and_rules_leave_planning_to_the_rules(asking):
    graph, loader, planner = planned("Create a picture of a dog.", "auto")
    run = graphs.succeeded(asking.run(graph.prompt))
    card = run.outputs[planner.id]["unison_plan"][0]
    assert run.outputs[loader.id]["unison_notices"] == ["auto: LLM/plain"]
    assert card["planner"] == "rules"
    assert "the rules plan: LLM/plain has no planning weights; plan_by prompt has it plan" in told(card)

    graph, _, planner = planned("Create a picture of a dog.", "LLM/qwen3", plan_by="rules")
    card = graphs.succeeded(asking.run(graph.prompt)).outputs[planner.id]["unison_plan"][0]
    assert card["planner"] == "rules" and not any("planning weights" in text for text in told(card))

    graph, _, planner = planned("What is a dog?", "LLM/qwen3", plan_by="rules")
    run = graphs.succeeded(asking.run(graph.prompt))
    assert run.outputs[planner.id]["unison_plan"][0]["answer"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"planner": "rules", "lora": "none"}, "plan_by is prompt, and planner is rules"),
        ({"planner": "auto", "lora": "none"}, "There is no planner in the models folders yet"),
    ],
)
def test_what_does_not_go_together(host, inputs, message):
    graph = Graph()
    loader = graph.node("UnisonLoadPlanner", plan_by="prompt", **inputs)
    graph.node("UnisonPlanner", instruction="a dog", planner=loader)
    graph.node("PreviewAny", source=graph.node("UnisonPlanner", instruction="a dog", planner=loader)[3])
    run = host.run(graph.prompt)
    assert run.status == "error" and message in run.why


def test_without_the_library_it_says_what_to_install(host_install, fresh_host, tmp_path):
    if imports(host_install, "llguidance", {}):
        pytest.skip("the host's Python has llguidance")
    host = fresh_host()
    tiny.plain(demo.ensure_untrained(tmp_path / "cache").planner, host.models_folder / "LLM" / "plain")
    graph, _, planner = planned("Create a picture of a dog.", "LLM/plain")
    card = graphs.succeeded(host.run(graph.prompt)).outputs[planner.id]["unison_plan"][0]
    assert card["planner"] == "rules"
    assert any("planning by prompt takes llguidance: pip install llguidance" in text for text in told(card))
    graph, _, _ = planned("Create a picture of a dog.", "LLM/plain", plan_by="prompt")
    run = host.run(graph.prompt)
    assert run.status == "error" and "pip install llguidance (the extra `prompt`)" in run.why
