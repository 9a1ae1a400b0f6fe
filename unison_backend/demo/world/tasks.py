"""Examples of the nine generation tasks in the shape world: what is asked, what VACE gets, what should come out.

The same examples train the demo models and measure them. Every example is drawn from a `random.Random`, so a seed
names it. Its sources are built directly; a test holds that the pipeline prepares the same ones from its media.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

import torch
from torch import Tensor

from ...annotators.maps.canny import make as canny
from ...media.resize import letterbox_on_white
from ...plan.tasks import Task
from ...sources.prepare import Sources
from .. import set as demo
from .canvas import SHIPPED, Canvas
from .shapes import COLOURS, MOTIONS, PLACES, SHAPES, SIZES, Scene, Thing
from .wording import NOTHING, Language, Meaning, Writer, words_of

SIDE = demo.SIDE
FRAMES = demo.FRAMES
GREY = 0.5
ENGLISH_SHARE = 0.75

IMAGE_PAD, VIDEO_PAD = "<IMGPAD>", "<VIDPAD>"


@dataclass(frozen=True)
class Example:
    """One request. media: pictures [1, H, W, 3] and clips [T, H, W, 3] in order of their pads; target [T, H, W, 3]."""

    task: Task
    instruction: str
    meaning: Meaning
    scene: Scene
    media: tuple[Tensor, ...]
    sources: Sources
    target: Tensor
    canvas: Canvas = SHIPPED


def meanings() -> dict[str, tuple[str, ...]]:
    """Every value that each field of a `Meaning` can have."""
    return {
        "task": tuple(_MAKERS),
        "colour": (NOTHING, *COLOURS),
        "shape": (NOTHING, *SHAPES),
        "background": (NOTHING, *COLOURS),
        "size": (NOTHING, *SIZES),
        "place": (NOTHING, *PLACES),
        "motion": (NOTHING, *MOTIONS),
    }


def kinds() -> tuple[str, ...]:
    """The kinds of example: the nine tasks, image to video by which frame is given, editing by what is done."""
    return tuple(_MAKERS)


def example(
    kind: str, random: Random, *, held_out: bool = False, language: Language | None = None, canvas: Canvas = SHIPPED
) -> Example:
    """One example of `kind`, as large and as long as `canvas`; with `held_out` worded as training never does."""
    chosen = language or ("en" if random.random() < ENGLISH_SHARE else "zh")
    made: Example = _MAKERS[kind](Writer(chosen, random, held_out, canvas), random, kind)
    return made


def continued(drawn: Example, kept: int) -> Example:
    """The same video with its first `kept` frames already made: given as they are, and masked off.

    So it is with each segment of a long video but the first (`engine/segments.py`): what went before is kept beside an
    edit's mask or a control's frames. Raises ValueError for a picture, or where nothing would be left to make.
    """
    length = len(drawn.target)
    if not 0 < kept < length:
        raise ValueError(f"{kept} frames cannot be kept of {length}")
    video, mask = drawn.sources.video.clone(), drawn.sources.mask.clone()
    video[:kept], mask[:kept] = drawn.target[:kept], 0.0
    return replace(drawn, sources=replace(drawn.sources, video=video, mask=mask))


def _thing(random: Random, background: str, *, said_size: bool = False, said_place: bool = False) -> Thing:
    """A thing as the instruction will describe it: what is not said is medium and in the centre, nearly."""
    colour = random.choice([name for name in COLOURS if name != background])
    size = random.choice(list(SIZES)) if said_size else "medium"
    x, y = PLACES[random.choice(list(PLACES)) if said_place else "centre"]
    jitter = [random.uniform(-0.03, 0.03) for _ in range(3)]
    return Thing(random.choice(SHAPES), colour, x + jitter[0], y + jitter[1], SIZES[size] * (1 + jitter[2]))


def size_of(thing: Thing) -> str:
    """The name of the size nearest to the thing's."""
    return min(SIZES, key=lambda name: abs(SIZES[name] - thing.radius))


def _place_of(thing: Thing) -> str:
    return min(PLACES, key=lambda name: abs(PLACES[name][0] - thing.x) + abs(PLACES[name][1] - thing.y))


def _blank(canvas: Canvas, frames: int) -> tuple[Tensor, Tensor]:
    extent = (frames, canvas.height, canvas.width)
    return torch.full((*extent, 3), GREY), torch.ones(extent)


def _described(task: str, scene: Scene, said: bool) -> Meaning:
    thing = scene.things[-1]
    return Meaning(
        task, thing.colour, thing.shape, scene.background, size_of(thing), _place_of(thing) if said else NOTHING
    )


