"""The Qwen planner on the embedded Qwen2.5-VL: plans, features, answers, cancel."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from unison_backend.demo import set as demo
from unison_backend.errors import Cancelled, InputError, ResourceError, WeightsError
from unison_backend.plan.geometry import MediaInfo
from unison_backend.plan.prompt import parse_pads, parse_paths
from unison_backend.plan.tokens import ADDED_TOKENS
from unison_backend.planner.answers import AnswerSettings
from unison_backend.planner.qwen.chat import chat_ids, literal
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.planner.qwen.planner import QwenPlanner
from unison_backend.planner.qwen.vision import MAX_VIDEO_FRAMES, frame_budget, vision_inputs


@pytest.fixture(scope="module")
def qwen():
    return load_qwen(demo.ensure_untrained().planner, dtype="fp32")


class Forced(QwenPlanner):
    """Always plans: the untrained model would as soon answer."""

    def plan(self, prompt, *, make="made", **options):
        return super().plan(prompt, make=make, **options)


@pytest.fixture
def planner(qwen):
    return Forced(qwen)


class Media:
    """Pictures and videos from arrays."""

    def __init__(self, *pixels, fps=8):
        self.pixels, self.fps, self.asked = pixels, fps, []

    def info(self, index):
        pixels = self.pixels[index]
        if pixels.ndim == 3:
            return MediaInfo("image", pixels.shape[1], pixels.shape[0])
        times = tuple(Fraction(i, self.fps) for i in range(len(pixels)))
        return MediaInfo("video", pixels.shape[2], pixels.shape[1], times, Fraction(len(pixels), self.fps))

    def picture(self, index, *, as_mask=False):
        return torch.from_numpy(self.pixels[index])

    def frames(self, index, indices, cancel, *, as_mask=False, fit=None):
        self.asked.append((index, tuple(indices)))
        return (torch.from_numpy(self.pixels[index][i]) for i in indices)


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


PROMPTS = [
    "Draw a fox.",
    "Make the bird in this video <VIDPAD> white. Here is the mask <VIDPAD>.",
    "\u753b\u4e00\u53ea\u732b" * 20,
    "A very long instruction about a lion that walks around in its habitat, " * 8,
]


@pytest.mark.parametrize("text", PROMPTS)
def test_one_prefill_gives_the_features_of_a_separate_forward(planner, text):
    prompt = parse_pads(text)
    result = planner.plan(prompt)
    ids = chat_ids(planner.qwen.tokenizer, prompt, add_generation_prompt=False)
    longer = planner.ids(prompt)
    assert longer[: len(ids)] == ids and len(longer) > len(ids)
    with torch.no_grad():
        states = planner.qwen.base.model(input_ids=torch.tensor([ids])).last_hidden_state[:, 1:57]
    torch.testing.assert_close(result.features, states, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(planner.features(prompt), states, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("text", PROMPTS)
def test_a_forced_plan_is_a_valid_generation_plan(planner, text):
    plan = planner.plan(parse_pads(text)).plan
    assert plan.task.is_generation and plan.tokens


def test_an_unforced_plan_is_a_plan_or_a_question(qwen):
    result = QwenPlanner(qwen).plan(parse_pads("What is in <IMGPAD>?"))
    assert result.features is not None
    assert result.plan.task.is_generation or result.plan.answer is None


def test_only_one_layer_of_states_is_kept(planner, monkeypatch):
    kept = []
    real = torch.Tensor.clone
    monkeypatch.setattr(torch.Tensor, "clone", lambda self, **k: kept.append(tuple(self.shape)) or real(self, **k))
    planner.plan(parse_pads(PROMPTS[3]))
    assert (1, 57, planner.qwen.language_model.config.hidden_size) in kept


def test_a_folder_without_planning_weights_plans_by_rules(qwen, monkeypatch):
    monkeypatch.setattr(qwen, "has_planning", False)
    result = QwenPlanner(qwen).plan(parse_pads("Draw a fox, 640x480."))
    assert result.plan.tokens == "<BORES>640,480<EORES><CFI>" and result.features is None


# Text stays text


@pytest.mark.parametrize(
    "typed", ["<|im_end|>", "<|im_start|>system", "<CFI>", "<IMGPAD>", "<|image_pad|>", "<|endoftext|>"]
)
def test_typed_specials_are_plain_characters(qwen, typed):
    tokenizer = qwen.tokenizer
    special = set(tokenizer.convert_tokens_to_ids(list(ADDED_TOKENS))) | set(tokenizer.all_special_ids)
    assert not special & set(literal(tokenizer, f"a {typed} b"))
    plain = chat_ids(tokenizer, parse_paths("a b"), add_generation_prompt=True)
    ids = chat_ids(tokenizer, parse_paths(f"a {typed} b"), add_generation_prompt=True)
    assert [i for i in ids if i in special] == [i for i in plain if i in special]
    assert typed in tokenizer.decode(ids)


def test_pads_are_single_tokens_in_order(qwen):
    ids = chat_ids(qwen.tokenizer, parse_pads("a <VIDPAD> b <IMGPAD>"), add_generation_prompt=False)
    image, video = (qwen.tokenizer.convert_tokens_to_ids(t) for t in ("<IMGPAD>", "<VIDPAD>"))
    assert [i for i in ids if i in (image, video)] == [video, image]


# Answers


def test_media_reach_the_model_in_order_with_real_pixels_and_fps(qwen):
    prompt = parse_pads("Compare <VIDPAD> with <IMGPAD> and <VIDPAD> and <IMGPAD>.")
    media = Media(pixels(24, 56, 84, 3), pixels(60, 90, 3), pixels(9, 56, 56, 3, seed=1), pixels(200, 60, 3), fps=8)
    shown = vision_inputs(qwen.processor, qwen.tokenizer, prompt, media)
    assert [len(i) > 2 for i in shown.media_ids] == [True] * 4
    pads = [qwen.tokenizer.convert_ids_to_tokens(i[1]) for i in shown.media_ids]
    assert pads == ["<|video_pad|>", "<|image_pad|>", "<|video_pad|>", "<|image_pad|>"]
    assert len(shown.tensors["video_grid_thw"]) == len(shown.tensors["image_grid_thw"]) == 2
    merge = qwen.processor.image_processor.merge_size**2
    for i, grid in ((0, shown.tensors["video_grid_thw"][0]), (1, shown.tensors["image_grid_thw"][0])):
        assert len(shown.media_ids[i]) == int(grid.prod()) // merge + 2
    # 24 frames at 8 a second are shown as 6 at 2 a second: a second for each pair.
    assert media.asked[0][1] == frame_budget(media.info(0), 2)[0] and len(media.asked[0][1]) == 6
    assert shown.tensors["second_per_grid_ts"][0] == pytest.approx(1.0)
    ids = chat_ids(qwen.tokenizer, prompt, add_generation_prompt=True, media_ids=shown.media_ids)
    assert ids.count(shown.media_ids[0][1]) == sum(len(shown.media_ids[i]) - 2 for i in (0, 2))


def test_pixels_are_those_of_the_processors_own_path(qwen):
    picture = pixels(56, 84, 3)
    shown = vision_inputs(qwen.processor, qwen.tokenizer, parse_pads("<IMGPAD> ?"), Media(picture))
    direct = qwen.processor.image_processor(images=[(picture * 255 + 0.5).astype(np.uint8)], return_tensors="pt")
    assert torch.equal(shown.tensors["pixel_values"], direct["pixel_values"])


def test_long_videos_stay_in_the_budget():
    hour = MediaInfo("video", 1920, 1080, tuple(Fraction(i) for i in range(3600)), Fraction(3600))
    frames, size = frame_budget(hour)
    assert len(frames) == MAX_VIDEO_FRAMES and frames[0] == 0 and frames[-1] == 3599
    assert len(frames) // 2 * size <= 12_288 * 28 * 28
    short = MediaInfo("video", 64, 64, (Fraction(0),), Fraction(1, 24))
    assert frame_budget(short)[0] == (0,)


@pytest.mark.parametrize("text", ["What is in <IMGPAD> and <VIDPAD>?", "Why?"])
def test_answers_stream_and_hold_no_signal(qwen, text):
    prompt, heard = parse_pads(text), []
    media = Media(pixels(56, 56, 3), pixels(8, 56, 56, 3))
    answer = QwenPlanner(qwen).answer(prompt, media, AnswerSettings(max_new_tokens=24), stream=heard.append)
    assert "".join(heard).strip() == answer
    assert not any(token in answer for token in ADDED_TOKENS)


def test_seed_and_temperature(qwen):
    planner, prompt = QwenPlanner(qwen), parse_pads("Why?")

    def ask(**settings):
        return planner.answer(prompt, settings=AnswerSettings(max_new_tokens=16, **settings))

    assert ask() == ask()
    assert ask(temperature=2.0, seed=1) == ask(temperature=2.0, seed=1)
    assert len({ask(temperature=2.0, seed=s) for s in range(4)}) > 1


def test_answering_leaves_the_global_generator_alone(qwen):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    QwenPlanner(qwen).answer(parse_pads("Why?"), settings=AnswerSettings(max_new_tokens=2, temperature=1.0))
    assert torch.equal(torch.rand(1), expected)


def test_why_media_cannot_be_shown_is_told(qwen, monkeypatch):
    monkeypatch.setattr(qwen, "processor", None)
    monkeypatch.setattr(qwen, "processor_problem", WeightsError("/m/qwen has no preprocessor_config.json; download it"))
    with pytest.raises(WeightsError, match=r"^/m/qwen has no preprocessor_config\.json; download it$"):
        QwenPlanner(qwen).answer(parse_pads("<IMGPAD> ?"), Media(pixels(8, 8, 3)))


def test_media_without_files_and_missing_processor(qwen, monkeypatch):
    with pytest.raises(InputError, match="###path###"):
        QwenPlanner(qwen).answer(parse_pads("What is <IMGPAD>?"))
    monkeypatch.setattr(qwen, "processor", None)
    with pytest.raises(WeightsError, match="processor"):
        QwenPlanner(qwen).answer(parse_pads("What is <IMGPAD>?"), Media(pixels(56, 56, 3)))


@pytest.mark.parametrize("wrong", [{"max_new_tokens": 0}, {"temperature": -1}])
def test_answer_settings(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        AnswerSettings(**wrong)


# Cancel


def layers_run(qwen, monkeypatch):
    """How often each decoder layer's attention ran."""
    counts = []
    for number, layer in enumerate(qwen.language_model.layers):
        real = layer.self_attn.forward
        monkeypatch.setattr(
            layer.self_attn, "forward", lambda *a, n=number, f=real, **k: counts.append(n) or f(*a, **k)
        )
    return counts


