"""Wan VACE's three models from every form of file, at real size (sparse files, nothing read) and at small size."""

from __future__ import annotations

import io
import json
import math
import os
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from unison_backend.conditioning.sentencepiece import literal_pieces
from unison_backend.conditioning.text_encoder import TextEncoder, load_text_encoder
from unison_backend.errors import WeightsError
from unison_backend.weights import wan_layouts as layouts
from unison_backend.weights.wan import load_transformer, load_vae

State = dict[str, torch.Tensor]
Stored = dict[str, tuple[str, layouts.Shape]]

SENTENCES = [
    "a red circle and a blue square",
    "the camera moves to the left",
    "two white cats",
    "\u4e00\u53ea\u732b\u5728\u7ea2\u8272\u7684\u6c99\u53d1\u4e0a",
]
SPECIALS = ["</s>", "<pad>", "<unk>", "<extra_id_0>", "a</s>b <extra_id_0> c", "<0x41>"]


def train_spiece(**options: object) -> bytes:
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    settings = dict(vocab_size=296, byte_fallback=True, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2)
    settings |= dict(user_defined_symbols=["<extra_id_0>", "<extra_id_1>"], character_coverage=1.0, num_threads=1)
    SentencePieceTrainer.train(sentence_iterator=iter(SENTENCES * 5), model_writer=model, **settings | options)
    return model.getvalue()


@pytest.fixture(scope="module")
def spiece() -> bytes:
    return train_spiece()


