"""The models that can be used: where each lies in a models folder, under which names, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

_REPACKAGED = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged"
_UNISON = "https://huggingface.co/ali-vilab/Unison"


@dataclass(frozen=True)
class Need:
    """A model that real weights take: where it lies in a models folder, under which names, and where it comes from."""

    key: str
    role: str
    folders: tuple[str, ...]
    pattern: str
    file: str
    size: str
    link: str
    required: bool = True


NEEDS = (
    Need(
        key="vace",
        role="Wan2.1-VACE-1.3B",
        folders=("diffusion_models", "unet"),
        pattern="*vace*1*3*b*",
        file="wan2.1_vace_1.3B_fp16.safetensors",
        size="4.3 GB",
        link=_REPACKAGED,
    ),
    Need(
        key="vae",
        role="Wan 2.1 VAE",
        folders=("vae",),
        pattern="*wan*2*1*vae*",
        file="wan_2.1_vae.safetensors",
        size="0.25 GB",
        link=_REPACKAGED,
    ),
    Need(
        key="text_encoder",
        role="UMT5-XXL",
        folders=("text_encoders", "clip"),
        pattern="*umt5*xxl*",
        file="umt5_xxl_fp8_e4m3fn_scaled.safetensors",
        size="6.7 GB",
        link=_REPACKAGED,
    ),
    Need(
        key="projector",
        role="Unison projector",
        folders=("unison",),
        pattern="*projector*",
        file="projector.pth",
        size="50 MB",
        link=_UNISON,
        required=False,
    ),
    Need(
        key="planner",
        role="Qwen2.5-VL, best with Unison's planning weights merged in",
        folders=("unison", "LLM"),
        pattern="config.json",
        file="a folder",
        size="7.5 GB",
        link=_UNISON,
        required=False,
    ),
)
# What finding masks and making control maps takes; nothing else asks for it. Folders hold what Hugging Face has.
_DEPTH_FOLDERS = ("unison", "depth_anything", "depthanything", "controlnet_aux")
ANNOTATOR_NEEDS = (
    Need(
        key="detector",
        role="GroundingDINO",
        folders=("unison", "detection", "grounding-dino", "groundingdino"),
        pattern="config.json",
        file="a folder with the files of grounding-dino-tiny",
        size="0.7 GB",
        link="https://huggingface.co/IDEA-Research/grounding-dino-tiny",
        required=False,
    ),
    Need(
        key="segmenter",
        role="SAM2.1",
        folders=("unison", "sam2", "sams"),
        pattern="config.json",
        file="a folder with the files of sam2.1-hiera-large",
        size="0.9 GB",
        link="https://huggingface.co/facebook/sam2.1-hiera-large",
        required=False,
    ),
    Need(
        key="depth",
        role="Depth-Anything, DPT or ZoeDepth",
        folders=_DEPTH_FOLDERS,
        pattern="config.json",
        file="a folder with the files of Depth-Anything-V2-Small-hf",
        size="0.1 GB",
        link="https://huggingface.co/depth-anything/Depth-Anything-V2-Small-hf",
        required=False,
    ),
    Need(
        key="pose",
        role="ViTPose with RT-DETR",
        folders=_DEPTH_FOLDERS,
        pattern="config.json",
        file="a folder that holds the folders vitpose (vitpose-base-simple) and detector (rtdetr_r50vd_coco_o365)",
        size="0.5 GB",
        link="https://huggingface.co/usyd-community/vitpose-base-simple and "
        "https://huggingface.co/PekingU/rtdetr_r50vd_coco_o365",
        required=False,
    ),
    Need(
        key="flow",
        role="RAFT",
        folders=("unison",),
        pattern="*raft*",
        file="raft_small_C_T_V2-01064c6d.pth or another with raft in its name",
        size="4 MB",
        link="torchvision (torchvision.models.optical_flow.Raft_Small_Weights.C_T_V2.url)",
        required=False,
    ),
)


def describe(need: Need) -> str:
    """File, folder, size and link in one line."""
    return f"{need.role}: {need.file} ({need.size}) in models/{need.folders[0]}/, from {need.link}"


def need_of(key: str) -> Need:
    """The row of this key."""
    return next(need for need in (*NEEDS, *ANNOTATOR_NEEDS) if need.key == key)
