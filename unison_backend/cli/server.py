"""Options that name a server."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from ..planner.prompt.server.address import KEY_ENV, SILENCE, ServerOptions
from .values import number


def add(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of a server."""
    group = parser.add_argument_group("a server that plans and answers (docs/servers.md); none is asked unless named")
    group.add_argument("--server-url", metavar="URL", help="of its OpenAI-compatible API, as http://localhost:8000")
    group.add_argument("--model", default="", metavar="NAME", help="the server's model (default: the only one it has)")
    group.add_argument(
        "--server-key-env", metavar="NAME", help=f"environment variable with the server's key (default: {KEY_ENV})"
    )
    group.add_argument("--server-key-file", type=Path, metavar="FILE", help="a file with the server's key")
    group.add_argument(
        "--server-timeout",
        type=number,
        default=SILENCE,
        metavar="SECONDS",
        help=f"without a word from the server, after which it is given up (default: {SILENCE:g})",
    )
    group.add_argument(
        "--planner-sees",
        choices=("pictures", "names"),
        default="pictures",
        help="whether the server's model is shown pictures and frames of videos, or told only that they are there",
    )


def server_of(options: argparse.Namespace) -> ServerOptions | None:
    """The server that is named. Raises InputError for an address that is none, or that nobody would ask."""
    if options.server_url is None:
        if options.model or options.server_key_env or options.server_key_file:
            raise InputError("--model, --server-key-env and --server-key-file belong to --server-url, which is missing")
        return None
    if options.planner not in ("auto", "server"):
        raise InputError(f"--server-url goes with --planner server, not with --planner {options.planner}")
    return named(options)


def named(options: argparse.Namespace) -> ServerOptions:
    """The server of --server-url. Raises InputError without one, or for an address that is none."""
    if options.server_url is None:
        raise InputError("--planner server takes --server-url, as in --server-url http://localhost:8000")
    return ServerOptions(
        url=options.server_url,
        model=options.model,
        key_env=options.server_key_env,
        key_file=options.server_key_file,
        silence=options.server_timeout,
        sees=options.planner_sees == "pictures",
    )
