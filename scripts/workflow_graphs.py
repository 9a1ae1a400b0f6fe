"""The example workflows that are wired from single nodes, and the list of all. Node ids are for ever."""

from __future__ import annotations

from collections.abc import Callable

from workflow_builder import Link, Workflow
from workflow_intents import INTENTS, RED_CIRCLE
from workflow_layout import arrange, box, column, row
from workflow_parts import (
    BLUE,
    CYAN,
    GREEN,
    GREY,
    PURPLE,
    RED,
    YELLOW,
    fast_lora,
    left_side,
    map_maker,
    mask_finders,
    planner,
    sam3,
    sampled,
    save_image,
    save_video,
    saved,
    start,
    text,
    two_experts,
)
from workflow_texts import EXAMPLES_NOTE, FAST, FAST_LORA

DEMO_CFG = 3.0  # unison_backend.demo.set.CFG, which a test compares
RED_CIRCLE_MOVES = "Create a 64x64 video of a red circle moving to the right on a blue background, 9 frames."


def demo() -> Workflow:
    """The shortest way to a picture."""
    made = start("unison_demo")
    plan = planner(made, RED_CIRCLE, {})["plan"]
    text(made, plan)
    sampler = sampled(made, plan, steps=8, cfg=DEMO_CFG)
    made.node("preview", "PreviewImage", images=sampler["images"])
    layout = row(
        left_side(),
        box("Instruction", BLUE, ["planner"]),
        column(box("Sources", GREEN, ["sources"]), box("Text", CYAN, ["projector", "text"])),
        box("Sampling", PURPLE, ["sampler"]),
        box("Results", RED, ["preview"]),
    )
    arrange(made, layout)
    return made


