"""What preparing sources costs, in time and memory, by the length of the clip; and SAM2's following, frame by frame.

Usage: python3 -m uv run python benchmarks/sources.py [--frames 21 41 81 161 321] [--rounds 3] [--full-size]
       python3 -m uv run python benchmarks/sources.py --ten-seconds [--job canny] [--against FOLDER] [--media FOLDER]

--ten-seconds: ten seconds of 1080p (81 frames of 832x480 are taken) as an edit with a moving mask, as a map that is
taken as it is, and as footage that a map is made of (--job names those that are wanted), each time in a fresh process;
medians of CPU seconds and peak memory, and beside them, in turns, what decoding the two files alone takes (all
240 frames of each, nothing converted), so that the ratio says what is ours on a machine of any speed. --against:
FOLDER is another checkout of this repository (`git worktree add FOLDER COMMIT`) that does the same in turns. --media:
where the two files are made, or lie from before.

Each figure of the sources is the median over fresh processes, so that a peak is that of one job, from H.264 files and
with the libraries loaded before the clock starts: 81 frames of 832x480, and several lengths of 416x240 (the model's
budget holds longer clips only when they are small). `peak_mb` is over what the process held before, `copies` the same
in float32 copies of the clip. `copies_per_frame_added` compares neighbouring lengths: it stays the same where memory
grows in step with the clip, and would grow with its square. --full-size follows with the
configuration of sam2.1-hiera-large and random weights (tens of seconds a frame on a CPU; the default is a small model,
which shows what our own part costs). Nothing here is a test: no figure can fail it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from core import report

ROOT = Path(__file__).resolve().parents[1]
FPS = 24
DECODING, DECODING_ONE = "decoding alone", "decoding the source alone"
FILES = {DECODING: ("source.mp4", "mask.mp4"), DECODING_ONE: ("source.mp4",)}
LARGE, SMALL, FULL_HD = (832, 480), (416, 240), (1920, 1080)
MB = 2**20
JOBS = {
    "edit with a moving mask": "Make the ball in this video ###source.mp4### green. Here is the mask ###mask.mp4###.",
    "first frame": "Based on the provided first frame ###first.png###, generate a video of rolling waves.",
    "canny of footage": "Make a video of a robot in a hall.",
}
CONTROLS = ("map", "grey", "scribble", "canny")
TEN_SECONDS = (next(iter(JOBS)), *(f"{kind} of footage" for kind in CONTROLS))


def write_media(folder: Path, frames: int, width: int, height: int) -> None:
    """source.mp4 (a ball over a moving pattern), mask.mp4 and first.png, frame after frame."""
    import numpy as np

    from unison_backend.media.write import write_image, write_video

    folder.mkdir()
    rows, columns = np.mgrid[:height, :width]

    def ball(number: int) -> Any:
        return (columns - 3 * number % width) ** 2 + (rows - height // 2) ** 2 < (height // 6) ** 2

    def frame(number: int) -> Any:
        pattern = (127 + 60 * np.sin((columns + 4 * number) / 23) + 60 * np.sin(rows / 17)).astype(np.uint8)
        picture = np.stack([pattern, pattern[::-1], 255 - pattern], -1)
        picture[ball(number)] = (220, 60, 30)
        return picture

    def mask(number: int) -> Any:
        return np.repeat(ball(number).astype(np.uint8)[..., None] * 255, 3, -1)

    write_video(folder / "source.mp4", map(frame, range(frames)), Fraction(FPS))
    write_video(folder / "mask.mp4", map(mask, range(frames)), Fraction(FPS))
    write_image(folder / "first.png", frame(0))


def prepare(job: str, frames: int, folder: Path) -> dict[str, float]:
    """One job in this process: seconds, peak memory over what was held before, and that in copies of the clip."""
    import psutil
    import torch

    from unison_backend.annotators.bind import AnnotatorPaths, annotators
    from unison_backend.pipeline.planning import make_plan
    from unison_backend.pipeline.sources import SourceOptions, prepare_sources
    from unison_backend.plan.prompt import parse_paths
    from unison_backend.planner.rules.targets import parse_target
    from unison_backend.progress import never, silent
    from unison_backend.sources.given import GivenSources

    os.chdir(folder)
    kind = job.partition(" of footage")[0]
    given = GivenSources(control_file=folder / "source.mp4", control=kind) if kind in CONTROLS else GivenSources()
    words = JOBS["canny of footage" if kind in CONTROLS else job]
    planned = make_plan(parse_paths(words), {"num_frames": frames} if frames else {}, given=given)
    hooks = annotators(AnnotatorPaths(), torch.device("cpu"), parse_target)
    if kind in CONTROLS and hooks.make_map:  # kornia and scipy are loaded, and are not the job
        hooks.make_map(kind, torch.rand(1, 16, 16, 3), silent, never)
    before, start, worked = psutil.Process().memory_info().rss, perf_counter(), process_time()
    sources = prepare_sources(planned, SourceOptions(annotators=hooks), silent, never)
    seconds, cpu_seconds, peak = perf_counter() - start, process_time() - worked, _peak()
    if len(sources.video) != (frames or 81):
        raise ValueError(f"{job} made {list(sources.video.shape)} in place of {frames} frames")
    clip = sources.video.numel() * sources.video.element_size()
    used = peak - before
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "clip_mb": clip / MB,
        "peak_mb": used / MB,
        "copies": used / clip,
    }


def _peak() -> int:
    """The most memory that this process ever held, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def all_sources(lengths: list[int], rounds: int) -> dict[str, Any]:
    """Medians by job, size and length, and by how much memory grows from one length to the next."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large", Path(folder) / "small"
        write_media(large, 81, *LARGE)
        write_media(small, max(lengths), *SMALL)
        for job in JOBS:
            runs = {n: _median([_fresh(job, n, small) for _ in range(rounds)]) for n in sorted(lengths)}
            added = [
                round((b["peak_mb"] - a["peak_mb"]) / (b["clip_mb"] - a["clip_mb"]), 2)
                for a, b in pairwise(runs.values())
            ]
            figures[job] = {
                "81 frames of 832x480": _median([_fresh(job, 81, large) for _ in range(rounds)]),
                "416x240 by frames": runs,
                "copies_per_frame_added": added,
            }
    return figures


def ten_seconds(jobs: Sequence[str], other: Path | None, media: Path, rounds: int) -> dict[str, Any]:
    """Each job on ten seconds of 1080p by this checkout and maybe another one, and decoding alone, in turns."""
    if not media.exists():
        write_media(media, 10 * FPS, *FULL_HD)
    return {job: _in_turns(job, other, media, rounds) for job in jobs}


def _in_turns(job: str, other: Path | None, media: Path, rounds: int) -> dict[str, Any]:
    places = {"now": ROOT} | ({"before": other.resolve()} if other else {})
    alone = DECODING if job.startswith("edit") else DECODING_ONE
    runs: dict[str, list[dict[str, float]]] = {alone: [], **{name: [] for name in places}}
    for _ in range(rounds):
        runs[alone].append(_fresh(alone, 0, media))
        for name, place in places.items():
            runs[name].append(_fresh(job, 0, media, place))
    medians = {name: _median(made) for name, made in runs.items()}
    share = round(medians["now"]["cpu_seconds"] / medians[alone]["cpu_seconds"], 2)
    shares = {f"now / {alone}": {"cpu_seconds": share}}
    if other:
        both = {key: round(medians["now"][key] / medians["before"][key], 3) for key in ("cpu_seconds", "peak_mb")}
        shares["now / before"] = both
    return {**medians, **shares}


def decode(folder: Path, names: Sequence[str]) -> dict[str, float]:
    """CPU seconds of decoding files, all of their frames, as we do it (no threads)."""
    import av

    start = process_time()
    for name in names:
        with av.open(str(folder / name)) as container:
            container.streams.video[0].thread_type = "NONE"
            for _ in container.decode(video=0):
                pass
    return {"cpu_seconds": process_time() - start}


def _fresh(job: str, frames: int, folder: Path, checkout: Path = ROOT) -> dict[str, float]:
    """frames: 0 for what the plan says. checkout: whose package is measured, by this script."""
    command = [sys.executable, __file__, "--only", job, str(frames), str(folder)]
    paths = os.environ | {"PYTHONPATH": str(checkout)}
    run = subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.PIPE, text=True, env=paths)
    result: dict[str, float] = json.loads(run.stdout)
    return result


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}


def following(full_size: bool) -> dict[str, Any]:
    """Seconds a frame of SAM2 with one box, by the length of the clip; the first frame finds, the others follow."""
    import torch

    from unison_backend.annotators.segmenter import load_segmenter

    generator = torch.Generator().manual_seed(0)
    figures: dict[str, Any] = {"model": "sam2.1-hiera-large, random" if full_size else "small (128 pixels), random"}
    with tempfile.TemporaryDirectory() as folder:
        segmenter = load_segmenter(_large_segmenter(Path(folder)) if full_size else _small_segmenter(Path(folder)))
        for frames in (3,) if full_size else (21, 41, 81):
            video, times = torch.rand(frames, LARGE[1], LARGE[0], 3, generator=generator), [perf_counter()]
            segmenter.track(
                video, 0, boxes=[(100, 100, 400, 300)], progress=lambda *_, times=times: times.append(perf_counter())
            )
            steps = [after - before for before, after in pairwise(times)]
            tail = steps[len(steps) // 2 :]
            figures[str(frames)] = {"a_frame_s": statistics.median(steps), "late_frame_s": statistics.median(tail)}
    return figures


def _small_segmenter(folder: Path) -> Path:
    """The tests' own model."""
    place = ROOT / "tests" / "unit" / "tiny_annotators.py"
    spec = importlib.util.spec_from_file_location("tiny_annotators", place)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} is not there")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Path = module.make_segmenter(folder / "small")
    return made


