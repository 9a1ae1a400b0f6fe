"""The host's memory manager with a planner in it, on a device that is told to be small.

The device is `cpu:0`: the same memory, but not the `cpu` that the manager takes for unlimited.
"""

import gc
import importlib
import logging

import torch


class Warnings(logging.Handler):
    """Keeps what the host warns about."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def main(pack, arguments):
    """Who is loaded after planning, after the sampler's model came, and after planning again."""
    from comfy import model_management as mm

    device = torch.device("cpu", 0)
    mm.text_encoder_device = mm.get_torch_device = lambda: device
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    demo_models = importlib.import_module(f"{pack.__name__}.nodes.demo_models")
    prompts = importlib.import_module(f"{pack.__name__}.unison_backend.plan.prompt")
    files = demo_models.ensure(lambda *_: None)
    with torch.inference_mode():
        planner, model = demo_models.planner(files, lambda *_: None), demo_models.model(files)
        needed = model.model_size() * 1.1 + mm.minimum_inference_memory()
        budget = {"bytes": needed + planner.patcher.model_size() / 2}

        def free(dev=None, torch_free_too=False):
            left = budget["bytes"] - sum(loaded.model_loaded_memory() for loaded in mm.current_loaded_models)
            return (left, left) if torch_free_too else left

        mm.get_free_memory = free
        prompt = prompts.Prompt(("Create a picture of a dog.",))
        made, steps = [], []

        def note():
            steps.append([type(entry.model.model).__name__ for entry in mm.current_loaded_models])

        def plan():
            made.append(planner.plan(prompt, "auto", lambda *_: None, lambda: False).features.clone())
            note()

        plan()
        mm.load_models_gpu([model])  # half of the planner has to go
        note()
        partly = planner.patcher.loaded_size() / planner.patcher.model_size()
        plan()
        mm.unload_all_models()
        note()
        budget["bytes"] = needed
        plan()
        mm.load_models_gpu([model])  # all of it
        note()
        plan()
    planner = None
    gc.collect()
    mm.cleanup_models_gc()
    mm.cleanup_models()
    note()
    same = all(bool(torch.equal(made[0], other)) for other in made)
    return {"steps": steps, "same": same, "partly": partly, "warnings": warnings.lines}
