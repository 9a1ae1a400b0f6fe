"""The page of an evaluation: everything on it and nothing from elsewhere, the worst first, outlines where they belong."""

import re
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from unison_backend.demo.world.questions import question
from unison_backend.demo.world.shapes import Scene, Thing, render
from unison_backend.demo.world.tasks import example
from unison_backend.errors import Cancelled, ResourceError
from unison_backend.training.demo.evaluate import EvaluationSettings, Row, Told, table
from unison_backend.training.demo.report import write_report
from unison_backend.training.demo.sheets import BETWEEN, block, picture

SETTINGS = EvaluationSettings(count=3)


def pictures():
    """Three pictures of text to image: right, of another shape, and grey."""
    row = Row("text_to_image")
    for number in range(3):
        drawn = example("text_to_image", Random(f"held out text_to_image 0 {number}"), held_out=True)
        made = drawn.target
        if number == 1:
            thing = drawn.scene.things[0]
            other = Thing("star" if thing.shape != "star" else "circle", thing.colour, thing.x, thing.y, thing.radius)
            made = render(Scene(drawn.scene.background, (other,)), 1, 64, 64)
        row.look(number, drawn, torch.full_like(made, 0.5) if number == 2 else made, "threshold")
    return row


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    clip = Row("video_control")
    drawn = example("video_control", Random(1), held_out=True)
    clip.look(0, drawn, drawn.target, "threshold")
    asked = question("image", Random(1))
    words = Row("questions image", {"exact answer": [1, 2]}, wrong=[Told(asked.prompt, "<b>red", "", asked.medium)])
    rows = [pictures(), clip, words, Row("planner", {"exact plan": [4, 4]})]
    page = write_report(folder, rows, SETTINGS)
    return folder, page.read_text(encoding="utf-8"), rows


def test_the_page_takes_nothing_from_elsewhere(report):
    _, page, _ = report
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]{0,40})', page))
    assert "http" not in page and "<script" not in page and "<link" not in page and "url(" not in page
    assert page.count("<img") == 3 + 1 + 1


def test_every_figure_of_the_table_stands_on_the_page(report):
    _, page, rows = report
    for line in table(rows)[2:]:
        kind, measure, right, share = (part.strip() for part in line.strip("|").split("|"))
        row = rf'>{re.escape(kind)}</a></td><td>{re.escape(measure)}</td><td class="number[^>]*>{right}</td>'
        assert re.search(row + rf'<td class="number">{share}</td>', page), line
    assert "judged by threshold" in page


def test_the_worst_stand_first_with_what_is_wrong(report):
    _, page, rows = report
    order = [int(number) for number in re.findall(r"<figcaption>(\d+)\. ", page.split('id="video_control"')[0])]
    assert order == [2, 1, 0]
    for case in rows[0].cases:
        said = re.search(rf"<figcaption>{case.number}\. (.*?)<br><b>(.*?)</b>", page)
        wrong = [name for name, right in case.judgement.right.items() if not right]
        assert said[1] == case.drawn.instruction
        assert said[2] == (f"wrong: {', '.join(wrong)}" if wrong else "right")
    assert rows[0].cases[0].judgement.right["shape"] and not rows[0].cases[1].judgement.right["shape"]


def test_wrong_answers_are_listed_as_text(report):
    _, page, _ = report
    assert "&lt;IMGPAD&gt;" in page and "<td>&lt;b&gt;red</td><td><i>nothing</i></td>" in page
    assert "None was wrong." in page.split('id="planner"')[1]


def test_a_sheet_of_each_kind_with_pictures_lies_beside_it(report):
    folder, _, _ = report
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "text_to_image.png", "video_control.png"]
    clip = Image.open(folder / "video_control.png")
    assert clip.width > 9 * 128 and clip.height > 4 * 128  # edges, wanted, made, outline, at twice their size


def test_strips_show_what_was_made_enlarged_and_the_outline_on_it():
    drawn = example("video_control", Random(2), held_out=True)
    made = drawn.target.roll(3, dims=2)  # beside the edges by three pixels
    strips = dict(block(drawn, made).strips)
    assert list(strips) == ["given 1", "wanted", "made", "outline"]
    assert torch.equal(strips["made"][4, ::2, ::2], (made[4] * 255 + 0.5).byte())
    lined = (strips["outline"] != strips["made"]).any(-1)
    cover = drawn.canvas.silhouette(drawn.scene.things[0], 9)[4].repeat_interleave(2, 0).repeat_interleave(2, 1)
    rows, columns = lined[4].nonzero(as_tuple=True)
    inside = (cover > 0.5).nonzero()
    assert abs(columns.float().mean() - inside[:, 1].float().mean()) < 1.5  # on what is asked for, not what was made
    assert 2 <= int(lined[4].sum() / rows.unique().numel()) < 0.5 * (cover > 0.5).sum() / rows.unique().numel()
    whole = np.asarray(picture(block(drawn, made)))
    assert (whole[:, -128 - BETWEEN : -128] == 255).all()


def test_a_right_picture_fits_and_one_of_another_shape_does_not():
    fits = [block(case.drawn, case.made).fit for case in pictures().cases]
    assert fits[0] > 0.93 > 0.88 > fits[1] and fits[2] is None


def test_what_was_removed_has_no_outline():
    drawn = example("image_editing remove", Random(0), held_out=True)
    bare = next(one for one in (example("image_editing remove", Random(n)) for n in range(20)) if not one.scene.things)
    assert block(bare, bare.target).fit is None
    assert [name for name, _ in block(bare, bare.target).strips] == ["given 1", "given 2", "wanted", "made"]
    assert drawn.meaning.colour == "nothing"


def test_no_page_without_room_and_none_when_cancelled(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        write_report(tmp_path / "file" / "in", [Row("planner", {"exact plan": [1, 1]})], SETTINGS)
    with pytest.raises(Cancelled):
        write_report(tmp_path / "out", [pictures()], SETTINGS, cancel=lambda: True)
    assert not (tmp_path / "out").exists()