def _large_segmenter(folder: Path) -> Path:
    """sam2.1-hiera-large's configuration."""
    import transformers

    backbone = {
        **{"model_type": "sam2_hiera_det_model", "hidden_size": 144, "num_attention_heads": 2},
        **{"blocks_per_stage": [2, 6, 36, 4], "embed_dim_per_stage": [144, 288, 576, 1152]},
        **{"num_attention_heads_per_stage": [2, 4, 8, 16], "window_size_per_stage": [8, 4, 16, 8]},
        **{"global_attention_blocks": [23, 33, 43], "window_positional_embedding_background_size": [7, 7]},
    }
    vision = {"model_type": "sam2_vision_model", "backbone_config": backbone}
    config = transformers.Sam2VideoConfig(
        vision_config=vision | {"backbone_channel_list": [1152, 576, 288, 144]},
        enable_temporal_pos_encoding_for_object_pointers=True,
        enable_occlusion_spatial_embedding=True,
    )
    transformers.Sam2VideoModel(config).save_pretrained(folder / "large")
    name = "Sam2ImageProcessor" if hasattr(transformers, "Sam2ImageProcessor") else "Sam2ImageProcessorFast"
    image, video = getattr(transformers, name)(), transformers.Sam2VideoVideoProcessor()
    transformers.Sam2VideoProcessor(image, video).save_pretrained(folder / "large")
    return folder / "large"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    names = ("torch", "transformers", "av", "kornia")
    known = {"system": f"{platform.system()} {platform.machine()}", "cpus": os.cpu_count()}
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return known | {"threads": threads, "python": platform.python_version()} | {name: version(name) for name in names}


