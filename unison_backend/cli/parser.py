"""The command line's options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..defaults import CFG, DETECTION_THRESHOLD, MAX_NEW_TOKENS, NUM_FRAMES, OVERLAP, SEED, SHIFT, STEPS
from ..demo.set import CFG as DEMO_CFG
from ..demo.set import FRAMES as DEMO_FRAMES
from ..engine.settings import ATTENTIONS, EASY_THRESHOLD, OFFLOADS, PRESETS, VAE_DTYPES
from ..plan.controls import CONTROLS, MAP
from ..plan.length import LENGTHS
from ..plan.plan import MAIN, WHOLE_FRAME
from ..plan.tasks import MAKES
from ..planner.base import PLANNERS
from ..sources.masks import FEATHER, FILLS
from ..weights.experts import BOUNDARY
from . import download as cli_download
from . import server as cli_server
from . import training as cli_training
from .values import models_folder, number, whole

# What argparse repeats of a person's own words: enough to find them again.
_ECHO = 60
_LONG = re.compile(r"\S{120,}")

Command = Callable[[argparse.Namespace], int]

_MODELS = (
    "a models folder as ComfyUI's, or ComfyUI's own folder (default: UNISON_MODELS, else what `unison download` "
    "fetched, else embedded models)"
)


class _Parser(argparse.ArgumentParser):
    """One whose errors repeat the beginning of what was typed, however long that is."""

    def error(self, message: str) -> NoReturn:
        super().error(_LONG.sub(lambda long: long.group()[:_ECHO] + "...", message)[: 20 * _ECHO])


def make_parser(
    plan: Command, run: Command, batch: Command, merge: Command, doctor: Command
) -> argparse.ArgumentParser:
    """The parser of `unison`, each command bound to its function."""
    parser = _Parser(
        prog="unison", description="Unison: one instruction, planned and made into a picture, a video or an answer."
    )
    parser.add_argument("--version", action="version", version=f"unison {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_plan(commands.add_parser("plan", help="show what an instruction means, without making anything"), plan)
    _add_run(commands.add_parser("run", help="make what an instruction asks for, or answer it"), run)
    _add_batch(commands.add_parser("batch", help="make a file of instructions with models that stay loaded"), batch)
    _add_merge(commands.add_parser("merge", help="merge a planning LoRA into a Qwen2.5-VL folder"), merge)
    _add_doctor(commands.add_parser("doctor", help="say what is installed, found and missing"), doctor)
    cli_download.add(commands.add_parser("download", help="fetch models, with resuming and checking"))
    cli_training.add(commands)
    return parser


def _add_plan(parser: argparse.ArgumentParser, command: Command) -> None:
    _add_text(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--jsonl",
        metavar="FILE",
        help='plan every line {"prompt": ...} of FILE (- is stdin), media as <IMGPAD> / <VIDPAD>',
    )
    parser.add_argument(
        "--explain", action="store_true", help="also which named rules matched which words, and what the models said"
    )
    _add_planning(parser)
    _add_given(parser)
    parser.set_defaults(command=command)


def _add_run(parser: argparse.ArgumentParser, command: Command) -> None:
    _add_text(parser)
    where = "where a picture or video goes; frames/%%04d.png: a video as PNG frames"
    parser.add_argument("--out", type=Path, metavar="FILE_OR_DIR", help=where)
    _add_planning(parser)
    _add_given(parser)
    _add_sources(parser)
    parser.add_argument("--keep-sources", type=Path, metavar="DIR", help="write control video, mask, references as PNG")
    _add_making(parser)
    parser.add_argument("--gpus", type=whole, default=1, metavar="N", help="GPUs that share one result")
    _add_comfy(parser, "a ComfyUI that makes it, as http://127.0.0.1:8188 (needs this pack there)")
    parser.set_defaults(command=command)


def _add_comfy(parser: argparse.ArgumentParser, what: str, **options: Any) -> None:
    parser.add_argument(
        "--comfy", metavar="URL", help=f"{what}; models are then named as its loaders list them", **options
    )


def _add_batch(parser: argparse.ArgumentParser, command: Command) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE", help='lines of {"prompt": ...}; the fields are in docs/scale.md'
    )
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="where results and results.jsonl go")
    parser.add_argument("--ray", action="store_true", help="make lines in Ray's workers (RAY_ADDRESS: on its cluster)")
    parser.add_argument("--workers", type=whole, default=1, metavar="N", help="of Ray, at most")
    parser.add_argument("--gpus-per-worker", type=number, default=0.0, metavar="N", help="of Ray's workers")
    parser.add_argument("--cpus-per-worker", type=number, default=1.0, metavar="N", help="of Ray's workers")
    _add_planning(parser)
    _add_sources(parser)
    _add_making(parser)
    _add_comfy(parser, "a ComfyUI that makes lines; may be given several times", action="append", default=[])
    parser.set_defaults(command=command)


def _add_making(parser: argparse.ArgumentParser) -> None:
    """How pictures, videos and answers are made, and with which files."""
    _add_engine(parser)
    parser.add_argument("--negative", metavar="TEXT", help="negative prompt (default: Wan's own)")
    for name, what in (
        ("vace", "Wan VACE transformer, or the high noise one of two experts (Wan2.2)"),
        ("vace-base", "Wan T2V of the same size, where --vace is a module of VACE blocks alone"),
        ("vace-low", "the low noise expert, where it does not lie beside the high noise one"),
        ("vace-low-base", "the same for --vace-low"),
        ("vae", "Wan VAE"),
        ("text-encoder", "UMT5-XXL"),
        ("projector", "projector"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="PATH", help=f"{what}: a file or a diffusers folder")
    parser.add_argument("--max-new-tokens", type=whole, default=MAX_NEW_TOKENS, help="the longest answer, in tokens")
    parser.add_argument("--temperature", type=number, default=0.0, help="of answers; 0 is greedy")
    parser.add_argument("--keep-lora", action="store_true", help="leave the planning LoRA on while answering")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _add_engine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sampling")
    group.add_argument("--seed", type=whole, default=SEED)
    group.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="reference",
        help="fast: few steps without guidance, with a CausVid LoRA from the models folder's loras",
    )
    group.add_argument("--steps", type=whole, help=f"default: {STEPS}, with --preset fast {PRESETS['fast'].steps}")
    group.add_argument(
        "--cfg",
        type=number,
        help=f"guidance; 1 turns it off (default: {CFG:g}, {DEMO_CFG:g} for the embedded demo models, 1 for fast)",
    )
    group.add_argument(
        "--shift", type=number, help=f"flow shift (default: {SHIFT:g}, {PRESETS['fast'].shift:g} for fast)"
    )
    group.add_argument("--cfg-low", type=number, help="guidance of the low noise one of two experts (default: --cfg)")
    group.add_argument(
        "--boundary",
        type=number,
        metavar="SHARE",
        help=f"of the noise, where two experts change (default: the model's own, else {BOUNDARY:g})",
    )
    for name, what in (
        ("--lora", "a LoRA for the transformer, or its name in the models folder's loras; may be given several times"),
        ("--lora-high", "the same for the high noise one of two experts only"),
        ("--lora-low", "the same for the low noise one"),
    ):
        group.add_argument(name, action="append", default=[], metavar="FILE[:STRENGTH]", help=what)
    group.add_argument(
        "--offload",
        choices=OFFLOADS,
        default="none",
        help="what leaves the device while it is idle: transformer and VAE (model), each block (group)",
    )
    group.add_argument(
        "--cache",
        metavar="easy[:THRESHOLD]",
        help="leave out steps that can be told from the last one; approximate, more so the higher the threshold "
        f"(default: {EASY_THRESHOLD:g})",
    )
    group.add_argument("--compile", action="store_true", help="torch.compile of the transformer's blocks")
    group.add_argument(
        "--vae-dtype", choices=VAE_DTYPES, default="auto", help="what the VAE computes in (auto: fp32, the reference's)"
    )
    group.add_argument(
        "--vae-tiled",
        action=argparse.BooleanOptionalAction,
        help="encode and decode in tiles (default: where the free memory does not take the whole)",
    )


def _add_text(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", metavar="TEXT", help="the instruction, media as ###path###; - reads stdin")


def _add_planning(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--length",
        choices=LENGTHS,
        default="whole",
        help="of a result made from a video: all its frames at its rate, or as the reference, 4k+1 of them evenly",
    )
    parser.add_argument(
        "--segment",
        type=whole,
        metavar="FRAMES",
        help=f"a longer video is made in segments of so many, 4k+1 (default: {NUM_FRAMES}, {DEMO_FRAMES} for the "
        "embedded demo models: what they make at once)",
    )
    parser.add_argument(
        "--overlap",
        type=whole,
        metavar="FRAMES",
        help=f"frames that each segment goes on from, 4k+1 (default: {OVERLAP}, at most half of a segment)",
    )
    parser.add_argument("--models", type=models_folder, metavar="DIR", help=_MODELS)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument(
        "--planner",
        choices=PLANNERS,
        default="auto",
        help="who plans: auto is a Qwen2.5-VL with planning weights where there is one, else the server that is named, "
        "else the model of --planner-folder by prompt (takes llguidance), else the rules",
    )
    cli_server.add(parser)
    parser.add_argument(
        "--planner-folder",
        type=Path,
        metavar="PATH",
        help="a Qwen2.5-VL: a folder or one file; or a folder of any vision-language model, which plans by prompt",
    )
    parser.add_argument("--planner-lora", type=Path, metavar="DIR", help="a planning LoRA for it")
    parser.add_argument("--dtype", choices=("auto", "bf16", "fp16", "fp32"), default="auto", help="of the planner")
    parser.add_argument(
        "--attention",
        choices=(*ATTENTIONS, "flash_attention_2"),
        default="auto",
        help="kernel of the planner and of the engine's self attention (sage: the engine's only)",
    )
    parser.add_argument("--quantize", choices=("4bit", "8bit"), help="of the planner; needs bitsandbytes")
    parser.add_argument(
        "--make", choices=MAKES, default="auto", help="what is to come out, whatever the words seem to say"
    )
    parser.add_argument("--force-plan", action="store_true", help="a picture or a video, never an answer")
    parser.add_argument(
        "--set",
        action="append",
        nargs="+",
        default=[],
        metavar="FIELD=VALUE",
        help="put your own value over the plan's, as in --set width=640 height=384 seconds=2",
    )


def _add_given(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("files beside the instruction (they win over what it says)")
    group.add_argument("--mask", type=Path, metavar="FILE", help="white = change; a picture, or a video for a video")
    group.add_argument("--mask-invert", action="store_true", help="the mask, given or found, marks what stays")
    group.add_argument(
        "--mask-phrase",
        metavar="TEXT",
        help=f"what to find and change, as in 'red car'; {MAIN}: the main noun; '{WHOLE_FRAME}': all of it",
    )
    group.add_argument("--control", type=Path, metavar="FILE", help="a control map, or footage with --control-kind")
    group.add_argument("--control-kind", choices=tuple(CONTROLS), default=MAP, help="the map to make from --control")
    group.add_argument(
        "--reference", type=Path, action="append", default=[], metavar="FILE", help="may be given several times"
    )
    group.add_argument("--first-frame", type=Path, metavar="FILE")
    group.add_argument("--last-frame", type=Path, metavar="FILE")
    group.add_argument("--outpaint", metavar="L,T,R,B", help="grow the source by so many pixels on each side")


def _add_sources(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sources and edits")
    group.add_argument(
        "--mask-scale", action="store_true", help="the mask's brightest value is white (masks of 0 and 1)"
    )
    group.add_argument("--mask-fill", choices=FILLS, default="none", help="close holes, or take hull or box")
    group.add_argument("--mask-grow", type=whole, default=0, metavar="PIXELS", help="below 0 shrinks")
    group.add_argument("--mask-blur", type=number, default=0.0, metavar="PIXELS")
    group.add_argument(
        "--composite",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="edits end with the source where the mask left it alone",
    )
    group.add_argument("--feather", type=whole, default=FEATHER, metavar="PIXELS", help="of the composite's seam")
    group.add_argument("--detector", type=Path, metavar="PATH", help="GroundingDINO, to find what is edited")
    group.add_argument("--segmenter", type=Path, metavar="PATH", help="SAM2, to cut it out and follow it")
    group.add_argument(
        "--threshold", type=number, default=DETECTION_THRESHOLD, help="what is looked for must score more"
    )
    group.add_argument(
        "--control-model", type=Path, action="append", default=[], metavar="PATH", help="for depth, pose or flow maps"
    )


def _add_merge(parser: argparse.ArgumentParser, command: Command) -> None:
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="the Qwen2.5-VL folder")
    parser.add_argument("--lora", type=Path, required=True, metavar="DIR", help="the planning LoRA")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder that does not exist yet")
    parser.add_argument("--dtype", choices=("auto", "bf16", "fp16", "fp32"), default="auto")
    parser.set_defaults(command=command)


def _add_doctor(parser: argparse.ArgumentParser, command: Command) -> None:
    parser.add_argument("--models", type=models_folder, metavar="DIR", help="a models folder to look into")
    parser.set_defaults(command=command)
