"""Pieces that several example workflows share: node ids by role, colours of groups, models, media, results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workflow_builder import Link, Node, Workflow
from workflow_layout import Box, Stack, box, column, row
from workflow_texts import (
    EXPERT_FILES,
    FAST_LORA,
    MODEL_FILES,
    PROJECTOR_FILE,
    TITLES,
    TWO_MODELS,
    YOUR_MODELS,
    fast_lora_url,
    model_url,
    note,
)

# Ids are for ever, and the same role has the same one in every workflow: tests and API clients use them.
IDS = {
    "models": 1,
    "unet": 2,
    "clip": 3,
    "vae": 4,
    "planner_loader": 5,
    "projector_loader": 6,
    "detector_loader": 7,
    "segmenter_loader": 8,
    "control_loader": 9,
    "planner": 10,
    "image1": 11,
    "image2": 12,
    "video1": 13,
    "mask1": 14,
    "mask_video": 15,
    "mask_frames": 16,
    "mask_of_frames": 17,
    "edit_plan": 20,
    "details": 21,
    "sam3": 22,
    "sam3_words": 23,
    "sam3_frames": 24,
    "sam3_track": 25,
    "sam3_mask": 26,
    "projector": 30,
    "text": 31,
    "sources": 40,
    "sources_text": 41,
    "sources_reference": 42,
    "sources_frames": 43,
    "sources_control": 44,
    "sources_editing": 45,
    "route_task": 46,
    "sampler": 50,
    "vace": 51,
    "shift": 52,
    "unipc": 53,
    "sigmas": 54,
    "sample": 55,
    "trim": 56,
    "decode": 57,
    "lora": 58,
    "cache": 59,
    "composite": 60,
    "padding": 61,
    "cut": 62,
    "unet_low": 63,
    "models_low": 64,
    "lora_low": 65,
    "padding_low": 66,
    "shift_low": 67,
    "sample_low": 68,
    "route_modality": 70,
    "route_answer": 71,
    "save_image": 72,
    "create_video": 73,
    "save_video": 74,
    "answer": 75,
    "preview": 76,
    "upscale": 77,
    "note": 90,
    "models_note": 91,
    "examples": 92,
    "unison": 100,
}

# What a loader shows whose model is a folder: ComfyUI's dialog of missing models offers files only.
NONE_FOUND = "none found"

GREY, BLUE, CYAN, GREEN, YELLOW = "#888", "#3f789e", "#8AA", "#8A8", "#b58b2a"
PURPLE, BROWN, RED = "#88A", "#b06634", "#A88"

# What a person sees on a loader, and the sample that it holds until they choose a file of their own.
MEDIA_NODES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "image1": ("LoadImage", "Picture 1: <image1>", "image", {"image": "unison_square.png"}),
    "image2": ("LoadImage", "Picture 2: <image2>", "image", {"image": "unison_star.png"}),
    "video1": ("LoadVideo", "Video 1: <video1>", "file", {"file": "unison_circle.mp4"}),
    "mask1": ("LoadImageMask", "Mask 1: <mask1>, white = change", "image",
              {"image": "unison_square_mask.png", "channel": "red"}),
    "mask_video": ("LoadVideo", "Mask of video 1: <mask1>", "file",
                   {"file": "unison_circle_mask.mp4"}),
}  # fmt: skip


def media(workflow: Workflow, **files: str | None) -> dict[str, Link]:
    """Loaders that are on, by socket of the planner; a file of None is the loader's usual sample.

    A mask that is painted on picture 1 comes along as mask1, unless there is a mask of its own.
    """
    sockets: dict[str, Link] = {}
    for key, file in files.items():
        node_type, title, field, inputs = MEDIA_NODES[key]
        loader = workflow.node(key, node_type, title=title, **inputs | ({field: file} if file else {}))
        sockets[key] = Link(loader, 0)
    if "image1" in files and not {"mask1", "mask_video"} & set(files):
        sockets["mask1"] = Link(workflow.nodes["image1"], 1)
    if (clip := sockets.pop("mask_video", None)) is not None:
        frames = workflow.node("mask_frames", "GetVideoComponents", video=clip)
        sockets["mask1"] = workflow.node("mask_of_frames", "ImageToMask", image=frames["images"],
                                         channel="red")["MASK"]  # fmt: skip
    return sockets


def start(name: str, *, yours: bool = True) -> Workflow:
    """A workflow with its note; `yours`: with its models, and loaders for a person's own that are off."""
    workflow = Workflow(name, TITLES[name], IDS)
    workflow.note("note", TITLES[name], note(name))
    if yours:
        workflow.note("models_note", "Your models: what goes where", YOUR_MODELS)
        own_models(workflow, bypassed=True)
        workflow.node("models", "UnisonDemoModels", **_given(workflow))
    return workflow