def main() -> None:
    """Run everything and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[21, 41, 81, 161, 321], help="lengths, 4k + 1 each")
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes a figure")
    parser.add_argument("--full-size", action="store_true", help="only SAM2, with the large model's configuration")
    parser.add_argument("--ten-seconds", action="store_true", help="only ten seconds of 1080p")
    parser.add_argument("--job", nargs="+", choices=("edit", *CONTROLS), help="with it: which jobs (default: edit)")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="with it: compare with another checkout")
    parser.add_argument("--media", type=Path, metavar="FOLDER", help="with it: where its files are made, or lie")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--only", nargs=3, metavar=("JOB", "FRAMES", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        job, frames, folder = options.only
        names = FILES.get(job)
        made = decode(Path(folder), names) if names else prepare(job, int(frames), Path(folder))
        sys.stdout.write(json.dumps(made))
        return
    if options.ten_seconds:
        with tempfile.TemporaryDirectory() as folder:
            jobs = [next(job for job in TEN_SECONDS if job.startswith(name)) for name in options.job or ("edit",)]
            made = ten_seconds(jobs, options.against, options.media or Path(folder) / "media", options.rounds)
        report({"1080p": made, "machine": machine()}, options.json)
        return
    figures: dict[str, Any] = {} if options.full_size else {"sources": all_sources(options.frames, options.rounds)}
    figures |= {"following": following(options.full_size), "machine": machine()}
    report(figures, options.json)


if __name__ == "__main__":
    main()
