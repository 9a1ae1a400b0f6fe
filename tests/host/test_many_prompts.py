"""Many prompts in one host: its memory, its open files and its threads stay where they were.

UNISON_TEST_PROMPTS=200 makes it the long run of docs/media.md; without it the same kinds are made a few times.
"""

import os
import statistics
import sys
from pathlib import Path

import graphs
import numpy as np
import pytest
from comfy_host import ComfyHost
from host_prompts import Graph
from PIL import Image

COUNT = int(os.environ.get("UNISON_TEST_PROMPTS", "24"))
ROOM = 80 * 2**20
"""What may be kept between thirds of the run: a kept set of the embedded models a prompt would be many times it."""
CACHE = "--cache-classic"
"""Newer hosts keep what earlier prompts made until memory runs low, which is no leak and would hide one."""
SHARP = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "65536"}
"""What is freed goes back at once: with arenas a thread each, the count jumps by their 64 MB, held or not."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="counts by Linux's /proc")


@pytest.fixture(scope="module")
def busy(host_install, host_environment, tmp_path_factory):
    """A host of its own, whose memory nothing else moves."""
    with ComfyHost(host_install, CACHE, base=tmp_path_factory.mktemp("host"), env=host_environment | SHARP) as running:
        Image.new("RGB", (64, 64), "white").save(running.input_folder / "white.png")
        mask = np.zeros((64, 64), np.uint8)
        mask[16:48, 16:48] = 255
        Image.fromarray(mask).save(running.input_folder / "mask.png")
        yield running


def prompt_of(kind, seed):
    """One of four kinds: a picture, an edit, a clip, an answer."""
    graph = Graph()
    sentence, media = {
        "picture": (f"Draw a red circle, {64 + 16 * (seed % 3)}x64.", {}),
        "edit": ("In <image1> put a blue star where <mask1> is white.", {"image1": "white.png", "mask1": "mask.png"}),
        "clip": ("A video of a green square moving right, 64x64, 9 frames.", {}),
        "answer": ("What color is the circle in <image1>?", {"image1": "white.png"}),
    }[kind]
    models, planner = graphs.planned(graph, sentence, media)
    if kind == "answer":
        graph.node("PreviewAny", source=planner[2])
        return graph
    graphs.save_image(graph, graphs.all_in_one(graph, models, planner, steps=2, seed=seed)[0], f"{kind}_{seed}")
    return graph


def held(pid):
    """(bytes of its own, open files, threads) of a process."""
    process = Path(f"/proc/{pid}")
    lines = (process / "smaps_rollup").read_text().splitlines()
    own = sum(int(line.split()[1]) for line in lines if line.startswith(("Private_", "Swap:")))
    return own * 1024, len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))


def test_many_prompts_leave_memory_files_and_threads_as_they_were(busy):
    kinds, seen = ("picture", "edit", "clip", "answer"), []
    for number in range(COUNT):
        kind = kinds[number % 4]
        graphs.succeeded(busy.run(prompt_of(kind, number).prompt))
        seen.append(held(busy.pid))
    made = sorted(path.name for path in busy.output_folder.rglob("*.png"))
    wanted = {f"{kinds[n % 4]}_{n}" for n in range(COUNT) if n % 4 < 3}
    assert {name.rsplit("_", 2)[0] for name in made} == wanted
    third = COUNT // 3
    early, late = seen[third : 2 * third], seen[2 * third :]
    told = f"{COUNT} prompts: {'; '.join(_told(early, late, column) for column in range(3))}"
    sys.stdout.write(f"{told}\n")  # seen with -s
    for column, room in enumerate((ROOM, 8, 2)):
        assert _middle(late, column) - _middle(early, column) <= room, f"{told}; {seen[:: max(1, COUNT // 20)]}"


def _middle(part, column):
    return statistics.median(each[column] for each in part)


def _told(early, late, column):
    unit, name = ((2**20, "MB"), (1, "open files"), (1, "threads"))[column]
    return f"{_middle(early, column) / unit:.0f} to {_middle(late, column) / unit:.0f} {name}"