def own_models(workflow: Workflow, *, bypassed: bool) -> dict[str, Link]:
    """Loaders of a person's own models, for the sockets of that name; planner and projector are always off or auto."""
    workflow.node("unet", "UNETLoader", bypassed=bypassed, models=_files("unet"), unet_name=MODEL_FILES["unet"][1],
                  weight_dtype="default")  # fmt: skip
    workflow.node("clip", "CLIPLoader", bypassed=bypassed, models=_files("clip"), clip_name=MODEL_FILES["clip"][1],
                  type="wan", device="default")  # fmt: skip
    workflow.node("vae", "VAELoader", bypassed=bypassed, models=_files("vae"), vae_name=MODEL_FILES["vae"][1])
    workflow.node("planner_loader", "UnisonLoadPlanner", bypassed=bypassed, planner="auto", lora="none")
    workflow.node("projector_loader", "UnisonLoadProjector", bypassed=True, models=_files("projector"),
                  projector=PROJECTOR_FILE)  # fmt: skip
    return _given(workflow)


def two_experts(name: str) -> tuple[Workflow, Link, Link]:
    """A workflow with its note and models, and the two that sample: for high noise and for low noise."""
    workflow = start(name, yours=False)
    workflow.note("models_note", "Your models: what goes where", TWO_MODELS)
    own_models(workflow, bypassed=True)
    high, low = EXPERT_FILES
    workflow.nodes["unet"].inputs["unet_name"] = high
    workflow.nodes["unet"].properties.pop("models")
    second = workflow.node("unet_low", "UNETLoader", bypassed=True, title="Load Diffusion Model: low noise",
                           unet_name=low, weight_dtype="default")  # fmt: skip
    first = workflow.node("models", "UnisonDemoModels", title="Models: high noise", **_given(workflow))
    others = {name: link for name, link in _given(workflow).items() if name in ("clip", "vae")}
    both = workflow.node("models_low", "UnisonDemoModels", title="Models: low noise", model=second["MODEL"], **others,
                         planner=first["planner"])  # fmt: skip
    return workflow, first["model"], both["model"]


def _given(workflow: Workflow) -> dict[str, Link]:
    nodes = workflow.nodes
    return {"model": nodes["unet"]["MODEL"], "clip": nodes["clip"]["CLIP"], "vae": nodes["vae"]["VAE"],
            "planner": nodes["planner_loader"]["planner"],
            "projector": nodes["projector_loader"]["projector"]}  # fmt: skip


def _files(key: str) -> list[dict[str, str]]:
    folder, file = MODEL_FILES[key]
    return [{"name": file, "url": model_url(key), "directory": folder}]


def fast_lora() -> list[dict[str, str]]:
    """The LoRA for few steps, as the frontend offers it for download."""
    return [{"name": FAST_LORA, "url": fast_lora_url(), "directory": "loras"}]


def left_side(*groups: Box, more: Sequence[str] = (), models: Sequence[str] = ("models",)) -> Stack:
    """The first column of every workflow: how to use it, what else is said, and where all models come from.

    more: loaders behind the first one. models: what they go into.
    """
    loaders = ["unet", *more, "clip", "vae", "planner_loader", "projector_loader"]
    known = row(box("Your models", YELLOW, loaders), box("Models", YELLOW, list(models)), align="middle")
    return column(box("Start here", GREY, ["note", "models_note"]), *groups, known)


def planner(workflow: Workflow, instruction: str, files: dict[str, str | None], **settings: Any) -> Node:
    """The planner with media loaders that are on: only what the words name takes part."""
    return workflow.node("planner", "UnisonPlanner", instruction=instruction, media="named",
                         planner=workflow.nodes["models"]["planner"], **media(workflow, **files),
                         **settings)  # fmt: skip


