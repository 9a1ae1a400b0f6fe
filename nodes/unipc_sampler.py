"""The backend's UniPC as a host SAMPLER."""

from __future__ import annotations

from typing import Any

from ..unison_backend.engine import unipc
from ..unison_backend.errors import InputError
from . import host_run

# The reference starts at 0.9998 from unit noise; the host scales noise by its first sigma. Below this it is another
# start (a partial schedule), where the host's scaling is right.
WHOLE_SCHEDULE = 0.99


def make(integer_time: bool) -> Any:
    """A SAMPLER that SamplerCustom and its relatives take."""
    from comfy.samplers import KSAMPLER

    return KSAMPLER(sample, extra_options={"integer_time": integer_time})


def sample(
    model: Any,
    x: Any,
    sigmas: Any,
    extra_args: Any = None,
    callback: Any = None,
    disable: Any = None,
    integer_time: bool = True,
) -> Any:
    """The host's calling convention around `sample_unipc`; `model` gives the clean sample, guidance included.

    From an empty latent a whole schedule starts at unit noise, as in the reference. What changes nothing is spared
    (host_run). Raises InputError for a model that is no flow model.
    """
    check_flow(model)
    given = dict(extra_args or {})
    guider = getattr(model, "inner_model", None)
    if "model_options" in given and hasattr(guider, "conds"):
        given["model_options"] = host_run.spared(guider, given["model_options"])
    per_sample = x.new_ones([x.shape[0]])

    def denoise(latents: Any, sigma: float) -> Any:
        asked = unipc.integer_time(sigma) if integer_time else sigma
        clean = model(latents, asked * per_sample, **given)
        # Asked at another time than it stands at, the model's velocity is what counts.
        return clean if asked == sigma else latents - sigma * ((latents - clean) / asked)

    def shown(step: int, latents: Any, sigma: float, clean: Any) -> None:
        if callback is not None:
            callback({"x": latents, "i": step, "sigma": sigma, "sigma_hat": sigma, "denoised": clean})

    first = float(sigmas[0])
    start = x / first if first > WHOLE_SCHEDULE and starts_empty(model) else x
    return unipc.sample_unipc(denoise, start, sigmas, shown)


def starts_empty(model: Any) -> bool:
    """Whether sampling starts from noise alone, not from a picture's latent."""
    latent = getattr(model, "latent_image", None)
    return latent is None or not bool(latent.any())


def check_flow(model: Any) -> None:
    """Raise InputError unless the model behind the host's wrappers predicts a flow."""
    from comfy.model_sampling import CONST

    inner = model
    for _ in range(3):
        inner = getattr(inner, "inner_model", inner)
    sampling = getattr(inner, "model_sampling", None)
    if not isinstance(sampling, CONST):
        raise InputError("UniPC samples flow models such as Wan; choose another sampler for this model")
