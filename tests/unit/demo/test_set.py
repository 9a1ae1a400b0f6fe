"""The demo model set: the same bytes every time, safe to build twice at once, and readable by everything it is for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import unison_backend
from unison_backend.conditioning.text_encoder import load_text_encoder
from unison_backend.demo import build as models
from unison_backend.demo import set as demo
from unison_backend.demo import tokenizers as tokens
from unison_backend.demo.set import DemoSet, cache_folder, ensure_untrained, is_intact
from unison_backend.errors import ResourceError
from unison_backend.plan.tokens import ADDED_TOKENS
from unison_backend.unfinished import _machine
from unison_backend.weights.state import load_state_dict
from unison_backend.weights.wan import load_transformer, load_vae

TEXTS = [
    "A red circle on a white background.",
    "\u751f\u6210\u4e00\u4e2a4\u79d2\u7684\u7ad6\u5c4f\u89c6\u9891\uff1a\u4e00\u4e2a\u5973\u5b69\u5728\u96e8\u4e2d\u8df3\u821e\u3002",
    "Schnee & caf\u00e9 \u2014 na\u00efve \U0001f600 \u2603 \u9f98 <b>&amp;</b>",
    "  two  spaces\tand\nlines ",
    *tokens.QWEN_SPECIAL,
    *ADDED_TOKENS,
    "</s> <pad> <unk> <0x41>",
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> DemoSet:
    return ensure_untrained(tmp_path_factory.mktemp("cache"))


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def start(cache: Path) -> subprocess.Popen[str]:
    code = (
        "import sys, pathlib, unison_backend.demo.set as d; print(d.ensure_untrained(pathlib.Path(sys.argv[1])).folder)"
    )
    root = Path(unison_backend.__file__).parents[1]
    command = [sys.executable, "-c", code, str(cache)]
    return subprocess.Popen(command, cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_processes_at_once_write_the_same_bytes(built: DemoSet, tmp_path: Path) -> None:
    for process in [start(tmp_path), start(tmp_path)]:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0 and not err, err
        assert Path(out.strip()) == tmp_path / built.folder.name
    assert [path.name for path in tmp_path.iterdir()] == [built.folder.name]
    assert contents(tmp_path / built.folder.name) == contents(built.folder)


def test_size_and_untrained(built: DemoSet) -> None:
    assert sum(map(len, contents(built.folder).values())) < 32_000_000
    assert not built.trained and built.folder.name == f"demo-v{demo.VERSION}"


def test_the_set_that_comes_with_the_package_is_whole_and_small(tmp_path: Path) -> None:
    files = demo.shipped()
    assert files is not None and files.trained and files.lora is not None
    assert demo.ensure(tmp_path / "cache") == files and not (tmp_path / "cache").exists()
    sizes = {path.name: path.stat().st_size for path in files.folder.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 32 * 2**20
    assert {"README.md", "adapter_config.json", "preprocessor_config.json"} <= sizes.keys()


def test_without_it_the_untrained_set_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: DemoSet) -> None:
    monkeypatch.setattr(demo, "_SHIPPED", tmp_path / "none")
    assert demo.shipped() is None
    assert demo.ensure(built.folder.parent) == built


def test_progress_and_nothing_to_do_the_second_time(built: DemoSet, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    first = ensure_untrained(tmp_path, lambda stage, done, total: seen.append((stage, done, total)))
    assert seen == [("demo models", number, 5) for number in range(6)]
    stamps = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    assert ensure_untrained(tmp_path, lambda *_: pytest.fail("built again")) == first
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == stamps


def cut(folder: Path) -> None:
    with (folder / "wan_vae.safetensors").open("r+b") as file:
        file.truncate(1000)


def flip(folder: Path) -> None:
    file = folder / "umt5.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


DAMAGE = {
    "cut": cut,
    "flipped": flip,
    "missing": lambda folder: (folder / "qwen/config.json").unlink(),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "empty manifest": lambda folder: (folder / "manifest.json").write_text("{}"),
    "odd manifest": lambda folder: (folder / "manifest.json").write_text('{"qwen/config.json": 3}'),
}


def test_damage_is_repaired(built: DemoSet, tmp_path: Path) -> None:
    cache, wanted = tmp_path / "cache", contents(built.folder)
    again = ensure_untrained(cache)
    for name, damage in DAMAGE.items():
        damage(again.folder)
        assert not is_intact(again.folder), name
    assert ensure_untrained(cache) == again
    assert contents(again.folder) == wanted and [path.name for path in cache.iterdir()] == [again.folder.name]


@pytest.mark.parametrize("name", DAMAGE)
def test_every_damage_is_noticed(built: DemoSet, tmp_path: Path, name: str) -> None:
    import shutil

    folder = Path(shutil.copytree(built.folder, tmp_path / "copy"))
    assert is_intact(folder)
    DAMAGE[name](folder)
    assert not is_intact(folder)


def test_half_built_folders_of_dead_processes_are_swept(tmp_path: Path) -> None:
    dead = tmp_path / f".unison-{_machine()}-{2**31 - 2}-0123456789ab"
    for folder in (dead, tmp_path / "mine"):
        folder.mkdir()
        (folder / "part").touch()
    files = ensure_untrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([files.folder.name, "mine"])


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="UNISON_CACHE"):
        ensure_untrained(tmp_path / "file")

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(models, "write_projector", full)
    with pytest.raises(ResourceError, match=r"No space left.*make room \(32 MB\)"):
        ensure_untrained(tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("UNISON_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    places = {"linux": ".cache/unison", "darwin": "Library/Caches/unison", "win32": "AppData/Local/unison"}
    for platform, place in places.items():
        monkeypatch.setattr(sys, "platform", platform)
        assert cache_folder() == tmp_path / place
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local/unison"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg/unison"
    monkeypatch.setenv("UNISON_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_importing_needs_no_torch() -> None:
    code = "import sys, unison_backend.demo.set, unison_backend.weights.state, unison_backend.weights.wan; print('torch' in sys.modules)"
    root = Path(unison_backend.__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


# --- the models load ----------------------------------------------------------------------------------------------


@torch.no_grad()
def test_wan_runs(built: DemoSet) -> None:
    transformer = load_transformer(built.vace, dtype=torch.float32)
    vae = load_vae(built.vae, dtype=torch.float32)
    encoder = load_text_encoder(built.text_encoder, dtype=torch.float32)
    assert transformer.config.vace_layers == [0, 2] and transformer.config.num_attention_heads == 2
    text = encoder.encode(TEXTS[1])[None]
    assert text.shape[2] == 4096 and 0.1 < text.std() < 10
    video = torch.rand(1, 3, 5, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latent = vae.encode(video).latent_dist.mode()
    control = torch.cat([latent, latent, torch.ones(1, 64, 2, 4, 4)], 1)
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(0))
    velocity = transformer(noise, torch.tensor([900]), text, control_hidden_states=control, return_dict=False)[0]
    decoded = vae.decode(latent + velocity).sample
    for tensor, shape in ((latent, (1, 16, 2, 4, 4)), (velocity, (1, 16, 2, 4, 4)), (decoded, (1, 3, 5, 32, 32))):
        assert tensor.shape == shape and torch.isfinite(tensor).all() and 0.05 < tensor.std() < 5
    without = transformer(noise, torch.tensor([900]), text, control_hidden_states=control * 0, return_dict=False)[0]
    assert (velocity - without).abs().mean() > 1e-3  # the control is heard


def test_text_encoder_takes_any_text(built: DemoSet) -> None:
    from sentencepiece import SentencePieceProcessor

    encoder = load_text_encoder(built.text_encoder)
    stored = load_state_dict(built.text_encoder)["spiece_model"]
    stock = SentencePieceProcessor(model_proto=bytes(stored.numpy()))
    assert (stock.pad_id(), stock.eos_id(), stock.unk_id(), stock.bos_id()) == (0, 1, 2, -1)
    assert stock.get_piece_size() <= 512
    for text in TEXTS:
        ids = encoder.tokenize(text)
        assert ids[-1] == 1 and not {0, 1, 2} & set(ids[:-1])
        assert stock.decode(ids[:-1]) == " ".join(text.split(" ")).replace("  ", " ").strip(" ")
    assert torch.isfinite(encoder.encode(" ".join(TEXTS))).all()


def test_projector_shapes(built: DemoSet) -> None:
    state = load_state_dict(built.projector)
    shapes = {"ln_in": (64,), "net.0": (128, 64), "net.3": (4096, 128), "ln_out": (4096,), "seq_adjust": (4, 56)}
    wanted = {f"{name}.weight": shape for name, shape in shapes.items()}
    wanted |= {f"{name}.bias": shape[:1] for name, shape in shapes.items()}
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == wanted


@pytest.fixture(scope="module")
def qwen(built: DemoSet) -> tuple[object, object]:
    from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

    options = {"torch_dtype": torch.float32, "output_loading_info": True, "local_files_only": True}
    model, info = Qwen2_5_VLForConditionalGeneration.from_pretrained(built.planner, **options)
    assert not any(info.get(name) for name in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"))
    return model.eval(), AutoProcessor.from_pretrained(built.planner, local_files_only=True)


def test_planner_tokenizer(built: DemoSet) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(built.planner, local_files_only=True)
    special = (*tokens.QWEN_SPECIAL, *ADDED_TOKENS)
    assert len(tokenizer) == tokens.TOKENS <= 1200
    assert [tokenizer.convert_tokens_to_ids(token) for token in special] == list(range(1024, 1024 + 28))
    assert all(tokenizer.encode(token) == [tokens.token_id(token)] for token in special)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert tokenizer.decode(tokenizer.encode("<CFI>a"), skip_special_tokens=True) == "a"
    for text in TEXTS:
        literal = tokenizer.encode(text, split_special_tokens=True)
        assert tokenizer.decode(literal) == text and max(literal) < 1024
    assert len(tokenizer.encode("Generate a video of a white cat")) < 10  # it has learnt words


def test_planner_chat_template(qwen: tuple[object, object]) -> None:
    processor = qwen[1]
    turns = [{"role": "user", "content": [{"type": "image"}, {"type": "video"}, {"type": "text", "text": "hi\n"}]}]
    prefix = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    media = "<|vision_start|><|image_pad|><|vision_end|><|vision_start|><|video_pad|><|vision_end|>"
    body = f"<|im_start|>user\n{media}hi\n<|im_end|>\n"
    end = "<|im_start|>assistant\n"
    assert processor.apply_chat_template(turns) == prefix + body
    assert processor.apply_chat_template(turns, add_generation_prompt=True) == prefix + body + end
    said = {"system": "be", "user": " a ", "assistant": "b"}
    plain = [{"role": role, "content": text} for role, text in said.items()]
    wanted = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in plain)
    assert processor.apply_chat_template(plain) == wanted
    assert processor.tokenizer.apply_chat_template(plain, tokenize=False) == wanted


def test_planner_generates_from_text_and_pictures(qwen: tuple[object, object]) -> None:
    model, processor = qwen
    assert model.lm_head.weight is not model.get_input_embeddings().weight
    assert model.lm_head.weight.shape == (models.ROWS, 64) and models.ROWS > tokens.TOKENS
    assert processor.image_processor.merge_size == 2 and processor.video_processor is not None
    picture = torch.zeros(3, 60, 90, dtype=torch.uint8).numpy().transpose(1, 2, 0)
    content = [{"type": "image"}, {"type": "text", "text": "What is in this picture?"}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(text=[text], images=[picture], return_tensors="pt")
    assert (inputs["input_ids"] == tokens.token_id("<|image_pad|>")).sum() == 6  # 56 x 84 pixels, 28 each
    with torch.no_grad():
        hidden = model.model(**inputs).last_hidden_state
        out = model.generate(**inputs, max_new_tokens=4, do_sample=False)
    assert torch.isfinite(hidden).all() and hidden.shape[2] == 64
    assert out.shape[1] <= inputs["input_ids"].shape[1] + 4
    ends = [tokens.token_id("<|im_end|>"), tokens.token_id("<|endoftext|>")]
    assert model.generation_config.eos_token_id == ends


def test_manifest_lists_every_file(built: DemoSet) -> None:
    manifest = json.loads((built.folder / "manifest.json").read_text())
    files = contents(built.folder)
    assert {name: size for name, (size, _) in manifest.items()} == {
        name: len(data) for name, data in files.items() if name != "manifest.json"
    }
