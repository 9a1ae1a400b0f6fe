"""A library of the environment that does not load: one sentence and status 1, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CIRCLE = "Create a 64x64 image of a red circle on a blue background."


@pytest.fixture
def unison_with(tmp_path):
    """`unison_with("name", "source", "run", ...)`: the command line in a process that finds that library first."""

    def run(name, source, *arguments):
        package = tmp_path / "path" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"__version__ = '9.9'\n{source}\n")
        info = tmp_path / "path" / f"{name}-9.9.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
        (info / "top_level.txt").write_text(f"{name}\n")
        code = "import sys; from unison_backend.cli import main; sys.exit(main(sys.argv[1:]))"
        path = os.pathsep.join([str(tmp_path / "path"), str(ROOT)])
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)

    return run


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("torchaudio", "raise OSError('/x/libtorchaudio.so: undefined symbol: aoti')", "undefined symbol: aoti"),
        ("ftfy", "raise ImportError('DLL load failed')", "DLL load failed"),
        ("torchvision", "raise RuntimeError('operator torchvision::nms does not exist')", "torchvision::nms"),
    ],
)
def test_a_run(unison_with, tmp_path, name, source, said):
    out = tmp_path / "out.png"
    done = unison_with(name, source, "run", CIRCLE, "--out", out)
    assert done.returncode == 1 and not out.exists()
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"unison: the library {name} 9.9 cannot be loaded") and said in last
    assert str(tmp_path / "path" / name / "__init__.py") in last and "mend it with: " in last


def test_the_doctor(unison_with):
    done = unison_with("torchaudio", "raise OSError('/x/libtorchaudio.so: undefined symbol: aoti')", "doctor")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    line = next(line for line in done.stdout.splitlines() if line.strip().startswith("transformers"))
    assert "the library torchaudio 9.9 cannot be loaded (transformers loads it): OSError" in line
    assert "wan2.1_vace_1.3B_fp16.safetensors" in done.stdout  # the rest of the report is there
