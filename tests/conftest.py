"""How the suite runs: processes side by side, one thread each, so that it is quick beside other work too."""

import os
import signal
import sys

import pytest

# Before any library counts the cores; child processes (command lines, hosts) inherit it.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Models that the person downloaded for the command line are none of the tests' business.
os.environ["XDG_DATA_HOME"] = "/no/such/folder"
# Else every process compiles torch and transformers anew, which takes longer than most tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell that works in the background (`pytest &`, nohup) has these ignored, and whatever is started here inherits it:
# command lines that a test stops would run on.
for _name, _heard in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _heard)

MOST_WORKERS = 8
WORKER_BYTES = 3 * 2**30
"""What a process of the suite needs at its largest: torch, the embedded models and a clip."""


def pytest_xdist_auto_num_workers(config):
    """`-n auto`: a process for each core, as far as memory reaches."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // WORKER_BYTES
    except (AttributeError, ValueError, OSError):  # Windows
        memory = MOST_WORKERS
    return max(1, min(cores, memory, MOST_WORKERS))


def pytest_ignore_collect(collection_path, config):
    """`-m fast` reads only the files that have such tests: the others import torch before any mark is seen."""
    if config.option.markexpr == "fast" and collection_path.name.startswith("test_"):
        return None if "mark.fast" in collection_path.read_text(encoding="utf-8") else True
    return None


@pytest.hookimpl(trylast=True)  # behind the plugin that marks property tests
def pytest_collection_modifyitems(config, items):
    """`-m fast` leaves the property tests out: each draws hundreds of examples."""
    if config.option.markexpr == "fast":
        drawn = [item for item in items if item.get_closest_marker("hypothesis")]
        items[:] = [item for item in items if not item.get_closest_marker("hypothesis")]
        config.hook.pytest_deselected(items=drawn)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    """Say last which host was tested, or how many tests were not run for lack of one.

    From the reports: the tests themselves were collected in other processes.
    """
    yield
    reports = [report for found in terminalreporter.stats.values() for report in found]
    mine = [report for report in reports if getattr(report, "nodeid", "").startswith("tests/host/")]
    if not mine:
        return
    from host_install import find_host

    install = find_host()
    if isinstance(install, str):
        count = len({report.nodeid for report in mine if getattr(report, "outcome", "") == "skipped"})
        terminalreporter.write_line(f"host tests: {count} skipped: {install}", yellow=True)
    else:
        terminalreporter.write_line(f"host tests: ComfyUI {install.version} at {install.folder} with {install.python}")
