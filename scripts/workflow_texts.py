"""Words of the example workflows: what their notes say, and an example instruction for each of the 12 tasks."""

from __future__ import annotations

REPACKAGED = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged"
UNISON = "https://huggingface.co/ali-vilab/Unison"
VACE_FILE = "wan2.1_vace_1.3B_fp16.safetensors"
CLIP_FILE = "umt5_xxl_fp8_e4m3fn_scaled.safetensors"
VAE_FILE = "wan_2.1_vae.safetensors"
PROJECTOR_FILE = "projector.pth"
# A distilled LoRA and how it is sampled: as ComfyUI's own template video_wan_vace_14B_t2v does it, which takes 4 steps.
FAST_LORA = "Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors"
FAST_LORAS = "https://huggingface.co/Kijai/WanVideo_comfy"
FAST = {"strength_model": 0.7, "shift": 8.0, "steps": 8}

# (folder of `models`, file): where each lies in a models folder, and in the repository under split_files.
MODEL_FILES = {
    "unet": ("diffusion_models", VACE_FILE),
    "clip": ("text_encoders", CLIP_FILE),
    "vae": ("vae", VAE_FILE),
}


def model_url(key: str) -> str:
    """The download link of a model file."""
    return f"{REPACKAGED}/resolve/main/split_files/{'/'.join(MODEL_FILES[key])}"


def fast_lora_url() -> str:
    """The download link of the LoRA for few steps."""
    return f"{FAST_LORAS}/resolve/main/{FAST_LORA}"


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
        *(f"| [{file}]({model_url(key)}) | {folder} |" for key, (folder, file) in MODEL_FILES.items()),
        f"| [planner]({UNISON}), a folder | unison |",
        f"| [{PROJECTOR_FILE}]({UNISON}) | unison |",
        "",
        "Then leave sizes such as 64x64 out of the instruction, or say 480p: real models want room, and a *cfg* of 5.",
    ]
)

DEMO_KNOWS_SHAPES = (
    "Press **Run**: it works at once, without a download. The demo models are tiny and know **coloured shapes only, "
    "in 64x64 pictures and videos of 9 frames**: circles, squares, triangles, stars, "
    "best with a *cfg* of 3. Anything else takes your models."
)

TYPE_IT = "1. **Type the instruction** into the Planner, in English or Chinese."
YOURS = "**Your own models**: switch on loaders of the group *Your models*; the note below says how."


def steps(*lines: str, closing: str = "") -> str:
    """A note: what runs, then numbered steps (the first is the instruction, the last the models)."""
    numbered = [TYPE_IT, *(f"{number}. {line}" for number, line in enumerate([*lines, YOURS], start=2))]
    return "\n".join([DEMO_KNOWS_SHAPES, "", *numbered, *(["", closing] if closing else [])])


def choose_media(loaders: str) -> str:
    """The step about media loaders."""
    return (
        f"**Choose media**: {loaders}. They are off (bypassed): select those you need, press Ctrl+B and choose a file. "
        "Name them in the instruction, as in `<image1>`."
    )


NEEDS_MEDIA = (
    "The instruction here names media that are off, so **Run stops at the Planner with a message that says what is "
    "missing**. Switch the media on first."
)

NOTES = {
    "unison_demo": steps(
        closing="The Planner shows its plan below its settings. Try `Create a 64x64 video of a red star "
        "moving to the left on a black background, 9 frames.`: the preview then shows every frame. The other Unison "
        "workflows save files."
    ),
    "unison_auto": steps(
        choose_media("two pictures, a video, a mask"),
        closing="One graph for all 12 tasks. The plan names the task, *Route by Task* asks for the sources of that "
        "task only, and nothing else runs. Pictures are saved as pictures, videos as videos, answers are shown as "
        "text.",
    ),
    "unison_understanding": steps(
        choose_media("a picture, a video"),
        closing="Ask about nothing, about `<image1>` or about `<video1>`. Questions need a Qwen2.5-VL (the demo's "
        "knows shapes and their colours, places and motions); the rules alone cannot answer. *max_new_tokens* is short "
        "here, raise it for long answers.",
    ),
    "unison_text_to_image_and_video": steps(
        closing="The words decide: *image* or *video*, *64x64* or *480p horizontal*, *3 seconds*. Nothing said: "
        "832x480, 81 frames for a video."
    ),
    "unison_editing": steps(
        choose_media("a video or a picture, and a mask (white = change)"),
        closing=f"{NEEDS_MEDIA} For a picture write `Change the sky in <image1> to a sunset. <mask1>`. *Edit Plan* "
        "changes nothing as it stands: use it to set a size, a length or the source by hand.",
    ),
    "unison_control": steps(
        choose_media("a video or a picture that is a depth, pose, edge, scribble, flow or grey map"),
        closing=f"{NEEDS_MEDIA} For a picture write `Make an image of a stone bridge that follows the scribble "
        "<image1>.`",
    ),
    "unison_reference": steps(
        choose_media("one or two pictures of who or what shall appear"),
        closing=f"{NEEDS_MEDIA} *image* in place of *video* makes a picture.",
    ),
    "unison_image_to_video": steps(
        choose_media("the first frame, the last frame, or both"),
        closing=f"{NEEDS_MEDIA} With one picture write `Animate <image1>.` or `Make a video that ends with <image2>.`",
    ),
    "unison_mixed_nodes": steps(
        "**Swap anything**: planner, text and sources are Unison's; LoRA, EasyCache, WanVaceToVideo, KSampler, "
        "decoding and upscaling are ComfyUI's own. Every link between them is a native type. *Exact Padding* changes "
        "the time only, not the picture.",
        choose_media("a reference picture"),
        closing="EasyCache reuses what changed by less than 0.05 here; its default of 0.2 spoils the pictures of the "
        "demo models. WanVaceToVideo takes one reference; *VACE Conditioning (Unison)* takes several. The LoRA loader "
        "is off (bypassed): choose a file for Wan 2.1 1.3B before you switch it on.",
    ),
    "unison_fast": steps(
        choose_media("a picture, a video, a mask"),
        f"**The LoRA**: put [{FAST_LORA}]({fast_lora_url()}) into `models/loras`, reload the page and switch its "
        "loader on (Ctrl+B), together with your own models. Look at its licence first.",
        closing="50 steps with guidance ask the model 100 times; here it is 8 times: the LoRA is made for few steps at "
        "a *cfg* of 1, which leaves the negative side out. Strength 0.7, shift 8, uni_pc and simple are those of "
        "ComfyUI's own VACE template (it takes 4 steps). The LoRA does not fit the demo models, so keep it off with "
        "them. Without the LoRA your models want 50 steps, a *cfg* of 5 and a shift of 5.",
    ),
}

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
