"""`unison download`: models by name, with size, source and licence before a byte is fetched."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DownloadError, InputError
from ..weights.needs import GROUPS, VARIANTS
from ..weights.roots import MODELS_VARIABLE, named_folder, user_folder
from .common import DONE, FAILED, complain, note, say

if TYPE_CHECKING:
    from ..progress import Cancel, Progress
    from ..weights.download import Job
    from ..weights.hosted import Download
    from ..weights.hub import Hub

_EPILOG = "\n".join(
    [
        "items:",
        *(f"  {name:<13} {', '.join(parts)}" for name, parts in GROUPS.items()),
        "  all           all of these",
        f"  others        {', '.join(download.name for download in VARIANTS)}, or a single name from above",
    ]
)


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("items", nargs="+", metavar="ITEM", help="a group or a single item, see below")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--models",
        type=Path,
        metavar="DIR",
        help=f"a models folder (default: {MODELS_VARIABLE}, else {user_folder()}, which `unison run` finds by itself)",
    )
    where.add_argument(
        "--comfy",
        type=Path,
        metavar="DIR",
        help="a ComfyUI's folder: into its models folders, those of its extra_model_paths.yaml included",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="show what would be fetched, and stop")
    parser.add_argument("--replace", action="store_true", help="fetch again what is there")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(command=download_command)


def download_command(options: argparse.Namespace) -> int:
    """Fetch what the options name; the exit status. One line on stderr for each file that cannot be had."""
    from ..weights.download import check_room, chosen
    from ..weights.hub import Hub
    from .stopping import stop_signal

    downloads, models = chosen(options.items), _models_folder(options)
    jobs, failures = _jobs(downloads, models, Hub.of_environment(), replacing=options.replace)
    _show(jobs, models)
    wanted = [job for job in jobs if job.present is None]
    if wanted and not options.dry_run:
        check_room(wanted)
        if not options.yes and not _agreed(wanted):
            note("nothing was fetched")
            return FAILED
        with stop_signal() as cancel:
            failures += _bring(wanted, cancel, quiet=options.quiet)
    elif not wanted and not failures:
        note("everything is there")
    return FAILED if failures else DONE


def _models_folder(options: argparse.Namespace) -> Path:
    """Where models go; InputError for a --comfy that is no ComfyUI, or when the person has no home."""
    from ..weights.download import comfy_models

    if options.comfy is not None:
        return comfy_models(options.comfy)
    if (named := options.models or named_folder()) is not None:
        return Path(named)
    if not (own := user_folder()).is_absolute():
        raise InputError(f"{own} is no place for models, there is no home folder; name one with --models")
    return own


def _jobs(downloads: list[Download], models: Path, hub: Hub, *, replacing: bool) -> tuple[list[Job], int]:
    """The files of all downloads, and how many downloads cannot be had; those are said and left out."""
    from ..weights.download import jobs_of

    jobs, failures = [], 0
    for download in downloads:
        try:
            jobs += jobs_of(download, models, hub, replacing=replacing)
        except (DownloadError, InputError) as error:
            complain(str(error))
            failures += 1
    return jobs, failures


def _show(jobs: list[Job], models: Path) -> None:
    """What, from where, how large, where to, under which licence."""
    from ..weights.hosted import in_words

    for download in dict.fromkeys(job.download for job in jobs):
        mine = [job for job in jobs if job.download is download]
        say(f"{download.name}: {download.page}")
        say(f"  licence: {download.licence}")
        for text in dict.fromkeys(text for job in mine for text in job.notes):
            say(f"  {text}")
        for job in mine:
            say(f"  {job.target.name} {_fate(job)}")
    total = sum(job.to_come or (job.download.bytes if job.present is None else 0) for job in jobs)
    if total:
        say(f"{in_words(total)} to fetch into {models}")


def _fate(job: Job) -> str:
    """Where a file goes and how much of it is to come, or where it is."""
    from ..weights.hosted import in_words

    if job.present is not None:
        return f"there already: {job.present}"
    size = in_words(job.remote.size or job.download.bytes)
    come = f", {in_words(job.to_come)} of it to come" if 0 < job.to_come != job.remote.size else ""
    checked = "" if job.remote.sum else ", without a sum to check it by"
    return f"to {job.target} ({size}{come}{checked})"


def _agreed(wanted: list[Job]) -> bool:
    """Whether the person says yes; without one to ask, `--yes` is needed."""
    if not sys.stdin.isatty():
        raise InputError("nobody can be asked here: add --yes to fetch this, or --dry-run to only see it")
    sys.stderr.write(f"Fetch {len(wanted)} {'file' if len(wanted) == 1 else 'files'}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _bring(wanted: list[Job], cancel: Cancel, *, quiet: bool) -> int:
    """Fetch every file; how many could not be had."""
    from ..weights.download import bring
    from ..weights.hosted import in_words

    failures = 0
    for number, job in enumerate(wanted):
        started = time.monotonic()
        try:
            with _bar(quiet) as progress:
                came = bring(job, progress, cancel)
        except (DownloadError, InputError) as error:
            complain(str(error))
            failures += 1
            continue
        seconds = time.monotonic() - started
        rate = f", {in_words(int(came / seconds))}/s" if came and seconds > 0 else ""
        note(f"{number + 1}/{len(wanted)} {job.target} ({in_words(came)} fetched{rate})")
        say(str(job.target))
    return failures


@contextmanager
def _bar(quiet: bool) -> Iterator[Progress]:
    """A bar in bytes with rate and time left on a terminal; elsewhere nothing until the file is there."""
    from ..progress import silent

    if quiet or not sys.stderr.isatty():
        yield silent
        return
    from tqdm import tqdm

    bar: Any = tqdm(unit="B", unit_scale=True, file=sys.stderr, leave=False)

    def progress(stage: str, done: int, total: int) -> None:
        if bar.total != total or bar.desc != f"{stage}: ":
            bar.reset(total or None)
            bar.set_description(stage)
            bar.n = bar.initial = done
        bar.update(done - bar.n)

    try:
        yield progress
    finally:
        bar.close()
