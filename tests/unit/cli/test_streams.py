"""Standard output that is closed, full, or that nobody reads: no traceback, and no file gets what was meant for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell of another kind")

ROOT = Path(__file__).parents[3]
PLAN = "plan 'Draw a fox'"


def shell(command: str) -> tuple[int, str]:
    """Status of `unison` and all that was said on standard error; $U is the command."""
    text = f"U='{sys.executable} -m unison_backend.cli'; {command}"
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, cwd=ROOT, timeout=120)
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [PLAN, "--help", "plan --jsonl lines.jsonl"])
@pytest.mark.parametrize("where", [">&-", "<&- >&-", "> /dev/full", "| true"])
def test_no_traceback(tmp_path: Path, arguments: str, where: str) -> None:
    (tmp_path / "lines.jsonl").write_text('{"prompt": "Draw a fox"}\n' * 3)
    arguments = arguments.replace("lines.jsonl", str(tmp_path / "lines.jsonl"))
    behind = "; exit ${PIPESTATUS[0]}" if "|" in where else ""
    status, said = shell(f"$U {arguments} {where}{behind}")
    full = "full" in where
    assert said == ("unison: standard output cannot be written (No space left on device): send it elsewhere\n" * full)
    assert status == (1 if full or ("|" in where and status) else 0)


def test_standard_error_that_is_closed_or_full() -> None:
    for where in ("2>&-", "2>/dev/full"):
        status, _ = shell(f"$U {PLAN} {where} > /dev/null")
        assert status == 0
        status, _ = shell(f"$U plan '' {where}")
        assert status == 2


def test_files_do_not_take_the_numbers_of_closed_streams(tmp_path: Path) -> None:
    """The first file that is opened would be number 1, and get whatever a library prints."""
    code = (
        "import os, sys; from pathlib import Path; from unison_backend.cli.streams import open_streams; open_streams();"
        "file = Path(sys.argv[1]).open('w'); os.write(1, b'printed'); os.write(2, b'said'); print('more'); file.close()"
    )
    path = tmp_path / "a.txt"
    for closed in (">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
        subprocess.run(
            ["bash", "-c", f'{sys.executable} -c "{code}" {path} {closed}'], cwd=ROOT, check=True, capture_output=True
        )
        assert path.read_bytes() == b""
