"""Pages about many pictures and many GPUs: their commands are ones, their files have what their readers ask for."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from benchmarks import cost
from unison_backend.cli import main
from unison_backend.cli.parser import make_parser

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "scale"
COMMAND = re.compile(r"\bunison (?:run|batch|plan|doctor|merge|download) [^`|\n]+")
PAGES = [ROOT / "docs" / "scale.md", ROOT / "docs" / "several_gpus.md", *sorted(EXAMPLES.glob("*.yaml"))]


def commands():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        # In a Markdown page only what is set as code is a command.
        codes = (
            [text] if page.suffix == ".yaml" else re.findall(r"```\n(.*?)```|(?<!`)`([^`\n]+)`(?!`)", text, re.DOTALL)
        )
        for code in codes:
            for found in COMMAND.finditer(code if isinstance(code, str) else "".join(code)):
                yield pytest.param(found.group(), id=f"{page.name}: {found.group()[:60]}")


@pytest.mark.parametrize("command", commands())
def test_commands_are_ones(command):
    words = shlex.split(command.replace(" ... ", " x "))[1:]
    options = make_parser(*[main] * 5).parse_args(words)
    if words[0] == "batch":
        assert options.file and options.out
        assert not (options.ray and options.comfy)
        assert options.ray or options.workers == 1


def test_every_way_has_a_command():
    found = [parameter.values[0] for parameter in commands()]
    assert len(found) > 10
    for word in ("--ray", "--comfy", "--gpus 2", "/data/results"):
        assert any(word in command for command in found), word


def mounted(pod):
    """Where a pod's container mounts a claim, by the volume's name; every mount has its volume."""
    volumes = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]}
    (container,) = pod["containers"]
    assert container["image"] and container["name"]
    return {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}


def test_the_kubernetes_job():
    """batch/v1: a pod template with `restartPolicy` of a job, and an index for each pod."""
    job = yaml.safe_load((EXAMPLES / "kubernetes_job.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job") and job["metadata"]["name"]
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed" and spec["completions"] == spec["parallelism"] == 8
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] in ("OnFailure", "Never")
    assert mounted(pod) == {"/data": "unison-data"}
    script = pod["containers"][0]["args"][0]
    assert f"n={spec['completions']}" in script and "JOB_COMPLETION_INDEX" in script


def test_the_ray_job():
    """ray.io/v1 RayJob: an entrypoint, a head, and as many workers with a GPU as the command asks for."""
    job = yaml.safe_load((EXAMPLES / "kubernetes_ray.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob") and job["metadata"]["name"]
    cluster = job["spec"]["rayClusterSpec"]
    head, (workers,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert workers["groupName"] and {"rayStartParams", "template"} <= head.keys() & workers.keys()
    for group in (head, workers):
        assert mounted(group["template"]["spec"]) == {"/data": "unison-data"}
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    asked = make_parser(*[main] * 5).parse_args(shlex.split(job["spec"]["entrypoint"])[1:])
    gpus = workers["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
    assert (asked.workers, asked.gpus_per_worker) == (workers["replicas"], gpus)
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]


def test_the_sky_task():
    """A SkyPilot task: only fields that there are, and as many workers as its machine has GPUs."""
    task = yaml.safe_load((EXAMPLES / "skypilot.yaml").read_text(encoding="utf-8"))
    assert task.keys() <= {"name", "resources", "file_mounts", "workdir", "setup", "run", "envs", "num_nodes"}
    kind, count = task["resources"]["accelerators"].split(":")
    assert kind and f"--workers {count} --gpus-per-worker 1" in task["run"]
    assert task["file_mounts"]["/data"].keys() == {"source", "mode"}


def test_the_graph_for_two_gpus_is_the_shipped_one_and_one_node():
    graph = json.loads((EXAMPLES / "comfyui_two_gpus.json").read_text(encoding="utf-8"))
    shipped = json.loads((ROOT / "tests" / "host" / "api" / "unison_demo.json").read_text(encoding="utf-8"))
    split = graph.pop("multigpu")
    assert split["class_type"] == "MultiGPU_WorkUnits" and split["inputs"]["max_gpus"] == 2
    (sampler,) = (node for node in graph.values() if node["class_type"] == "UnisonVACESampler")
    assert sampler["inputs"]["model"] == ["multigpu", 0]
    sampler["inputs"]["model"] = split["inputs"]["model"]
    assert graph == shipped


def test_cost_is_counted_by_hand():
    rates = cost.Rates(picture=6.0, video=360.0, start=60.0)
    assert cost.resident(1000, rates.picture, rates.start, 1, 2.0) == cost.Cost(6060 / 3600, 6060 / 3600, 6060 / 1800)
    eight = cost.resident(1001, rates.picture, rates.start, 8, 2.0)
    assert (eight.hours, eight.gpu_hours) == ((60 + 126 * 6) / 3600, 8 * (60 + 126 * 6) / 3600)
    assert cost.process_a_line(1000, rates.video, rates.start, 1, 1.0).hours == 1000 * 420 / 3600
    rated = cost.Rates.of(100.0)
    assert rated.picture == pytest.approx((6.70 * 100 + 7.07) / 100)
    assert rated.video == pytest.approx((422.8 * 100 + 439.1) / 100)


def test_the_costs_told_are_the_scripts():
    rates = cost.Rates.of(cost.RTX_4090_TFLOPS)
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert cost.table(rates, 10_000, 1_000, 8, 1.0) in page
    assert f"{cost.RTX_4090_TFLOPS:.0f} TFLOP/s" in page
    assert f"{rates.picture:.1f} s a picture" in page and f"{rates.video:.0f} s a video" in page
