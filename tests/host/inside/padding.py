"""Runs of the host's samplers with text of 2048 rows, collapsed and not: how far apart, and what the model was asked.

Each case is sampled twice in this one process, with the same noise: as the host does it alone, and with our wrappers.
A wrapper of the host's own kind around the network writes down every forward, as batch x rows of text.
"""

import importlib
import logging

import torch

STEPS = 2


def call(node, **inputs):
    """The outputs of a host's node, old or new kind, given by class."""
    if hasattr(node, "execute"):
        made = node.execute(**inputs)
        return getattr(made, "args", None) or made.result
    return getattr(node(), node.FUNCTION)(**inputs)


class Bench:
    """The embedded models, two sides of 2048 rows with VACE's context, and a way to sample with them."""

    def __init__(self, pack):
        def module(name):
            return importlib.import_module(f"{pack.__name__}.{name}")

        self.padding, self.run = module("nodes.host_padding"), module("nodes.host_run")
        self.node, self.network = module("nodes.padding").UnisonExactPadding, module("nodes.host_network")
        self.rows = module("unison_backend.conditioning.padding")
        self.sampler = module("nodes.unipc_sampler")
        self.unipc = module("unison_backend.engine.unipc")
        self.sampling = module("nodes.sampling")
        conditioning, demo = module("nodes.conditioning"), module("nodes.demo_models")
        files = demo.ensure(lambda *_: None)
        self.files = str(files.vace)
        self.model, self.vae, self.clip = demo.model(files), demo.vae(files), demo.clip(files)
        projected = [[torch.linspace(-1, 1, 4 * 4096).reshape(1, 4, 4096), {}]]
        texts = conditioning.UnisonTextContext.execute(
            clip=self.clip, prompt="a red circle on blue", projected=projected
        )
        self.texts = texts.args[:2]
        self.positive, self.negative, self.latent = self.vace(*self.texts)
        self.forwards = []
        self.slow = self.ksampler(self.model)

    def vace(self, positive, negative, frames=1, strength=1.0):
        """VACE's context for a grey video, 64x48."""
        video = torch.full((frames, 48, 64, 3), 0.5)
        return self.sampling.UnisonVACEConditioning.execute(
            positive, negative, self.vae, strength, control_video=video
        ).args[:3]

    def watched(self, model):
        """A clone whose forwards are written down."""
        from comfy.patcher_extension import WrappersMP

        def watch(executor, x, timestep, context, *given, **named):
            self.forwards.append(f"{context.shape[0]}x{context.shape[1]}")
            assert self.padding.BIAS not in named
            return executor(x, timestep, context, *given, **named)

        model = model.clone()
        model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "test_watch", watch)
        return model

    def compare(self, sample, model=None):
        """`sample(MODEL)` without and with our node: the difference of the latents, and both kinds of forwards."""
        model = self.watched(self.model if model is None else model)
        found = []
        for used in (model, self.node.execute(model).args[0]):
            self.forwards.clear()
            found.append((sample(used), list(self.forwards)))
        (slow, before), (fast, after) = found
        return told(slow, fast) | {"before": before, "after": after}

    def fast(self, model, wrap=True):
        """The default run with our node against the host's own, which every case of it shares."""
        self.forwards.clear()
        made = self.ksampler(self.watched(self.node.execute(model).args[0] if wrap else model))
        return told(self.slow, made) | {"after": list(self.forwards)}

    def ksampler(self, model, positive=None, negative=None, latent=None, **settings):
        """The latents of the host's KSampler."""
        from nodes import KSampler

        given = {"seed": 3, "steps": STEPS, "cfg": 5.0, "sampler_name": "uni_pc_bh2", "scheduler": "simple"} | settings
        return call(
            KSampler,
            model=model,
            positive=self.positive if positive is None else positive,
            negative=self.negative if negative is None else negative,
            latent_image=self.latent if latent is None else latent,
            **given,
        )[0]["samples"]

    def custom(self, model, **parts):
        """The latents of the host's SamplerCustom, by default with UniPC."""
        from comfy_extras.nodes_custom_sampler import SamplerCustom

        given = {
            "add_noise": True, "noise_seed": 3, "cfg": 5.0, "positive": self.positive, "negative": self.negative,
            "sampler": self.sampler.make(True), "sigmas": self.unipc.flow_sigmas(STEPS, 5.0), "latent_image": self.latent,
        }  # fmt: skip
        return call(SamplerCustom, model=model, **given | parts)[0]["samples"]


def told(slow, fast):
    """How far two latents are apart, against the first one's size, and that there is something to compare."""
    return {
        "apart": float((slow - fast).norm() / slow.norm()),
        "size": float(slow.std()),
        "whole": bool(torch.isfinite(fast).all()),
    }


