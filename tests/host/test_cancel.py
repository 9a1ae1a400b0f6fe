"""Stop means stop, at the next token, layer, frame or step; what was made stays, and the next run works."""

import json
import shutil
import time

import graphs
import pytest
from host_prompts import Graph, steps
from safetensors.torch import load_file, save_file

from unison_backend.demo import set as demo


def stopped(host, graph, node, ready):
    """Press stop once `ready(event)`; seconds until the run had ended, and the run."""
    handle = host.start(graph.prompt)
    handle.wait_for(ready)
    start = time.monotonic()
    handle.interrupt()
    run = handle.result()
    assert run.status == "interrupted", run.why
    assert run.reached[-1] == node or run.display[run.reached[-1]] == node
    return time.monotonic() - start, run


def endless(source, folder):
    """An untrained Qwen whose head is its embedding: it says the same word again and again."""
    shutil.copytree(source, folder)
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tie_word_embeddings": True}))


def test_an_answer_under_way(fresh_host, tmp_path):
    host = fresh_host()
    endless(demo.ensure_untrained(tmp_path / "cache").planner, host.models_folder / "LLM" / "endless")
    graph = Graph()
    loaded = graph.node("UnisonLoadPlanner", planner="LLM/endless", lora="none", plan_by="rules")
    planner = graph.node("UnisonPlanner", instruction="Why is the sky blue?", planner=loaded, max_new_tokens=30000)
    graph.node("PreviewAny", source=planner[2])
    _, run = stopped(host, graph, planner.id, lambda event: event["type"] == "text")
    tokens = max(steps(event, planner.id) for event in run.events)
    assert 0 < tokens < 30000

    graph.prompt[planner.id]["inputs"]["max_new_tokens"] = 4
    graphs.succeeded(host.run(graph.prompt))


@pytest.mark.parametrize("all_in_one", [True, False])
def test_sampling_under_way(host, all_in_one):
    graph = Graph()
    models, planner = graphs.planned(graph, "Create a 64x64 picture of a cat.")
    if all_in_one:
        last = graphs.all_in_one(graph, models, planner, steps=1000, seed=11)
        graphs.save_image(graph, last[0])
        node = last.id
    else:
        _, vace = graphs.conditioned(graph, models, planner)
        last = graphs.sampled(graph, models, vace, 1000, seed=12)
        graph.node("SaveLatent", samples=last, filename_prefix="no")
        node = next(name for name, entry in graph.prompt.items() if entry["class_type"] == "SamplerCustom")
    _, run = stopped(host, graph, node, lambda event: steps(event, node) >= 2)
    done = max(steps(event, node) for event in run.events)
    assert done < 1000
    # What was made before is kept: the plan is not made again.
    for entry in graph.prompt.values():
        if "steps" in entry["inputs"]:
            entry["inputs"]["steps"] = 1
    run = graphs.succeeded(host.run(graph.prompt))
    assert planner.id not in run.executed


def test_sources_under_way(host):
    """81 frames are scaled one by one, and stop is heard between two of them."""
    graph = Graph()
    clip = graph.node("EmptyImage", width=960, height=544, batch_size=81, color=5)
    mask = graph.node("SolidMask", value=1.0, width=64, height=64)
    planner = graph.node("UnisonPlanner", instruction="Turn the car in <video1> red.", video1=clip, mask1=mask)
    sources = graph.node("UnisonPrepareSources", plan=planner)
    graph.node("PreviewAny", source=sources[4])
    _, run = stopped(host, graph, sources.id, lambda event: steps(event, sources.id) >= 2)
    assert max(steps(event, sources.id) for event in run.events) < 81
