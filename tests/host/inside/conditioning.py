"""Numbers that only the host's own objects can give: rows of text, VACE's context, models of other kinds."""

import importlib
import types

import torch


def main(pack, arguments):
    """Facts for test_inside.py."""
    with torch.inference_mode():
        parts = types.SimpleNamespace(**{
            name.rpartition(".")[2]: importlib.import_module(f"{pack.__name__}.{name}")
            for name in ("nodes.demo_models", "nodes.conditioning", "nodes.sampling", "nodes.sources_socket", "nodes.host_text",
                         "nodes.unipc_sampler", "unison_backend.demo.set", "unison_backend.sources.prepare", "unison_backend.errors")
        })  # fmt: skip
        files = parts.demo_models.ensure(lambda *_: None)
        return text(parts, parts.demo_models.clip(files)) | vace(parts, parts.demo_models.vae(files)) | flow(parts)


def text(parts, clip):
    """How many rows are what, and whether both ways to the text context agree."""
    node = parts.conditioning.UnisonTextContext
    words = "A (red) circle:1.4 on &amp; a  blue background."
    plain = "A (red) circle:1.4 on & a blue background."
    from nodes import CLIPTextEncode

    stock = CLIPTextEncode().encode(clip, "A red circle on a blue background.")[0]
    projected = [[torch.full((1, 4, stock[0][0].shape[-1]), 0.5), {}]]
    positive, negative = node.execute(clip=clip, prompt=words, projected=projected).args
    count = parts.host_text.encode(clip, words)[0][0][0].shape[1]
    given, _ = node.execute(positive_in=stock, negative_in=stock).args
    same, _ = node.execute(clip=clip, prompt="A red circle on a blue background.", negative="").args
    long, was_cut = parts.host_text.encode(clip, "red circle " * 600)
    return {
        "rows": [list(side[0][0].shape) for side in (positive, negative)],
        "filled": int((positive[0][0] != 0).any(-1).sum()) - count,
        "projected_at": bool((positive[0][0][0, count : count + 4] == 0.5).all()),
        "cleaned": float(
            (parts.host_text.encode(clip, words)[0][0][0] - parts.host_text.encode(clip, plain)[0][0][0]).abs().max()
        ),
        "weighted": float((positive[0][0][0, :3] - clip.encode_from_tokens(clip.tokenize(words))[0, :3]).abs().max()),
        "stock": float((given[0][0] - same[0][0]).abs().max()),
        "long": [long[0][0].shape[1], was_cut],
    }


def vace(parts, vae):
    """The largest difference to WanVaceToVideo, with and without a reference, for a hard mask."""
    from comfy_extras.nodes_wan import WanVaceToVideo

    generator = torch.Generator().manual_seed(0)
    video = torch.rand(9, 48, 64, 3, generator=generator)
    mask = (torch.rand(9, 48, 64, generator=generator) > 0.5).float()
    reference = torch.rand(48, 64, 3, generator=generator)
    context = [[torch.zeros(1, 2048, 4096), {"kept": 1}]]
    found = {}
    for name, references in (("plain", ()), ("reference", (reference,))):
        sources = parts.sources_socket.HostSources(parts.prepare.Sources(video, mask, references))
        ours = parts.sampling.UnisonVACEConditioning.execute(context, context, vae, 0.7, sources).args
        theirs = WanVaceToVideo.execute(context, context, vae, 64, 48, 9, 1, 0.7, video, mask,
                                        references[0][None] if references else None).args  # fmt: skip
        options = [side[0][0][1] for side in (ours, theirs)]
        found[name] = {
            "difference": max(
                float((options[0][key][0] - options[1][key][0]).abs().max()) for key in ("vace_frames", "vace_mask")
            ),
            "strength": [option["vace_strength"] for option in options],
            "latent": [list(side[2]["samples"].shape) for side in (ours, theirs)],
            "trim": [side[3] for side in (ours, theirs)],
            "kept": options[0]["kept"],
        }
    found["input"] = list(context[0][1])
    return {"vace": found}


def flow(parts):
    """What UniPC says to a model that predicts noise."""
    from comfy.model_sampling import CONST, EPS

    def wrapped(kind):
        return types.SimpleNamespace(
            inner_model=types.SimpleNamespace(inner_model=types.SimpleNamespace(model_sampling=kind()))
        )

    parts.unipc_sampler.check_flow(wrapped(CONST))
    try:
        parts.unipc_sampler.check_flow(wrapped(EPS))
    except parts.errors.InputError as error:
        return {"refused": str(error)}
    return {"refused": ""}