def main(pack, arguments):
    """Facts for test_padding.py."""
    bench = Bench(pack)
    with torch.inference_mode():
        return {name: case(bench) for name, case in CASES.items() if not arguments or name in arguments}


CASES = {}


def case(function):
    """Register a case by its name."""
    CASES[function.__name__] = function
    return function


@case
def ksampler(bench):
    return bench.compare(bench.ksampler)


@case
def sampler_custom(bench):
    return bench.compare(lambda model: bench.custom(model, sampler=euler(), sigmas=torch.tensor([0.9, 0.5, 0.0])))


def euler():
    from comfy.samplers import sampler_object

    return sampler_object("euler")


@case
def unipc(bench):
    """Our sampler needs no node: its slow path is taken by keeping it from collapsing."""
    model, plain = bench.watched(bench.model), bench.run.spared
    found = []
    for collapses in (False, True):
        bench.run.spared = plain if collapses else lambda guider, options: options
        bench.forwards.clear()
        found.append((bench.custom(model), list(bench.forwards)))
    bench.run.spared = plain
    (slow, before), (fast, after) = found
    return told(slow, fast) | {"before": before, "after": after}


@case
def cfg_1(bench):
    """Only the positive side runs, and the other one's length counts for nothing."""
    long = [[torch.ones(1, 2048, 4096), bench.negative[0][1]]]
    return bench.compare(lambda model: bench.ksampler(model, cfg=1.0, negative=long))


@case
def guider_with_three_sides(bench):
    """DualCFGGuider also has a cfg of 1, which says nothing about its sides."""
    from comfy_extras.nodes_custom_sampler import DualCFGGuider, Noise_RandomNoise, SamplerCustomAdvanced

    def sample(model):
        names = {"cond1": bench.positive, "cond2": bench.negative, "negative": bench.negative}
        guider = call(DualCFGGuider, model=model, cfg_conds=3.0, cfg_cond2_negative=2.0, style="regular", **names)[0]
        return call(SamplerCustomAdvanced, noise=Noise_RandomNoise(3), guider=guider, sampler=euler(),
                    sigmas=torch.tensor([0.9, 0.5, 0.0]), latent_image=bench.latent)[0]["samples"]  # fmt: skip

    return bench.compare(sample)


@case
def batch_of_two(bench):
    """A batch of two, whose positive side holds two texts of different lengths, and whose negative is one for both."""
    (first, options), (other, _) = bench.positive[0], bench.negative[0]
    latent = {"samples": bench.latent["samples"].repeat(2, 1, 1, 1, 1)}
    both = [[torch.cat((first, other)), options]]
    return bench.compare(lambda model: bench.ksampler(model, positive=both, latent=latent))


@case
def easy_cache(bench):
    from comfy_extras.nodes_easycache import EasyCacheNode

    given = {"reuse_threshold": 1.0, "start_percent": 0.1, "end_percent": 0.95, "verbose": False}
    model = call(EasyCacheNode, model=bench.model, **given)[0]
    return bench.compare(lambda model: bench.ksampler(model, steps=5), model)


@case
def lora(bench):
    """Patches on the weights of a cross attention and of a VACE block."""
    from comfy.sd import load_lora_for_models

    made = {}
    for name in ("blocks.0.cross_attn.k", "blocks.1.cross_attn.v", "vace_blocks.0.cross_attn.q"):
        weight = dict(bench.model.model.diffusion_model.named_parameters())[f"{name}.weight"]
        draw = torch.Generator().manual_seed(len(made))
        made[f"diffusion_model.{name}.lora_down.weight"] = torch.randn(4, weight.shape[1], generator=draw)
        made[f"diffusion_model.{name}.lora_up.weight"] = torch.randn(weight.shape[0], 4, generator=draw) * 0.02
    model, _ = load_lora_for_models(bench.model, None, made, 0.8, 0)
    found = bench.compare(bench.ksampler, model)
    return found | {"changed": bench.fast(model)["apart"]}


@case
def combine(bench):
    """With a stock text of 512 rows, on the positive side."""
    from nodes import CLIPTextEncode, ConditioningCombine

    stock = call(CLIPTextEncode, clip=bench.clip, text="a green star")[0]
    stock, _, _ = bench.vace(stock, stock)
    both = call(ConditioningCombine, conditioning_1=bench.positive, conditioning_2=stock)[0]
    return bench.compare(lambda model: bench.ksampler(model, positive=both))


@case
def concat(bench):
    """4096 rows, with zeros between the words."""
    from nodes import ConditioningConcat

    both = call(ConditioningConcat, conditioning_to=bench.positive, conditioning_from=bench.negative)[0]
    return bench.compare(lambda model: bench.ksampler(model, positive=both))


