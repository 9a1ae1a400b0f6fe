"""Detector and segmenter in the host's memory manager: out for a sampler's model, and back with equal results."""

import gc
import importlib
from pathlib import Path

import torch


def main(pack, arguments):
    """Who is loaded after looking, after the sampler's model came, and after looking again."""
    from comfy import model_management as mm

    dino, sam = (Path(folder) for folder in arguments)
    device = torch.device("cpu", 0)  # the same memory, but not the `cpu` that the manager takes for unlimited
    mm.text_encoder_device = mm.get_torch_device = lambda: device
    parts = {
        name: importlib.import_module(f"{pack.__name__}.{name}")
        for name in ("nodes.annotator_socket", "nodes.demo_models", "unison_backend.annotators.detector")
    }
    segmenters = importlib.import_module(f"{pack.__name__}.unison_backend.annotators.segmenter")
    holder, demo_models = parts["nodes.annotator_socket"], parts["nodes.demo_models"]
    steps, found = [], []

    def note():
        steps.append(sorted(type(entry.model.model).__name__ for entry in mm.current_loaded_models))

    with torch.inference_mode():
        load_detector = parts["unison_backend.annotators.detector"].load_detector
        detector = holder.AnnotatorModel.of(load_detector(dino))
        segmenter = holder.AnnotatorModel.of(segmenters.load_segmenter(sam))
        sampler = demo_models.model(demo_models.ensure(lambda *_: None))
        generator = torch.Generator().manual_seed(3)
        clip = torch.rand(4, 64, 96, 3, generator=generator)
        needed = sampler.model_size() * 1.1 + mm.minimum_inference_memory()

        def free(dev=None, torch_free_too=False):
            left = needed - sum(loaded.model_loaded_memory() for loaded in mm.current_loaded_models)
            return (left, left) if torch_free_too else left

        mm.get_free_memory = free

        def look():
            with detector.loaded() as tool:
                boxes = tool.detect(list(clip[:1]), ["cat"], threshold=0.0)
            with segmenter.loaded() as tool:
                masks = tool.track(clip, 1, boxes=[(20.0, 10.0, 70.0, 50.0)])
            found.append((str(boxes), masks.clone()))
            note()

        look()
        mm.load_models_gpu([sampler])
        note()
        look()
        places = sorted({str(value.device) for part in (detector, segmenter) for value in part.tool.model.parameters()})
    detector = segmenter = None
    gc.collect()
    mm.cleanup_models_gc()
    mm.cleanup_models()
    note()
    same = found[0][0] == found[1][0] and bool(torch.equal(found[0][1], found[1][1]))
    return {"steps": steps, "same": same, "places": places, "marked": float(found[0][1].float().mean())}
