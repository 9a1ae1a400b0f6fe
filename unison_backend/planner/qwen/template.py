"""A folder's chat template, rendered in a child process that ends in time or on cancel (`template_child`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ...errors import ResourceError, WeightsError, one_line
from ...progress import Cancel, check, never

SECONDS = 2.0
"""For rendering. A template of one turn takes a millisecond."""
STARTUP_SECONDS = 60.0
"""For the process to start, which is the machine's affair."""
MAX_LENGTH = 200_000
_STAGE = "reading the chat template"
_PAUSE = 0.01
_READY = b"ready\n"
_CURE = "use the chat template of a complete Qwen2.5-VL folder"

# What was rendered in this process: the same few templates over and over.
_rendered: dict[str, str] = {}


def render(template: str, variables: Mapping[str, Any], cancel: Cancel = never) -> str:
    """The text of a Jinja chat template. Raises WeightsError when it fails or does not end in time; Cancelled."""
    if len(template) > MAX_LENGTH:
        raise WeightsError(f"the planner's chat template has {len(template)} characters; {_CURE}")
    request = json.dumps({"template": template, "variables": variables})
    if request not in _rendered:
        if len(_rendered) > 16:
            _rendered.clear()
        _rendered[request] = _in_child(request, cancel)
    return _rendered[request]


def _in_child(request: str, cancel: Cancel) -> str:
    command = [sys.executable, "-I", str(Path(__file__).with_name("template_child.py"))]
    try:
        with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as answer:
            asked.write(request.encode("utf-8", "surrogatepass"))
            asked.seek(0)
            with subprocess.Popen(command, stdin=asked, stdout=answer, stderr=subprocess.DEVNULL) as child:
                try:
                    _wait(child, answer, cancel)
                finally:
                    child.kill()
            answer.seek(0)
            head, text = answer.read(len(_READY)), answer.read()
    except OSError as error:
        raise ResourceError(f"no process for the planner's chat template ({error}); free memory or disk") from error
    said = one_line(text.decode("utf-8", "replace"))[:200]
    if head != _READY:
        raise ResourceError(f"the process for the planner's chat template ended early ({child.returncode}): try again")
    if child.returncode:
        raise WeightsError(f"the planner's chat template fails ({said or 'it ran out of memory'}); {_CURE}")
    return text.decode("utf-8", "replace")


def _wait(child: subprocess.Popen[bytes], answer: IO[bytes], cancel: Cancel) -> None:
    """Until the child has ended. The clock of rendering begins when it says that it is ready."""
    started, ready = time.monotonic(), None
    while child.poll() is None:
        check(cancel, _STAGE)
        now = time.monotonic()
        if ready is None and os.fstat(answer.fileno()).st_size:
            ready = now
        if ready is not None and now - ready > SECONDS:
            raise WeightsError(f"the planner's chat template did not end in {SECONDS:g} seconds; {_CURE}")
        if ready is None and now - started > STARTUP_SECONDS:
            raise ResourceError(f"no process could be started in {STARTUP_SECONDS:g} seconds: try again")
        time.sleep(_PAUSE)
