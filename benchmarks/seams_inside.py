"""What benchmarks/seams.py runs inside the host: the same sources in segments, and at once with context windows."""

import importlib
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

SHIFT = 5.0
OURS, WINDOWS = "ComfyUI, ours", "ComfyUI, its context windows"


def main(pack, arguments):
    """[folder, kinds, seeds, settings]: made.safetensors in the folder, frames [T, H, W, 3] as maker/kind/seed."""
    folder, kinds, seeds, settings = arguments
    given = load_file(Path(folder) / "cases.safetensors")
    with torch.inference_mode():
        bench = Bench(pack, given, settings)
        made = {
            f"{name}/{kind}/{seed}": make(f"{kind}/{seed}", seed).float().cpu().contiguous()
            for kind in kinds
            for seed in range(seeds)
            for name, make in ((OURS, bench.in_segments), (WINDOWS, bench.in_windows))
        }
    save_file(made, Path(folder) / "made.safetensors")
    return list(made)


class Bench:
    """The embedded models in the host, and the cases that are made with them."""

    def __init__(self, pack, given, settings):
        self.given, self.settings = given, settings
        names = ("demo_models", "segments", "sources_socket", "unipc_sampler")
        self.ours = {name: importlib.import_module(f"{pack.__name__}.nodes.{name}") for name in names}
        part = f"{pack.__name__}.unison_backend"
        self.unipc = importlib.import_module(f"{part}.engine.unipc")
        self.plan = importlib.import_module(f"{part}.plan.segments")
        self.prepare = importlib.import_module(f"{part}.sources.prepare")
        self.segmented = importlib.import_module(f"{part}.sources.segmented")
        self.engine = importlib.import_module(f"{part}.engine.engine")
        self.parts = importlib.import_module(f"{part}.engine.segments")
        demo = self.ours["demo_models"]
        files = demo.ensure(lambda *_: None)
        self.vae = demo.vae(files)
        from comfy_extras.nodes_model_advanced import ModelSamplingSD3

        self.model = ModelSamplingSD3().patch(demo.model(files), shift=SHIFT)[0]

    def run(self, model, steps):
        """Our sampling of one part with a MODEL."""
        sampler, sigmas = self.ours["unipc_sampler"].make(True), self.unipc.flow_sigmas(self.settings["steps"], SHIFT)
        return self.ours["segments"].Run(model, sampler, sigmas, self.settings["cfg"], steps)

    def sources(self, key):
        reference = self.given.get(f"{key}/reference")
        pictures = () if reference is None else (reference,)
        return self.prepare.Sources(self.given[f"{key}/video"], self.given[f"{key}/mask"], pictures)

    def sides(self, key, sources):
        texts = [[[self.given[name], {}]] for name in (f"{key}/text", "negative")]
        return self.ours["segments"].with_vace(sources, *texts, self.vae, 1.0)

    def in_segments(self, key, seed):
        """As Sample in Segments (Unison) makes it."""
        sources = self.sources(key)
        how = self.plan.Segmenting(self.settings["frames"], self.settings["overlap"])
        whole = self.segmented.Segmented(sources, self.plan.segments_of(len(sources.video), how))
        run, noise = self.run(self.model, len(whole.segments)), self.noise(sources, seed)
        for part in whole.segments:
            given = whole.part()
            kept = self.parts.noise_of(noise, part, len(given.references))
            whole = whole.taking(self.decoded(run.sampled(*self.sides(key, given), kept, seed), given))
        return whole.frames()

    def in_windows(self, key, seed):
        """At once, with the host's node between model and sampler, as it comes but for length and overlap."""
        from comfy_extras.nodes_context_windows import WanContextWindowsManualNode

        sources = self.sources(key)
        length = {"context_length": self.settings["frames"], "context_overlap": self.settings["overlap"]}
        usual = {"context_schedule": "standard_uniform", "context_stride": 1, "closed_loop": False}
        usual |= {"fuse_method": "pyramid", "freenoise": True}
        model = WanContextWindowsManualNode.execute(model=self.model, **length, **usual).args[0]
        latents = self.run(model, 1).sampled(*self.sides(key, sources), self.noise(sources, seed), seed)
        return self.decoded(latents, sources)

    def noise(self, sources, seed):
        return self.engine.initial_noise(self.engine.noise_shape(sources), seed)

    def decoded(self, latents, sources):
        return self.ours["segments"].vae_decoded(self.vae, latents[:, :, len(sources.references) :])
