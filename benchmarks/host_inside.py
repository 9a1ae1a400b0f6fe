"""What benchmarks/host.py runs inside the host: whole graphs as calls of the nodes' functions, in turns."""

import importlib
import resource
import statistics
import sys
from time import process_time
from types import ModuleType, SimpleNamespace

import torch
from torch.utils.flop_counter import FlopCounterMode

SIDE, CFG, SHIFT, SEED = 64, 5.0, 5.0, 0
# Ours has to read the words; the native graph is given what it reads in them.
INSTRUCTION = "Create a {side}x{side} {kind} of a red circle on a blue background{length}."
WORDS = "a red circle on a blue background"
NATIVE, WHOLE, OURS, REFERENCE = "native", "ours, all 2048 rows", "ours", "ours, UniPC Sampler"


def main(pack, arguments):
    """[mode, contestants, frames, steps, rounds]: figures of the runs, or the peak memory of one."""
    mode, names, frames, steps, rounds = arguments
    without_server()
    with torch.inference_mode():
        bench = Bench(pack, frames, steps)
        if mode == "memory":
            before = peak()
            bench.run(names[0])
            return {"peak_mb": (peak() - before) / 2**20}
        figures = {name: {"flops": bench.flops(name), "forwards": list(bench.forwards)} for name in names}
        pictures = {name: bench.run(name) for name in names}
        seconds = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                start = process_time()
                bench.run(name)
                seconds[name].append(process_time() - start)
    for name in names:
        figures[name] |= {"cpu_s": statistics.median(seconds[name]), "cpu_s_each": seconds[name]}
    if {WHOLE, OURS} <= set(names):
        figures[OURS]["apart_from_all_rows"] = float((pictures[WHOLE] - pictures[OURS]).abs().max()) * 255
    versions = {"python": sys.version.split()[0], "torch": torch.__version__, "threads": torch.get_num_threads()}
    return {"figures": figures, "versions": versions}


def without_server():
    """Nodes that write on themselves ask the host's server, which does not run here."""
    server = sys.modules.setdefault("server", ModuleType("server"))
    server.PromptServer = SimpleNamespace(instance=None)


def peak():
    """The most memory that this process ever held, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def call(node, **inputs):
    """The outputs of a node, old or new kind, given by class."""
    if hasattr(node, "execute"):
        made = node.PREPARE_CLASS_CLONE({"hidden_inputs": {}}).execute(**inputs)  # as the host does; nothing is hidden
        return getattr(made, "args", None) or made.result
    return getattr(node(), node.FUNCTION)(**inputs)


class Bench:
    """The embedded models and the graphs that are compared, each from its words to pictures."""

    def __init__(self, pack, frames, steps):
        self.frames, self.steps, self.forwards = frames, steps, []
        names = ("demo_models", "planning", "conditioning", "sources", "sampling", "padding")
        self.ours = SimpleNamespace(**{n: importlib.import_module(f"{pack.__name__}.nodes.{n}") for n in names})
        context = importlib.import_module(f"{pack.__name__}.unison_backend.conditioning.text_context")
        self.negative_words = context.negative_prompt()
        demo = self.ours.demo_models
        files = demo.ensure(lambda *_: None)
        self.clip, self.vae = demo.clip(files), demo.vae(files)
        self.planner, self.projector = demo.planner(files, lambda *_: None), demo.projector(files)
        self.model = self.watched(demo.model(files))

    def watched(self, model):
        """The model with a note of every forward, as batch x rows of text."""
        from comfy.patcher_extension import WrappersMP

        def watch(executor, x, timestep, context, *given, **named):
            self.forwards.append(f"{context.shape[0]}x{context.shape[1]}")
            return executor(x, timestep, context, *given, **named)

        model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "benchmark", watch)
        return model

    def flops(self, name):
        """Floating point operations of one whole run."""
        with FlopCounterMode(display=False) as counter:
            self.run(name)
        return counter.get_total_flops()

    def run(self, name):
        """Pictures [frames, height, width, 3]."""
        from comfy_extras.nodes_model_advanced import ModelSamplingSD3
        from comfy_extras.nodes_wan import TrimVideoLatent

        from nodes import VAEDecode

        self.forwards.clear()
        positive, negative, latent, trim = self.native() if name == NATIVE else self.unison()
        model = self.model
        if name == OURS:
            model = call(self.ours.padding.UnisonExactPadding, model=model)[0]
        model = call(ModelSamplingSD3, model=model, shift=SHIFT)[0]
        given = {"model": model, "positive": positive, "negative": negative, "latent_image": latent, "cfg": CFG}
        sampled = self.reference(given) if name == REFERENCE else self.stock(given)
        trimmed = call(TrimVideoLatent, samples=sampled, trim_amount=trim)[0]
        return call(VAEDecode, vae=self.vae, samples=trimmed)[0]

    def native(self):
        """ComfyUI's own nodes, with 512 rows of text."""
        from comfy_extras.nodes_wan import WanVaceToVideo

        from nodes import CLIPTextEncode

        sides = [call(CLIPTextEncode, clip=self.clip, text=text)[0] for text in (WORDS, self.negative_words)]
        size = {"width": SIDE, "height": SIDE, "length": self.frames, "batch_size": 1, "strength": 1.0}
        return call(WanVaceToVideo, positive=sides[0], negative=sides[1], vae=self.vae, **size)

    def unison(self):
        """Planner, projector, text context, sources, VACE conditioning."""
        parts = self.ours
        is_video = self.frames > 1
        words = INSTRUCTION.format(
            side=SIDE, kind="video" if is_video else "image", length=f", {self.frames} frames" if is_video else ""
        )
        plan, features, *_ = call(parts.planning.UnisonPlanner, instruction=words, planner=self.planner)
        projected = call(parts.conditioning.UnisonProjector, projector=self.projector, features=features)[0]
        sides = call(parts.conditioning.UnisonTextContext, clip=self.clip, plan=plan, projected=projected)
        sources = call(parts.sources.UnisonPrepareSources, plan=plan)[0]
        context = call(parts.sampling.UnisonVACEConditioning, positive=sides[0], negative=sides[1], vae=self.vae,
                       strength=1.0, sources=sources)  # fmt: skip
        return context[:4]

    def stock(self, given):
        """KSampler."""
        from nodes import KSampler

        settings = {"seed": SEED, "steps": self.steps, "sampler_name": "uni_pc_bh2", "scheduler": "simple"}
        return call(KSampler, **given, **settings)[0]

    def reference(self, given):
        """SamplerCustom with our sampler and schedule, which collapses by itself."""
        from comfy_extras.nodes_custom_sampler import SamplerCustom

        parts = self.ours.sampling
        sampler = call(parts.UnisonSampler, integer_time=True)[0]
        sigmas = call(parts.UnisonSigmas, steps=self.steps, shift=SHIFT)[0]
        return call(SamplerCustom, **given, add_noise=True, noise_seed=SEED, sampler=sampler, sigmas=sigmas)[0]