def _text_to_image(writer: Writer, random: Random, kind: str) -> Example:
    background = random.choice(list(COLOURS))
    scene = Scene(background, (_thing(random, background, said_size=True, said_place=True),))
    meaning = _described(kind, scene, said=True)
    sources = Sources(*_blank(writer.canvas, 1))
    target = writer.canvas.render(scene, 1)
    return Example(
        task=Task(kind),
        instruction=writer.write(kind, scene, meaning),
        meaning=meaning,
        scene=scene,
        media=(),
        sources=sources,
        target=target,
        canvas=writer.canvas,
    )


def _text_to_video(writer: Writer, random: Random, kind: str) -> Example:
    scene, motion = _moving_scene(random, said_size=True)
    meaning = replace(_described(kind, scene, said=False), motion=motion)
    frames = writer.canvas.frames
    sources = Sources(*_blank(writer.canvas, frames))
    target = writer.canvas.render(scene, frames)
    return Example(
        task=Task(kind),
        instruction=writer.write(kind, scene, meaning),
        meaning=meaning,
        scene=scene,
        media=(),
        sources=sources,
        target=target,
        canvas=writer.canvas,
    )


def _moving_scene(random: Random, *, said_size: bool = False) -> tuple[Scene, str]:
    background, motion = random.choice(list(COLOURS)), random.choice(list(MOTIONS))
    thing = _thing(random, background, said_size=said_size).moving(motion)
    return Scene(background, (thing,)), motion


def _edit(writer: Writer, random: Random, kind: str) -> Example:
    """kind: `image_editing recolour` and so on."""
    task, what = kind.split()
    canvas = writer.canvas
    frames = 1 if task == Task.IMAGE_EDITING else canvas.frames
    background = random.choice(list(COLOURS))
    old = _thing(random, background, said_size=True, said_place=frames == 1)
    if frames > 1:
        old = old.moving(random.choice(list(MOTIONS)))
    before = Scene(background, (*_bystander(random, background, old, frames), old))
    new = _edited(random, old, what, background)
    after = replace(before, things=before.things[:-1] + ((new,) if new else ()))
    source = canvas.render(before, frames)
    mask = _edit_mask(random, [old, new] if new else [old], canvas, frames)
    wanted = canvas.render(after, frames)
    target = torch.where(mask[..., None] > 0.5, wanted, source)
    kept = torch.where(mask[..., None] > 0.5, GREY, source)
    meaning = Meaning(kind, *((new.colour, new.shape) if new else ()))
    if what == "replace" and new:
        meaning = replace(meaning, size=size_of(new))
    named = Scene(background, (new,) if new else ())
    pads = {"source": IMAGE_PAD if frames == 1 else VIDEO_PAD, "mask": IMAGE_PAD if frames == 1 else VIDEO_PAD}
    text = writer.write(what, named, meaning, old_shape=old.shape, **pads)
    order = sorted(("source", "mask"), key=lambda name: _template_order(text, name, writer))
    media = {"source": source, "mask": mask[..., None].expand(-1, -1, -1, 3)}
    sources = Sources(kept, mask)
    return Example(
        task=Task(task),
        instruction=text,
        meaning=meaning,
        scene=after,
        media=tuple(media[name] for name in order),
        sources=sources,
        target=target,
        canvas=writer.canvas,
    )


def _template_order(text: str, name: str, writer: Writer) -> int:
    """Which of source and mask stands first: the mask does where its word stands before the first pad."""
    words = {"en": "mask", "zh": "\u8499\u7248"}[writer.language]
    mask_first = 0 <= text.find(words) < text.find("PAD>")
    return int((name == "mask") != mask_first)


def _bystander(random: Random, background: str, thing: Thing, frames: int) -> tuple[Thing, ...]:
    """Sometimes a second, small thing in a corner far from `thing`, which an edit has to leave alone."""
    if random.random() < 0.5 or frames > 1:
        return ()
    corners = [(x, y) for x in (0.14, 0.86) for y in (0.14, 0.86)]
    x, y = max(corners, key=lambda corner: abs(corner[0] - thing.x) + abs(corner[1] - thing.y) + random.random() / 4)
    colour = random.choice([name for name in COLOURS if name not in (background, thing.colour)])
    return (Thing(random.choice(SHAPES), colour, x, y, 0.1),)


def _edited(random: Random, old: Thing, what: str, background: str) -> Thing | None:
    if what == "remove":
        return None
    colour = random.choice([name for name in COLOURS if name not in (background, old.colour)])
    if what == "recolour":
        return replace(old, colour=colour)
    return replace(old, colour=colour, shape=random.choice([name for name in SHAPES if name != old.shape]))


def _edit_mask(random: Random, things: list[Thing], canvas: Canvas, frames: int) -> Tensor:
    """0 / 1 [T, H, W] around the things: their outline widened, or the box around it."""
    margin = random.uniform(0.03, 0.07)
    wide = [canvas.silhouette(replace(thing, radius=thing.radius + margin), frames) for thing in things]
    mask = (torch.stack(wide).amax(0) > 0.5).float()
    if random.random() < 0.5:
        rows = mask.amax(2, keepdim=True)
        columns = mask.amax(1, keepdim=True)
        mask = rows * columns
    return mask


