"""`--gpus N`: one result by several processes of this command, one a GPU, started as torchrun starts them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..engine.ranks import VARIABLE, Ranks, joined
from ..errors import InputError
from .common import DONE, FAILED, end_together, mute
from .stopping import stop_status

MOST_ON_CPU = 8
# Run in each process in place of the console script, which not every environment has.
_MODULE = ("-m", f"{__package__}")


def wanted(options: argparse.Namespace) -> bool:
    """Whether this process is to start others. Raises InputError for a number or an option that does not go with it."""
    if options.gpus == 1 or VARIABLE in os.environ:
        return False
    if options.gpus < 1:
        raise InputError(f"--gpus is {options.gpus}; it is the number of GPUs that make one result, 1 or more")
    for name in ("comfy", "compile"):
        if getattr(options, name):
            raise InputError(f"--gpus does not go with --{name}: leave one of them out")
    if options.text == "-":
        raise InputError("--gpus takes no instruction from standard input: write it behind the command, in quotes")
    if options.device not in ("auto", "cuda", "cpu"):
        raise InputError(f"--gpus takes the first {options.gpus} GPUs, not --device {options.device}")
    if options.device != "cpu":
        import torch

        if torch.cuda.device_count() < options.gpus:
            raise InputError(
                f"--gpus {options.gpus}: {torch.cuda.device_count()} GPUs are here (CUDA_VISIBLE_DEVICES says which "
                "are seen); --device cpu tries it without any"
            )
    elif options.gpus > MOST_ON_CPU:
        raise InputError(f"--gpus {options.gpus}: --device cpu tries it with {MOST_ON_CPU} processes at most")
    return True


def launch(arguments: Sequence[str], count: int) -> int:
    """Run the same command in `count` processes to their end; the exit status of the one that failed first."""
    import logging

    logging.disable(logging.ERROR)  # each process says what went wrong itself
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ[VARIABLE] = str(count)
    # As torchrun does: the processes share the machine's cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    config = LaunchConfig(1, 1, count, rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=0)
    try:
        elastic_launch(config, sys.executable)(*_MODULE, *arguments)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return int(failure.exitcode) if failure.exitcode > 0 else FAILED
    except SignalException as error:
        return 128 + int(error.sigval)
    except KeyboardInterrupt:
        return stop_status()
    finally:
        del os.environ[VARIABLE]
    return DONE


def join(options: argparse.Namespace) -> Ranks:
    """This process among those of its result, if there are others: with its own device, and silent unless it leads."""
    ranks, options.device = joined(options.device)
    if ranks.count > 1:
        end_together(ranks.ending)
    if not ranks.leads:
        options.quiet = True
        mute()
    return ranks
