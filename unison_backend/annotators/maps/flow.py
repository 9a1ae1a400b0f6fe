"""Flow maps: RAFT, painted in the colours of directions, one scale for a whole clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ...errors import InputError, UnsupportedError, WeightsError
from ...memory import memory_errors
from ...progress import Cancel, Progress, never, silent
from ...progress import check as check_cancelled
from ...weights.find import is_single_file
from ...weights.fit import assign, seems
from ...weights.folder import CONFIG, first_line
from ...weights.needs import describe, need_of
from ...weights.state import PICKLES, SAFETENSORS, load_state_dict, program
from . import pose
from .drawing import flow_colours
from .frames import check_video
from .model import CURE, ControlModel
from .statistics import PLAIN, spread

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .statistics import Pixels

    Device = torch.device | str


WHAT = "a file with torchvision's RAFT"
NAME = "raft"  # in the names of flow files, which lie beside other weights


def is_model(path: Path) -> bool:
    """Whether this is a file of weights; which ones, only reading it tells."""
    return path.is_file() and is_meant(path)


def is_meant(path: Path) -> bool:
    """Whether a file of weights is named, there or not, and is called like no other kind's."""
    return (
        not path.is_dir()
        and path.suffix.lower() in SAFETENSORS + PICKLES
        and not (program(path) or is_single_file(path, "depth") or pose.is_other_form(path))
    )


def find(files: Sequence[Path]) -> Iterator[Path]:
    """Files of weights with `NAME` in their names that belong to no folder of another model."""
    return (
        file for file in files if NAME in file.name.lower() and is_meant(file) and not (file.parent / CONFIG).is_file()
    )


def check(path: Path) -> None:
    """Raise WeightsError unless the file's header is that of a RAFT."""
    read_raft(path, device="meta")


def load(file: Path, *, device: Device = "cpu") -> FlowModel:
    """The RAFT, small or large, in a .safetensors or .pth file with torchvision's weights."""
    try:
        from torchvision.models.optical_flow import raft_large, raft_small
    except (ImportError, RuntimeError) as error:  # RuntimeError: one that was built for another torch
        raise UnsupportedError(
            f"flow takes torchvision, which cannot be used here ({first_line(error)}): install the torchvision that "
            "belongs to your torch (pip install torchvision)"
        ) from error
    state = read_raft(file)
    model = (raft_large if any(key.startswith("mask_predictor.") for key in state) else raft_small)(weights=None)
    counts = {key: value for key, value in model.state_dict().items() if key.endswith(".num_batches_tracked")}
    assign(model, counts | state, f"{file} as a RAFT", dtype=next(model.parameters()).dtype)
    return FlowModel(model.eval().requires_grad_(False)).to(device)


def read_raft(file: Path, *, device: Device = "cpu") -> dict[str, Tensor]:
    """The weights of a RAFT in torchvision's form; WeightsError when the file holds something else."""
    state = load_state_dict(file, prefixes=("module.",), device=device)
    if not any(key.startswith("update_block.") for key in state) or "feature_encoder.conv.weight" not in state:
        raise WeightsError(
            f"{file} is no RAFT in torchvision's form; what it takes: {describe(need_of('flow'))}.{seems(state)}"
        )
    return state


FLOW_UPDATES = 20  # reference: RAFT's iterations
FLOW_LEAST = 1.0  # pixels: a clip that moves less is not painted in full colours
FLOW_MIN_SIDE, FLOW_MAX_AREA = 128, 1280 * 720  # what RAFT needs, and what the square of it still fits into a GPU


@dataclass
class FlowModel(ControlModel):
    """RAFT, torchvision's. model: torchvision.models.optical_flow.RAFT."""

    kind: ClassVar[str] = "flow"

    def make_map(self, video: Tensor, progress: Progress = silent, cancel: Cancel = never) -> tuple[Tensor, str]:
        """`flow`, and what was done in a sentence."""
        made = self.flow(video, progress=progress, cancel=cancel)
        return made, "a flow map was made of the control input (one scale for the whole clip)"

    def flow(self, video: Tensor, *, progress: Progress = silent, cancel: Cancel = never) -> Tensor:
        """How pixels move, as colours (`flow_colours`): [T, H, W, 3] float32 on the CPU.

        Frame t shows the way from t - 1 to t; frame 0 repeats frame 1, as in the reference. The longest way of the
        whole clip, but at least one pixel, gets the full colour; the reference takes each frame's longest.
        Raises InputError for fewer than two frames, Cancelled, ResourceError.
        """
        import torch
        from einops import rearrange

        check_video(video)
        if len(video) < 2:
            raise InputError("flow needs at least two frames: use a video, or follow depth or edges of a picture")
        result, longest = torch.empty(video.shape), FLOW_LEAST
        try:
            with torch.no_grad(), memory_errors("estimating flow", CURE):
                for number in range(1, len(video)):
                    check_cancelled(cancel, "flow map")
                    flow = self._between(video[number - 1], video[number])
                    longest = max(longest, float(flow.norm(dim=0).max()))
                    result[number, ..., :2] = rearrange(flow, "xy h w -> h w xy")
                    progress("flow map", number, len(video) - 1)
        finally:
            self.model.corr_block.corr_pyramid = []  # RAFT keeps the last pair's, of up to a gigabyte
        for painted in result[1:]:
            painted[:] = flow_colours(rearrange(painted[..., :2], "h w xy -> xy h w"), longest)
        result[0] = result[1]
        return result

    def _between(self, before: Tensor, after: Tensor) -> Tensor:
        """[2, H, W] float32 on the CPU, from two frames [H, W, 3]: right and down, in pixels."""
        import torch
        from einops import rearrange
        from torch.nn import functional

        pair = rearrange([before, after], "t h w c -> t c h w").to(self.device, torch.float32) * 2 - 1
        height, width = pair.shape[-2:]
        shrink = min(1.0, (FLOW_MAX_AREA / (height * width)) ** 0.5)
        rows, columns = (max(1, round(n * shrink)) for n in (height, width))
        if shrink < 1:
            pair = functional.interpolate(pair, (rows, columns), mode="bilinear", antialias=True)
        down, right = (max(FLOW_MIN_SIDE, -(-n // 8) * 8) - n for n in (rows, columns))
        top, left = down // 2, right // 2
        padded = functional.pad(pair, (left, right - left, top, down - top), mode="replicate")
        flow = self.model(padded[:1], padded[1:], num_flow_updates=FLOW_UPDATES)[-1]
        flow = flow[..., top : top + rows, left : left + columns]
        if shrink < 1:
            longer = flow.new_tensor([width / columns, height / rows])[:, None, None]
            flow = functional.interpolate(flow, (height, width), mode="bilinear") * longer
        result: Tensor = flow[0].float().cpu()
        return result


# Footage that already is such a map; values are of pixels in 0..1, shares of a frame's pixels.
_BRIGHT, _BRIGHT_SHARE = 0.8, 0.99  # the brightest channel of a mixture of one hue and white
_FULL, _FULL_SHARE = 0.94, 0.95
_TINTED = 0.02  # share of pixels that are no shade of grey


def looks_like(frame: Pixels) -> bool:
    """Hues mixed with white alone, so that one channel is always full; never quite colourless."""
    value = frame.max(-1)
    return bool(
        (value > _BRIGHT).mean() > _BRIGHT_SHARE
        and (value > _FULL).mean() > _FULL_SHARE
        and (spread(frame) > PLAIN).mean() > _TINTED
    )
