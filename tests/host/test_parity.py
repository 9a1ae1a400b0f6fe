"""The host's graph and the standalone engine, given the same weights and inputs, make the same latents."""

from pathlib import Path

import graphs
import pytest
import torch
from host_prompts import Graph
from PIL import Image
from safetensors.torch import load_file

from unison_backend.conditioning import text_context as conditioning
from unison_backend.demo import set as demo
from unison_backend.engine.engine import initial_noise
from unison_backend.engine.settings import SamplingSettings
from unison_backend.engine.vace_context import encode_context
from unison_backend.pipeline.planning import make_plan
from unison_backend.pipeline.stages import Stages
from unison_backend.pipeline.texts import encode_texts, project_features
from unison_backend.plan.prompt import parse_paths
from unison_backend.progress import never, silent
from unison_backend.sources.prepare import prepare
from unison_backend.weights.find import ModelPaths

STEPS = 8
CASES = {
    "text_to_image": ("Create a 64x64 image of a red circle on a blue background.", ()),
    "image_editing": ("Replace the circle in <image1> with a square. Here is the mask <mask1>.", ("image1", "mask1")),
    "image_reference": ("Create a 64x96 image with the person in <image1> on a beach.", ("image1",)),
    "image_to_video": ("Animate <image1>. Use it as the first frame, 9 frames.", ("image1",)),
}


def draw(folder: Path, socket: str) -> Path:
    """A picture with a gradient, or a mask with a white square; 64x64.

    The mask is RGB too: 0.33's loader reads a grey PNG through FFmpeg, and its white comes back a little grey.
    """
    path = folder / f"parity_{socket}.png"
    picture = Image.linear_gradient("L").resize((64, 64))
    if socket.startswith("mask"):
        picture = Image.new("RGB", (64, 64))
        picture.paste("white", (16, 24, 48, 56))
    else:
        picture = Image.merge("RGB", (picture, picture.rotate(90), picture.rotate(180)))
        picture.paste((200, 30, 30), (20, 20, 44, 44))
    picture.save(path)
    return path


@pytest.mark.parametrize("task", CASES)
def test_host_and_engine_make_the_same_latents(task, host, host_environment):
    instruction, sockets = CASES[task]
    files = {socket: draw(host.input_folder, socket) for socket in sockets}

    graph = Graph()
    models, planner = graphs.planned(graph, instruction, {socket: path.name for socket, path in files.items()})
    _, vace = graphs.conditioned(graph, models, planner)
    saved = graph.node("SaveLatent", samples=graphs.sampled(graph, models, vace, STEPS, seed=7), filename_prefix=task)
    run = graphs.succeeded(host.run(graph.prompt, timeout=300))
    (path,) = run.files(saved)
    theirs = load_file(path)["latent_tensor"]

    text = instruction
    for socket, file in files.items():
        text = text.replace(f"<{socket}>", f"###{file}###")
    ours = engine_latents(text, demo.ensure(Path(host_environment["UNISON_CACHE"])))
    assert str(run.outputs[planner.id]["unison_plan"][0]["task"]) == task
    assert theirs.shape == ours.shape
    assert ours.std() > 0.1
    assert (theirs - ours).abs().max() < 1e-3


def engine_latents(text: str, files: demo.DemoSet) -> torch.Tensor:
    """What the command line's pipeline samples, un-normalised as the host hands latents on."""
    planned = make_plan(parse_paths(text))
    models = ModelPaths(
        files.vace, files.vae, files.text_encoder, files.projector, files.planner, files.lora, demo=True
    )
    sources = prepare(planned.plan, planned.spec, planned.media)
    stages = Stages(models, "cpu")
    projected, _ = project_features(planned, stages, never)
    assert projected is not None
    contexts = encode_texts(planned, projected, stages, None, silent, never)
    assert all(context.shape[1] == conditioning.CONTEXT_ROWS for context in contexts)
    engine = stages.engine()
    context = encode_context(sources, engine.encode)
    noise = initial_noise((1, 16, *context.shape[2:]), seed=7)
    latents = engine.sample(noise, context, *contexts, SamplingSettings(steps=STEPS, seed=7))
    return (latents * engine.coder._std + engine.coder._mean)[:, :, len(sources.references) :]
