"""Looking for a Ray cluster: what is not there is said in seconds, by the address that the person gave."""

import socket
import sys
import threading
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest

from unison_backend.batch import on_ray
from unison_backend.batch.on_ray import OnRay
from unison_backend.errors import ResourceError


@contextmanager
def listening(answer):
    """A port at which something reads a greeting and answers so; None says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(1024)
                if answer is not None:
                    connection.sendall(answer)
                connection.recv(1024)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(5)


@pytest.mark.parametrize(
    ("answer", "why"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "something else answers there"), (b"", "timed out"), (None, "timed out")],
)
def test_a_port_of_something_else_is_no_cluster(answer, why, monkeypatch):
    monkeypatch.setattr(on_ray, "_ANSWER_SECONDS", 0.3)
    with listening(answer) as address, pytest.raises(ResourceError, match=f"no Ray cluster at {address} .{why}"):
        on_ray._look_for(address)


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_a_closed_port_is_no_cluster(address):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        named = address.format(free.getsockname()[1])
        with pytest.raises(ResourceError, match="unset RAY_ADDRESS") as told:
            on_ray._look_for(named)
    assert named in str(told.value)


def test_an_http2_server_is_asked_further():
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    with listening(settings) as address:
        on_ray._look_for(address)


def test_a_ray_that_does_not_start_is_one_sentence(monkeypatch):
    """A busy machine: Ray itself raises a plain Exception, after half a minute."""

    def init(**_):
        raise Exception("The current node timed out during startup.")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    monkeypatch.delenv(on_ray.ADDRESS_VARIABLE, raising=False)
    with pytest.raises(ResourceError, match="Ray does not start: The current node timed out"), on_ray._ray(OnRay()):
        raise AssertionError("it did not start")


def test_looking_ends_within_five_seconds():
    assert on_ray._CONNECT_SECONDS + on_ray._ANSWER_SECONDS < 5