def two_columns(keys: list[str]) -> tuple[list[str], list[str]]:
    """So that a long list does not make the whole graph small."""
    half = -(-len(keys) // 2)
    return keys[:half], keys[half:]


def routed() -> Workflow:
    """All twelve tasks, wired from single nodes."""
    made = start("unison_route")
    made.note("examples", "Examples for the 12 tasks", EXAMPLES_NOTE)
    planned = planner(made, RED_CIRCLE, dict.fromkeys(("image1", "image2", "video1", "mask1")))
    plan = planned["plan"]
    words = text(made, plan)
    families = {
        "text": ("Sources: text", ("text_to_image", "text_to_video")),
        "reference": ("Sources: reference", ("image_reference", "video_reference")),
        "frames": ("Sources: first and last frame", ("image_to_video",)),
        "control": ("Sources: control", ("image_control", "video_control")),
        "editing": ("Sources: editing", ("image_editing", "video_editing")),
    }
    branches: dict[str, Link] = {}
    annotators = {"editing": mask_finders(made), "control": map_maker(made)}
    for family, (title, tasks) in families.items():
        given_here = annotators.get(family, {})
        sources = made.node(
            f"sources_{family}", "UnisonPrepareSources", title=title, plan=plan, length="whole", **given_here
        )
        branches |= dict.fromkeys(tasks, sources["sources"])
    route = made.node("route_task", "UnisonRouteTask", plan=plan, **branches)
    given = made.nodes["models"]
    vace = made.node("vace", "UnisonVACEConditioning", positive=words["positive"], negative=words["negative"],
                     vae=given["vae"], sources=route["chosen"])  # fmt: skip
    shift = made.node("shift", "ModelSamplingSD3", model=given["model"], shift=5.0)
    unipc = made.node("unipc", "UnisonSampler")
    sigmas = made.node("sigmas", "UnisonSigmas", steps=20)
    sample = made.node("sample", "SamplerCustom", model=shift["MODEL"], add_noise=True, noise_seed=0, cfg=DEMO_CFG,
                       positive=vace["positive"], negative=vace["negative"], sampler=unipc["sampler"],
                       sigmas=sigmas["sigmas"], latent_image=vace["latent"])  # fmt: skip
    trim = made.node("trim", "TrimVideoLatent", samples=sample["output"], trim_amount=vace["trim_latent"])
    decode = made.node("decode", "VAEDecode", samples=trim["LATENT"], vae=given["vae"])
    cut = made.node("cut", "ImageFromBatch", image=decode["IMAGE"], batch_index=0, length=vace["kept_frames"])
    kept = made.node("composite", "UnisonComposite", images=cut["IMAGE"], sources=route["chosen"])
    results = made.node("route_modality", "UnisonRouteModality", plan=plan, value=kept["images"])
    answers = made.node("route_answer", "UnisonRouteModality", plan=plan, value=planned["answer"])
    save_image(made, results["image"])
    video = made.node("create_video", "CreateVideo", images=results["video"], fps=vace["fps"], audio=vace["audio"])
    save_video(made, video["VIDEO"])
    made.node("answer", "UnisonAnswer", answer=answers["text"])
    layout = row(
        left_side(box("Examples", GREY, ["examples"])),
        column(
            box("Instruction and media", BLUE, ["image1", "video1"], ["image2", "mask1"], ["planner"]),
            box("Text", CYAN, ["projector"], ["text"]),
            box("Finding masks, making maps (off)", YELLOW, ["detector_loader", "segmenter_loader", "control_loader"]),
        ),
        box(
            "Sources", GREEN, *two_columns([f"sources_{family}" for family in families]), ["route_task"], align="middle"
        ),
        column(
            box(
                "Sampling",
                PURPLE,
                ["vace", "shift", "unipc", "sigmas"],
                ["sample", "trim", "decode", "cut", "composite"],
            ),
            box(
                "Results",
                RED,
                ["route_modality", "create_video", "route_answer"],
                ["save_image", "save_video", "answer"],
                align="rows",
            ),
        ),
    )
    arrange(made, layout)
    return made


def mixed() -> Workflow:
    """Unison's planner, text and sources with the host's own conditioning, sampling and tools."""
    made = start("unison_mixed_nodes")
    plan = planner(made, RED_CIRCLE_MOVES, {"image1": None})
    words = text(made, plan["plan"])
    given = made.nodes["models"]
    sources = made.node("sources", "UnisonPrepareSources", plan=plan["plan"], length="whole")
    lora = made.node("lora", "LoraLoaderModelOnly", bypassed=True, model=given["model"],
                     lora_name="your_lora.safetensors")  # fmt: skip
    padding = made.node("padding", "UnisonExactPadding", model=lora["MODEL"])
    # Off: it spoils the demo models' shapes, with its default of 0.2 all of them.
    cached = made.node("cache", "EasyCache", bypassed=True, model=padding["model"], reuse_threshold=0.05)
    shift = made.node("shift", "ModelSamplingSD3", model=cached["MODEL"], shift=5.0)
    native = {name: sources[name] for name in ("width", "height", "control_video", "control_masks")}
    vace = made.node("vace", "WanVaceToVideo", positive=words["positive"], negative=words["negative"],
                     vae=given["vae"], length=sources["num_frames"], reference_image=sources["references"],
                     **native)  # fmt: skip
    sample = made.node("sample", "KSampler", model=shift["MODEL"], seed=0, steps=20, cfg=DEMO_CFG,
                       sampler_name="uni_pc",
                       scheduler="simple", positive=vace["positive"], negative=vace["negative"],
                       latent_image=vace["latent"], denoise=1.0)  # fmt: skip
    trim = made.node("trim", "TrimVideoLatent", samples=sample["LATENT"], trim_amount=vace["trim_latent"])
    decode = made.node("decode", "VAEDecode", samples=trim["LATENT"], vae=given["vae"])
    cut = made.node("cut", "ImageFromBatch", image=decode["IMAGE"], batch_index=0, length=sources["kept_frames"])
    upscale = made.node("upscale", "ImageScaleBy", image=cut["IMAGE"], upscale_method="lanczos", scale_by=2.0)
    video = made.node("create_video", "CreateVideo", images=upscale["IMAGE"], fps=sources["fps"],
                      audio=sources["audio"])  # fmt: skip
    save_video(made, video["VIDEO"])
    layout = row(
        left_side(),
        box("Instruction and media", BLUE, ["image1"], ["planner"]),
        column(box("Sources", GREEN, ["sources"]), box("Text", CYAN, ["projector", "text"])),
        box("Sampling", PURPLE, ["vace", "lora", "padding", "cache", "shift"], ["sample", "trim", "decode", "cut"]),
        box("Results", RED, ["upscale", "create_video", "save_video"]),
    )
    arrange(made, layout)
    return made


def fast() -> Workflow:
    """Few steps through a distilled LoRA, one call of the model a step, with the host's own sampler."""
    made = start("unison_fast")
    media = ["image1", "video1", "mask1"]
    plan = planner(made, RED_CIRCLE, dict.fromkeys(media))["plan"]
    words = text(made, plan)
    given = made.nodes["models"]
    sources = made.node("sources", "UnisonPrepareSources", plan=plan, length="whole")
    vace = made.node("vace", "UnisonVACEConditioning", positive=words["positive"], negative=words["negative"],
                     vae=given["vae"], sources=sources["sources"])  # fmt: skip
    lora = made.node("lora", "LoraLoaderModelOnly", bypassed=True, models=fast_lora(), model=given["model"],
                     lora_name=FAST_LORA, strength_model=FAST["strength_model"])  # fmt: skip
    padding = made.node("padding", "UnisonExactPadding", model=lora["MODEL"])
    shift = made.node("shift", "ModelSamplingSD3", model=padding["model"], shift=FAST["shift"])
    sample = made.node("sample", "KSampler", model=shift["MODEL"], seed=0, steps=FAST["steps"], cfg=1.0,
                       sampler_name="uni_pc", scheduler="simple", positive=vace["positive"],
                       negative=vace["negative"], latent_image=vace["latent"], denoise=1.0)  # fmt: skip
    trim = made.node("trim", "TrimVideoLatent", samples=sample["LATENT"], trim_amount=vace["trim_latent"])
    decode = made.node("decode", "VAEDecode", samples=trim["LATENT"], vae=given["vae"])
    cut = made.node("cut", "ImageFromBatch", image=decode["IMAGE"], batch_index=0, length=sources["kept_frames"])
    kept = made.node("composite", "UnisonComposite", images=cut["IMAGE"], sources=sources["sources"])
    route = made.node("route_modality", "UnisonRouteModality", plan=plan, value=kept["images"])
    save_image(made, route["image"])
    video = made.node("create_video", "CreateVideo", images=route["video"], fps=vace["fps"], audio=vace["audio"])
    save_video(made, video["VIDEO"])
    layout = row(
        left_side(),
        box("Instruction and media", BLUE, media, ["planner"]),
        column(box("Sources", GREEN, ["sources"]), box("Text", CYAN, ["projector", "text"])),
        box("Sampling", PURPLE, ["vace", "lora", "padding", "shift"], ["sample", "trim", "decode", "cut", "composite"]),
        box("Results", RED, ["route_modality", "create_video"], ["save_image", "save_video"]),
    )
    arrange(made, layout)
    return made


def by_sam3() -> Workflow:
    """An edit whose mask ComfyUI's own SAM3 finds, by the words that the plan names."""
    made = start("unison_sam3")
    plan = planner(made, "Make the circle in <video1> yellow.", {"video1": None})["plan"]
    text(made, plan)
    mask = sam3(made, plan, Link(made.nodes["video1"], 0))
    sampled(made, plan, {"mask": mask}, steps=20, cfg=0.0)
    saved(made, plan, is_edit=True)
    layout = row(
        left_side(),
        box("Instruction and media", BLUE, ["video1"], ["planner"]),
        column(
            box(
                "Mask by SAM3", YELLOW, ["details", "sam3"], ["sam3_words", "sam3_frames"], ["sam3_track", "sam3_mask"]
            ),
            box("Text", CYAN, ["projector"], ["text"]),
        ),
        column(box("Sources", GREEN, ["sources"]), box("Sampling", PURPLE, ["sampler", "composite"])),
        box("Results", RED, ["route_modality", "create_video"], ["save_image", "save_video"]),
    )
    arrange(made, layout)
    return made


# Of 20 steps at shift 5 with the host's schedule "simple": where the noise falls below 0.875 of its range.
CHANGE = 9


def experts() -> Workflow:
    """Wan2.2-VACE-Fun's two experts with the host's own samplers, one after the other."""
    made, high, low = two_experts("unison_experts")
    media = ["image1", "video1", "mask1"]
    plan = planner(made, RED_CIRCLE_MOVES, dict.fromkeys(media))["plan"]
    words = text(made, plan)
    given = made.nodes["models"]
    sources = made.node("sources", "UnisonPrepareSources", plan=plan, length="whole")
    vace = made.node("vace", "UnisonVACEConditioning", positive=words["positive"], negative=words["negative"],
                     vae=given["vae"], sources=sources["sources"])  # fmt: skip
    shifts = {}
    for end, model in (("", high), ("_low", low)):
        lora = made.node(f"lora{end}", "LoraLoaderModelOnly", bypassed=True, model=model,
                         lora_name="your_lora.safetensors")  # fmt: skip
        padding = made.node(f"padding{end}", "UnisonExactPadding", model=lora["MODEL"])
        shifts[end] = made.node(f"shift{end}", "ModelSamplingSD3", model=padding["model"], shift=5.0)["MODEL"]
    shared = {"noise_seed": 0, "steps": 20, "cfg": DEMO_CFG, "sampler_name": "euler", "scheduler": "simple",
              "positive": vace["positive"], "negative": vace["negative"]}  # fmt: skip
    first = made.node("sample", "KSamplerAdvanced", title="High noise: the first steps", model=shifts[""],
                      add_noise="enable", latent_image=vace["latent"], start_at_step=0, end_at_step=CHANGE,
                      return_with_leftover_noise="enable", **shared)  # fmt: skip
    last = made.node("sample_low", "KSamplerAdvanced", title="Low noise: the rest", model=shifts["_low"],
                     add_noise="disable", latent_image=first["LATENT"], start_at_step=CHANGE, end_at_step=10000,
                     return_with_leftover_noise="disable", **shared)  # fmt: skip
    trim = made.node("trim", "TrimVideoLatent", samples=last["LATENT"], trim_amount=vace["trim_latent"])
    decode = made.node("decode", "VAEDecode", samples=trim["LATENT"], vae=given["vae"])
    cut = made.node("cut", "ImageFromBatch", image=decode["IMAGE"], batch_index=0, length=sources["kept_frames"])
    kept = made.node("composite", "UnisonComposite", images=cut["IMAGE"], sources=sources["sources"])
    route = made.node("route_modality", "UnisonRouteModality", plan=plan, value=kept["images"])
    save_image(made, route["image"])
    video = made.node("create_video", "CreateVideo", images=route["video"], fps=vace["fps"], audio=vace["audio"])
    save_video(made, video["VIDEO"])
    sides = [["vace", "lora", "padding", "shift"], ["sample"], ["lora_low", "padding_low", "shift_low"], ["sample_low"]]
    layout = row(
        left_side(more=["unet_low"], models=["models", "models_low"]),
        box("Instruction and media", BLUE, media, ["planner"]),
        column(box("Sources", GREEN, ["sources"]), box("Text", CYAN, ["projector", "text"])),
        box("Sampling", PURPLE, *sides, ["trim", "decode", "cut", "composite"]),
        box("Results", RED, ["route_modality", "create_video"], ["save_image", "save_video"]),
    )
    arrange(made, layout)
    return made


WORKFLOWS: tuple[Callable[[], Workflow], ...] = (demo, *INTENTS, by_sam3, mixed, fast, experts, routed)
