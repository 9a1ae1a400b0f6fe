"""Moving shapes of the five kinds of video, longer than the embedded models make at once, for benchmarks/seams.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import torch
from torch import Tensor

from unison_backend.demo.world.shapes import COLOURS, MOTIONS, SHAPES, Scene, Thing, render, silhouette
from unison_backend.sources.masks import MASK_THRESHOLD
from unison_backend.sources.prepare import Sources

KINDS = ("words", "reference", "first frame", "edit", "control")
SIDE, GREY = 64, 0.5
# In the embedded models' own world a thing goes so far in 9 frames; over more it keeps that speed.
TRAVEL, TRAINED = 0.4, 9


@dataclass(frozen=True)
class Case:
    """An instruction with its sources. source: [T, H, W, 3], what an edit puts back outside its mask."""

    instruction: str
    sources: Sources
    source: Tensor | None = None


def case(kind: str, seed: int, frames: int) -> Case:
    """One of `KINDS`; a seed names shape, colours and motion."""
    random = Random(seed)
    background, colour, other = random.sample([name for name in COLOURS if name != "white"], 3)
    motion = random.choice([name for name in MOTIONS if name != "still"])
    still = Thing(random.choice(SHAPES), colour)
    thing = _moving(still, motion, frames)
    grey, everything = torch.full((frames, SIDE, SIDE, 3), GREY), torch.ones(frames, SIDE, SIDE)
    clip = render(Scene(background, (thing,)), frames, SIDE, SIDE)
    end = f"moving {motion} on a {background} background, 64x64, 9 frames."
    if kind == "words":
        return Case(f"A video of a {colour} {thing.shape} {end}", Sources(grey, everything))
    if kind == "reference":
        portrait = render(Scene("white", (replace(still, radius=0.33),)), 1, SIDE, SIDE)[0]
        text = f"Use <IMGPAD> as reference and make a clip of the {thing.shape} {end}"
        return Case(text, Sources(grey, everything, (portrait,)))
    if kind == "first frame":
        grey[0], everything[0] = clip[0], 0
        text = f"Animate <IMGPAD> so that the {colour} {thing.shape} moves {motion}, 9 frames."
        return Case(text, Sources(grey, everything))
    if kind == "edit":
        mask = (silhouette(replace(thing, radius=thing.radius + 0.05), frames, SIDE, SIDE) > MASK_THRESHOLD).float()
        video = torch.where(mask[..., None] > MASK_THRESHOLD, grey, clip)
        text = f"Change the colour of the {thing.shape} in <VIDPAD> to {other}, with the mask <VIDPAD>."
        return Case(text, Sources(video, mask), clip)
    from unison_backend.annotators.maps.canny import make as canny

    edges = canny(render(Scene("black", (replace(thing, colour="white"),)), frames, SIDE, SIDE))
    text = f"Generate a video of a {other} {thing.shape} on a {background} background, controlled by the edges in"
    return Case(f"{text} <VIDPAD>.", Sources(edges, everything))


def _moving(thing: Thing, motion: str, frames: int) -> Thing:
    way = TRAVEL * min(1.5, (frames - 1) / (TRAINED - 1))  # a longer one would leave the picture
    dx, dy = (way * part for part in MOTIONS[motion])
    return replace(thing, dx=dx, dy=dy, x=thing.x - dx / 2, y=thing.y - dy / 2)