def as_tensor(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


# --- real sizes ---------------------------------------------------------------------------------------------------

SIZES = {"BF16": 2, "F16": 2, "F32": 4, "F8_E4M3": 1, "U8": 1}


def sparse(path: Path, stored: Stored, data: Mapping[str, bytes] | None = None) -> Path:
    """A safetensors file of any size that takes no room: its header, then a hole (and `data` where it is given)."""
    header, offset, data = {}, 0, data or {}
    for key, (dtype, shape) in stored.items():
        end = offset + SIZES[dtype] * math.prod(shape)
        header[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    if offset > memory():
        pytest.skip("the file is larger than this machine's memory, so the system will not map it")
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
        for key, content in data.items():
            file.seek(8 + len(text) + header[key]["data_offsets"][0])
            file.write(content)
    return path


def kilobytes(path: str, *names: str) -> int:
    """The sum of these lines of a file in /proc, in bytes; 0 where the system has none."""
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(names))


def memory() -> float:
    return kilobytes("/proc/meminfo", "MemTotal:", "SwapTotal:") or math.inf


def resident() -> int:
    """This process's memory that belongs to no file."""
    return kilobytes("/proc/self/status", "RssAnon:")


def check_lazy(load: Callable[[], torch.nn.Module], count: int) -> torch.nn.Module:
    before = resident()
    model = load()
    assert resident() - before < 200 << 20
    assert parameters(model) == count
    assert not model.training and not any(parameter.requires_grad for parameter in model.parameters())
    return model


needs_sparse_files = pytest.mark.skipif(os.name == "nt", reason="NTFS fills the hole")


def test_key_counts_of_the_real_models() -> None:
    def count(shapes: layouts.Shapes) -> tuple[int, int]:
        return len(shapes), sum(math.prod(shape) for shape in shapes.values())

    assert count(layouts.wan_vace_shapes(1536, 8960, 30, 15)) == (1264, 2_153_972_032)
    assert count(layouts.wan_vace_shapes(5120, 13824, 40, 8)) == (1331, 17_337_592_896)
    assert count(layouts.wan_vae_shapes(96)) == (194, 126_892_531)
    assert count(layouts.umt5_shapes()) == (242, 5_680_910_336)


@needs_sparse_files
def test_real_transformer_loads_lazily(tmp_path: Path) -> None:
    shapes = layouts.wan_vace_shapes(1536, 8960, 30, 15)
    path = sparse(tmp_path / "m.safetensors", {f"model.diffusion_model.{k}": ("BF16", s) for k, s in shapes.items()})
    model = check_lazy(lambda: load_transformer(path), 2_153_972_032)
    assert model.config.vace_layers == list(range(0, 30, 2)) and model.config.num_attention_heads == 12
    assert model.dtype == torch.bfloat16 and model.rope.freqs_cos.shape == (1024, 128)


def test_the_14b_size_is_read_from_its_shapes() -> None:
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    shapes = layouts.wan_vace_shapes(5120, 13824, 40, 8)
    state = convert_wan_transformer_to_diffusers({k: torch.empty(s, device="meta") for k, s in shapes.items()})
    config = layouts.vace_config({key: tuple(tensor.shape) for key, tensor in state.items()})
    assert config["vace_layers"] == list(range(0, 40, 5)) and config["num_attention_heads"] == 40
    assert (config["num_layers"], config["ffn_dim"], config["text_dim"], config["freq_dim"]) == (40, 13824, 4096, 256)


@needs_sparse_files
def test_real_vae_loads_lazily(tmp_path: Path) -> None:
    shapes = layouts.wan_vae_shapes(96)
    path = sparse(tmp_path / "wan_2.1_vae.safetensors", {key: ("F32", shape) for key, shape in shapes.items()})
    model = check_lazy(lambda: load_vae(path), 126_892_531)
    assert model.config.base_dim == 96 and model.config.temperal_downsample == [False, True, True]


@needs_sparse_files
def test_real_text_encoder_loads_lazily(tmp_path: Path, spiece: bytes) -> None:
    stored: Stored = {key: ("F16", shape) for key, shape in layouts.umt5_shapes().items()}
    stored["spiece_model"] = ("U8", (len(spiece),))
    path = sparse(tmp_path / "umt5_xxl_fp16.safetensors", stored, {"spiece_model": spiece})
    loaded: list[TextEncoder] = []
    model = check_lazy(lambda: loaded.append(load_text_encoder(path)) or loaded[0].model, 5_680_910_336)
    assert model.config.num_heads == 64 and model.config.d_kv == 64 and model.config.num_layers == 24
    assert loaded[0].tokenize("two white cats")[-1] == 1


def scaled(shapes: layouts.Shapes, form: str) -> tuple[Stored, dict[str, bytes]]:
    """UMT5 as ComfyUI's scaled fp8 files of either form have it: matrices in fp8, the rest in fp16."""
    stored: Stored = {"scaled_fp8": ("F8_E4M3", (2,))} if form == "old" else {}
    data, note = {}, json.dumps({"format": "float8_e4m3fn"}).encode()
    for key, shape in shapes.items():
        layer = key.removesuffix(".weight")
        fp8 = ".SelfAttention." in key or ".DenseReluDense." in key
        fp8 = fp8 and "relative" not in key
        stored[key] = ("F8_E4M3" if fp8 else "F16", shape)
        if fp8 and form == "old":
            stored |= {f"{layer}.scale_weight": ("F32", ()), f"{layer}.scale_input": ("F32", ())}
        elif fp8:
            stored |= {f"{layer}.weight_scale": ("F32", ()), f"{layer}.comfy_quant": ("U8", (len(note),))}
            data[f"{layer}.comfy_quant"] = note
    return stored, data


@needs_sparse_files
@pytest.mark.parametrize("form", ["old", "new"])
def test_real_scaled_fp8_text_encoders_on_meta(tmp_path: Path, spiece: bytes, form: str) -> None:
    stored, data = scaled(layouts.umt5_shapes(), form)
    stored["spiece_model"] = ("U8", (len(spiece),))
    path = sparse(tmp_path / "umt5_xxl_fp8_e4m3fn_scaled.safetensors", stored, data | {"spiece_model": spiece})
    encoder = load_text_encoder(path, device="meta")
    assert parameters(encoder.model) == 5_680_910_336
    assert encoder.model.encoder.block[0].layer[0].SelfAttention.q.weight.dtype == torch.bfloat16
    assert all(parameter.is_meta for parameter in encoder.model.parameters())
    assert encoder.tokenize("") == [1]


@needs_sparse_files
def test_another_quantisation_is_named_on_meta(tmp_path: Path, spiece: bytes) -> None:
    stored, data = scaled(layouts.umt5_shapes(400, 32, 16, 2, 8, 2), "new")
    data = {key: b'{"format": "nvfp4"}'.ljust(len(note)) for key, note in data.items()}
    path = sparse(tmp_path / "umt5_nvfp4.safetensors", stored, data)
    with pytest.raises(WeightsError, match=r"umt5_nvfp4\.safetensors .* quantised as nvfp4"):
        load_text_encoder(path, device="meta")


# --- small models -------------------------------------------------------------------------------------------------


def random_state(shapes: layouts.Shapes, scale: float = 0.1) -> State:
    generator = torch.Generator().manual_seed(0)
    return {key: torch.randn(shape, generator=generator) * scale for key, shape in shapes.items()}


VACE = layouts.wan_vace_shapes(128, 64, 3, 1, text_dim=32, freq_dim=32)
VAE = layouts.wan_vae_shapes(4)
UMT5 = layouts.umt5_shapes(400, 32, 24, 2, 8, 3)


def close(left: torch.Tensor, right: torch.Tensor, tolerance: float = 1e-5) -> bool:
    """Equal up to rounding: kernels differ with the place of a weight in memory."""
    return torch.allclose(left, right, rtol=tolerance, atol=tolerance)


@torch.no_grad()
def run_transformer(model: torch.nn.Module) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(shape, generator=generator) for shape in ((1, 16, 2, 4, 4), (1, 5, 32), (1, 96, 2, 4, 4))]
    latent, text, control = (tensor.to(model.patch_embedding.weight.dtype) for tensor in inputs)
    time = torch.tensor([500])
    return model(latent, time, text, control_hidden_states=control, return_dict=False)[0]


