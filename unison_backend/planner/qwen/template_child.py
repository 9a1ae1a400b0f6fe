"""Renders one chat template, in a process of its own that can be ended: a request as JSON in, "ready", then the text.

A template is a program out of a downloaded folder. jinja2's sandbox keeps it from the machine, but not from counting to
10^15; and what it allocates is limited here where the system can. Nothing of this package is imported.
"""

import json
import sys
from typing import Any

MEMORY = 2**30
LONGEST = 1_000_000


def main() -> int:
    """0 with the text behind "ready" on standard output, 1 with the error there."""
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    request = json.loads(sys.stdin.buffer.read())
    limit_memory()
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    environment.globals |= {"raise_exception": refuse, "strftime_now": strftime_now}
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()
    try:
        text, status = environment.from_string(request["template"]).render(**request["variables"]), 0
    except Exception as error:
        text, status = f"{type(error).__name__}: {error}", 1
    except RecursionError:
        text, status = "it calls itself without end", 1
    sys.stdout.buffer.write(text[:LONGEST].encode("utf-8", "replace"))
    return status


def limit_memory() -> None:
    """So much more than there is now, where the system takes such a limit."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):
        return


def refuse(message: Any) -> None:
    """What templates call for a conversation that they do not take."""
    raise ValueError(message)


def strftime_now(form: str) -> str:
    """Today, as templates may ask for it."""
    from datetime import datetime

    return datetime.now().strftime(form)


if __name__ == "__main__":
    sys.exit(main())
