"""Words of the example workflows: what their notes say, and an example instruction for each of the 12 tasks."""

from __future__ import annotations

from pathlib import Path

REPACKAGED = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged"
UNISON = "https://huggingface.co/ali-vilab/Unison"
VACE_FILE = "wan2.1_vace_1.3B_fp16.safetensors"
CLIP_FILE = "umt5_xxl_fp8_e4m3fn_scaled.safetensors"
VAE_FILE = "wan_2.1_vae.safetensors"
PROJECTOR_FILE = "projector.pth"
# Annotators that load from one file, as kijai publishes them; and what ComfyUI's own SAM3 nodes load.
SAM2_FILE, SAM2_PAGE = "sam2.1_hiera_large.safetensors", "https://huggingface.co/Kijai/sam2-safetensors"
DEPTH_FILE, DEPTH_PAGE = (
    "depth_anything_v2_vits_fp32.safetensors", "https://huggingface.co/Kijai/DepthAnythingV2-safetensors"
)  # fmt: skip
SAM3_FILE, SAM3_PAGE = "sam3.1_multiplex_fp16.safetensors", "https://huggingface.co/Comfy-Org/sam3.1"
# A distilled LoRA and how it is sampled: as ComfyUI's own template video_wan_vace_14B_t2v does it, which takes 4 steps.
FAST_LORA = "Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors"
FAST_LORAS = "https://huggingface.co/Kijai/WanVideo_comfy"
FAST = {"strength_model": 0.7, "shift": 8.0, "steps": 8}

# As ComfyUI repackages Wan2.2-VACE-Fun; not linked, its exact names there could not be looked up.
EXPERT_FILES = tuple(f"wan2.2_fun_vace_{side}_noise_14B_fp8_scaled.safetensors" for side in ("high", "low"))
# (folder of `models`, file): where each lies in a models folder.
MODEL_FILES = {
    "unet": ("diffusion_models", VACE_FILE),
    "clip": ("text_encoders", CLIP_FILE),
    "vae": ("vae", VAE_FILE),
    "projector": ("unison", PROJECTOR_FILE),
    "segmenter": ("unison", SAM2_FILE),
    "depth": ("unison", DEPTH_FILE),
    "sam3": ("checkpoints", SAM3_FILE),
}
# Where each lies on the hub, but for those that lie there as in a models folder, under split_files.
_PLACES = {
    "projector": f"{UNISON}/resolve/main",
    "segmenter": f"{SAM2_PAGE}/resolve/main",
    "depth": f"{DEPTH_PAGE}/resolve/main",
    "sam3": f"{SAM3_PAGE}/resolve/main/checkpoints",
}

# The file name is the title in ComfyUI's template browser, and all that its search looks at.
TITLES = {
    "unison_auto": "One Sentence - Image, Video, Edit or Answer",
    "unison_app": "One Sentence.app",
    "unison_demo": "Text to Image, wired step by step",
    "unison_text_to_image_and_video": "Text to Video",
    "unison_inpaint": "Inpaint - Image Edit with a painted mask",
    "unison_editing": "Video Edit with a mask",
    "unison_image_to_video": "Image to Video - Animate a picture",
    "unison_reference": "Reference Picture to Image or Video",
    "unison_control": "ControlNet - Follow an Edge or Depth map",
    "unison_understanding": "Ask about an Image or Video - Caption",
    "unison_your_models": "Your models - Wan 2.1 VACE",
    "unison_your_depth": "Your models - ControlNet depth of a video",
    "unison_sam3": "Video Edit with SAM3 - mask by words",
    "unison_mixed_nodes": "With stock nodes - LoRA, Cache, Upscale",
    "unison_fast": "Fast - 8 steps with a LoRA",
    "unison_experts": "Two Experts - Wan 2.2 Fun VACE",
    "unison_route": "Route by Task - every node by itself",
}
_NOTES = Path(__file__).resolve().parent / "workflow_notes"


def model_url(key: str) -> str:
    """The download link of a model file."""
    folder, file = MODEL_FILES[key]
    return f"{_PLACES.get(key, f'{REPACKAGED}/resolve/main/split_files/{folder}')}/{file}"


