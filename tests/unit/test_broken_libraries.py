"""A library that does not load is told in one sentence that names it, the file and the cure; other errors are not."""

import importlib
import sys
from pathlib import Path

import pytest

from unison_backend import errors
from unison_backend.errors import InputError, WeightsError, broken_library

pytestmark = pytest.mark.fast


@pytest.fixture
def library(tmp_path, monkeypatch):
    """`library("name", "source")`: a package that can be imported, without a trace in other tests."""
    made = []

    def make(name, source, version=None):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(source)
        if version:
            info = tmp_path / f"{name}-{version}.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            (info / "top_level.txt").write_text(f"{name}\n")
        made.append(name)
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(str(tmp_path))
    yield make
    for name in made:
        sys.modules.pop(name, None)


def raised(name):
    """What importing a library raises."""
    with pytest.raises(Exception) as caught:
        importlib.import_module(name)
    return caught.value


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('raise OSError("/x/libfoo.so: undefined symbol: bar")', "OSError: /x/libfoo.so: undefined symbol: bar"),
        ('raise RuntimeError("operator torchvision::nms\\n does not exist")', "operator torchvision::nms does not"),
        ('raise ImportError("DLL load failed while importing _core")', "DLL load failed while importing _core"),
        ("import sys\nsys.no_such_thing", "AttributeError: module 'sys' has no attribute 'no_such_thing'"),
        ('raise ValueError("numpy.dtype size changed")', "ValueError: numpy.dtype size changed"),
        ("import math\nmath.sqrt('a')", "TypeError: must be real number"),
        ("def check():\n    raise OSError('deep')\ncheck()", "OSError: deep"),
        ("raise OSError", "no reason given"),
        ("this is no python", "SyntaxError"),
    ],
)
def test_what_a_library_raises_while_it_loads(library, tmp_path, source, said):
    library("brokenlib", source, version="1.2.3")
    told = str(broken_library(raised("brokenlib")))
    assert said in told and "\n" not in told
    assert (
        "the library brokenlib" in told
        and "mend it with: " in told
        and "brokenlib" in told.rpartition("mend it with: ")[2]
    )
    if "SyntaxError" not in said:
        assert told.startswith("the library brokenlib 1.2.3 cannot be loaded: ")
        assert f"in {tmp_path / 'brokenlib' / '__init__.py'};" in told


def test_the_one_that_breaks_is_named_and_the_one_that_wants_it(library):
    library("brokenlib", "raise OSError('no file')")
    library("wanting", "import brokenlib")
    told = str(broken_library(raised("wanting")))
    assert told.startswith("the library brokenlib cannot be loaded (wanting loads it): OSError: no file, in ")


def test_a_library_that_hides_the_reason_behind_its_own_error(library):
    library("brokenlib", "raise OSError('no file')")
    library(
        "lazy",
        "def get():\n    try:\n        import brokenlib\n    except OSError as e:\n        raise RuntimeError('x') from e",
    )
    with pytest.raises(RuntimeError) as caught:
        importlib.import_module("lazy").get()
    assert str(broken_library(caught.value)).startswith("the library brokenlib cannot be loaded: OSError: no file")


def test_our_own_error_that_a_broken_library_caused(library):
    library("brokenlib", "raise ImportError('cannot load')")
    cause = raised("brokenlib")
    with pytest.raises(WeightsError) as caught:
        raise WeightsError("the folder cannot be read") from cause
    assert "the library brokenlib" in str(broken_library(caught.value))


@pytest.mark.parametrize(("importer", "said"), [("", ""), ("wanting", " (wanting needs it)")])
def test_a_missing_library(library, importer, said):
    library("wanting", "import no_such_library.part")
    told = str(broken_library(raised(importer or "no_such_library.part")))
    assert told.startswith(f"the library no_such_library is not installed{said}; mend it with: ")


def test_a_name_that_a_library_does_not_have(library):
    library("brokenlib", "", version="0.1")
    with pytest.raises(ImportError) as caught:
        from brokenlib import absent  # noqa: F401
    told = str(broken_library(caught.value))
    assert told.startswith("the library brokenlib 0.1 cannot be loaded: ImportError: cannot import name 'absent'")


def test_a_librarys_own_check():
    error = ImportError("AutoProcessor requires the Foo library but it was not found")
    assert str(broken_library(error)) == f"a library is missing: {error}"


def test_a_long_reason_is_cut(library):
    library("brokenlib", "raise OSError('x' * 5000)")
    assert len(str(broken_library(raised("brokenlib")))) < 1000


@pytest.mark.parametrize(
    "error", [ValueError("no"), InputError("no"), RuntimeError("no"), ImportError("no", name="unison_backend.gone")]
)
def test_other_errors_are_left_alone(error):
    assert broken_library(error) is None


def test_an_error_of_a_library_that_is_loaded_is_left_alone(library):
    library("works", "def fail():\n    raise OSError('later')")
    with pytest.raises(OSError) as caught:
        importlib.import_module("works").fail()
    assert broken_library(caught.value) is None


def test_an_error_while_a_missing_optional_library_is_handled():
    """`except ImportError` around an optional library, and then something else goes wrong in it."""
    try:
        import no_such_library  # noqa: F401
    except ImportError:
        with pytest.raises(KeyError) as caught:
            {}["key"]
    assert broken_library(caught.value) is None


@pytest.mark.parametrize(
    ("prefix", "pip", "said"),
    [
        ("own", True, "python3 -m uv sync --reinstall-package no_such_library"),
        ("other", True, '" -m pip install --force-reinstall no_such_library'),
        ("other", False, '" --reinstall no_such_library'),
    ],
)
def test_the_cure_is_this_environments(monkeypatch, prefix, pip, said):
    """A clone is mended by uv, a ComfyUI by its own pip, one that uv made without pip by uv's pip."""
    root = Path(errors.__file__).parents[1]
    monkeypatch.setattr(sys, "prefix", str(root / ".venv" if prefix == "own" else root / "elsewhere"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: pip or None)
    told = str(broken_library(ModuleNotFoundError("no", name="no_such_library")))
    assert told.endswith(said) and (prefix == "own" or sys.executable in told)