@torch.no_grad()
def run_vae(model: torch.nn.Module) -> torch.Tensor:
    video = torch.rand((1, 3, 5, 16, 16), generator=torch.Generator().manual_seed(1)) * 2 - 1
    latent = model.encode(video).latent_dist.mode()
    assert latent.shape == (1, 16, 2, 2, 2)
    return model.decode(latent).sample


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, spiece: bytes) -> Path:
    """One folder with every form: `single/` as ComfyUI has them, `pipe/` as diffusers writes it."""
    root = tmp_path_factory.mktemp("wan")
    single, pipe = root / "single", root / "pipe"
    single.mkdir()
    save_file(random_state(VACE), single / "vace.safetensors")
    save_file(random_state(VAE), single / "vae.safetensors")
    save_file(random_state(UMT5) | {"spiece_model": as_tensor(spiece)}, single / "umt5.safetensors")
    load_transformer(single / "vace.safetensors").save_pretrained(pipe / "transformer")
    load_vae(single / "vae.safetensors").save_pretrained(pipe / "vae")
    load_text_encoder(single / "umt5.safetensors").model.save_pretrained(pipe / "text_encoder")
    (pipe / "tokenizer").mkdir()
    (pipe / "tokenizer" / "spiece.model").write_bytes(spiece)
    return root


def test_transformer_from_every_form(pipeline: Path, tmp_path: Path) -> None:
    wanted = run_transformer(load_transformer(pipeline / "single/vace.safetensors"))
    assert torch.isfinite(wanted).all() and wanted.std() > 1e-3
    state = random_state(VACE)
    save_file({f"model.diffusion_model.{key}": t for key, t in state.items()}, tmp_path / "prefixed.safetensors")
    torch.save({"state_dict": {f"module.{key}": t for key, t in state.items()}}, tmp_path / "trained.pth")
    folder = pipeline / "pipe/transformer"
    forms = [folder.parent, folder, folder / "diffusion_pytorch_model.safetensors"]
    for path in [*forms, tmp_path / "prefixed.safetensors", tmp_path / "trained.pth"]:
        assert close(run_transformer(load_transformer(path)), wanted), path


def test_vae_from_every_form(pipeline: Path, tmp_path: Path) -> None:
    wanted = run_vae(load_vae(pipeline / "single/vae.safetensors"))
    assert torch.isfinite(wanted).all() and wanted.std() > 1e-3
    torch.save(random_state(VAE), tmp_path / "Wan2.1_VAE.pth")
    for path in (pipeline / "pipe", pipeline / "pipe/vae", tmp_path / "Wan2.1_VAE.pth", tmp_path):
        assert close(run_vae(load_vae(path)), wanted), path