def fast_lora_url() -> str:
    """The download link of the LoRA for few steps."""
    return f"{FAST_LORAS}/resolve/main/{FAST_LORA}"


_TWO_MODELS = [
    "The loaders in the group *Your models* are off (bypassed), so the demo models run. To use your own:",
    "",
    "1. Put the files into the folders below, and reload the page.",
    "2. Choose them, select the first four loaders (drag a frame around them with Ctrl held) and press **Ctrl+B**.",
    "3. The planner and the projector are optional.",
    "",
    "| Loader | Folder in `models` |",
    "| --- | --- |",
    *(f"| {file} | diffusion_models |" for file in EXPERT_FILES),
    *(f"| [{MODEL_FILES[key][1]}]({model_url(key)}) | {MODEL_FILES[key][0]} |" for key in ("clip", "vae")),
    f"| [planner]({UNISON}), a folder | unison |",
    f"| [{PROJECTOR_FILE}]({UNISON}) | unison |",
]
TWO_MODELS = "\n".join(_TWO_MODELS)
YOUR_MODELS = "\n".join(
    [
        "The loaders in the group *Your models* are off (bypassed), so the demo models run. To use your own:",
        "",
        "1. Put the files into the folders below, and reload the page.",
        "2. Select the first three loaders (drag a frame around them with Ctrl held) and press **Ctrl+B**. They belong "
        "together.",
        "3. The planner and the projector are optional: switch each on if you have its files. Without a planner the "
        "rules plan, which cannot answer questions.",
        "",
        "| Loader | Folder in `models` |",
        "| --- | --- |",
        *(f"| [{MODEL_FILES[key][1]}]({model_url(key)}) | {MODEL_FILES[key][0]} |" for key in ("unet", "clip", "vae")),
        f"| [planner]({UNISON}), a folder | unison |",
        f"| [{PROJECTOR_FILE}]({UNISON}) | unison |",
        "",
        "Then leave sizes such as 64x64 out of the instruction, or say 480p: real models want room, and a *cfg* of 5.",
    ]
)


def note(name: str) -> str:
    """What a workflow's note says, in English and Chinese: its own file, and what all of them say."""
    parts = [(_NOTES / f"{part}.md").read_text(encoding="utf-8").strip() for part in (name, "everywhere")]
    return "\n\n".join(parts).replace("{your_models}", TITLES["unison_your_models"])


# (task, instruction). The unit tests hold the rules planner to them, with just the media named connected.
EXAMPLES = (
    ("text_understanding", "Which shape has three sides?"),
    ("image_understanding", "What is shown in <image1>?"),
    ("video_understanding", "What happens in <video1>?"),
    ("text_to_image", "Create a 64x64 image of a red circle on a blue background."),
    # "Generate a 480p landscape video, 3 seconds: a red kite by the sea."
    (
        "text_to_video",
        "\u751f\u6210\u4e00\u6bb5480p\u6a2a\u5c4f\u89c6\u9891\uff0c3\u79d2\uff1a\u6d77\u8fb9\u7684\u7ea2\u8272\u98ce"
        "\u7b5d\u3002",
    ),
    ("image_reference", "Create an image of the cat in <image1> sitting on the chair in <image2>."),
    ("video_reference", "Create a video of the person in <image1> wearing the hat in <image2>."),
    # "Use <image1> as the first frame and generate a video of 2 seconds."
    (
        "image_to_video",
        "\u7528<image1>\u4f5c\u4e3a\u9996\u5e27\uff0c\u751f\u62102\u79d2\u7684\u89c6\u9891\u3002",
    ),
    ("image_control", "Make an image of a stone bridge that follows the scribble <image1>."),
    ("video_control", "Make a video of a robot dancing that follows the depth map in <video1>."),
    ("image_editing", "Change the sky in <image1> to a sunset. <mask1>"),
    ("video_editing", "Replace the car in <video1> with a red bus. <mask1>"),
)

EXAMPLES_NOTE = "\n".join(
    [
        "One instruction for each task, to copy into the Planner. Switch on just the loaders that it names.",
        "",
        *(f"- **{task}**: `{instruction}`" for task, instruction in EXAMPLES),
    ]
)
