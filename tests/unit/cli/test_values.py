"""Numbers and lines without an end: refused in one short line, and never computed or read whole."""

import io

import pytest

from unison_backend.cli import main
from unison_backend.errors import InputError
from unison_backend.files import MAX_LINE, limited_lines
from unison_backend.plan.overrides import parse_settings

MANY = "9" * 5000


@pytest.mark.parametrize(
    "setting",
    ["fps=1e99999999", "seconds=1e9999", "seconds=1e-99999999", "fps=nan", "seconds=inf", f"fps={MANY}",
     f"fps=1/{MANY}", f"width={MANY}", f"references={MANY}", f"frames=0:{MANY}", f"frames={MANY}:first", f"{MANY}=1"],
)  # fmt: skip
def test_a_number_without_an_end_is_no_value(setting):
    with pytest.raises(InputError) as caught:
        parse_settings([setting])
    assert setting[:40] in str(caught.value) and len(str(caught.value)) < 400


def test_rates_stay_exact():
    assert parse_settings(["fps=30000/1001", "seconds=2.5"]) == {"fps": pytest.approx(29.97003), "seconds": 2.5}


@pytest.mark.parametrize("option", ["cfg", "shift", "temperature", "threshold", "mask-blur", "seed", "steps"])
@pytest.mark.parametrize("value", ["nan", "inf", "1e999", MANY])
def test_options_take_finite_numbers(option, value, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["run", "a fox", f"--{option}", value])
    told = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2 and f"--{option}" in told and len(told) < 200


def test_a_line_without_an_end_is_not_read_to_it():
    file = io.StringIO("first\n\n" + "x" * (3 * MAX_LINE))
    lines = limited_lines(file, "list")
    assert next(lines) == (1, "first")
    with pytest.raises(InputError, match="list, line 3 is longer"):
        next(lines)
    assert file.tell() < 2 * MAX_LINE


def test_bytes_that_are_no_text_are_said(capsys):
    assert main(["plan", "a \udcff fox"]) == 2
    assert "no character" in capsys.readouterr().err
