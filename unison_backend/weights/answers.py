"""What a server or the network says, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError, URLError

from ..errors import DownloadError


@contextmanager
def told(what: str, page: str) -> Iterator[None]:
    """What a server or the network says, as one sentence about `what`."""
    try:
        yield
    except HTTPError as error:
        raise answered(error, what, page) from error
    except URLError as error:
        raise DownloadError(
            f"{what} cannot be fetched, there is no connection ({error.reason}): check the network, name a mirror in "
            f"HF_ENDPOINT, or fetch it elsewhere from {page}"
        ) from error
    except (TimeoutError, ConnectionError) as error:
        raise DownloadError(f"{what} cannot be fetched, the connection broke ({error}): try again") from error


def answered(error: HTTPError, what: str, page: str) -> DownloadError:
    """What a status means. The hub says 401 of a repository that does not exist, too."""
    kind = error.headers.get("X-Error-Code", "") if error.headers else ""
    if kind == "GatedRepo" or error.code == 403:
        return DownloadError(
            f"{what} is given to those who accept its licence: open {page}, accept it, and put an access token into "
            "HF_TOKEN"
        )
    if error.code == 401:
        return DownloadError(f"{what} does not exist or is private; if it is yours, put an access token into HF_TOKEN")
    if error.code == 404:
        absent = {"EntryNotFound": "has no such file", "RevisionNotFound": "has no such revision"}.get(
            kind, "is not there"
        )
        return DownloadError(f"{what} {absent} (404): it was moved or renamed; look at {page}")
    return DownloadError(f"{what} cannot be fetched, the server answers {error.code} {error.reason}; try again later")
