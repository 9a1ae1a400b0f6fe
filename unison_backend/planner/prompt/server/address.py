"""Where a server is, which of its models is meant, and where its key comes from.

A key is read from the environment or from a file when a request is made, and held nowhere. It may have its server's
host in front ("example.com the-key") and is then sent to no other; somebody else's graph cannot carry it away.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ....errors import InputError, shown

KEY_ENV = "UNISON_SERVER_KEY"
SILENCE = 120.0  # seconds without a word from a server
LONGEST_SILENCE = 3600.0
_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
_MOST_OF_A_FILE = 10_000


@dataclass(frozen=True)
class ServerOptions:
    """A server as the person names it.

    url: "http://localhost:8000/v1"; without a path it is /v1. model: "" is the only one it has. key_env, key_file:
    where a key comes from, by default from UNISON_SERVER_KEY where that is set. silence: seconds without a word after
    which it is given up. sees: it is shown pictures and frames of videos, else it is only told their kinds.
    bound_keys: a key goes to another machine only if it names that machine. keyless: none is sent.
    """

    url: str
    model: str = ""
    key_env: str | None = None
    key_file: Path | None = None
    silence: float = SILENCE
    sees: bool = True
    bound_keys: bool = False
    keyless: bool = False

    def __post_init__(self) -> None:
        _ = self.base
        if not 0 < self.silence <= LONGEST_SILENCE:
            raise InputError(f"the server's time-out is {self.silence:g} s; allowed is up to {LONGEST_SILENCE:g} s")

    @property
    def base(self) -> str:
        """The address that routes are put behind. Raises InputError."""
        parts = self._parts()
        return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"

    @property
    def host(self) -> str:
        """The machine's name, without port."""
        return self._parts().hostname or ""

    @property
    def is_here(self) -> bool:
        """Whether it is this machine."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    def key(self) -> str | None:
        """The key to send; None where there is none. Raises InputError, which never holds any of it."""
        where, text = ("", "") if self.keyless else self._kept()
        if not text:
            return None
        *hosts, key = text.split()
        if len(hosts) > 1 or not _KEY.fullmatch(key):
            raise InputError(f"{where} holds no key: one word of plain characters is expected, or a host and that word")
        if hosts and hosts[0] != self.host:
            raise InputError(f"the key in {where} names another server, so it is not sent to {self.host}")
        if not hosts and self.bound_keys and not self.is_here:
            raise InputError(
                f"the key in {where} does not say whose it is, so it is not sent to {self.host}: "
                f"write the server's host in front of it, as in '{self.host} THE-KEY'"
            )
        return key

    def _kept(self) -> tuple[str, str]:
        """Where the key is, in words, and what stands there."""
        if self.key_file is not None:
            try:
                with self.key_file.open(encoding="utf-8") as file:
                    return str(self.key_file), file.read(_MOST_OF_A_FILE).strip()
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is not text"
                raise InputError(f"the key file {self.key_file} cannot be read: {why}") from None
        name = self.key_env or KEY_ENV
        if self.key_env and not os.environ.get(name):
            raise InputError(f"the environment variable {name}, which should hold the server's key, is not set")
        return f"the environment variable {name}", os.environ.get(name, "").strip()

    def _parts(self) -> SplitResult:
        text = self.url.strip()
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            _ = parts.port
        except ValueError:
            raise InputError(f"the server's address {shown(text)} is none: write it as http://localhost:8000") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or any(c.isspace() for c in text):
            raise InputError(f"the server's address {shown(text)} is none: write it as http://localhost:8000")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise InputError(
                "the server's address holds a name, a key or a query: keys belong into the environment variable "
                f"{KEY_ENV} or a file"
            )
        return parts