def original_key(key: str) -> str:
    """The inverse of `umt5_hf_key` on the keys of `umt5_shapes`."""
    stem, _, last = key.rpartition(".")
    top = {value: name for name, value in layouts._UMT5_TOP.items()}
    if stem in top:
        return f"{top[stem]}.{last}"
    match = re.fullmatch(r"encoder\.block\.(\d+)\.layer\.(.+)", stem)
    block = {value: name for name, value in layouts._UMT5_BLOCK.items()}
    return f"blocks.{match[1]}.{block[match[2]]}.{last}" if match else key


def test_text_encoder_from_every_form(pipeline: Path, tmp_path: Path, spiece: bytes) -> None:
    encoder = load_text_encoder(pipeline / "single/umt5.safetensors")
    wanted = encoder.encode("a red cat")
    assert wanted.shape == (len(encoder.tokenize("a red cat")), 32) and wanted.dtype == torch.float32
    original = {original_key(key): tensor for key, tensor in random_state(UMT5).items()}
    assert not original.keys() & UMT5.keys()
    torch.save(original, tmp_path / "models_t5_umt5-xxl-enc-bf16.pth")
    (tmp_path / "google/umt5-xxl").mkdir(parents=True)
    (tmp_path / "google/umt5-xxl/spiece.model").write_bytes(spiece)
    forms = [pipeline / "pipe", pipeline / "pipe/text_encoder", tmp_path, next(tmp_path.glob("*.pth"))]
    for path in forms:
        assert close(load_text_encoder(path).encode("a red cat"), wanted), path
    assert encoder.tokenize("") == [1] and encoder.encode("").shape == (1, 32)


def test_umt5_is_hf_umt5(pipeline: Path) -> None:
    from transformers import UMT5EncoderModel

    ours, ids = load_text_encoder(pipeline / "single/umt5.safetensors"), torch.tensor([[5, 9, 1, 0, 0]])
    theirs = UMT5EncoderModel.from_pretrained(pipeline / "pipe/text_encoder", torch_dtype=torch.float32).eval()
    with torch.no_grad():
        padded = theirs(input_ids=ids, attention_mask=(ids > 0).long()).last_hidden_state[0, :3]
    ours._encode_ids = lambda text: [5, 9]
    assert torch.allclose(ours.encode("x"), padded, atol=1e-5)
    assert ours.model.encoder.embed_tokens.weight is ours.model.shared.weight


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_dtypes_are_those_of_from_pretrained(pipeline: Path, dtype: torch.dtype) -> None:
    from diffusers import AutoencoderKLWan, WanVACETransformer3DModel
    from transformers import UMT5EncoderModel

    def dtypes(model: torch.nn.Module) -> dict[str, torch.dtype]:
        return {name: tensor.dtype for name, tensor in model.state_dict().items()}

    single, pipe = pipeline / "single", pipeline / "pipe"
    transformer = load_transformer(single / "vace.safetensors", dtype=dtype)
    theirs = WanVACETransformer3DModel.from_pretrained(pipe / "transformer", torch_dtype=dtype)
    assert dtypes(transformer) == dtypes(theirs)
    assert close(run_transformer(transformer), run_transformer(theirs), 1e-5 if dtype == torch.float32 else 0.1)
    theirs = AutoencoderKLWan.from_pretrained(pipe / "vae", torch_dtype=dtype)
    assert dtypes(load_vae(single / "vae.safetensors", dtype=dtype)) == dtypes(theirs)
    theirs = UMT5EncoderModel.from_pretrained(pipe / "text_encoder", torch_dtype=dtype)
    encoder = load_text_encoder(single / "umt5.safetensors", dtype=dtype)
    assert dtypes(encoder.model) == dtypes(theirs)
    assert encoder.encode("a cat").dtype == torch.float32


def test_meta_needs_no_data(pipeline: Path) -> None:
    models = [load_transformer(pipeline / "pipe", device="meta"), load_vae(pipeline / "pipe", device="meta")]
    models += [load_text_encoder(pipeline / "single/umt5.safetensors", device="meta").model]
    assert all(tensor.is_meta for model in models for tensor in model.state_dict().values())


