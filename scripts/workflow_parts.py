"""Pieces that several example workflows share: node ids by role, colours of groups, models, media, results."""

from __future__ import annotations

from typing import Any

from workflow_builder import Link, Node, Workflow
from workflow_layout import Box, Stack, box, column, row
from workflow_texts import FAST_LORA, MODEL_FILES, NOTES, PROJECTOR_FILE, YOUR_MODELS, fast_lora_url, model_url

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
    "edit_plan": 20,
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
}

# What the loaders of annotators show on a machine that has none.
NONE_FOUND = "none found"

GREY, BLUE, CYAN, GREEN, YELLOW = "#888", "#3f789e", "#8AA", "#8A8", "#b58b2a"
PURPLE, BROWN, RED = "#88A", "#b06634", "#A88"

MEDIA_NODES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "image1": ("LoadImage", "Picture 1: <image1>", {"image": "example.png"}),
    "image2": ("LoadImage", "Picture 2: <image2>", {"image": "example.png"}),
    "video1": ("LoadVideo", "Video 1: <video1>", {"file": "example.mp4"}),
    "mask1": ("LoadImageMask", "Mask 1: <mask1>, white = change", {"image": "mask.png", "channel": "red"}),
}
MEDIA_FILES = {"image1": "image1.png", "image2": "image2.png", "video1": "video1.mp4", "mask1": "mask1.png"}


def start(name: str, title: str) -> Workflow:
    """A workflow with its note and its models."""
    workflow = Workflow(name, title, IDS)
    workflow.note("note", "How to use this workflow", NOTES[name])
    workflow.note("models_note", "Your models: what goes where", YOUR_MODELS)
    unet = workflow.node("unet", "UNETLoader", bypassed=True, models=_files("unet"),
                         unet_name=MODEL_FILES["unet"][1], weight_dtype="default")  # fmt: skip
    clip = workflow.node("clip", "CLIPLoader", bypassed=True, models=_files("clip"),
                         clip_name=MODEL_FILES["clip"][1], type="wan", device="default")  # fmt: skip
    vae = workflow.node("vae", "VAELoader", bypassed=True, models=_files("vae"), vae_name=MODEL_FILES["vae"][1])
    planner = workflow.node("planner_loader", "UnisonLoadPlanner", bypassed=True, planner="auto", lora="none")
    projector = workflow.node("projector_loader", "UnisonLoadProjector", bypassed=True, projector=PROJECTOR_FILE)
    workflow.node("models", "UnisonDemoModels", model=unet["MODEL"], clip=clip["CLIP"], vae=vae["VAE"],
                  planner=planner["planner"], projector=projector["projector"])  # fmt: skip
    return workflow


def _files(key: str) -> list[dict[str, str]]:
    folder, file = MODEL_FILES[key]
    return [{"name": file, "url": model_url(key), "directory": folder}]


def fast_lora() -> list[dict[str, str]]:
    """The LoRA for few steps, as the frontend offers it for download."""
    return [{"name": FAST_LORA, "url": fast_lora_url(), "directory": "loras"}]


def left_side(*groups: Box) -> Stack:
    """The first column of every workflow: how to use it, what else is said, and where all models come from."""
    loaders = ["unet", "clip", "vae", "planner_loader", "projector_loader"]
    known = row(box("Your models", YELLOW, loaders), box("Models", YELLOW, ["models"]), align="middle")
    return column(box("Start here", GREY, ["note", "models_note"]), *groups, known)


def planner(workflow: Workflow, instruction: str, loaders: list[str], shown: list[str], **settings: Any) -> Node:
    """The planner with bypassed media loaders; `shown` are those that the variant with media switches on."""
    sockets: dict[str, Any] = dict(settings)
    for key in loaders:
        node_type, title, inputs = MEDIA_NODES[key]
        sockets[key] = Link(workflow.node(key, node_type, title=title, bypassed=True, **inputs), 0)
    workflow.media = {key: MEDIA_FILES[key] for key in shown}
    return workflow.node("planner", "UnisonPlanner", instruction=instruction,
                         planner=workflow.nodes["models"]["planner"], **sockets)  # fmt: skip


def text(workflow: Workflow, plan: Link) -> Node:
    """Projector and text context."""
    given, planned = workflow.nodes["models"], workflow.nodes["planner"]
    projector = workflow.node("projector", "UnisonProjector", projector=given["projector"],
                              features=planned["features"])  # fmt: skip
    return workflow.node("text", "UnisonTextContext", clip=given["clip"], plan=plan, projected=projector["projected"])


def mask_finders(workflow: Workflow) -> dict[str, Link]:
    """Detector and segmenter, off until the person has them, as inputs of Prepare Sources."""
    detector = workflow.node("detector_loader", "UnisonLoadDetector", bypassed=True, detector=NONE_FOUND)
    segmenter = workflow.node("segmenter_loader", "UnisonLoadSegmenter", bypassed=True, segmenter=NONE_FOUND)
    return {"detector": detector["detector"], "segmenter": segmenter["segmenter"]}


def map_maker(workflow: Workflow) -> dict[str, Link]:
    """A control model, off until the person has one, as an input of Prepare Sources."""
    loader = workflow.node("control_loader", "UnisonLoadControlModel", bypassed=True, control=NONE_FOUND)
    return {"control_model": loader["control_model"]}


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
