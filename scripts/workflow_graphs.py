"""The example workflows. File names and node ids are for ever."""

from __future__ import annotations

from collections.abc import Callable

from workflow_builder import Link, Workflow
from workflow_layout import arrange, box, column, row
from workflow_parts import (
    BLUE,
    BROWN,
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
    sampled,
    save_image,
    save_video,
    saved,
    start,
    text,
)
from workflow_texts import EXAMPLES_NOTE, FAST, FAST_LORA

RED_CIRCLE = "Create a 64x64 image of a red circle on a blue background."
RED_CIRCLE_MOVES = "Create a 64x64 video of a red circle moving to the right on a blue background, 9 frames."


def demo() -> Workflow:
    """The shortest way to a picture."""
    made = start("unison_demo", "Unison: demo (runs at once)")
    plan = planner(made, RED_CIRCLE, [], [])["plan"]
    text(made, plan)
    sampler = sampled(made, plan, steps=8, cfg=3.0)  # demo.CFG
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


def auto() -> Workflow:
    """All twelve tasks, wired from single nodes."""
    made = start("unison_auto", "Unison: auto, all 12 tasks")
    made.note("examples", "Examples for the 12 tasks", EXAMPLES_NOTE)
    media = ["image1", "image2", "video1", "mask1"]
    planned = planner(made, RED_CIRCLE, media, media)
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
    sigmas = made.node("sigmas", "UnisonSigmas")
    sample = made.node("sample", "SamplerCustom", model=shift["MODEL"], add_noise=True, noise_seed=0, cfg=5.0,
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
    made.node("answer", "PreviewAny", title="Answer", source=answers["text"])
    layout = row(
        left_side(box("Examples", GREY, ["examples"])),
        column(
            box("Instruction and media", BLUE, ["image1", "video1"], ["image2", "mask1"], ["planner"]),
            box("Text", CYAN, ["projector"], ["text"]),
        ),
        column(
            box("Finding masks, making maps (off)", YELLOW, ["detector_loader", "segmenter_loader", "control_loader"]),
            box("Sources", GREEN, [f"sources_{family}" for family in families], ["route_task"], align="middle"),
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


def understanding() -> Workflow:
    """Questions, about nothing, a picture or a video."""
    made = start("unison_understanding", "Unison: questions and answers")
    loaders = ["image1", "video1"]
    planned = planner(made, "Which shape has three sides?", loaders, ["image1"], max_new_tokens=128)
    made.node("answer", "PreviewAny", title="Answer", source=planned["answer"])
    arrange(
        made,
        row(
            left_side(),
            box("Instruction and media", BLUE, loaders, ["planner"]),
            box("Results", RED, ["answer"]),
        ),
    )
    return made


def family(
    name: str,
    title: str,
    instruction: str,
    loaders: list[str],
    shown: list[str],
    *,
    edits_plan: bool = False,
    annotators: Callable[[Workflow], dict[str, Link]] | None = None,
) -> Workflow:
    """One family of tasks: planner, text, sources, the sampler that is all in one, both kinds of result."""
    made = start(name, title)
    plan = planner(made, instruction, loaders, shown)["plan"]
    if edits_plan:
        plan = made.node("edit_plan", "UnisonEditPlan", plan=plan)["plan"]
    text(made, plan)
    given = annotators(made) if annotators else {}
    sampled(made, plan, given)
    saved(made, plan, is_edit=edits_plan)
    composite, video = (["composite"], ["create_video"]) if edits_plan else ([], [])
    columns = [loaders, ["planner"]] if loaders else [["planner"]]
    instructions = box("Instruction and media" if loaders else "Instruction", BLUE, *columns)
    arrange(
        made,
        row(
            left_side(),
            instructions,
            *([box("Plan", BROWN, ["edit_plan"])] if edits_plan else []),
            column(
                *([box("Finding and maps (off)", YELLOW, [link.node.key for link in given.values()])] if given else []),
                box("Sources", GREEN, ["sources"]),
                box("Text", CYAN, ["projector", "text"]),
            ),
            box("Sampling", PURPLE, ["sampler"]),
            box("Results", RED, [*composite, "route_modality", *video, "save_image", "save_video"]),
        ),
    )
    return made


def mixed() -> Workflow:
    """Unison's planner, text and sources with the host's own conditioning, sampling and tools."""
    made = start("unison_mixed_nodes", "Unison with other nodes")
    plan = planner(made, RED_CIRCLE_MOVES, ["image1"], ["image1"])
    words = text(made, plan["plan"])
    given = made.nodes["models"]
    sources = made.node("sources", "UnisonPrepareSources", plan=plan["plan"], length="whole")
    lora = made.node("lora", "LoraLoaderModelOnly", bypassed=True, model=given["model"],
                     lora_name="your_lora.safetensors")  # fmt: skip
    padding = made.node("padding", "UnisonExactPadding", model=lora["MODEL"])
    # With its default of 0.2 nothing is left of the demo models' shapes.
    cached = made.node("cache", "EasyCache", model=padding["model"], reuse_threshold=0.05)
    shift = made.node("shift", "ModelSamplingSD3", model=cached["MODEL"], shift=5.0)
    native = {name: sources[name] for name in ("width", "height", "control_video", "control_masks")}
    vace = made.node("vace", "WanVaceToVideo", positive=words["positive"], negative=words["negative"],
                     vae=given["vae"], length=sources["num_frames"], reference_image=sources["references"],
                     **native)  # fmt: skip
    sample = made.node("sample", "KSampler", model=shift["MODEL"], seed=0, steps=20, cfg=5.0, sampler_name="uni_pc",
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
    made = start("unison_fast", "Unison: fast, with a LoRA for 8 steps")
    media = ["image1", "video1", "mask1"]
    plan = planner(made, RED_CIRCLE, media, ["image1"])["plan"]
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


WORKFLOWS: tuple[Callable[[], Workflow], ...] = (
    demo,
    auto,
    understanding,
    lambda: family(
        "unison_text_to_image_and_video",
        "Unison: text to image and video",
        RED_CIRCLE_MOVES,
        [],
        [],
    ),
    lambda: family(
        "unison_editing",
        "Unison: editing",
        "Replace the car in <video1> with a red bus. <mask1>",
        ["video1", "image1", "mask1"],
        ["video1", "mask1"],
        edits_plan=True,
        annotators=mask_finders,
    ),
    lambda: family(
        "unison_control",
        "Unison: control maps",
        "Make a video of a robot dancing that follows the depth map in <video1>.",
        ["video1", "image1"],
        ["video1"],
        annotators=map_maker,
    ),
    lambda: family(
        "unison_reference",
        "Unison: references",
        "Create a 64x64 video of the person in <image1> wearing the hat in <image2>, 1 second long.",
        ["image1", "image2"],
        ["image1", "image2"],
    ),
    lambda: family(
        "unison_image_to_video",
        "Unison: first and last frame",
        "Make a 64x64 video that starts with <image1> and ends with <image2>, 1 second long.",
        ["image1", "image2"],
        ["image1", "image2"],
    ),
    mixed,
    fast,
)