def test_scaled_fp8_computes_what_its_weights_say(pipeline: Path, tmp_path: Path) -> None:
    scale, fp8, plain = torch.tensor(1 / 64), {}, {}
    for key, tensor in random_state(VACE).items():
        if tensor.ndim == 2 and key.startswith(("blocks.", "vace_blocks.")):
            fp8[key] = (tensor / scale).to(torch.float8_e4m3fn)
            plain[key] = fp8[key].float() * scale
            fp8[key.removesuffix("weight") + "scale_weight"] = scale.clone()
        else:
            fp8[key] = plain[key] = tensor
    save_file(fp8 | {"scaled_fp8": torch.empty(2).to(torch.float8_e4m3fn)}, tmp_path / "fp8.safetensors")
    save_file(plain, tmp_path / "plain.safetensors")
    ours = run_transformer(load_transformer(tmp_path / "fp8.safetensors", dtype=torch.float32))
    assert close(ours, run_transformer(load_transformer(tmp_path / "plain.safetensors")))


def test_shards_and_a_config_beside_them(pipeline: Path, tmp_path: Path) -> None:
    model = load_transformer(pipeline / "single/vace.safetensors")
    model.save_pretrained(tmp_path, max_shard_size="400KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert close(run_transformer(load_transformer(tmp_path)), run_transformer(model))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"eps": 0.5, "vace_layers": [0]}))
    assert load_transformer(tmp_path).config.eps == 0.5
    index = next(tmp_path.glob("*.index.json"))
    index.write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    with pytest.raises(WeightsError, match=r"names '../secret.safetensors', which is no file of its own folder"):
        load_transformer(tmp_path)


# --- text ---------------------------------------------------------------------------------------------------------


def test_typed_special_tokens_stay_characters(pipeline: Path) -> None:
    from sentencepiece import SentencePieceProcessor

    encoder = load_text_encoder(pipeline / "single/umt5.safetensors")
    stock = SentencePieceProcessor(model_file=str(pipeline / "pipe/tokenizer/spiece.model"))
    extra = stock.piece_to_id("<extra_id_0>")
    assert extra in stock.encode("a <extra_id_0> b")  # sentencepiece alone lets it through
    for text in [*SPECIALS, *SENTENCES, "\u732b\u2603 \U0001f600"]:
        ids = encoder.tokenize(text)
        assert ids.count(1) == 1 and not {0, 2, extra} & set(ids), text
        assert stock.decode(ids[:-1]) == text
    for text in SENTENCES:
        assert encoder.tokenize(text) == [*stock.encode(text), 1]


def test_long_text_is_cut_to_511_and_the_end(pipeline: Path) -> None:
    encoder = load_text_encoder(pipeline / "single/umt5.safetensors")
    ids = encoder.tokenize("a cat \u732b " * 9000)
    assert len(ids) == 512 and ids[-1] == 1 and ids[:511] == encoder.tokenize("a cat \u732b " * 200)[:511]
    assert encoder.encode("a cat \u732b " * 9000).shape == (512, 32)


def test_a_folder_with_only_tokenizer_json(pipeline: Path, tmp_path: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("\u2581", -2.0)]
    pieces += [(character, -3.0) for character in "abcdefghijklmnopqrstuvwxyz0123456789_</>"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens([AddedToken(token) for token in ("<pad>", "</s>", "<unk>", "<extra_id_0>")])
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    (tmp_path / "tokenizer").mkdir()
    tokenizer.save(str(tmp_path / "tokenizer/tokenizer.json"))
    (tmp_path / "text_encoder").symlink_to(pipeline / "pipe/text_encoder")
    encoder = load_text_encoder(tmp_path)
    for text in ("red cat and more", "a</s>b", "<extra_id_0>", "<pad>"):
        ids = encoder.tokenize(text)
        assert ids[-1] == 1 and not {0, 1, 2} & set(ids[:-1])
        assert "".join(pieces[index][0] for index in ids[:-1]) == "\u2581" + text.replace(" ", "\u2581")


def test_literal_pieces_change_types_only(spiece: bytes) -> None:
    patched = literal_pieces(spiece)
    assert len(patched) == len(spiece) and sum(a != b for a, b in zip(patched, spiece, strict=True)) == 2
    kept = train_spiece(user_defined_symbols=["\n", "<b"])
    assert literal_pieces(kept) == kept


# --- what does not fit --------------------------------------------------------------------------------------------


def without(shapes: layouts.Shapes, part: str) -> State:
    return {key: tensor for key, tensor in random_state(shapes).items() if part not in key}


def refuse(load: Callable[[Path], object], path: Path, state: State, message: str) -> None:
    save_file(state, path)
    with pytest.raises(WeightsError, match=message) as caught:
        load(path)
    assert path.name in str(caught.value) and len(str(caught.value)) < 900


def test_wrong_models_are_named(tmp_path: Path) -> None:
    path, vace = tmp_path / "m.safetensors", random_state(VACE)
    refuse(load_transformer, path, without(VACE, "vace_"), "Wan T2V .*not VACE")
    refuse(load_transformer, path, without(VACE, "vace_") | {"img_emb.proj.0.bias": torch.ones(3)}, "Wan I2V")
    refuse(load_transformer, path, random_state(VAE), "not one .*the Wan 2.1 VAE")
    refuse(load_transformer, path, vace | {"blocks.0.lora_A.weight": torch.ones(1)}, "1 unexpected .*LoRA")
    refuse(load_transformer, path, without(VACE, "blocks.1."), "not one|does not fit")
    refuse(load_transformer, path, vace | {"blocks.1.ffn.2.bias": torch.ones(3)}, "1 of another shape")
    refuse(load_transformer, path, random_state(layouts.wan_vace_shapes(96, 64, 2, 1, text_dim=32)), "width 96")
    refuse(load_vae, path, vace, "not one .*Wan VACE transformer")
    wan22 = random_state(layouts.wan_vae_shapes(4, z_dim=48))
    refuse(load_vae, path, wan22, "latent channels")
    refuse(load_vae, path, wan22 | {"decoder.upsamples.0.upsamples.0.residual.2.weight": torch.ones(1)}, "Wan 2.2 VAE")
    refuse(load_text_encoder, path, vace, "not one .*Wan VACE")
    flux = without(UMT5, "relative_attention_bias")
    flux |= {key: tensor for key, tensor in random_state(UMT5).items() if "block.0.layer.0.SelfAttention.rel" in key}
    refuse(load_text_encoder, path, flux, "T5 .*not UMT5")


def test_tokenizers_that_are_missing_or_wrong(tmp_path: Path) -> None:
    path, state = tmp_path / "umt5.safetensors", random_state(UMT5)
    refuse(load_text_encoder, path, state, r"has no tokenizer: put UMT5's spiece\.model .* into ")
    refuse(load_text_encoder, path, state | {"spiece_model": as_tensor(b"garbage")}, "not a sentencepiece model")
    wrong = train_spiece(pad_id=3, eos_id=2, unk_id=0, bos_id=1)
    refuse(load_text_encoder, path, state | {"spiece_model": as_tensor(wrong)}, "end id 2: not the tokenizer")
    large = random_state(layouts.umt5_shapes(100, 32, 24, 2, 8, 3)) | {"spiece_model": as_tensor(train_spiece())}
    refuse(load_text_encoder, path, large, "not the tokenizer of an encoder with 100 rows")
    save_file(state, path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"tokenizer\.json is not a unigram tokenizer"):
        load_text_encoder(path)


def test_folders_without_weights(tmp_path: Path) -> None:
    for load, component in ((load_transformer, "transformer"), (load_vae, "vae"), (load_text_encoder, "text_encoder")):
        with pytest.raises(WeightsError, match=f"holds no {component} weights; give a file"):
            load(tmp_path)
        with pytest.raises(WeightsError, match="does not exist"):
            load(tmp_path / "missing.safetensors")
    for name in ("a.safetensors", "b.safetensors"):
        save_file({"x": torch.ones(1)}, tmp_path / name)
    with pytest.raises(WeightsError, match=r"several weights files \(a\.safetensors, b\.safetensors"):
        load_vae(tmp_path)
