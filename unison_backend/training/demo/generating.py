"""The stages of what makes pictures: VAE, text encoder and video model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...demo import build as models
from ...demo import tokenizers as tokens
from ...progress import Cancel, Progress
from ...weights.state import load_state_dict
from . import text as demo_text
from . import vace as demo_vace
from . import vae as demo_vae
from .widen import widen
from .work import Work, save, save_original, scaled, scaled_phase, start_file

TEXT = models.TEXT | {"heads": 4, "d_kv": 8}  # more heads in the same width: each looks for one thing
CORPUS_TEXTS = 3000  # instructions whose words the tokenizers learn
CORPUS_WEIGHT = 6  # how often the general corpus stands beside them
COVERAGE = 0.995


def sentences() -> list[str]:
    """What the tokenizers are trained on: instructions of the shape world, its planning data and the general corpus."""
    texts = demo_text.draw_texts(CORPUS_TEXTS, seed=5).texts
    return [*texts, *(tokens.corpus() * CORPUS_WEIGHT)]


def vae(work: Work, share: float, progress: Progress, cancel: Cancel) -> None:
    """The VAE, in Wan's own keys."""
    from ...weights.wan import load_vae

    out = work.set / "wan_vae.safetensors"
    if out.is_file():
        return
    if work.begin is not None:
        _vae_on(work, work.begin.vae, out, share, progress, cancel)
        return
    start = start_file(work, "vae", lambda path: models.write_vae(path, demo_vae.DIM))
    model: Any = load_vae(start, dtype=torch.float32, device=work.device)
    *phases, decoder = (scaled_phase(phase, share) for phase in (*demo_vae.PHASES, demo_vae.DECODER))
    demo_vae.train(model, work.state("vae"), phases, decoder, progress=progress, cancel=cancel)
    save_original(model.state_dict(), start, out, vae_names)


def _vae_on(work: Work, path: Path, out: Path, share: float, progress: Progress, cancel: Cancel) -> None:
    """A trained VAE that learns on, as wide as one from nothing."""
    from ...weights.wan import load_vae

    before: Any = load_vae(path, dtype=torch.float32, device=work.device)
    dim = max(demo_vae.DIM, int(before.config.base_dim))
    start = start_file(work, "vae", lambda path: models.write_vae(path, dim))
    model: Any = load_vae(start, dtype=torch.float32, device=work.device)
    widen(before, model)
    phase = scaled_phase(demo_vae.WIDER, share)
    demo_vae.train_on(model, before, work.state("vae"), phase, progress=progress, cancel=cancel)
    save_original(model.state_dict(), start, out, vae_names)


def text(work: Work, share: float, progress: Progress, cancel: Cancel) -> None:
    """The text encoder with its tokenizer inside."""
    from ...conditioning.text_encoder import load_text_encoder
    from ...weights.state import SPIECE_KEY

    out = work.set / "umt5.safetensors"
    if out.is_file():
        return
    spiece = tokens.train_sentencepiece(sentences(), COVERAGE)
    start = start_file(work, "text", lambda path: models.write_text_encoder(path, TEXT, spiece))
    encoder = load_text_encoder(start, dtype=torch.float32, device=work.device)
    demo_text.train(encoder, work.state("text"), scaled(demo_text.SCHEDULE, share), progress=progress, cancel=cancel)
    trained = encoder.model.state_dict()
    state = load_state_dict(start)
    save({key: value if key == SPIECE_KEY else trained[key] for key, value in state.items()}, out)


def vace(work: Work, share: float, progress: Progress, cancel: Cancel) -> None:
    """The video model, in Wan's own keys."""
    from ...conditioning.text_encoder import load_text_encoder
    from ...engine.engine import Engine
    from ...weights.wan import load_transformer

    out = work.set / "wan_vace.safetensors"
    if out.is_file():
        return
    phases: tuple[demo_vace.Phase, ...] = demo_vace.PHASES
    examples_share = share
    if work.begin is None:
        start = start_file(work, "vace", models.write_wan)
    else:
        start, phases, examples_share = work.begin.vace, (demo_vace.TUNE,), share * demo_vace.TUNE_SHARE
    transformer: Any = load_transformer(start, dtype=torch.float32, device=work.device)
    encode = Engine.load(start, work.set / "wan_vae.safetensors", work.device).encode
    examples = work.state("examples")
    with demo_vae.single_frames_as_pictures():
        groups = demo_vace.encode_groups(encode, examples, share=examples_share, progress=progress, cancel=cancel)
    encoder = load_text_encoder(work.set / "umt5.safetensors", dtype=torch.float32, device=work.device)
    demo_vace.train(
        transformer, encoder, groups, work.state("vace"), [scaled_phase(phase, share) for phase in phases],
        anew=work.begin is None, progress=progress, cancel=cancel,
    )  # fmt: skip
    state = transformer.state_dict()
    if work.begin is not None:
        before: Any = load_transformer(start, dtype=torch.float32, device=work.device)
        state = {name: value.lerp(state[name], demo_vace.TUNED) for name, value in before.state_dict().items()}
    save_original(state, start, out, vace_names)


def vae_names(original: Mapping[str, str]) -> dict[str, str]:
    """diffusers' names of a Wan VAE to the original ones."""
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    names: dict[str, str] = convert_wan_vae_to_diffusers(dict(original))
    return names


def vace_names(original: Mapping[str, str]) -> dict[str, str]:
    """diffusers' names of a Wan transformer to the original ones."""
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    names: dict[str, str] = convert_wan_transformer_to_diffusers(dict(original))
    return names