@case
def timestep_range(bench):
    from nodes import ConditioningCombine, ConditioningSetTimestepRange

    first = call(ConditioningSetTimestepRange, conditioning=bench.positive, start=0.0, end=0.5)[0]
    second = call(ConditioningSetTimestepRange, conditioning=bench.negative, start=0.5, end=1.0)[0]
    both = call(ConditioningCombine, conditioning_1=first, conditioning_2=second)[0]
    return bench.compare(lambda model: bench.ksampler(model, positive=both, steps=3))


@case
def masks(bench):
    """A text for each half of the picture."""
    from nodes import ConditioningCombine, ConditioningSetMask

    left = torch.zeros(1, 48, 64)
    left[..., :32] = 1
    halves = [
        call(ConditioningSetMask, conditioning=text, mask=mask, set_cond_area="default", strength=1.0)[0]
        for text, mask in ((bench.positive, left), (bench.negative, 1 - left))
    ]
    both = call(ConditioningCombine, conditioning_1=halves[0], conditioning_2=halves[1])[0]
    return bench.compare(lambda model: bench.ksampler(model, positive=both))


@case
def context_windows(bench):
    from comfy_extras.nodes_context_windows import WanContextWindowsManualNode

    given = {"context_length": 9, "context_overlap": 5, "context_schedule": "standard_static", "context_stride": 1,
             "closed_loop": False, "fuse_method": "pyramid", "freenoise": False}  # fmt: skip
    model = WanContextWindowsManualNode.execute(bench.model, **given).args[0]
    positive, negative, latent = bench.vace(*bench.texts, frames=17)
    return bench.compare(lambda model: bench.ksampler(model, positive, negative, latent), model)


