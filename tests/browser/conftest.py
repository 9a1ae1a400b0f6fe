"""The host that browser tests share."""

import os

import comfy_host
import pytest
from host_install import find_host
from sessions import find_tools


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A host as people start it; its models folder is empty, its input folder holds the samples."""
    install = find_host()
    if isinstance(install, str):
        pytest.skip(f"browser test: {install}")
    if isinstance(reason := find_tools(), str):
        pytest.skip(f"browser test: {reason}")
    env = {"UNISON_CACHE": os.environ.get("UNISON_CACHE") or str(tmp_path_factory.mktemp("cache"))}
    with comfy_host.ComfyHost(install, base=tmp_path_factory.mktemp("host"), env=env, watch=False) as running:
        yield running
