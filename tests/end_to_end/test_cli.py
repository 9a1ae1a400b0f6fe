"""The command line: what it prints, its exit status, and every bad input with its message."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from unison_backend.demo import set as demo
from unison_backend.engine import coder
from unison_backend.engine import engine as engine_diffusers
from unison_backend.media.probe import probe

SMALL = ("--steps", 1, "--quiet", "--device", "cpu")


def command(*arguments, **options):
    """`unison` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "unison_backend.cli", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        cwd=Path(__file__).parents[2],
        **options,
    )


# plan


def test_plan_for_people(unison):
    status, out, _ = unison("plan", "A vertical video of a fox, 3 seconds.")
    assert status == 0
    assert "text_to_video" in out and "720x1280" in out and "73 at 24 fps" in out and "72 is made 73" in out


def test_plan_as_json(unison):
    status, out, _ = unison("plan", "--json", "A vertical video of a fox, 3 seconds.")
    made = json.loads(out)
    assert status == 0
    assert list(made) == [
        *(
            "version",
            "task",
            "tokens",
            "width",
            "height",
            "num_frames",
            "kept_frames",
            "segments",
            "fps",
            "mask",
            "source",
            "references",
            "frames",
        ),
        *("control", "target", "borders", "mask_keeps", "answer", "reading", "reasons", "plan"),
    ]
    assert (made["width"], made["height"], made["num_frames"], made["fps"]) == (720, 1280, 73, 24)
    assert made["plan"]["num_frames"] == 72


def test_plan_explained(unison, tmp_path):
    status, out, _ = unison("plan", "--explain", "A square video of a fox, 3 seconds.")
    assert status == 0
    assert "model    kind of order: video" in out
    assert "rule     sizes.square.before_noun (en/sizes.toml): 'square video' at 2-14" in out
    made = json.loads(unison("plan", "--explain", "--json", "A square video of a fox, 3 seconds.")[1])
    assert "lengths.time.number_and_unit" in [rule["name"] for rule in made["explained"]["rules"]]
    (tmp_path / "lines.jsonl").write_text('{"prompt": "A square picture of a fox."}\n{"prompt": "A fox."}\n')
    lines = [
        json.loads(line) for line in unison("plan", "--explain", "--jsonl", tmp_path / "lines.jsonl")[1].splitlines()
    ]
    assert [len(line["explained"]["rules"]) for line in lines] == [1, 0]


def test_plan_of_a_question_has_no_values(unison):
    made = json.loads(unison("plan", "--json", "Why is the sky blue?")[1])
    assert made["task"] == "text_understanding"
    assert all(made[key] is None for key in ("width", "height", "num_frames", "fps", "mask", "source"))


def test_a_still_has_one_frame_and_no_fps(unison):
    made = json.loads(unison("plan", "--json", "Draw a fox.")[1])
    assert (made["num_frames"], made["fps"]) == (1, None)


