"""After each fault the next good prompt gives the same pixels: memory that runs out while sampling, stop, cut weights."""

import graphs
import numpy as np
import pytest
from host_prompts import Graph, steps
from PIL import Image

from unison_backend.demo import set as demo

# A sampler that runs out of memory at its second step, as a GPU does.
FAULTS = """
import comfy.samplers, torch
from comfy_api.latest import ComfyExtension, io

def full(model, noise, sigmas, extra_args=None, callback=None, disable=None, **_):
    model(noise, sigmas[:1].expand(noise.shape[0]), **(extra_args or {}))
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

class Full(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="TestFullSampler", outputs=[io.Sampler.Output()])
    @classmethod
    def execute(cls):
        return io.NodeOutput(comfy.samplers.KSAMPLER(full))

class Faults(ComfyExtension):
    async def get_node_list(self):
        return [Full]

async def comfy_entrypoint():
    return Faults()
"""


@pytest.fixture(scope="module")
def faulty(host_install, host_environment, tmp_path_factory):
    """A host that keeps no results, with the sampler that runs out of memory and a planner whose weights are cut."""
    from comfy_host import ComfyHost

    pack = tmp_path_factory.mktemp("packs") / "test-faults"
    pack.mkdir()
    (pack / "__init__.py").write_text(FAULTS, "utf-8")
    base = tmp_path_factory.mktemp("host")
    with ComfyHost(host_install, "--cache-none", base=base, env=host_environment, packs=[pack]) as running:
        cut = running.models_folder / "LLM" / "cut"
        cut.mkdir(parents=True)
        for file in demo.ensure().planner.iterdir():
            data = file.read_bytes()
            (cut / file.name).write_bytes(data[: len(data) // 2] if file.suffix == ".safetensors" else data)
        yield running


def graph_of(steps_made=2, cut=False, **parts):
    """A prompt for a picture, and the sampler's id."""
    graph = Graph()
    models, planner = graphs.planned(graph, "Draw a red circle, 64x64.")
    if cut:
        graph.prompt[planner.id]["inputs"]["planner"] = [
            graph.node("UnisonLoadPlanner", planner="LLM/cut", lora="none").id, 0
        ]  # fmt: skip
    _, vace = graphs.conditioned(graph, models, planner)
    parts = {name: graph.node(node) for name, node in parts.items()}
    latent = graphs.sampled(graph, models, vace, steps_made, seed=3, **parts)
    graphs.save_image(graph, graph.node("VAEDecode", samples=latent, vae=models[2]))
    return graph, next(name for name, entry in graph.prompt.items() if entry["class_type"] == "SamplerCustom")


def pixels(host):
    """What a good prompt makes."""
    before = set(host.output_folder.rglob("*.png"))
    graphs.succeeded(host.run(graph_of()[0].prompt))
    (path,) = set(host.output_folder.rglob("*.png")) - before
    return np.asarray(Image.open(path))


def test_the_next_prompt_gives_the_same_pixels_after_each_fault(faulty):
    wanted = pixels(faulty)
    assert wanted.shape == (64, 64, 3) and wanted.std() > 1

    run = faulty.run(graph_of(sampler="TestFullSampler")[0].prompt)
    assert run.error is not None and "out of memory" in run.error["exception_message"].lower()
    assert (pixels(faulty) == wanted).all()

    graph, sampler = graph_of(1000)
    handle = faulty.start(graph.prompt)
    handle.wait_for(lambda event: steps(event, sampler) >= 2)
    handle.interrupt()
    assert handle.result().status == "interrupted"
    assert (pixels(faulty) == wanted).all()

    run = faulty.run(graph_of(cut=True)[0].prompt)
    assert run.error is not None and "model.safetensors" in run.error["exception_message"], run.why
    assert (pixels(faulty) == wanted).all()
