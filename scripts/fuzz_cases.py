"""What `fuzz.py` tries: seeds of each kind, how they are mutated, and what is done with them.

A case is a function of a random generator and a folder of its own; whatever it raises besides the pack's own errors is
a find. Cases of one kind and number are the same on every machine.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import shutil
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

Case = Callable[[Random, Path], None]

ODD_NUMBERS = (0, -1, 1, 2**31 - 1, 2**32, 2**63, 10**30, -(10**30), 1e308, -0.0, 0.5, float("nan"), float("inf"))
ODD_TEXTS = (
    "", " ", "\0", "\ud800", "a" * 5000, "1" * 5000, "1e99999999", "nan", "-inf", "../../etc/passwd", "/dev/zero",
    "\u0661", "1/0", "0x10", "1_000", "\u202e", "(a+)+$", "<image1>", "<IMGPAD>", "######", "###", "first", "none",
)  # fmt: skip
ODD = (*ODD_NUMBERS, *ODD_TEXTS, None, True, False, [], {}, [[]], {"a": {}}, [None] * 300, {"": 0})
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def mutated_text(random: Random, text: str) -> str:
    """A text with characters, words and runs removed, doubled, replaced or put in from elsewhere."""
    for _ in range(random.randint(1, 4)):
        at, end = sorted(random.randint(0, len(text)) for _ in range(2))
        piece = random.choice((
            "", text[at:end] * 2, str(random.choice(ODD_TEXTS)), repr(random.choice(ODD_NUMBERS)),
            chr(random.randint(0, 0x2FFFF)), text[at:end][::-1], text[at:end].upper(),
        ))  # fmt: skip
        text = (text[:at] + piece + text[random.choice((at, end)) :])[:20_000]
    return text


def mutated_bytes(random: Random, data: bytes) -> bytes:
    """Bytes with bits turned, numbers put over others, parts cut out, doubled or swapped, or the end cut off."""
    made = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if not made:
            break
        # The beginning holds most of what is read as numbers.
        at = random.randrange(min(len(made), random.choice((32, 256, len(made)))))
        how = random.randrange(6)
        if how == 0:
            made[at] ^= 1 << random.randrange(8)
        elif how == 1:
            size, order = random.choice((1, 2, 4, 8)), random.choice("<>")
            number = random.choice(INTERESTING) & (2 ** (8 * size) - 1)
            made[at : at + size] = struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[size], number)
        elif how == 2:
            del made[at : at + random.randint(1, 64)]
        elif how == 3:
            made[at:at] = made[at : at + random.randint(1, 64)]
        elif how == 4:
            made[at : at + 8] = random.randbytes(8)
        else:
            del made[random.randrange(len(made)) :]
    return bytes(made)


def mutated_json(random: Random, value: Any, depth: int = 0) -> Any:
    """A JSON value with keys gone, doubled or renamed and values of any other kind in their places."""
    if random.random() < 0.15 or depth > 6:
        return random.choice(ODD)
    if isinstance(value, dict) and value:
        made = dict(value)
        for key in random.sample(sorted(made), min(len(made), random.randint(1, 3))):
            how = random.random()
            if how < 0.15:
                del made[key]
            elif how < 0.3:
                made[mutated_text(random, key)[:200]] = made.pop(key)
            else:
                made[key] = mutated_json(random, made[key], depth + 1)
        return made
    if isinstance(value, list) and value:
        made_list = list(value)
        made_list[random.randrange(len(made_list))] = mutated_json(random, random.choice(value), depth + 1)
        return made_list * random.choice((1, 1, 1, 2, 50))
    if isinstance(value, str):
        return mutated_text(random, value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return random.choice(ODD)
    return random.choice((value + 1, -value, value * 1000, random.choice(ODD)))


def json_bytes(random: Random, value: Any) -> bytes:
    """A mutated value as JSON text, now and then damaged or nested without an end."""
    if random.random() < 0.03:
        return random.choice((b"[", b'{"a":', b"[[],")) * random.choice((500, 100_000))
    data = json.dumps(mutated_json(random, value)).encode()
    return mutated_bytes(random, data) if random.random() < 0.2 else data


# ---- parsers ---------------------------------------------------------------------------------------------------------

PROMPTS = (
    "Create a 480p horizontal video of a red kite over the sea, 3 seconds long.",
    "Make the cat in ###a.png### white. Here is the mask ###m.png###.",
    "Draw 3 foxes, 512x768 pixels, as in <image1> and <image2>.",
    "Extend this video by 2.5 seconds at 30 fps, first frame <image1>, last frame <image2>.",
    "\u751f\u6210\u4e00\u4e2a4\u79d2\u7684\u7ad6\u5c4f\u89c6\u9891\uff1a\u4e00\u4e2a\u5973\u5b69\u5728\u96e8\u4e2d\u8df3\u821e\u3002",
    "Erweitere das Bild links um 200 Pixel, \u00bd Minute, 1920\u00d71080.",
)
TOKENS = "<BORES>640,480<EORES><BONF>48<EONF><BOFIDX>0,1<EOFIDX><BOEDIT>1,0<EOEDIT><REF><CTRL><CFV>"
SETTINGS = (
    "width=640", "height=384", "seconds=2.5", "fps=30000/1001", "num_frames=49", "references=0,2",
    "frames=0:first,1:last", "mask=1", "source=0", "control=depth", "target=red car", "output=video", "prompt=a fox",
)  # fmt: skip
LINE = {
    "prompt": "Draw a fox.", "settings": {"width": 64, "seconds": 2.5}, "make": "picture", "length": "whole", "seed": 1,
    "steps": 5, "cfg": 3.0, "negative": "bad", "mask": "m.png", "outpaint": "0,0,64,0", "reference": ["a.png"],
    "temperature": 0.5, "composite": True, "mask_phrase": "car", "media": ["a.png"], "mask_grow": 3,
}  # fmt: skip


def tokens(random: Random, folder: Path) -> None:
    """What a planning model writes."""
    from unison_backend.plan.spec import resolve
    from unison_backend.plan.tokens import parse

    media = tuple(random.choice(("image", "video")) for _ in range(random.randint(0, 3)))
    resolve(parse(mutated_text(random, TOKENS), "a fox", media))  # type: ignore[arg-type]


def plans(random: Random, folder: Path) -> None:
    """Plans as JSON."""
    from unison_backend.plan.as_json import from_json, to_json
    from unison_backend.plan.plan import Plan
    from unison_backend.plan.spec import resolve
    from unison_backend.plan.tasks import Task

    plan = Plan(Task.TEXT_TO_VIDEO, prompt="a fox", width=640, height=480, num_frames=49, fps=Fraction(24))
    read = from_json(mutated_json(random, to_json(plan)))
    resolve(read)
    if from_json(json.loads(json.dumps(to_json(read)))) != read:
        raise AssertionError("a plan that was read is written as another one")


def settings(random: Random, folder: Path) -> None:
    """Values of --set, borders, LoRAs, caches and numbers of the command line."""
    from unison_backend.cli.values import number, whole
    from unison_backend.engine.settings import parse_cache, parse_lora
    from unison_backend.plan.borders import parse_borders
    from unison_backend.plan.overrides import apply, parse_settings
    from unison_backend.plan.plan import Plan
    from unison_backend.plan.spec import resolve
    from unison_backend.plan.tasks import Task

    how = random.randrange(6)
    if how < 3:
        chosen = random.sample(SETTINGS, random.randint(1, 4))
        values = parse_settings([mutated_text(random, one) if random.random() < 0.6 else one for one in chosen])
        plan = apply(Plan(Task.TEXT_TO_VIDEO, prompt="a fox", media=("image", "image")), values)
        resolve(plan, fps=values.get("fps"))
        return
    read, seed = random.choice((
        (number, "2.5"), (whole, "12"), (parse_borders, "0,20%,64,0"), (parse_lora, "a.safetensors:0.7"),
        (parse_cache, "easy:0.05"),
    ))  # fmt: skip
    with contextlib.suppress(argparse.ArgumentTypeError):
        read(mutated_text(random, seed))  # type: ignore[operator]


def prompts(random: Random, folder: Path) -> None:
    """Instructions, through the rules planner and its numbers."""
    from unison_backend.plan.prompt import bind_names, parse_pads, parse_paths
    from unison_backend.plan.spec import resolve
    from unison_backend.planner.rules.plan import RulesPlanner

    text = mutated_text(random, random.choice(PROMPTS))
    parse = random.choice((parse_paths, parse_pads, lambda words: bind_names(words, {})))
    resolve(RulesPlanner().plan(parse(text)).plan)


def lines(random: Random, folder: Path) -> None:
    """A line of a batch."""
    from unison_backend.batch.job import Job
    from unison_backend.batch.lines import read_jobs
    from unison_backend.plan.prompt import Prompt

    path = folder / "lines.jsonl"
    path.write_bytes(json_bytes(random, LINE).replace(b"\n", b" ") + b"\n")
    list(read_jobs(path, Job(0, Prompt(("-",)))))


# ---- files -----------------------------------------------------------------------------------------------------------


@functools.cache
def media_seeds(folder: Path) -> tuple[Path, ...]:
    """Small pictures and videos of every kind."""
    import numpy as np
    from PIL import Image

    from unison_backend.media.write import write_video

    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 255, (5, 24, 32, 3), np.uint8)
    pictures = [Image.fromarray(frame) for frame in noise]
    exif = Image.Exif()
    exif[0x0112] = 6
    pictures[0].save(folder / "a.png", pnginfo=None)
    pictures[0].convert("P").save(folder / "p.png")
    pictures[0].save(folder / "a.jpg", exif=exif)
    pictures[0].convert("CMYK").save(folder / "c.jpg")
    pictures[0].save(folder / "a.webp")
    pictures[0].save(folder / "a.tif", compression="tiff_lzw")
    pictures[0].save(folder / "a.bmp")
    for name in ("m.gif", "m.webp", "m.png"):
        pictures[0].save(folder / name, save_all=True, append_images=pictures[1:], duration=80)
    write_video(folder / "v.mp4", noise, Fraction(24))
    return tuple(sorted(folder.iterdir()))


def media(random: Random, folder: Path) -> None:
    """Pictures and videos: looked at, and read to the last frame, as either kind."""
    from unison_backend.media.pictures import load_image, load_with_alpha
    from unison_backend.media.probe import iter_frames, probe

    seed = random.choice(media_seeds(folder.parent / "media"))
    suffix = seed.suffix if random.random() < 0.8 else random.choice((".png", ".mp4", ".gif", ".jpg", ".mov", ".webm"))
    path = folder / f"x{suffix}"
    path.write_bytes(mutated_bytes(random, seed.read_bytes()))
    if random.random() < 0.5:
        if probe(path, "image").width < 5000:
            load_image(path, as_mask=random.random() < 0.3)
            load_with_alpha(path)
    elif probe(path, "video").width < 5000:
        for number, _ in enumerate(iter_frames(path)):
            if number > 30:
                break


def weights(random: Random, folder: Path) -> None:
    """Weights files, by their headers and to the last tensor."""
    import torch
    from safetensors.torch import save_file

    from unison_backend.weights.kinds import check_kind, own_part
    from unison_backend.weights.state import dequantize, load_state_dict

    state = {name: torch.zeros(4, 3) for name in ("a.weight", "b.scale_weight", "model.c")}
    path = folder / f"x{random.choice(('.safetensors', '.pth'))}"
    if path.suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path, {"format": "pt"})
    path.write_bytes(mutated_bytes(random, path.read_bytes()))
    read = load_state_dict(path, device=random.choice(("cpu", "meta")))
    part = own_part(dequantize(read, torch.float32), random.choice(("transformer", "vae", "text_encoder")))
    check_kind("transformer", {key: tuple(tensor.shape) for key, tensor in part.items()}, str(path))


def configurations(random: Random, folder: Path) -> None:
    """A model folder's or adapter's small files, held against its weights."""
    from unison_backend.demo.set import ensure
    from unison_backend.planner.qwen.adapters import read_adapter
    from unison_backend.weights.config_limits import check_config, check_processor
    from unison_backend.weights.folder import check_folder, has_planning_weights, model_type
    from unison_backend.weights.small_json import read_json
    from unison_backend.weights.tokenizer_files import check_tokenizer

    demo = ensure()
    is_adapter = demo.lora is not None and random.random() < 0.4
    source = demo.lora if is_adapter and demo.lora is not None else demo.planner
    place = folder / "model"
    shutil.copytree(source, place, symlinks=False, copy_function=_linked, dirs_exist_ok=True)
    name = random.choice(sorted(path.name for path in place.iterdir() if path.suffix == ".json"))
    value = json.loads((source / name).read_text(encoding="utf-8"))
    (place / name).unlink()
    (place / name).write_bytes(json_bytes(random, value))
    if is_adapter:
        read_adapter(place)
        return
    model_type(place)
    has_planning_weights(place)
    check_folder(place, ("qwen2_5_vl",), "a planner")
    check_processor(place)
    check_tokenizer(place)
    config = read_json(place / "config.json")
    check_config(place / "config.json", config, {"lm_head.weight": (8192, 64), "model.norm.weight": (64,)})


def _linked(source: str, target: str) -> str:
    Path(target).hardlink_to(source) if not source.endswith(".json") else shutil.copyfile(source, target)
    return target


PARSERS: dict[str, Case] = {
    "tokens": tokens, "plans": plans, "settings": settings, "prompts": prompts, "lines": lines
}  # fmt: skip
FILES: dict[str, Case] = {"media": media, "weights": weights, "configurations": configurations}
KINDS = PARSERS | FILES