def _control(writer: Writer, random: Random, kind: str) -> Example:
    canvas = writer.canvas
    frames = 1 if kind == Task.IMAGE_CONTROL else canvas.frames
    background = random.choice(list(COLOURS))
    thing = _thing(random, background, said_size=True, said_place=frames == 1)
    if frames > 1:
        thing = thing.moving(random.choice(list(MOTIONS)))
    scene = Scene(background, (thing,))
    edges = edge_map(thing, frames, canvas)
    meaning = Meaning(kind, thing.colour, thing.shape, background)
    pad = IMAGE_PAD if frames == 1 else VIDEO_PAD
    sources = Sources(edges, torch.ones(frames, canvas.height, canvas.width))
    target = canvas.render(scene, frames)
    text = writer.write(kind, scene, meaning, control=pad)
    return Example(
        task=Task(kind),
        instruction=text,
        meaning=meaning,
        scene=scene,
        media=(edges,),
        sources=sources,
        target=target,
        canvas=writer.canvas,
    )


def edge_map(thing: Thing, frames: int, canvas: Canvas = SHIPPED) -> Tensor:
    """The canny map of `thing` alone in white on black: [T, H, W, 3]."""
    return canny(canvas.render(Scene("black", (replace(thing, colour="white"),)), frames))


def _reference(writer: Writer, random: Random, kind: str) -> Example:
    canvas = writer.canvas
    frames = 1 if kind == Task.IMAGE_REFERENCE else canvas.frames
    background, motion = random.choice(list(COLOURS)), random.choice(list(MOTIONS))
    thing = _thing(random, background, said_place=frames == 1)
    if thing.colour == "white":  # it would not be seen on the reference's white
        thing = replace(thing, colour=random.choice([name for name in COLOURS if name not in (background, "white")]))
    placed = thing if frames == 1 else thing.moving(motion)
    scene = Scene(background, (placed,))
    portrait = Thing(thing.shape, thing.colour, radius=random.uniform(0.28, 0.38))
    picture = replace(canvas, height=SIDE, width=SIDE).render(Scene("white", (portrait,)), 1)
    meaning = Meaning(kind, shape=thing.shape, background=background)
    meaning = replace(meaning, place=_place_of(thing)) if frames == 1 else replace(meaning, motion=motion)
    sources = Sources(*_blank(canvas, frames), (letterbox_on_white(picture[0], canvas.width, canvas.height),))
    target = canvas.render(scene, frames)
    text = writer.write(kind, scene, meaning, reference=IMAGE_PAD)
    return Example(
        task=Task(kind),
        instruction=text,
        meaning=meaning,
        scene=scene,
        media=(picture,),
        sources=sources,
        target=target,
        canvas=writer.canvas,
    )


def _frames(writer: Writer, random: Random, kind: str) -> Example:
    """kind: `image_to_video first`, `last` or `both`."""
    task, which = kind.split()
    scene, motion = _moving_scene(random, said_size=True)
    canvas = writer.canvas
    target = canvas.render(scene, canvas.frames)
    video, mask = _blank(canvas, canvas.frames)
    given = [index for index, name in ((0, "first"), (canvas.frames - 1, "last")) if which in (name, "both")]
    for index in given:
        video[index], mask[index] = target[index], 0.0
    thing = scene.things[-1]
    text = writer.write(which, scene, Meaning(kind, thing.colour, thing.shape, motion=motion), frame=IMAGE_PAD)
    words = words_of(writer.language)
    meaning = Meaning(
        kind,
        thing.colour if words["colours"][thing.colour] in text else NOTHING,
        thing.shape if words["shapes"][thing.shape] in text else NOTHING,
        motion=motion if any(said in text for said in words["moves"][motion]) else NOTHING,
    )
    media = tuple(target[index : index + 1] for index in given)
    return Example(
        task=Task(task),
        instruction=text,
        meaning=meaning,
        scene=scene,
        media=media,
        sources=Sources(video, mask),
        target=target,
        canvas=writer.canvas,
    )


_MAKERS: dict[str, Any] = {
    "text_to_image": _text_to_image,
    "image_editing recolour": _edit,
    "image_editing replace": _edit,
    "image_editing remove": _edit,
    "image_control": _control,
    "image_reference": _reference,
    "text_to_video": _text_to_video,
    "image_to_video first": _frames,
    "image_to_video last": _frames,
    "image_to_video both": _frames,
    "video_editing recolour": _edit,
    "video_editing replace": _edit,
    "video_editing remove": _edit,
    "video_control": _control,
    "video_reference": _reference,
}
