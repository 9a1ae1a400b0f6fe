"""Processes of one result, forked from this one so that libraries are imported once.

Usage: ranks_script.py FOLDER GROUP... A group is COUNT:CASE or COUNT:CASE+CASE; each process of it writes what it made
to FOLDER as CASE.COUNT.RANK.pt (or why it made nothing, as .txt), the first one also what one process makes, as
CASE.COUNT.one.pt.
"""

import os
import socket
import sys
from functools import lru_cache
from pathlib import Path

import torch
from diffusers import WanVACETransformer3DModel

from unison_backend.conditioning.text_context import text_context
from unison_backend.demo import set as demo
from unison_backend.engine import room as engine_room
from unison_backend.engine.engine import Engine, initial_noise
from unison_backend.engine.ranks import ALONE, VARIABLE, joined
from unison_backend.engine.settings import EngineOptions, SamplingSettings
from unison_backend.engine.vace_context import encode_context
from unison_backend.errors import ResourceError, UnisonError
from unison_backend.progress import never
from unison_backend.sources.prepare import Sources
from unison_backend.weights.wan import load_transformer, load_vae

CPU = torch.device("cpu")


@lru_cache
def small(heads, seed=0):
    """A transformer with random weights that are large enough to tell everything apart."""
    torch.manual_seed(seed)
    model = WanVACETransformer3DModel(
        num_attention_heads=heads, attention_head_dim=24, text_dim=32, freq_dim=16, ffn_dim=48, num_layers=3,
        vace_layers=[0, 2],
    )  # fmt: skip
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    return model.eval().requires_grad_(False)


@lru_cache
def vae():
    return load_vae(demo.shipped().vae)


@lru_cache
def embedded():
    return Engine(load_transformer(demo.shipped().vace, dtype=torch.float32), vae(), CPU)


def random(heads, low=None, **options):
    return Engine(small(heads), vae(), CPU, EngineOptions(**options), low)


def drawn(*shape, seed):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def control(frames, height, width):
    """A VACE context [1, 96, T', h, w] of latents; encoding one takes longer than all that is tested."""
    return drawn(1, 96, frames, height, width, seed=8) * 2 - 1


def encoded():
    """A context from pixels: a clip whose right half is made anew, behind a reference."""
    frames, height, width = 5, 32, 32
    mask = torch.zeros(frames, height, width)
    mask[:, :, width // 2 :] = 1
    sources = Sources(drawn(frames, height, width, 3, seed=8), mask, (drawn(height, width, 3, seed=9),))
    with torch.no_grad():
        return encode_context(sources, embedded().encode)


# What is made: engine, context, projected rows, settings. Tokens are a quarter of its places.
CASES = {
    "picture": lambda: (embedded(), control(1, 8, 8), 4, {}),
    "unplanned": lambda: (embedded(), control(1, 8, 8), 0, {}),
    "video": lambda: (embedded(), encoded(), 4, {}),
    "one side": lambda: (embedded(), control(4, 8, 8), 4, {"cfg": 1.0}),
    "small": lambda: (random(4), control(1, 4, 8), 4, {}),
    "uneven": lambda: (random(4), control(1, 6, 10), 4, {"cfg": 1.0}),
    "uneven heads": lambda: (random(3), control(2, 6, 10), 4, {"cfg": 1.0}),
    "uneven sides": lambda: (random(4), control(1, 6, 10), 4, {}),
    "both sides": lambda: (random(3), control(2, 8, 8), 4, {}),
    "strength 0": lambda: (random(4), control(1, 6, 10), 4, {"vace_strength": 0}),
    "two experts": lambda: (random(4, small(4, seed=1)), control(1, 8, 8), 4, {"cfg_low": 1.0, "boundary": 0.9}),
    "cache": lambda: (random(4, cache=1.0), control(1, 8, 8), 4, {"steps": 8}),
    "offload": lambda: (random(2, offload="group"), control(1, 4, 8), 4, {}),
}


def made(engine, context, projected, settings, cancel=never):
    """The latents."""
    width = engine.transformer.config.text_dim
    rows = [drawn(count, width, seed=count) - 0.5 for count in (7, 5, 4)]
    positive = text_context(rows[0], rows[2][None] if projected else None, 2048)
    negative = text_context(rows[1], None, 2048)
    return engine.sample(
        initial_noise((1, 16, *context.shape[2:]), 5),
        context,
        positive,
        negative,
        SamplingSettings(**{"steps": 3, "cfg": 3.0} | settings),
        cancel=cancel,
    )


def stopped_by_last(ranks):
    """Somebody stops the last process before the second pass."""
    asked = 0

    def cancel():
        nonlocal asked
        asked += 1
        return asked == 2 and ranks.rank == ranks.count - 1

    return cancel


def fails(ranks):
    """The last process runs out of memory in its second pass."""
    stopping = stopped_by_last(ranks)

    def cancel():
        if stopping():
            raise ResourceError("no memory left in the last one")
        return False

    return cancel


def refuses(ranks):
    def refuse():
        raise UnisonError("said by the first")

    ranks.lead(refuse)


def leaves(ranks):
    """All but the first end at once."""
    if not ranks.leads:
        os._exit(0)
    return never


ENDINGS = {"stop": stopped_by_last, "fail": fails, "leave": leaves, "refuse": refuses}


def run(out, case, ranks, engine, *rest):
    name = Path(out, f"{case}.{ranks.count}.{ranks.rank}")
    engine.ranks = ranks
    if case in ENDINGS:
        try:
            made(engine, *rest, ENDINGS[case](ranks))
        except UnisonError as error:
            speaks, status = ranks.ending(3 + ranks.rank)
            Path(f"{name}.txt").write_text(f"{speaks} {status} {type(error).__name__}: {error}")
        return
    torch.save(made(engine, *rest), f"{name}.pt")
    if ranks.leads:
        engine.ranks = ALONE
        engine_room.free_bytes = lambda device: 0  # one guidance side after the other, as several processes make them
        torch.save(made(engine, *rest), Path(out, f"{case}.{ranks.count}.one.pt"))


def group(out, count, cases):
    """Fork `count` processes that run `cases`; how each ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count), VARIABLE: str(count)}
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    ready = {case: CASES.get(case, CASES["small"])() for case in cases}  # each process has it from before the fork
    children = []
    for rank in range(count):
        child = os.fork()
        if not child:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            ranks, _ = joined("cpu")
            for case in cases:
                run(out, case, ranks, *ready[case])
            sys.stdout.flush()
            os._exit(0)
        children.append(child)
    store = torch.distributed.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)  # as torchrun's agent
    assert store.num_keys() >= 0
    return [os.waitpid(child, 0)[1] for child in children]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for wanted in sys.argv[2:]:
        count, _, cases = wanted.partition(":")
        ended = group(sys.argv[1], int(count), cases.split("+"))
        if any(ended):
            sys.exit(f"{wanted} ended with {ended}")