@case
def as_long_as_the_sequence(bench):
    """A picture whose sequence has as many rows as its text has left."""
    rows = bench.rows.rows_needed(bench.rows.live_rows(bench.texts[0][0][0]), bench.padding.ROW_MULTIPLE)
    video = torch.full((1, 16, 16 * rows, 3), 0.5)
    made = bench.sampling.UnisonVACEConditioning.execute(*bench.texts, bench.vae, 1.0, control_video=video).args
    found = bench.compare(lambda model: bench.ksampler(model, *made[:3], cfg=1.0))
    return found | {"rows": rows, "length": made[2]["samples"].shape[-1] * made[2]["samples"].shape[-2] // 4}


@case
def compiled(bench):
    """A layer compiled as the host does it, one as other packs do; and what the second run compiles anew."""
    from comfy_api.torch_helpers import set_torch_compile_wrapper
    from torch._dynamo.testing import CompileCounter

    model, counter = bench.model.clone(), CompileCounter()
    set_torch_compile_wrapper(model, counter, keys=["diffusion_model.blocks.0.cross_attn"])
    layer = torch.compile(bench.model.model.diffusion_model.vace_blocks[0].cross_attn, backend=counter)
    model.add_object_patch("diffusion_model.vace_blocks.0.cross_attn", layer)
    found, graphs = bench.fast(model), counter.frame_count
    bench.fast(model)
    return found | {"graphs": [graphs, counter.frame_count]}


@case
def attention_override(bench):
    """Another pack's override: asked for self attention, not for the text, whatever order the nodes stand in."""
    asked = []

    def override(func, q, k, v, *given, **named):
        asked.append(k.shape[1])
        return func(q, k, v, *given, **named)

    def overridden(model):
        model = model.clone()
        model.model_options["transformer_options"]["optimized_attention_override"] = override
        return model

    found = {"before_ours": bench.fast(overridden(bench.model))}
    found["behind_ours"] = bench.fast(overridden(bench.node.execute(bench.model).args[0]), wrap=False)
    return found | {"asked": sorted(set(asked))}


@case
def unload_and_reload(bench):
    from comfy import model_management

    found = []
    for _ in range(2):
        found.append(bench.fast(bench.model))
        model_management.unload_all_models()
    held = [type(entry.model.model).__name__ for entry in model_management.current_loaded_models if entry.model]
    again = bench.fast(bench.model)
    now = [type(entry.model.model).__name__ for entry in model_management.current_loaded_models if entry.model]
    return again | {"first": found[0]["apart"], "unloaded": held, "loaded": now}


@case
def vace_strength_0(bench):
    """VACE's blocks are not asked, alone and beside another VACE context, which stays."""
    found = {}
    idle = bench.vace(*bench.texts, strength=0.0)
    chained = bench.vace(*idle[:2], strength=0.7)
    counts = []
    block = bench.model.model.diffusion_model.vace_blocks[0]
    hook = block.register_forward_hook(lambda *_: counts.append(1))
    for name, given in (("alone", idle), ("chained", chained)):
        counts.clear()
        found[name] = bench.compare(lambda model, given=given: bench.ksampler(model, *given))
        found[name]["blocks"] = len(counts)
    hook.remove()
    return found


def networks_asked(model, sample):
    """What `sample(model)` makes, and the places of the networks that its forwards began in: 0 is the model's own."""
    asked, hooks = [], []
    for place, clone in enumerate([model, *model.get_additional_models_with_key("multigpu")]):
        embedding = clone.model.diffusion_model.patch_embedding
        hooks.append(embedding.register_forward_hook(lambda *_, place=place: asked.append(place)))
    made = sample(model)
    for hook in hooks:
        hook.remove()
    return made, sorted(asked)


@case
def several_devices(bench):
    """The host's node that gives each side a device of its own; None where it has none.

    The processor is given out as two devices: everything but the hardware is the host's own, threads included.
    """
    try:
        from comfy_extras.nodes_multigpu import MultiGPUCFGSplitNode
    except ImportError:
        return None
    from comfy import model_management

    devices = [torch.device("cpu"), torch.device("cpu", 0)]
    listed = model_management.get_all_torch_devices
    model_management.get_all_torch_devices = lambda exclude_current=False: devices
    idle = bench.vace(*bench.texts, strength=0.0)
    runs = {
        "ksampler": bench.ksampler,
        "unipc": bench.custom,
        "strength_0": lambda model: bench.ksampler(model, *idle),
    }
    found = {}
    try:
        for name, sample in runs.items():
            alone = sample(bench.model)
            for order in ("split_last", "split_first"):
                model = bench.watched(bench.model)
                if order == "split_last":
                    model = call(MultiGPUCFGSplitNode, model=bench.node.execute(model).args[0], max_gpus=2)[0]
                else:
                    model = bench.node.execute(call(MultiGPUCFGSplitNode, model=model, max_gpus=2)[0]).args[0]
                bench.forwards.clear()
                made, asked = networks_asked(model, sample)
                found[f"{name}, {order}"] = told(alone, made) | {"asked": asked, "after": bench.forwards[:]}
    finally:
        model_management.get_all_torch_devices = listed
    return found


@case
def foreign_parts(bench):
    """What others put in the place of the host's parts: the picture is theirs, with all rows."""
    from comfy.ldm.wan import model as wan

    cross, found = bench.model.model.diffusion_model.blocks[0].cross_attn, {}
    lines, log = [], logging.Handler()
    log.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger().addHandler(log)
    logging.getLogger().setLevel(logging.INFO)
    replaced = bench.model.clone()
    plain = type(cross).forward
    # as packs do it that give the negative text to the attention of the positive: without the host's options
    replaced.add_object_patch(
        "diffusion_model.blocks.0.cross_attn.forward", lambda x, context, **_: plain(cross, x, context)
    )
    found["layer"] = bench.fast(replaced)
    found["taken_back"] = bench.fast(bench.model)
    attention = wan.optimized_attention
    wan.optimized_attention = lambda *given, **named: attention(*given, heads=named["heads"])
    try:
        found["attention"] = bench.fast(bench.model)
    finally:
        wan.optimized_attention = attention
    logging.getLogger().removeHandler(log)
    return found | {"log": [line for line in lines if "Unison" in line]}


@case
def node(bench):
    """The node twice in a row, and on a model that is not Wan."""
    twice = bench.node.execute(bench.node.execute(bench.model).args[0])
    wrappers = {kind: len(keys.get(bench.run.KEY, [])) for kind, keys in twice.args[0].wrappers.items()}
    return {"wrappers": wrappers, "notices": twice.ui, "other": bench.network.foreign_part(torch.nn.Linear(1, 1))}


@case
def bfloat16(bench):
    """A network in bfloat16 against the same weights in float32: how far the host's own run is off, and ours."""
    import comfy.sd

    exact, given = {}, bench.positive
    network = bench.model.model.diffusion_model
    model = comfy.sd.load_diffusion_model(bench.files, model_options={"dtype": torch.bfloat16})
    small = model.model.diffusion_model
    rounded = {name: value.to(torch.bfloat16).float() for name, value in network.state_dict().items()}
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(rounded)
    exact = bench.ksampler(bench.model, steps=4)
    network.load_state_dict(kept)
    slow, fast = (bench.ksampler(m, given, steps=4) for m in (model, bench.node.execute(model).args[0]))
    dtype = str(next(iter(small.blocks[0].cross_attn.k.parameters())).dtype)
    return {"slow": told(exact, slow)["apart"], "fast": told(exact, fast)["apart"], "dtype": dtype}
