"""What a run of the host's sampling is spared without changing its picture: rows of padding, VACE at strength 0.

It is done when a run begins, by wrappers of the host's own kind: from the MODEL for any sampler (`attach`), or from
UniPC Sampler itself. Nothing of the host is changed. Where the host or a pack that changed it could call parts
of the network in another way than is known here, nothing is done, which costs time only.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

from . import host_padding, host_vace
from .host_network import foreign_part, without_compile

KEY = "unison_exact_padding"


def attach(model: Any) -> Any:
    """A clone of a MODEL whose runs are spared, with any sampler; once, however often it is attached."""
    from comfy.patcher_extension import WrappersMP

    clone = model.clone()
    wrappers = {WrappersMP.SAMPLER_SAMPLE: _sampler_sample, WrappersMP.APPLY_MODEL: host_padding.apply_model}
    for kind, wrapper in wrappers.items():
        clone.remove_wrappers_with_key(kind, KEY)
        clone.add_wrapper_with_key(kind, KEY, wrapper)
    return clone


def _sampler_sample(executor: Any, guider: Any, sigmas: Any, extra_args: Any, *given: Any, **named: Any) -> Any:
    """The host's wrapper around a whole run of a sampler."""
    extra_args = extra_args | {"model_options": spared(guider, extra_args["model_options"])}
    return executor(guider, sigmas, extra_args, *given, **named)


def spared(guider: Any, model_options: dict[str, Any]) -> dict[str, Any]:
    """Spare a run that has begun; the options to call its model with from here on.

    guider: the host's, with the conds it prepared for this run; those are made smaller. model_options: the run's, which
    stay as they are.
    """
    from comfy.model_patcher import create_model_options_clone
    from comfy.patcher_extension import WrappersMP, add_wrapper_with_key, get_wrappers_with_key

    network = without_compile(guider.inner_model.diffusion_model)
    conds = [cond for cond in _used(guider, model_options) if "model_conds" in cond]
    why = foreign_part(network)
    if why:
        logging.info("Unison: text and VACE are computed whole, which only costs time: %s", why)
        return model_options
    wrappers = {}
    if host_padding.collapse_texts(conds):
        wrappers[WrappersMP.APPLY_MODEL] = host_padding.apply_model
    if host_vace.drop_idle_contexts(conds):
        wrappers[WrappersMP.DIFFUSION_MODEL] = host_vace.without_vace(network)
    options: dict[str, Any] = create_model_options_clone(model_options)
    for kind, wrapper in wrappers.items():
        if not get_wrappers_with_key(kind, KEY, options, is_model_options=True):
            add_wrapper_with_key(kind, KEY, wrapper, options, is_model_options=True)
    return options


def _used(guider: Any, model_options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The conds that a run asks the model with. One that is left out keeps its rows and stays right as it is."""
    from comfy.samplers import CFGGuider

    unused = None
    if type(guider).predict_noise is CFGGuider.predict_noise:
        is_one = math.isclose(guider.cfg, 1.0) and not model_options.get("disable_cfg1_optimization", False)
        unused = "negative" if is_one else None
    return chain.from_iterable(conds for side, conds in guider.conds.items() if side != unused)
