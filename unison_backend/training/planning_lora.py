"""The planning LoRA: a Qwen2.5-VL learns to write plans as signal tokens (paper: LoRA on the understanding model).

What is unusual: a record becomes ids by the same function that the planner reads with, so that what is trained is what
will be asked, typed special tokens included; only the plan and the end of the turn are learned; and the embedding rows
of the 14 tokens are saved with the adapter, which the planner then loads as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, ResourceError, WeightsError
from ..plan.tokens import ADDED_TOKENS
from ..planner.qwen.loading import Qwen, load_qwen
from ..progress import Cancel, Progress, check, never, silent
from ..weights.state import load_state_dict
from ..weights.write import WRITE_ERRORS
from .cards import Card, model_name, write_card
from .chats import Chat, Pair
from .feed import Feed, check_workers
from .loop import Fit, Say, unsaid
from .planning_keep import Asked, Keeper, asked_in
from .planning_record import Record
from .planning_samples import IGNORED, choose, in_rows, planning_loss, to_batch, to_rows
from .planning_watch import EXACT, exact_plans
from .processes import joined
from .sample_keys import file_key
from .schedule import Schedule
from .seeding import own_randomness
from .shown import Samples, Shown, vision_batch
from .survey import survey
from .watch import USUAL, Watch, Watched, Watching

# Every linear layer of the language model, none of the vision tower's (whose MLPs have the same names).
TARGETS = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
SAVED = ("embed_tokens", "lm_head")

_LOOKING = "looking at long records and chats"

SCHEDULE = Schedule(steps=2000, lr=2e-4, warmup=100, weight_decay=0.0, betas=(0.9, 0.95), seed=21)


@dataclass(frozen=True)
class LoraSettings:
    """rank and alpha of the adapter; the embedding and the head are trained whole and saved with it.

    token_rows: only their rows of the 14 signal tokens are, so that an adapter and its state stay small.
    """

    rank: int = 64
    alpha: int = 128
    dropout: float = 0.0
    batch: int = 16
    gradient_checkpointing: bool = False
    keep: int = 4  # questions of a step whose answers are held to the base's; 0: none
    token_rows: bool = False
    pack: int = 0  # records in one row of a batch, none of which sees another; 0: one

    def __post_init__(self) -> None:
        for name, value in (("rank", self.rank), ("alpha", self.alpha), ("batch", self.batch)):
            if value < 1:
                raise InputError(f"{name} is {value}; it has to be at least 1")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}; it has to be at least 0 and below 1")
        for name, value in (("keep", self.keep), ("pack", self.pack)):
            if value < 0:
                raise InputError(f"{name} is {value}; it has to be at least 0")


def add_lora(qwen: Qwen, settings: LoraSettings) -> Any:
    """The model inside a PeftModel whose adapter, embedding and head (or rows of them) are trainable in float32."""
    from peft import LoraConfig, get_peft_model

    rows = dict.fromkeys(SAVED, sorted(qwen.token_ids.values()))
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=TARGETS,
        modules_to_save=None if settings.token_rows else list(SAVED),
        trainable_token_indices=rows if settings.token_rows else None,
        task_type="CAUSAL_LM",
    )
    model: Any = get_peft_model(qwen.base, config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    return model


def train(
    base: Path, pairs: Sequence[Pair | Chat], out: Path, schedule: Schedule = SCHEDULE,
    settings: LoraSettings = LoraSettings(), *, start: Path | None = None, dtype: str = "auto",
    questions: Sequence[Asked] | None = None, watching: Watching = USUAL, held_out: Sequence[Record] = (),
    data_name: str = "", workers: int = 0, say: Say = unsaid, progress: Progress = silent, cancel: Cancel = never,
) -> Path:  # fmt: skip
    """Train a planning LoRA on the Qwen2.5-VL folder `base`; the adapter lies in `out`/adapter, the state in `out`.

    pairs: instructions with pads, and what the planner is to write: signal tokens, a plain answer of the person's own
    understanding data, or nothing for a question, of which is learned that it is no plan; or chats with all their
    turns and pixels; `RecordFiles` where there are many. questions: those whose answers are held to the base's own
    (default: those in `pairs`, about drawn pictures). start: an adapter of the same rank to go on from. watching: what
    is done beside the steps. held_out: instructions whose exact plans are counted on the way. data_name: what the
    model card calls the records. workers: processes that read and tokenize ahead. A state in `out` is resumed; `say`
    hears what is said of it. With the schedule's seed two runs end with the same bits on a CPU, wherever they were
    killed.
    Raises InputError for records that cannot be used, WeightsError for `base` and `start`, ResourceError, Cancelled.
    """
    from accelerate import Accelerator

    if not pairs:
        raise InputError("there are no planning records; make some with `unison data planning`")
    check_workers(workers)
    joined()  # with its patience, before accelerate connects by itself
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    qwen = load_qwen(base, dtype=dtype, device=accelerator.device)
    end = qwen.tokenizer.convert_tokens_to_ids("<|im_end|>")
    found = survey(pairs, progress, cancel)
    samples = Samples(qwen, pairs, end, found)
    feed = Feed(samples, workers)
    _look(feed, samples.doubtful, progress, cancel)
    asked = asked_in(pairs, found) if questions is None else questions
    with joined().in_turn():  # the first one answers, the others read its answers
        keeper = Keeper(qwen, asked if settings.keep else (), out, file_key(base), settings.keep, progress, cancel)
    signals = [qwen.token_ids[token] for token in ADDED_TOKENS if token not in ("<IMGPAD>", "<VIDPAD>")]
    model = _seeded_lora(qwen, settings, schedule.seed, start)
    made_with = {**_made_with(found.key, base, start, dtype, settings), "kept questions": keeper.key}
    # What is trained is float32: over a base in half precision the layers in between compute in bfloat16.
    mixed = next(parameter for parameter in model.parameters() if not parameter.requires_grad).dtype != torch.float32

    def measure() -> dict[str, float]:
        precision = torch.autocast(accelerator.device.type, torch.bfloat16, enabled=mixed)
        return exact_plans(qwen, model, held_out, accelerator, precision, progress, cancel)

    card = planner_card(base, len(pairs), data_name, start)

    def write(folder: Path) -> None:
        _save(model, qwen.tokenizer, folder, model_name(base), card.text(out, fit.step, fit.made_with))

    watched = Watched(write, measure if held_out else None, EXACT, True)
    fit = Fit(model, schedule, out, accelerator, made_with=made_with, say=say, watch=Watch(watching, watched))

    def loss(generator: torch.Generator, step: int) -> dict[str, Tensor]:
        chosen = feed.take(choose(samples.lengths, settings.batch, generator))
        with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=mixed):
            terms = {"loss": loss_of(fit.module, qwen, chosen, signals, end, settings.pack)}
            return terms | keeper.terms(fit.module, model, generator)

    with feed.made_ahead(lambda: (choose(samples.lengths, settings.batch, each) for each in fit.generators())):
        fit.run(loss, stage="training the planner", progress=progress, cancel=cancel)
    if schedule.ema:
        fit.use_averaged()
    if accelerator.is_main_process:
        write(out / "adapter")
    return out / "adapter"


def _look(feed: Feed[Shown], numbers: Sequence[int], progress: Progress, cancel: Cancel) -> None:
    """Make the records that may be too long, or whose media may be unreadable, before anything is trained."""
    with feed.made_ahead(lambda: ([number] for number in numbers)):
        for done, number in enumerate(numbers):
            check(cancel, _LOOKING)
            progress(_LOOKING, done, len(numbers))
            feed.take([number])


def loss_of(
    module: Any, qwen: Qwen, chosen: Sequence[Shown], signals: Sequence[int], end: int, pack: int = 0
) -> Tensor:
    """The planning loss of a batch of records: a row each, or `pack` of them in a row where none has pixels."""
    samples = [one.sample for one in chosen]
    if pack > 1 and not any(one.tensors for one in chosen):
        each = len(samples) if _is_flash(qwen) else pack
        ids, labels, positions = to_rows(samples, each=each, pad=end, device=qwen.device)
        given = in_rows(positions)
    else:
        ids, labels, real = to_batch(samples, pad=end, device=qwen.device)
        given = {"attention_mask": real} | (vision_batch(qwen, ids, chosen) if any(o.tensors for o in chosen) else {})
    wanted = labels[:, 1:]
    read = (wanted != IGNORED).any(0).nonzero().flatten()  # places whose next token some record learns
    logits = module(input_ids=ids, use_cache=False, logits_to_keep=read, **given).logits
    return planning_loss(logits, wanted[:, read], signals)


def _is_flash(qwen: Qwen) -> bool:
    """Whether flash attention is at work, which transformers tells where samples end in a batch of one row alone."""
    return "flash" in str(qwen.base.config.get_text_config()._attn_implementation)


def _made_with(
    data: str, base: Path, start: Path | None, dtype: str, settings: LoraSettings
) -> dict[str, str | int | float]:
    """What a state is told apart by, besides its schedule."""
    return {
        "data": data,
        "base": file_key(base),
        "start": file_key(start) if start else "",
        "dtype of the base": dtype,
        **{name: getattr(settings, name) for name in ("rank", "alpha", "dropout", "batch", "keep")},
        **({"token rows": True} if settings.token_rows else {}),  # older states do not say it
        **({"pack": settings.pack} if settings.pack > 1 else {}),
    }


def _seeded_lora(qwen: Qwen, settings: LoraSettings, seed: int, start: Path | None) -> Any:
    with own_randomness():
        torch.manual_seed(seed)
        model = add_lora(qwen, settings)
    if start is not None:
        go_on_from(model, start)
    return model.train()


def go_on_from(model: Any, folder: Path) -> None:
    """Put an adapter's weights into the model that `add_lora` made. Raises WeightsError where they do not fit."""
    from peft import set_peft_model_state_dict

    try:
        state = load_state_dict(folder / "adapter_model.safetensors")
        named = dict(model.named_parameters())
        layers = {name.replace(".default", "") for name in named if "lora_" in name or "trainable_tokens_delta" in name}
        if not layers <= state.keys():
            raise ValueError("it lacks layers")
        set_peft_model_state_dict(model, {name: value.float() for name, value in state.items()})
    except (RuntimeError, ValueError, KeyError) as error:
        why = str(error).strip().splitlines()[-1].strip()
        raise WeightsError(
            f"{folder} is no adapter to go on from here ({why}); give one of this base and of the same rank"
        ) from error


