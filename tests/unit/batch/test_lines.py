"""Lines of a batch: what each field becomes, and what is said of lines that are no jobs."""

import json

import pytest
from PIL import Image

from unison_backend.batch.job import Job
from unison_backend.batch.lines import KEYS, BadLine, read_jobs
from unison_backend.errors import InputError
from unison_backend.files import MAX_LINE
from unison_backend.plan.prompt import Prompt
from unison_backend.sources.given import GivenSources
from unison_backend.sources.masks import MaskOptions

DEFAULTS = Job(number=0, prompt=Prompt(("-",)), steps=7, settings={"width": 64})


def read(tmp_path, *rows, defaults=DEFAULTS):
    file = tmp_path / "lines.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return list(read_jobs(file, defaults))


def test_what_a_line_does_not_say_is_the_batchs(tmp_path):
    first, second = read(tmp_path, {"prompt": "a red circle"}, "", {"prompt": "a star", "steps": 3, "seed": 9})
    assert (first.number, first.steps, first.seed, dict(first.settings)) == (1, 7, 0, {"width": 64})
    assert (second.number, second.steps, second.seed) == (3, 3, 9)


def test_every_field_of_run_can_be_said(tmp_path):
    (job,) = read(
        tmp_path,
        {
            "prompt": "Make the circle red.", "settings": {"seconds": 0.5, "width": 96}, "make": "video", "length": "reference",
            "planner": "rules", "seed": 1, "steps": 2, "cfg": 1, "shift": 4.5, "negative": "blur", "mask": "m.png",
            "mask_phrase": "circle", "mask_invert": True, "control": "c.png", "control_kind": "depth", "reference": ["a.png", "b.png"],
            "first_frame": "f.png", "last_frame": "l.png", "outpaint": "0,0,16,0", "mask_fill": "box", "mask_grow": 2,
            "mask_blur": 1.5, "mask_scale": True, "composite": False, "feather": 0, "max_new_tokens": 5, "temperature": 0.5,
        },
    )  # fmt: skip
    assert isinstance(job, Job)
    assert job.given.mask == tmp_path / "m.png" and job.given.references == (tmp_path / "a.png", tmp_path / "b.png")
    assert (job.given.control_file, job.given.control) == (tmp_path / "c.png", "depth")
    assert job.length == "reference"
    assert job.mask == MaskOptions("box", 2, 1.5, scale=True) and not job.composite and job.cfg == 1.0
    assert float(job.settings["seconds"]) == 0.5 and job.settings["width"] == 96
    untouched = [name for name, value in vars(job.given).items() if value == getattr(GivenSources(), name)]
    assert untouched == []


def test_files_are_relative_to_the_lines(tmp_path):
    (hashes, pads, front) = read(
        tmp_path,
        {"prompt": "Make ###a.png### white."},
        {"prompt": "Put the hat of <IMGPAD> on <IMGPAD>.", "media": ["a.png", "b.png"]},
        {"prompt": "Make it white.", "media": "a.png"},
    )
    assert [medium.path for medium in hashes.prompt.media] == [str(tmp_path / "a.png")]
    assert [medium.path for medium in pads.prompt.media] == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert pads.prompt.text == "Put the hat of <IMGPAD> on <IMGPAD>."
    assert front.prompt.text == "<IMGPAD> Make it white."


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("nonsense", "no JSON object"),
        ("[" * 5000, "no JSON object"),
        ('["prompt"]', 'no text under "prompt"'),
        ({"prompt": 3}, 'no text under "prompt"'),
        ({"prompt": "  "}, "the instruction is empty"),
        ({"prompt": "x", "seeds": 3}, "'seeds' is no field"),
        ({"prompt": "x", "seed": "3"}, "seed is '3'; it has to be a whole number"),
        ({"prompt": "x", "seed": True}, "whole number"),
        ({"prompt": "x", "cfg": "high"}, "cfg is 'high'"),
        ('{"prompt": "x", "cfg": 1' + "0" * 400 + "}", "cfg is a number of 401 digits"),
        ('{"prompt": "a \\ud800 fox"}', "no character"),
        ('{"prompt": "x", "cfg": Infinity}', "cfg is inf"),
        ({"prompt": "x", "settings": {"width": "abc"}}, "settings: width=abc"),
        ({"prompt": "x", "settings": {"colour": 1}}, "settings: colour=1"),
        ({"prompt": "x", "settings": 3}, "object of plan fields"),
        ({"prompt": "x", "planner": "gpt"}, "one of auto, rules, qwen"),
        ({"prompt": "x", "make": "song"}, "make is 'song'"),
        ({"prompt": "x", "composite": "no"}, "true or false"),
        ({"prompt": "x", "mask_grow": 5000}, "mask grow is 5000"),
        ({"prompt": "x", "control_kind": "sepia"}, "control is 'sepia'"),
        ({"prompt": "<IMGPAD> x", "media": ["a.png", "b.png"]}, "1 pads and media has 2 files"),
        ({"prompt": "<VIDPAD> x", "media": ["a.png"]}, "pad of the other kind"),
        ({"prompt": "###a.png### x", "media": ["a.png"]}, "use one of them"),
    ],
)
def test_a_line_that_is_no_job_says_why(tmp_path, row, why):
    (bad, good) = read(tmp_path, row, {"prompt": "a star"})
    assert isinstance(bad, BadLine) and why in bad.why and bad.number == 1
    assert isinstance(good, Job)


def test_a_file_that_is_no_list_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        list(read_jobs(tmp_path / "gone.jsonl", DEFAULTS))
    with pytest.raises(InputError, match="longer than"):
        read(tmp_path, "x" * (MAX_LINE + 5))
    Image.new("RGB", (64, 64)).save(tmp_path / "p.png")
    assert all(isinstance(line, BadLine) for line in read_jobs(tmp_path / "p.png", DEFAULTS))


def test_the_documented_fields_are_these():
    from pathlib import Path

    text = (Path(__file__).parents[3] / "docs" / "scale.md").read_text(encoding="utf-8")
    assert [key for key in KEYS if f"`{key}`" not in text] == []
