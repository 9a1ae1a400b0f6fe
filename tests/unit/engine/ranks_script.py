"""One of two processes of a result: samples two steps on the embedded models, or is stopped by the other one."""

import sys
from pathlib import Path

import torch

from unison_backend.demo import set as demo
from unison_backend.engine.engine import Engine, initial_noise, noise_shape
from unison_backend.engine.ranks import joined
from unison_backend.engine.settings import SamplingSettings
from unison_backend.engine.vace_context import encode_context
from unison_backend.errors import Cancelled, InputError
from unison_backend.progress import never
from unison_backend.sources.prepare import Sources

STEPS = 3


def main(out, what):
    torch.set_num_threads(1)
    ranks, device = joined("cpu")
    files = demo.shipped()
    engine = Engine.load(files.vace, files.vae, torch.device(device))
    engine.ranks = ranks
    asked = 0

    def cancel():
        nonlocal asked
        asked += 1
        return ranks.rank == 1 and what == "stop" and asked == 2

    if what == "refuse":
        try:
            ranks.lead(lambda: (_ for _ in ()).throw(InputError("said once")))
        except InputError as error:
            Path(out, f"refused{ranks.rank}").write_text(str(error), encoding="utf-8")
        return
    given = ranks.lead(lambda: torch.linspace(0, 1, 64).expand(1, 64, 64)[..., None].expand(1, 64, 64, 3).clone())
    sources = Sources(given, torch.ones(1, 64, 64))
    context = encode_context(sources, engine.encode, never)
    draw = torch.Generator().manual_seed(3)
    texts = [
        torch.nn.functional.pad(torch.randn(1, 9, engine.transformer.config.text_dim, generator=draw), (0, 0, 0, 2039))
        for _ in range(2)
    ]
    if what == "leave" and ranks.rank == 1:
        return
    try:
        made = engine.sample(
            initial_noise(noise_shape(sources), 5),
            context,
            *texts,
            SamplingSettings(steps=STEPS, cfg=3.0),
            cancel=cancel,
        )
    except Cancelled:
        Path(out, f"stopped{ranks.rank}").write_text(str(asked), encoding="utf-8")
        return
    torch.save(made, Path(out, f"latents{ranks.rank}of{ranks.count}.pt"))


if __name__ == "__main__":
    main(*sys.argv[1:])