@pytest.mark.parametrize("method", ["plan", "answer", "features"])
def test_a_cancel_in_layer_one_stops_the_prefill_there(qwen, monkeypatch, method):
    counts = layers_run(qwen, monkeypatch)
    planner = Forced(qwen)
    with pytest.raises(Cancelled):
        getattr(planner, method)(parse_pads("Why is the sky blue?"), cancel=lambda: 0 in counts)
    assert counts == [0]
    monkeypatch.undo()
    assert planner.plan(parse_pads("Draw a fox.")).plan.task.is_generation


@pytest.mark.parametrize("method", ["plan", "answer"])
def test_a_cancel_while_decoding_stops_within_a_token(qwen, monkeypatch, method):
    counts = layers_run(qwen, monkeypatch)
    depth = len(qwen.language_model.layers)
    with pytest.raises(Cancelled):
        getattr(Forced(qwen), method)(parse_pads("Why is the sky blue?"), cancel=lambda: len(counts) >= 2 * depth)
    assert len(counts) == 2 * depth


def test_hooks_are_gone_after_a_failure(qwen, monkeypatch):
    monkeypatch.setattr(qwen.model, "generate", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        QwenPlanner(qwen).plan(parse_pads("Why?"))
    assert not qwen.language_model.norm._forward_hooks
    assert not any(layer._forward_pre_hooks for layer in qwen.language_model.layers)


@pytest.mark.parametrize("method", ["plan", "answer"])
def test_out_of_memory_says_what_to_lower_and_leaves_the_planner_usable(qwen, monkeypatch, method):
    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    planner = Forced(qwen)
    monkeypatch.setattr(qwen.language_model.layers[1], "forward", fail)
    with pytest.raises(ResourceError, match=r"out of memory while (planning|answering): show fewer.*in 4 bit"):
        getattr(planner, method)(parse_pads("Why is the sky blue?"))
    monkeypatch.undo()
    assert planner.plan(parse_pads("Draw a fox.")).plan.task.is_generation


def test_it_works_under_inference_mode(planner):
    with torch.inference_mode():
        assert planner.plan(parse_pads("Draw a fox.")).plan.task.is_generation


def test_what_tokens_cannot_say_is_read_from_the_words(planner, monkeypatch):
    decode = QwenPlanner._decode_plan
    monkeypatch.setattr(QwenPlanner, "_decode_plan", lambda *args: decode(*args) and "<BOEDIT>0<EOEDIT><CFI>")
    result = planner.plan(parse_pads("erase everything except the dog in <IMGPAD>"))
    assert (result.plan.target, result.plan.mask_keeps) == ("dog", True)
    assert result.features is not None
    assert [reason.field for reason in result.notices] == ["mask"]


def test_what_nothing_does_is_refused_before_the_model_is_asked(planner, monkeypatch):
    monkeypatch.setattr(planner.qwen.model, "generate", lambda **_: pytest.fail("asked"))
    with pytest.raises(InputError, match="no model here does this"):
        planner.plan(parse_pads("upscale <IMGPAD> 4x"))
