"""Weights files of every kind, good and bad."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import Linear

from unison_backend.errors import ResourceError, WeightsError
from unison_backend.weights.fit import assign, recognise
from unison_backend.weights.state import dequantize, load_state_dict

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2, dtype=torch.bfloat16)}
FP8 = torch.float8_e4m3fn


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def saved(path: Path, content: object = STATE, **options: object) -> Path:
    if path.suffix in (".safetensors", ".sft"):
        save_file(content, path)  # type: ignore[arg-type]
    else:
        torch.save(content, path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("name", ["m.safetensors", "m.sft", "m.SAFETENSORS", "m.pth", "m.pt", "m.bin", "m.ckpt"])
def test_every_suffix(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name.lower()).rename(tmp_path / name)
    assert same(load_state_dict(path), STATE)
    assert same(load_state_dict(str(path)), STATE)


def test_old_pickle_format(tmp_path: Path) -> None:
    assert same(load_state_dict(saved(tmp_path / "m.pth", _use_new_zipfile_serialization=False)), STATE)


def test_a_mapped_file_is_never_written_to(tmp_path: Path) -> None:
    for name in ("m.safetensors", "m.pth"):
        path = saved(tmp_path / name)
        load_state_dict(path)["a.weight"].fill_(7.0)
        assert same(load_state_dict(path), STATE)


def test_every_dtype_and_no_elements(tmp_path: Path) -> None:
    names = "float64 float32 float16 bfloat16 bool uint8 int64 int32 int16 int8 float8_e4m3fn float8_e5m2"
    state = {name: torch.tensor([[0, 1, 1]]).to(getattr(torch, name)) for name in names.split()}
    state |= {"empty": torch.empty(0, 3), "scalar": torch.tensor(2.5)}
    path = saved(tmp_path / "m.safetensors", state)
    for device in ("cpu", "meta"):
        loaded = load_state_dict(path, device=device)
        assert {k: (t.shape, t.dtype) for k, t in loaded.items()} == {k: (t.shape, t.dtype) for k, t in state.items()}
    assert all(torch.equal(tensor.double(), state[key].double()) for key, tensor in load_state_dict(path).items())


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_one_level_is_unwrapped(tmp_path: Path, wrapper: str) -> None:
    assert same(load_state_dict(saved(tmp_path / "m.pth", {wrapper: STATE, "epoch": 3})), STATE)


def test_meta_reads_shapes_and_dtypes_only(tmp_path: Path) -> None:
    for name in ("m.safetensors", "m.pth"):
        state = load_state_dict(saved(tmp_path / name), device="meta")
        assert all(tensor.is_meta for tensor in state.values())
        assert {k: (t.shape, t.dtype) for k, t in state.items()} == {k: (t.shape, t.dtype) for k, t in STATE.items()}


def test_prefixes_are_taken_off_where_every_key_has_them(tmp_path: Path) -> None:
    prefixed = {f"module.model.diffusion_model.{key}": tensor.clone() for key, tensor in STATE.items()}
    path = saved(tmp_path / "m.safetensors", prefixed | {"scaled_fp8": torch.empty(2)})
    state = load_state_dict(path, prefixes=("module.", "model.diffusion_model."))
    assert set(state) == {*STATE, "scaled_fp8"}
    assert set(load_state_dict(path)) == {*prefixed, "scaled_fp8"}
    mixed = saved(tmp_path / "n.safetensors", prefixed | {"other": torch.ones(1)})
    assert "other" in load_state_dict(mixed, prefixes=("module.",)) and "module." in next(iter(prefixed))
    assert len(load_state_dict(mixed, prefixes=("module.",)).keys() & prefixed.keys()) == 2


class Evil:
    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path: Path, zipped: bool) -> None:
    trap = tmp_path / "trap"
    path = saved(tmp_path / "m.pth", {"a": Evil(str(trap))}, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"m\.pth holds Python objects .* refused"):
        load_state_dict(path)
    assert not trap.exists()
    torch.load(path, weights_only=False)
    assert trap.exists()  # the trap works, so its absence above means something


def truncated(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-9])
    return path


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing.safetensors": (lambda path: None, "does not exist"),
    "folder.safetensors": (lambda path: path.mkdir(), "is a folder"),
    "empty.safetensors": (lambda path: path.touch(), "is empty"),
    "empty.pth": (lambda path: path.touch(), "is empty"),
    "garbage.safetensors": (lambda path: path.write_bytes(b"no weights here" * 20), "damaged, cut short"),
    "garbage.pth": (lambda path: path.write_bytes(b"no weights here" * 20), "damaged, cut short"),
    "bytes.pth": (lambda path: path.write_bytes(bytes(range(256)) * 4), "damaged, cut short"),
    "zip.pth": (lambda path: path.write_bytes(b"PK\x03\x04" + b"\x00" * 99), "damaged, cut short"),
    "short.safetensors": (lambda path: truncated(saved(path)), "damaged, cut short"),
    "short.pth": (lambda path: truncated(saved(path)), "damaged, cut short"),
    "lfs.safetensors": (lambda path: path.write_text(POINTER), "Git LFS pointer"),
    "lfs.pth": (lambda path: path.write_text(POINTER), "git lfs pull"),
    "page.safetensors": (lambda path: path.write_text("\n<!DOCTYPE html><html>"), "web page"),
    "model.gguf": (lambda path: path.write_bytes(b"GGUF\x03\x00\x00\x00"), "GGUF .* get the .safetensors"),
    "model.bat": (lambda path: path.write_bytes(b"\x08\x07"), "unknown suffix"),
    "model.onnx": (lambda path: path.write_bytes(b"\x08\x07"), "ONNX network.* get the .safetensors"),
    "dw_bs5.torchscript.pt": (lambda path: path.write_bytes(b"PK"), "TorchScript program.* get the .safetensors"),
    "scripted.pt": (lambda path: torch.jit.script(torch.nn.Linear(2, 2)).save(path), "is a TorchScript program"),
    "yolox.engine": (lambda path: path.write_bytes(b"\x08"), "TensorRT engine, made for one card"),
    "zipped.safetensors": (lambda path: saved(path.with_suffix(".pth")).rename(path), "rename it to zipped.pth"),
    "list.pth": (lambda path: saved(path, [1, 2]), "holds no state dict"),
    "numbers.pth": (lambda path: saved(path, {"epoch": 3}), "holds no state dict"),
    "object.pth": (lambda path: saved(path, {"a": Path("x")}), "Python objects"),
    "none.safetensors": (lambda path: saved(path, {}), "holds no tensors"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_say_which_file_and_what_to_do(tmp_path: Path, name: str) -> None:
    make, message = BAD[name]
    make(tmp_path / name)
    with pytest.raises(WeightsError, match=message) as caught:
        load_state_dict(tmp_path / name)
    assert name in str(caught.value)


TOO_LARGE = RuntimeError("unable to mmap 9 bytes from file <m>: Cannot allocate memory (12)")


@pytest.mark.parametrize("error", [TOO_LARGE, MemoryError()])
@pytest.mark.parametrize(
    ("name", "function"), [("m.safetensors", "torch.UntypedStorage.from_file"), ("m.pth", "torch.load")]
)
def test_a_file_larger_than_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, function: str, error: Exception
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    path = saved(tmp_path / name)
    monkeypatch.setattr(function, fail)
    with pytest.raises(ResourceError, match=rf"{name} .* larger than the memory; use its fp16"):
        load_state_dict(path)


def note(form: str) -> torch.Tensor:
    return torch.tensor(list(json.dumps({"format": form}).encode()), dtype=torch.uint8)


WEIGHT = torch.tensor([[1.0, -2.0], [0.5, 448.0]])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_scaled_fp8_of_both_generations(dtype: torch.dtype) -> None:
    scale = torch.tensor(0.5)
    plain = {"x.bias": torch.ones(2), "y.weight": torch.ones(3, 3, dtype=torch.float16)}
    old = {"x.weight": WEIGHT.to(FP8), "x.scale_weight": scale, "x.scale_input": scale, "scaled_fp8": torch.empty(0)}
    new = {"x.weight": WEIGHT.to(FP8), "x.weight_scale": scale, "x.input_scale": scale}
    new["x.comfy_quant"] = note("float8_e4m3fn")
    for marked in (old, new, {**new, "model.scaled_fp8": torch.empty(2, dtype=FP8)}):
        state = dequantize(marked | plain, dtype)
        assert set(state) == {"x.weight", "x.bias", "y.weight"}
        assert state["x.weight"].dtype == dtype and torch.equal(state["x.weight"], (WEIGHT * 0.5).to(dtype))
        assert state["y.weight"] is plain["y.weight"]


def test_fp8_without_scales_with_one_per_row_and_e5m2() -> None:
    assert torch.equal(dequantize({"x.weight": WEIGHT.to(FP8)}, torch.float32)["x.weight"], WEIGHT)
    rows = torch.tensor([[2.0], [3.0]])
    for scale in (rows, rows[:, 0]):
        state = dequantize({"x.weight": WEIGHT.to(FP8), "x.weight_scale": scale}, torch.float32)
        assert torch.equal(state["x.weight"], WEIGHT * rows)
    e5m2 = {"x.weight": WEIGHT.to(torch.float8_e5m2), "x.comfy_quant": note("float8_e5m2")}
    assert dequantize(e5m2, torch.float16)["x.weight"].tolist() == [[1.0, -2.0], [0.5, 448.0]]


def test_a_scaled_weight_that_is_not_fp8_is_left_unchanged_in_the_input() -> None:
    given = {"x.weight": WEIGHT.clone(), "x.weight_scale": torch.tensor(2.0)}
    assert torch.equal(dequantize(given, torch.float32)["x.weight"], WEIGHT * 2)
    assert torch.equal(given["x.weight"], WEIGHT)


def test_dequantize_on_meta() -> None:
    given = {"x.weight": WEIGHT.to(FP8), "x.weight_scale": torch.tensor(2.0), "x.comfy_quant": note("float8_e4m3fn")}
    for state in ({k: t.to("meta") for k, t in given.items()}, given | {"x.weight": given["x.weight"].to("meta")}):
        weight = dequantize(state, torch.bfloat16)["x.weight"]
        assert weight.is_meta and weight.dtype == torch.bfloat16 and weight.shape == (2, 2)


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        ({"x.comfy_quant": note("nvfp4")}, "nvfp4"),
        ({"x.comfy_quant": note("mxfp8")}, "mxfp8"),
        ({"x.comfy_quant": note("int8_tensorwise")}, "int8_tensorwise"),
        ({"x.comfy_quant": torch.ones(3, dtype=torch.uint8)}, "unreadable"),
        ({"x.weight_scale_2": torch.ones(1)}, "nvfp4"),
        ({"x.weight": torch.ones(2, 2, dtype=torch.int8)}, "int8"),
        ({"x.weight": torch.ones(2, 2, dtype=torch.uint8)}, "uint8"),
        ({"x.weight.absmax": torch.ones(4)}, "bitsandbytes"),
        ({"x.qweight": torch.ones(4, dtype=torch.int32)}, "GPTQ"),
        ({"x.weight_scale": torch.ones(2, 4)}, "blocks"),
        ({"x.weight_scale": torch.ones(2, dtype=torch.uint8)}, "blocks"),
    ],
)
def test_other_formats_are_named(extra: dict[str, torch.Tensor], name: str) -> None:
    with pytest.raises(WeightsError, match=rf"m\.safetensors.*{name}.*fp8 scaled file"):
        dequantize({"x.weight": WEIGHT.to(FP8)} | extra, torch.float32, what="m.safetensors")


def linear(width_in: int = 3, width_out: int = 2) -> torch.nn.Module:
    with torch.device("meta"):
        return torch.nn.ModuleDict({"a": Linear(width_in, width_out)})


def test_assign_copies_nothing_unless_it_must(tmp_path: Path) -> None:
    state, model = load_state_dict(saved(tmp_path / "m.safetensors")), linear()
    assign(model, state, "m")
    assert model["a"].weight.data_ptr() == state["a.weight"].data_ptr()  # type: ignore[index]
    assert model["a"].bias.dtype == torch.bfloat16  # type: ignore[index]
    assign(model, state, "m", dtype=torch.float16, keep_fp32=("bias",))
    assert {p.dtype for p in model.parameters()} == {torch.float16, torch.float32}
    assign(model, state, "m", device="meta")
    assert all(p.is_meta for p in model.parameters())


def test_misfits_are_listed() -> None:
    state = {"a.weight": torch.ones(2, 4), **{f"b.{index}": torch.ones(1) for index in range(9)}}
    with pytest.raises(WeightsError) as caught:
        assign(linear(), state, "m.pth as a layer")
    assert str(caught.value) == (
        "m.pth as a layer does not fit: 1 missing (a.bias); 9 unexpected (b.0, b.1, b.2, ...); "
        "1 of another shape (a.weight is [2, 4], not [2, 3])."
    )


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        (["blocks.0.self_attn.q.weight", "head.modulation"], "T2V"),
        (["blocks.0.self_attn.q.weight", "img_emb.proj.0.bias"], "I2V"),
        (["patch_embedding.weight", "blocks.0.self_attn.q.weight", "vace_blocks.0.after_proj.bias"], "Wan VACE"),
        (["blocks.0.lora_A.weight", "blocks.0.self_attn.q.lora_B.weight"], "LoRA"),
        (["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "encoder.block.1.x"], "not UMT5"),
        (["decoder.upsamples.0.upsamples.0.residual.2.weight", "decoder.middle.0.residual.0.gamma"], "Wan 2.2 VAE"),
        (["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight"], "language model"),
    ],
)
def test_known_files_are_recognised(keys: list[str], kind: str) -> None:
    assert kind in str(recognise(keys))
    with pytest.raises(WeightsError, match=f"This seems to be .*{kind}"):
        assign(linear(), {key: torch.ones(1) for key in keys}, "m")


def test_unknown_files_are_not() -> None:
    assert recognise(["x", "y.weight"]) is None


def test_a_pickle_that_torch_has_no_words_for(tmp_path: Path) -> None:
    """A storage that is named by a number: torch asserts."""
    import zipfile

    path = tmp_path / "m.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("m/data.pkl", b"\x80\x02K\x01Q.")
        file.writestr("m/version", b"3\n")
        file.writestr("m/byteorder", b"little")
    with pytest.raises(WeightsError, match=r"m\.pth is damaged.*download it again"):
        load_state_dict(path)
