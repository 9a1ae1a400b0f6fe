"""Text rows collapsed for the host: zero rows cost what three rows cost, and the picture stays the same.

CONDITIONING keeps all its rows, as any node may read it. When a run begins, the guider's own copies of them are
collapsed (`collapse_texts`), and each carries what is to be added to its scores in a cond of its own, `BIAS`. A wrapper
around the model's call takes that cond out again and puts the bias into the cross attention (`apply_model`).

It is all or nothing: collapsed rows without their bias would be another picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .host_network import without_compile

BIAS = "unison_text_bias"
# Rows of a mask in whole 16 bytes, which attention kernels on GPUs want.
ROW_MULTIPLE = 8
# What makes the model's own sequence, or the text, something else than latents and rows.
OTHER_SEQUENCES = ("clip_fea", "time_dim_concat", "reference_latent", "context_latents")


def collapse_texts(conds: list[dict[str, Any]]) -> bool:
    """Collapse the texts of a run's conds in place, all to one number of rows, so that they can share a batch.

    True if `apply_model` has to stand around the model's calls: they are collapsed now, or were before. False if there
    is nothing to gain, or a conditioning holds something else than text and VACE.
    """
    from comfy.conds import CONDRegular

    from ..unison_backend.conditioning.padding import collapse, live_rows, rows_needed

    given = [cond["model_conds"] for cond in conds]
    if any(BIAS in each for each in given):
        return True
    if not given or not all(_is_plain(each) for each in given):
        return False
    texts = [each["c_crossattn"].cond for each in given]
    live = [live_rows(text) for text in texts]
    rows = max(rows_needed(alive, ROW_MULTIPLE) for alive in live)
    if not any(rows < text.shape[1] for text in texts):
        return False
    for cond, text, alive in zip(conds, texts, live, strict=True):
        short = collapse(text, alive, rows)
        # a new dict: the host may hold the old one elsewhere
        cond["model_conds"] = cond["model_conds"] | {
            "c_crossattn": CONDRegular(short.rows),
            BIAS: CONDRegular(short.bias),
        }
    return True


def _is_plain(given: dict[str, Any]) -> bool:
    """Whether a cond's text is of the usual kind, [B, rows, D], and the model's sequence is that of the latents."""
    from comfy.conds import CONDRegular

    text = given.get("c_crossattn")
    is_text = type(text) is CONDRegular and text.cond.ndim == 3
    return is_text and not any(name in given for name in OTHER_SEQUENCES)


def with_bias(bias: Any, previous: Callable[..., Any] | None) -> Callable[..., Any]:
    """An attention override: cross attention to a text with a bias for its scores, anything else as it was.

    bias: [B, R]. R is no length of the model's own sequence. previous: another override, which is not asked for the
    biased calls: few kernels take a mask, and one that loses it silently would be another picture.
    """
    from comfy.ldm.modules.attention import attention_pytorch

    rows, mask = bias.shape[1], bias[:, None, None]

    def attention(func: Callable[..., Any], q: Any, k: Any, v: Any, *given: Any, **named: Any) -> Any:
        if k.shape[1] == rows and q.shape[1] != rows:
            return attention_pytorch(q, k, v, *given, mask=mask.to(q.dtype), **named)
        return func(q, k, v, *given, **named) if previous is None else previous(func, q, k, v, *given, **named)

    return attention


def apply_model(
    executor: Any, x: Any, t: Any, c_concat: Any = None, c_crossattn: Any = None, control: Any = None,
    transformer_options: Any = None, **named: Any,
) -> Any:  # fmt: skip
    """The host's wrapper around one call of the model: the bias out of the conds, into the attention."""
    options, bias = transformer_options or {}, named.pop(BIAS, None)
    if bias is not None:
        model = executor.class_obj
        c_crossattn, bias = _unlike_sequence(model, x, c_crossattn, bias)
        # cast once for all layers, as the host casts the text
        bias = bias.to(x.device, model.manual_cast_dtype or model.get_dtype())
        override = with_bias(bias, options.get("optimized_attention_override"))
        options = options | {"optimized_attention_override": override}
    return executor(x, t, c_concat, c_crossattn, control, options, **named)


def _unlike_sequence(model: Any, x: Any, text: Any, bias: Any) -> tuple[Any, Any]:
    """Text and bias of another length than the model's own sequence, by which its two attentions are told apart."""
    from ..unison_backend.conditioning.padding import NO_WEIGHT

    time, height, width = without_compile(model.diffusion_model).patch_size
    length = -(-x.shape[2] // time) * -(-x.shape[3] // height) * -(-x.shape[4] // width)
    if length != text.shape[1]:
        return text, bias
    more = (text.shape[0], ROW_MULTIPLE, text.shape[2])
    return _cat(text, text.new_zeros(more)), _cat(bias, bias.new_full(more[:2], NO_WEIGHT))


def _cat(first: Any, second: Any) -> Any:
    import torch

    return torch.cat((first, second), dim=1)