def text(workflow: Workflow, plan: Link) -> Node:
    """Projector and text context."""
    given, planned = workflow.nodes["models"], workflow.nodes["planner"]
    projector = workflow.node("projector", "UnisonProjector", projector=given["projector"],
                              features=planned["features"])  # fmt: skip
    return workflow.node("text", "UnisonTextContext", clip=given["clip"], plan=plan, projected=projector["projected"])


def mask_finders(workflow: Workflow) -> dict[str, Link]:
    """Detector and segmenter, off until the person has them, as inputs of Prepare Sources."""
    detector = workflow.node("detector_loader", "UnisonLoadDetector", bypassed=True, detector=NONE_FOUND)
    segmenter = workflow.node("segmenter_loader", "UnisonLoadSegmenter", bypassed=True, models=_files("segmenter"),
                              segmenter=MODEL_FILES["segmenter"][1])  # fmt: skip
    return {"detector": detector["detector"], "segmenter": segmenter["segmenter"]}


def map_maker(workflow: Workflow, *, bypassed: bool = True) -> dict[str, Link]:
    """A control model, off until the person has one, as an input of Prepare Sources."""
    loader = workflow.node("control_loader", "UnisonLoadControlModel", bypassed=bypassed, models=_files("depth"),
                           control=MODEL_FILES["depth"][1])  # fmt: skip
    return {"control_model": loader["control_model"]}


def sam3(workflow: Workflow, plan: Link, video: Link) -> Link:
    """The mask [T, H, W] of a plan's target by ComfyUI's own SAM3, which follows it through the video."""
    details = workflow.node("details", "UnisonPlanDetails", plan=plan)
    loaded = workflow.node("sam3", "CheckpointLoaderSimple", title="Load SAM3", models=_files("sam3"),
                           ckpt_name=MODEL_FILES["sam3"][1])  # fmt: skip
    words = workflow.node("sam3_words", "CLIPTextEncode", title="What SAM3 looks for: the plan's target",
                          clip=loaded["CLIP"], text=details["target"])  # fmt: skip
    frames = workflow.node("sam3_frames", "GetVideoComponents", video=video)
    track = workflow.node("sam3_track", "SAM3_VideoTrack", images=frames["images"], model=loaded["MODEL"],
                          conditioning=words["CONDITIONING"])  # fmt: skip
    return workflow.node("sam3_mask", "SAM3_TrackToMask", track_data=track["track_data"])["masks"]


def sampled(workflow: Workflow, plan: Link, annotators: dict[str, Link] | None = None, **settings: Any) -> Node:
    """Sources and the sampler that is all in one."""
    given, words = workflow.nodes["models"], workflow.nodes["text"]
    sources = workflow.node("sources", "UnisonPrepareSources", plan=plan, length="whole", **(annotators or {}))
    return workflow.node("sampler", "UnisonVACESampler", model=given["model"], positive=words["positive"],
                         negative=words["negative"], vae=given["vae"], sources=sources["sources"],
                         **settings)  # fmt: skip


def saved(workflow: Workflow, plan: Link, *, is_edit: bool = False) -> None:
    """Pictures to SaveImage, videos to SaveVideo, from the sampler that is all in one; edits through a composite."""
    sampler, sources = workflow.nodes["sampler"], workflow.nodes["sources"]
    images, video = sampler["images"], sampler["video"]
    if is_edit:
        images = workflow.node("composite", "UnisonComposite", images=images, sources=sources["sources"])["images"]
    route = workflow.node("route_modality", "UnisonRouteModality", plan=plan, value=images)
    if is_edit:
        video = workflow.node("create_video", "CreateVideo", images=route["video"], fps=sampler["fps"],
                              audio=sources["audio"])["VIDEO"]  # fmt: skip
    save_image(workflow, route["image"])
    save_video(workflow, video)


def save_image(workflow: Workflow, images: Link) -> None:
    """Saves pictures."""
    workflow.node("save_image", "SaveImage", images=images, filename_prefix="unison/image")


def save_video(workflow: Workflow, video: Link) -> None:
    """Saves a video."""
    workflow.node("save_video", "SaveVideo", video=video, filename_prefix="unison/video", format="auto", codec="auto")
