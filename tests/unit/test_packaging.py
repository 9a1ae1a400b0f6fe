"""What breaks a pack before its first node runs: imports, layers, metadata, and a README that lies."""

import ast
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import unison_backend

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no TOML reader")

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TEST_COMMAND = "python3 -m pip install -q uv && python3 -m uv run pytest"
RUN_COMMAND = (
    'python3 -m pip install -q uv && python3 -m uv run unison run "Create a 64x64 image of a red circle on a blue '
    'background." --out circle.png'
)
HOST_MODULES = {"comfy", "comfy_api", "comfy_extras", "comfy_execution", "folder_paths", "nodes", "server", "execution"}


def sources(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path):
    """(level, module) of every import statement in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def top_level_imports(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_the_root_imports_nothing_outside_its_entry_point():
    assert list(top_level_imports(ROOT / "__init__.py")) == []


@pytest.mark.parametrize("path", sources("unison_backend"), ids=lambda p: p.name)
def test_the_backend_is_independent_of_host_and_name(path):
    for level, module in imports(path):
        top = module.split(".")[0]
        assert level > 0 or (top not in HOST_MODULES and top != "unison_backend"), module


@pytest.mark.parametrize("path", sources("nodes"), ids=lambda p: p.name)
def test_nodes_reach_the_backend_relatively(path):
    for level, module in imports(path):
        assert level > 0 or module.split(".")[0] not in {"unison_backend", "nodes"}, module


@pytest.mark.parametrize(
    "path",
    [p for f in ("unison_backend", "nodes", "tests", "benchmarks") for p in sources(f)] + [ROOT / "__init__.py"],
    ids=str,
)
def test_sources_are_ascii(path):
    assert path.read_text(encoding="utf-8").isascii()


def test_pure_modules_import_the_standard_library_only():
    ground = {"..defaults", "..errors", "..progress", ".errors"}
    plan = {f".{path.stem}" for path in sources("unison_backend/plan")} | {"."}
    for path in [
        *sources("unison_backend/plan"),
        *(ROOT / "unison_backend" / f"{n}.py" for n in ("errors", "progress")),
    ]:
        for module in top_level_imports(path):
            assert module in ground | plan or module.split(".")[0] in sys.stdlib_module_names, (path.name, module)


@pytest.mark.parametrize(
    "module", ["unison_backend", "unison_backend.cli", "unison_backend.plan.plan", "unison_backend.planner.rules.plan"]
)
def test_imports_are_light(module):
    code = f"import {module}, sys; sys.exit(bool({{'torch', 'numpy', 'transformers'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_requirements_are_the_projects_dependencies_and_leave_torch_to_the_host():
    dependencies = PROJECT["project"]["dependencies"]
    assert (ROOT / "requirements.txt").read_text().split() == [d.replace(" ", "") for d in dependencies]
    names = {d.split(">")[0].split("<")[0].split("=")[0] for d in dependencies}
    assert not names & {"torch", "torchvision", "torchaudio", "diffusers"}
    assert all("==" not in d for d in dependencies)
    assert [d for d in dependencies if "<" in d.partition(";")[0]] == ["transformers>=4.57,<6"]


def test_groups():
    groups = PROJECT["dependency-groups"]
    assert {d.split(">")[0] for d in groups["standalone"]} == {"filelock", "torch", "torchvision", "diffusers"}
    assert PROJECT["tool"]["uv"]["default-groups"] == ["standalone", "test"]


def test_only_the_backend_is_packaged_and_its_data_comes_along():
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["unison_backend"]
    package = resources.files(unison_backend)
    for name in (
        "conditioning/negative_prompt.txt",
        "demo/corpus.txt",
        "planner/rules/languages/small.toml",
        "planner/rules/languages/en/lengths.toml",
        "planner/rules/languages/zh/words.toml",
    ):
        assert package.joinpath(name).is_file(), name


def test_versions_agree():
    assert PROJECT["project"]["version"] == unison_backend.__version__


def test_the_lock_file_is_not_tracked():
    assert "uv.lock" in (ROOT / ".gitignore").read_text().split()


def test_the_readme_begins_with_the_two_commands_and_ci_runs_the_second():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = readme.split("```")[1::2]
    assert RUN_COMMAND in blocks[0] and TEST_COMMAND in blocks[1]
    assert TEST_COMMAND in (ROOT / ".ci" / "run").read_text()
    assert sum(len(part) for part in readme.split("```")[0:3:2]) < 1200


def test_no_print_no_code_from_text():
    for path in sources("unison_backend") + sources("nodes"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "eval", "exec"}, path
        assert "trust_remote_code" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_the_code_is_clean(command):
    ruff = pytest.importorskip("ruff", reason="ruff is not installed")
    done = subprocess.run([ruff.find_ruff_bin(), *command, "-q", "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_the_registry_gets():
    """The published zip is what git tracks less .comfyignore: all that runs, and no test, script or picture of a page."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    left_out = tuple((ROOT / ".comfyignore").read_text().split())
    assert all((ROOT / folder).is_dir() for folder in left_out)
    sent = [name for name in listed.stdout.decode().split("\0") if name and not name.startswith(left_out)]
    assert {name.partition("/")[0] for name in sent} == {
        ".comfyignore", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "__init__.py", "docs",
        "js", "locales", "nodes", "pyproject.toml", "requirements.txt", "subgraphs", "unison_backend",
        "workflows",
    }  # fmt: skip
    sizes = {name: (ROOT / name).stat().st_size for name in sent}
    models = sum(size for name, size in sizes.items() if name.startswith("unison_backend/demo/weights/"))
    assert (
        models < 34_000_000 and sum(sizes.values()) - models < 5_900_000
    )  # graphs are 1.2 MB of it, rules 1.4, help with its pictures 0.5


def test_the_registrys_pictures_are_as_it_wants_them():
    Image = pytest.importorskip("PIL.Image")
    with Image.open(ROOT / "docs" / "branding" / "icon.png") as icon:
        assert icon.width == icon.height <= 400
    with Image.open(ROOT / "docs" / "branding" / "banner.png") as banner:
        assert banner.width * 9 == banner.height * 21


def test_the_changelog_begins_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert text.split("## ")[1].splitlines()[0] == PROJECT["project"]["version"]


def test_ci_runs_the_checks_before_the_tests():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    checks = ["ruff check .", "ruff format --check .", "mypy", "python scripts/build_workflows.py --check"]
    assert lines[-1] == TEST_COMMAND and lines[-5:-1] == [f"python3 -m uv run {check}" for check in checks]
