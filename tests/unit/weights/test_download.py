"""What a download consists of, where it goes, and whether there is room for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from unison_backend.errors import DownloadError, InputError, ResourceError
from unison_backend.weights.download import Job, bring, check_room, chosen, comfy_models, jobs_of
from unison_backend.weights.hosted import FOLDER, Download, Hosted
from unison_backend.weights.hub import Hub
from unison_backend.weights.needs import ANNOTATOR_NEEDS, GROUPS, NEEDS, VARIANTS, items
from unison_backend.weights.roots import EXTRA_PATHS
from unison_backend.weights.transfer import part_of

from .. import hub_server

WEIGHTS = b"w" * 3000
SUM = hashlib.sha256(WEIGHTS).hexdigest()
PINNED = Download(
    name="vae",
    source="owner/vae",
    revision=hub_server.COMMIT,
    folder="vae",
    licence="MIT",
    files=(Hosted("split/vae/v.safetensors", len(WEIGHTS), SUM),),
)
WHOLE = Download(
    name="qwen",
    source="owner/whole",
    revision=hub_server.COMMIT,
    folder="unison/whole",
    licence="MIT",
    anchor="config.json",
    patterns=FOLDER,
)
LATEST = Download(
    name="projector",
    source="owner/latest",
    revision="main",
    folder="unison",
    licence="MIT",
    patterns=("*projector*.safetensors", "*projector*.pth"),
)


@pytest.fixture
def served() -> Iterator[hub_server.Hub]:
    whole = {
        "README.md": b"#",
        "config.json": b"{}",
        "model-00001-of-00001.safetensors": WEIGHTS,
        "model.safetensors.index.json": b"{ }",
        "pytorch_model.bin": b"p",
        "onnx/config.json": b"[]",
    }
    latest = {"a/projector.pth": WEIGHTS + b"p", "a/b/projector.safetensors": WEIGHTS}
    server = hub_server.Hub({"owner/vae": {"split/vae/v.safetensors": WEIGHTS}})
    server.repositories |= {"owner/whole": whole, "owner/latest": latest}
    with hub_server.serving(server):
        yield server


@pytest.fixture
def hub(served: hub_server.Hub) -> Hub:
    return Hub(served.url)


def names(jobs: list[Job], models: Path) -> list[str]:
    return [str(job.target.relative_to(models)) for job in jobs]


def test_what_is_written_here_is_not_asked_for(served: hub_server.Hub, hub: Hub, tmp_path: Path) -> None:
    (job,) = jobs_of(PINNED, tmp_path, hub)
    assert not served.asked and job.target == tmp_path / "vae" / "v.safetensors" and not job.notes
    assert job.to_come == len(WEIGHTS) and bring(job) == len(WEIGHTS)
    assert job.target.read_bytes() == WEIGHTS
    (again,) = jobs_of(PINNED, tmp_path, hub)
    assert again.present == job.target and again.to_come == 0


def test_a_folder_is_what_transformers_reads_of_it(served: hub_server.Hub, hub: Hub, tmp_path: Path) -> None:
    jobs = jobs_of(WHOLE, tmp_path, hub)
    place = Path("unison") / "whole"
    assert names(jobs, tmp_path) == [
        *(str(place / name) for name in ("config.json", "model-00001-of-00001.safetensors")),
        str(place / "model.safetensors.index.json"),
    ]
    assert served.asked == [f"tree owner/whole {hub_server.COMMIT}"]
    assert sum(map(bring, jobs)) == len(WEIGHTS) + 5
    assert (tmp_path / place / "config.json").read_bytes() == b"{}"


def test_what_is_not_pinned_is_looked_up_and_said(served: hub_server.Hub, hub: Hub, tmp_path: Path) -> None:
    (job,) = jobs_of(LATEST, tmp_path, hub)
    assert served.asked == ["revision owner/latest main", f"tree owner/latest {hub_server.COMMIT}"]
    assert job.target == tmp_path / "unison" / "projector.safetensors"  # before the pickle, however deep it lies
    assert job.remote.sha256 == SUM and hub_server.COMMIT in job.remote.url
    assert "not pinned in this release" in job.notes[0] and hub_server.COMMIT[:12] in job.notes[0]


@pytest.mark.parametrize(
    ("download", "told"),
    [
        (replace(LATEST, patterns=("*.gguf",)), r"has no \*\.gguf; it holds a/projector.pth, a/b/projector"),
        (replace(WHOLE, anchor="adapter_config.json"), "has no adapter_config.json; it holds README.md"),
        (replace(WHOLE, files=(Hosted("model.safetensors"),)), "has no model.safetensors at"),
        (replace(PINNED, files=(Hosted("split/vae/other.safetensors"),)), "has no split/vae/other.safetensors any"),
        (replace(WHOLE, files=(Hosted("config.json", 2, "0" * 64),)), "is not the file that this release knows"),
        (replace(WHOLE, files=(Hosted("config.json", 3),)), "is not the file that this release knows"),
        (replace(WHOLE, source="owner/none"), "does not exist or is private"),
        (replace(WHOLE, revision="0" * 40), "has no such revision"),
    ],
)
def test_what_a_repository_does_not_hold(hub: Hub, download: Download, told: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=told):
        jobs_of(download, tmp_path, hub)
    assert not list(tmp_path.iterdir())


def test_names_do_not_lead_out_of_the_folder(served: hub_server.Hub, hub: Hub, tmp_path: Path) -> None:
    for name in ("..\\..\\model.safetensors", ".model.safetensors"):
        served.repositories["owner/whole"] = {"config.json": b"{}", name: WEIGHTS}
        with pytest.raises(DownloadError, match="which is not taken"):
            jobs_of(replace(WHOLE, patterns=("*.safetensors",)), tmp_path, hub)


def test_a_file_that_the_person_has_is_not_fetched(hub: Hub, tmp_path: Path) -> None:
    mine = tmp_path / "vae" / "wan" / "v.safetensors"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(WEIGHTS)
    assert jobs_of(PINNED, tmp_path, hub)[0].present == mine
    assert jobs_of(PINNED, tmp_path, hub, replacing=True)[0].present is None
    mine.write_bytes(WEIGHTS[1:])  # another one of that name
    assert jobs_of(PINNED, tmp_path, hub)[0].present is None


def test_another_file_in_its_place_is_not_written_over(hub: Hub, tmp_path: Path) -> None:
    place = tmp_path / "vae" / "v.safetensors"
    place.parent.mkdir()
    place.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"is there with 4 bytes, not the 3000 of .*--replace"):
        jobs_of(PINNED, tmp_path, hub)
    (job,) = jobs_of(PINNED, tmp_path, hub, replacing=True)
    assert bring(job) == len(WEIGHTS) and place.read_bytes() == WEIGHTS


def test_comfyuis_first_folder_takes_it(hub: Hub, tmp_path: Path) -> None:
    comfy, disk = tmp_path / "ComfyUI", tmp_path / "disk"
    (comfy / "models").mkdir(parents=True)
    assert comfy_models(comfy) == comfy_models(comfy / "models") == comfy / "models"
    assert jobs_of(PINNED, comfy / "models", hub)[0].target == comfy / "models" / "vae" / "v.safetensors"
    (comfy / EXTRA_PATHS).write_text(f"a:\n  is_default: true\n  vae: {disk / 'v'}\n", encoding="utf-8")
    assert jobs_of(PINNED, comfy / "models", hub)[0].target == disk / "v" / "v.safetensors"
    with pytest.raises(InputError, match="is no ComfyUI"):
        comfy_models(disk)


def test_a_full_disk_is_refused_before(hub: Hub, tmp_path: Path) -> None:
    jobs = jobs_of(PINNED, tmp_path, hub)
    check_room(jobs, free=lambda _: len(WEIGHTS) + 100_000_000)
    with pytest.raises(ResourceError, match=r"99 MB free, and 3 kB are to come.*--models"):
        check_room(jobs, free=lambda _: 99_000_000)
    part = part_of(jobs[0].target, jobs[0].remote)
    part.parent.mkdir(parents=True)
    part.write_bytes(WEIGHTS)
    check_room(jobs, free=lambda _: 0)  # all of it has come


def test_groups_hold_every_item_once() -> None:
    every = items()
    groups = [part for name in GROUPS for part in every[name]]
    assert sorted(part.source + part.folder for part in groups) == sorted(p.source + p.folder for p in every["all"])
    downloads = [part for need in (*NEEDS, *ANNOTATOR_NEEDS) for part in need.downloads]
    assert set(downloads) == set(every["all"]) and set(VARIANTS).isdisjoint(every["all"])
    assert [part.name for part in chosen(["minimal", "vae", "vace-14b"])] == ["vace", "vae", "text-encoder", "vace-14b"]
    with pytest.raises(InputError, match=r"'vea' is no item; there are minimal, planner"):
        chosen(["vea"])