def _save(model: Any, tokenizer: Any, folder: Path, base_name: str, card: str) -> None:
    """As PEFT has adapters, but that its files name the base and not where it lies on this machine."""
    config = model.peft_config["default"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config.base_model_name_or_path = base_name
        model.save_pretrained(folder, save_embedding_layers=False)  # they are in modules_to_save
        tokenizer.save_pretrained(folder)
        write_card(folder, card)
    except WRITE_ERRORS as error:
        raise ResourceError(f"the adapter cannot be written to {folder} ({error}); make room there") from error


def planner_card(base: Path, count: int, data_name: str, start: Path | None) -> Card:
    """What is known of a planning LoRA before it is trained."""
    folder = model_name(base).rpartition("/")[2]
    return Card(
        title="Planning LoRA",
        about="A LoRA for Unison: with it the base reads an instruction and writes a plan as signal tokens. Embedding "
        "and head are trained and saved with it; take it off and the base answers as before.",
        base=[model_name(base)],
        data={"records": count, "files": data_name, "gone on from": start.name if start else ""},
        use=[f'unison run "..." --planner-folder {folder} --planner-lora THIS_FOLDER --models ...',
             f"unison eval planner --base {folder} --lora THIS_FOLDER"],
        front={"library_name": "peft", "pipeline_tag": "image-text-to-text", "base_model_relation": "adapter",
               "language": ["en", "zh"], "tags": ["lora", "planning"]},
    )  # fmt: skip
