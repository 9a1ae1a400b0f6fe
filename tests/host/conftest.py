"""Fixtures for tests that drive a real ComfyUI; without one they are skipped, and the summary says how many and why."""

import os
from functools import partial
from pathlib import Path

import comfy_host
import pytest
from host_install import find_host

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items):
    """Without a host, skip every test of this folder."""
    mine = [item for item in items if HERE in item.path.parents]
    if mine and isinstance(reason := find_host(), str):
        for item in mine:
            item.add_marker(pytest.mark.skip(reason=f"host test: {reason}"))


@pytest.fixture(scope="session")
def host_install():
    """The ComfyUI to test with."""
    install = find_host()
    if isinstance(install, str):
        pytest.skip(install)
    return install


@pytest.fixture(scope="session")
def host_environment(tmp_path_factory):
    """What every host gets into its environment: one cache for untrained demo models, if any are built."""
    named = os.environ.get("UNISON_CACHE")
    return {"UNISON_CACHE": named or str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="session")
def host(host_install, host_environment, tmp_path_factory):
    """The one running host that most tests share. It keeps its cache of results between tests."""
    with comfy_host.ComfyHost(host_install, base=tmp_path_factory.mktemp("host"), env=host_environment) as running:
        yield running


@pytest.fixture
def fresh_host(host_install, host_environment, tmp_path_factory):
    """`fresh_host("--cache-none", env={...}, packs=[folder], watch=False)`: a host of its own until the test ends."""
    hosts = []

    def start(*arguments, env=None, packs=(), watch=True):
        base, settings = tmp_path_factory.mktemp("host"), {**host_environment, **(env or {})}
        fresh = comfy_host.ComfyHost(host_install, *arguments, base=base, env=settings, packs=packs, watch=watch)
        hosts.append(fresh)
        return fresh.start_host()

    yield start
    for fresh in hosts:
        fresh.stop()


@pytest.fixture(scope="session")
def run_inside(host_install, host_environment, tmp_path_factory):
    """`run_inside("versions.py", 1, "two")`: what main(pack, arguments) of inside/versions.py returns in the host."""
    return partial(comfy_host.run_inside, host_install, base=tmp_path_factory.mktemp("inside"), env=host_environment)