def test_plan_lines(unison, tmp_path):
    lines = [
        '{"prompt": "Based on this pose video <VIDPAD>, generate a video of a dancer."}',
        "",
        '{"prompt": "Draw a fox."}',
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    status, out, _ = unison("plan", "--jsonl", tmp_path / "in.jsonl")
    first, second = map(json.loads, out.splitlines())
    assert status == 0
    assert (first["tokens"], first["width"], first["fps"]) == ("<CTRL><CFV>", None, None)
    assert {"field": "size", "text": "decided by video 1"} in first["reasons"]
    assert second["tokens"] == "<CFI>"


def test_a_bad_line_keeps_its_place(unison, tmp_path):
    lines = ['{"prompt": "Draw a fox."}', "no json", '{"text": "x"}', '{"prompt": 3}', '{"prompt": " "}', "[" * 5000]
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    status, out, _ = unison("plan", "--jsonl", tmp_path / "in.jsonl")
    made = [json.loads(line) for line in out.splitlines()]
    assert status == 2
    assert ["error" in record for record in made] == [False, True, True, True, True, True]
    assert "line 2" in made[1]["error"]


def test_plan_is_quick_to_start_and_imports_no_torch():
    code = (
        "import sys, unison_backend, unison_backend.cli as cli; cli.main(['plan', 'Draw a fox.']);"
        "heavy = {'torch', 'numpy', 'transformers', 'diffusers', 'av', 'PIL'} & set(sys.modules); sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr


def test_a_picture_imports_nothing_that_it_does_not_use(tmp_path):
    """Video, maps, masks, other planners, training, whole pipelines: each would be seconds of every start."""
    unused = {
        *("av", "kornia", "cv2", "matplotlib", "pandas", "datasets", "llguidance", "ray", "onnxruntime"),
        *(
            "tensorboard",
            "diffusers.pipelines",
            "transformers.pipelines",
            "transformers.trainer",
            "torchvision.io.video",
        ),
        *("transformers.models.sam2.modeling_sam2", "transformers.models.grounding_dino.modeling_grounding_dino"),
        *("torch._inductor.compile_fx", "torch.utils.tensorboard", "triton.compiler.code_generator"),
        *("unison_backend.training.loop", "unison_backend.batch", "unison_backend.comfy"),
    }
    out = tmp_path / "a.png"
    code = (
        f"import sys, unison_backend.cli as cli; cli.main(['run', 'Draw a red circle.', '--out', {str(out)!r}, "
        f"'--steps', '1', '--quiet', '--device', 'cpu']); print(*({unused!r} & set(sys.modules)), len(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert Image.open(out).size == (64, 64), done.stderr
    *came, count = done.stdout.splitlines()[-1].split()
    assert came == [] and int(count) > 1000


def test_a_models_folder_without_planner_costs_no_torch(tmp_path):
    code = "import sys, unison_backend.cli as cli; cli.main(['plan', 'Draw a fox.']); sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"UNISON_MODELS": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr


def test_set_goes_over_the_plan(unison):
    made = json.loads(
        unison("plan", "--json", "A video of a fox.", "--set", "width=100", "seconds=0.5", "--set", "fps=12")[1]
    )
    assert (made["width"], made["height"], made["num_frames"], made["fps"]) == (96, 480, 5, 12)


def test_chinese_in_and_out():
    done = command("plan", "--json", "\u753b\u4e00\u53ea\u732b", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert json.loads(done.stdout)["plan"]["prompt"] == "\u753b\u4e00\u53ea\u732b"


def test_version_and_help(unison):
    assert unison("--version")[0] == 0
    status, out, _ = unison("--help")
    assert status == 0 and "plan" in out and "doctor" in out


def test_doctor(unison):
    status, out, _ = unison("doctor")
    assert status == 0
    assert "wan2.1_vace_1.3B_fp16.safetensors (4.3 GB) in models/diffusion_models/" in out and "H.264" in out


def test_doctor_looks_into_a_models_folder(unison, tmp_path):
    built = demo.ensure()
    (tmp_path / "LLM").mkdir()
    (tmp_path / "LLM" / "small-qwen").symlink_to(built.planner, target_is_directory=True)
    status, out, _ = unison("doctor", "--models", tmp_path)
    assert status == 0
    assert f"{tmp_path / 'LLM' / 'small-qwen'}" in out and "MISSING  Wan VACE" in out
    assert "plan" in out.split("small-qwen")[1]


# Bad input: status 2, one line that names the input and the cure, nothing written


@pytest.fixture
def refused(unison, tmp_path):
    def check(words, *arguments, status=2):
        before = sorted(tmp_path.rglob("*"))
        code, out, errors = unison(*arguments)
        assert code == status, errors
        last = errors.strip().splitlines()[-1] if status == 2 else errors
        assert errors.startswith("unison: ") or "\nunison: " in errors
        for word in [words] if isinstance(words, str) else words:
            assert word in last, errors
        assert "Traceback" not in errors and not out
        assert sorted(tmp_path.rglob("*")) == before

    return check


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_empty_instruction(refused, tmp_path, text):
    refused("empty", "plan", text)
    refused("empty", "run", text, "--out", tmp_path / "a.png")


def test_no_instruction(refused):
    refused("no instruction", "plan")


def test_missing_and_strange_media(refused, tmp_path, draw):
    out = ("--out", tmp_path / "o.mp4")
    refused(["no.png"], "run", f"Animate ###{tmp_path / 'no.png'}###", *out)
    refused([".txt", ".mp4"], "run", "Animate ###notes.txt###", *out)
    (tmp_path / "empty.png").touch()
    refused("empty.png", "run", f"Animate ###{tmp_path / 'empty.png'}###", *out)
    (tmp_path / "junk.mp4").write_bytes(b"junk" * 500)
    refused("junk.mp4", "plan", f"Make the car in ###{tmp_path / 'junk.mp4'}### red.")
    draw("real.mp4").rename(tmp_path / "fake.png")
    refused(["fake.png", "video"], "run", f"Animate ###{tmp_path / 'fake.png'}###", *out)
    draw("still.png").rename(tmp_path / "fake.mp4")
    refused(["fake.mp4", "picture"], "plan", f"Describe ###{tmp_path / 'fake.mp4'}###")


def test_a_video_where_a_picture_is_needed(refused, draw):
    refused(["video"], "plan", f"Describe ###{draw('a.mp4')}###", "--set", "output=video", "references=0")


def test_wrong_output_names(refused, tmp_path):
    refused([".mp4", "video"], "run", "A video of a fox.", "--out", tmp_path / "fox.png")
    refused([".png", "picture"], "run", "Draw a fox.", "--out", tmp_path / "fox.mp4")
    refused([".png"], "run", "Draw a fox.", "--out", tmp_path / "fox.txt")


def test_the_input_is_never_overwritten(refused, tmp_path, draw):
    source, mask = draw("a.png"), draw("m.png", mask=True)
    refused(
        "also an input", "run", f"Remove the square from ###{source}###. The mask is ###{mask}###.", "--out", source
    )


def test_absurd_sizes_and_lengths(refused, tmp_path):
    out = ("--out", tmp_path / "o.mp4")
    refused(["99999", "4096"], "run", "A video of a fox, 99999x99999.", *out)
    refused(["2400"], "run", "A video of a fox that is 20 minutes long.", *out)
    refused(["16"], "run", "Draw a fox", "--set", "width=1", "--out", tmp_path / "o.png")


def test_more_frames_than_memory(unison, tmp_path):
    status, _, errors = unison("run", "A 100 second video of a fox, 4096x4096.", "--out", tmp_path / "o.mp4")
    assert status == 1 and "GB" in errors and "num_frames" in errors


def test_settings(refused, tmp_path):
    for words, *setting in (
        (["colour", "width"], "colour=red"),
        (["fps"], "fps=x"),
        (["source", "no media"], "mask=7", "source=0"),
    ):
        refused(words, "run", "Draw a fox", "--out", tmp_path / "o.png", "--set", *setting)
    refused("steps", "run", "Draw a fox", "--out", tmp_path / "o.png", "--steps", 0)
    refused(
        "warp", "run", "Draw a fox", "--out", tmp_path / "o.png", "--device", "warp", "--set", "width=32", "height=32"
    )


def test_masks_that_mark_nothing(refused, tmp_path, draw):
    black = tmp_path / "black.png"
    Image.new("L", (96, 64), 0).save(black)
    text = f"Remove the square from ###{draw('a.png')}###. Here is the mask ###{black}###."
    refused(["black.png", "white"], "run", text, "--out", tmp_path / "o.png", *SMALL)


def test_what_is_not_built_yet(unison, tmp_path, draw):
    source = draw("a.png")
    cases = {
        f"Remove the square from ###{source}###.": "without a mask",
        f"Draw a dancer in the same pose as the man in ###{source}###.": "set control to map",
    }
    for text, words in cases.items():
        status, _, errors = unison("run", text, "--out", tmp_path / "o.png")
        assert status == 1 and words in errors, errors


def test_strange_texts(unison, tmp_path):
    for text in (
        "Draw <CFV> <|im_end|> <IMGPAD> </s> <BORES>1,1<EORES>",
        "Draw \x07\x1b[31m a fox",
        "Draw " + "a fox and " * 10_000,
    ):
        status, _, errors = unison("run", text, "--out", tmp_path / "o.png", "--set", "width=32", "height=32", *SMALL)
        assert status == 0, errors
        assert probe(tmp_path / "o.png", "image").width == 32


# Weights


def test_weights_of_the_wrong_kind(refused, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    built = demo.ensure()
    good = {"--vace": built.vace, "--vae": built.vae, "--text-encoder": built.text_encoder}
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "cut.safetensors").write_bytes(built.vae.read_bytes()[:5000])
    (tmp_path / "noise.safetensors").write_bytes(os.urandom(4000))
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    for name in ("evil.pth", "cut.safetensors", "noise.safetensors", "other.safetensors", "none.safetensors"):
        for option in good:
            arguments = [part for pair in (good | {option: tmp_path / name}).items() for part in pair]
            refused(
                name,
                "run",
                "Draw a fox",
                "--out",
                tmp_path / "o.png",
                "--set",
                "width=32",
                "height=32",
                *SMALL,
                *arguments,
            )
    assert not (tmp_path / "ran").exists()


def test_answers_stream_to_stdout(unison, draw):
    for text in (
        "Why is the sky blue?",
        f"What is in ###{draw('a.png')}###?",
        f"Compare ###{draw('b.mp4')}### and ###{draw('c.png')}###.",
    ):
        status, out, errors = unison("run", text, "--max-new-tokens", 8, "--device", "cpu")
        assert status == 0, errors
        assert out.endswith("\n") and not any(token in out for token in ("<CFI>", "<BORES>", "<|im_end|>"))
        assert "understanding" in errors and "demo models" in errors


def test_a_picture_needs_a_place(refused):
    refused("--out is missing", "run", "Draw a fox.")


def test_the_embedded_qwen_plans_when_asked_for_by_name(unison, tmp_path):
    status, out, errors = unison(
        "plan", "--json", "Draw a fox.", "--planner", "qwen", "--force-plan", "--device", "cpu"
    )
    assert status == 0, errors
    assert json.loads(out)["tokens"].endswith(("<CFI>", "<CFV>"))
    status, out, errors = unison("run", "Draw a fox.", "--planner", "qwen", "--force-plan", "--out", tmp_path, *SMALL,
                                 "--set", "output=image", "width=32", "height=32", "frames=none")  # fmt: skip
    assert status == 0, errors
    assert probe(Path(out.strip()), "image").width == 32


def test_auto_uses_a_qwen_with_planning_weights_and_its_features(unison, tmp_path, monkeypatch):
    from unison_backend.planner.qwen.planner import QwenPlanner

    asked = []
    real = QwenPlanner.plan
    monkeypatch.setattr(QwenPlanner, "plan", lambda self, *a, **k: asked.append(1) or real(self, *a, **k))
    monkeypatch.setattr(QwenPlanner, "features", lambda *a, **k: pytest.fail("the plan's own features are there"))
    built = demo.ensure()
    options = ("--planner-folder", built.planner, "--force-plan", "--device", "cpu")
    assert unison("plan", "Draw a fox.", *options)[0] == 0 and asked
    given = (
        "--vace",
        built.vace,
        "--vae",
        built.vae,
        "--text-encoder",
        built.text_encoder,
        "--projector",
        built.projector,
    )
    status, _, errors = unison("run", "Draw a fox.", *options, *given, "--steps", 1, "--quiet", "--out", tmp_path,
                               "--set", "output=image", "width=32", "height=32")  # fmt: skip
    assert status == 0 and "without projected tokens" not in errors, errors


def test_a_planner_folder_that_is_none(refused, tmp_path):
    refused("is not there", "plan", "Draw a fox.", "--planner-folder", tmp_path / "none")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "llama"}')
    refused("llama", "plan", "Draw a fox.", "--planner", "qwen", "--planner-folder", tmp_path / "other")


def test_merge_says_what_does_not_fit(refused, tmp_path):
    built = demo.ensure()
    refused("none", "merge", "--base", built.planner, "--lora", tmp_path / "none", "--out", tmp_path / "out")


def test_a_part_of_the_models_lists_the_rest(refused, tmp_path):
    (tmp_path / "models" / "vae").mkdir(parents=True)
    (tmp_path / "models" / "vae" / "Wan_2.1_VAE.safetensors").touch()
    code = ("run", "Draw a fox", "--out", tmp_path / "o.png", "--models", tmp_path / "models")
    refused("Without --models", *code)


def test_real_layouts_are_found(tmp_path):
    from unison_backend.weights.find import find

    files = {
        "vace": "diffusion_models/wan/wan2.1_vace_1.3B_fp16.safetensors",
        "vae": "vae/wan_2.1_vae.safetensors",
        "text_encoder": "text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors",
        "projector": "unison/projector.pth",
    }
    for name in files.values():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "diffusion_models" / "wan2.1_t2v_1.3B_fp16.safetensors").touch()
    found = find(tmp_path)
    assert {key: getattr(found, key).relative_to(tmp_path).as_posix() for key in files} == files
    assert found.planner is None and not found.missing


def test_the_demo_models_given_by_name_run_without_projected_tokens(unison, tmp_path):
    built = demo.ensure()
    status, _, errors = unison("run", "Draw a fox", "--out", tmp_path / "o.png", "--set", "width=32", "height=32", *SMALL,
                               "--vace", built.vace, "--vae", built.vae, "--text-encoder", built.text_encoder)  # fmt: skip
    assert status == 0, errors
    assert "without projected tokens" in errors and "demo models" not in errors


# Cancel and failure


@pytest.mark.parametrize(
    "stage", ["demo models", "reading the instruction", "loading the engine", "encoding sources", "sampling"]
)
def test_cancel_at_every_stage_keeps_the_older_file(monkeypatch, unison, tmp_path, stage):
    """Ctrl-C once the stage has begun: status 130, and the file of an earlier run is still whole."""
    out = tmp_path / "o.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(out)
    before = out.read_bytes()
    from unison_backend.cli import terminal

    real = terminal.Bar.__call__

    def press(self, at, done, total):
        real(self, at, done, total)
        if at == stage:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(terminal.Bar, "__call__", press)
    if stage == "demo models":
        monkeypatch.setenv("UNISON_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(demo, "_SHIPPED", tmp_path / "none")  # so that the untrained ones are built
    status, printed, errors = unison(
        "run", "Draw a fox", "--out", out, "--set", "width=32", "height=32", "--device", "cpu"
    )
    assert status == 130, errors
    assert not printed and out.read_bytes() == before
    assert "cancelled" in errors


def test_ctrl_c_in_a_real_process(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "unison_backend.cli", "run", "A video of a fox, 256x256, 3 seconds.", "--out", str(tmp_path / "o.mp4"),
         "--device", "cpu", "--steps", "1000"],
        stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("sampling"):
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            break
    assert process.wait(timeout=120) == 130
    assert not (tmp_path / "o.mp4").exists()


def test_out_of_memory_says_what_to_lower(monkeypatch, unison, tmp_path):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine_diffusers.Engine, "generate", fail)
    status, _, errors = unison("run", "Draw a fox, 32x32 pixels", "--out", tmp_path / "o.png", *SMALL)
    assert status == 1 and "lower" in errors and "32x32" in errors


def test_a_vae_that_goes_in_tiles_by_itself_says_so(unison, tmp_path, monkeypatch):
    monkeypatch.setattr(coder, "TILE", 32)
    monkeypatch.setattr(coder, "OVERLAP", 16)
    orders = ("run", "Draw a red circle, 48x32 pixels", *SMALL)
    made = {}
    for name, free, options in (
        ("whole", 1e12, ()), ("short", 0, ()), ("tiled", 1e12, ("--vae-tiled",)), ("never", 0, ("--no-vae-tiled",)),
    ):  # fmt: skip
        monkeypatch.setattr(coder, "free_bytes", lambda device, free=free: free)
        status, _, errors = unison(*orders, "--out", tmp_path / f"{name}.png", *options)
        assert status == 0 and ("note: the VAE decoded in tiles: as a whole it takes" in errors) == (name == "short")
        made[name] = np.asarray(Image.open(tmp_path / f"{name}.png")).tolist()
    assert made["short"] == made["tiled"] != made["whole"] == made["never"]


def test_two_runs_at_once(tmp_path):
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "unison_backend.cli", "run", "Draw a fox, 32x32 pixels", "--out", str(tmp_path / f"{i}.png"),
             "--device", "cpu", "--steps", "1"],
            cwd=Path(__file__).parents[2], env=os.environ | {"UNISON_CACHE": str(tmp_path / "cache")},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for i in range(2)
    ]  # fmt: skip
    errors = [run.communicate(timeout=300)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    assert (np.asarray(Image.open(tmp_path / "0.png")) == np.asarray(Image.open(tmp_path / "1.png"))).all()
