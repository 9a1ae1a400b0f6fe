"""The instruction split into text and media."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unison_backend.errors import InputError, PromptError
from unison_backend.plan.prompt import MAX_TEXT, Medium, bind_names, parse_pads, parse_paths, sockets_named

pytestmark = pytest.mark.fast


def test_paths_become_pads_in_order():
    prompt = parse_paths("Here is the mask ###a/m.PNG###. Change ###b.mp4### there.")
    assert prompt.text == "Here is the mask <IMGPAD>. Change <VIDPAD> there."
    assert [(m.kind, m.path) for m in prompt.media] == [("image", "a/m.PNG"), ("video", "b.mp4")]


def test_a_path_used_twice_is_two_media():
    assert len(parse_paths("###a.png### and ###a.png###").media) == 2


def test_typed_pads_are_text_except_in_data_files():
    assert parse_paths("a <IMGPAD> b").media == ()
    assert parse_pads("a <IMGPAD> b <VIDPAD>").kinds == ("image", "video")


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\x00\x07"])
def test_empty_instruction_is_refused(text):
    with pytest.raises(PromptError, match="empty"):
        parse_paths(text)


@pytest.mark.parametrize("path", ["a.txt", "noise", "a.png.exe", "a.gguf"])
def test_unknown_suffix_names_the_known_ones(path):
    with pytest.raises(InputError, match=r"\.png.*\.mp4"):
        parse_paths(f"look at ###{path}###")


def test_empty_path_is_refused():
    with pytest.raises(PromptError, match="names no file"):
        parse_paths("look at ######")


def test_headings_over_lines_are_no_paths():
    assert parse_paths("### Title\nsome text\n### Next").media == ()


MEDIA = {
    "image1": Medium("image", name="image1"),
    "image2": Medium("image", name="image2"),
    "video1": Medium("video", name="video1"),
    "mask1": Medium("image", name="mask1", is_mask=True),
}


def test_named_media_stand_where_they_are_named():
    prompt = bind_names("Put <image2> next to <IMAGE1>", {k: MEDIA[k] for k in ("image1", "image2")})
    assert [m.name for m in prompt.media] == ["image2", "image1"]
    assert prompt.text == "Put <IMGPAD> next to <IMGPAD>"


def test_unnamed_media_stand_before_the_text_and_masks_behind_it():
    prompt = bind_names("Make it white.", {k: MEDIA[k] for k in ("video1", "mask1")})
    assert prompt.text == "<VIDPAD> Make it white. Here is the mask <IMGPAD>."
    assert [m.name for m in prompt.media] == ["video1", "mask1"]


@pytest.mark.parametrize(
    "written",
    [
        "<image2>",
        "<\u56fe\u50cf2>",
        "<\u56fe\u72472>",
        "\u300a\u56fe\u50cf2\u300b",
        "\uff1cimage2\uff1e",
        "\u2039\u56fe\u50cf2\u203a",
    ],
)
def test_a_socket_is_named_as_either_interface_labels_it(written):
    media = {"image1": MEDIA["image1"], "image2": MEDIA["image2"]}
    named = bind_names(f"\u628a{written}\u53d8\u6210\u7ea2\u8272", media)
    assert named.text == "<IMGPAD> \u628a<IMGPAD>\u53d8\u6210\u7ea2\u8272"
    assert [medium.name for medium in named.media] == ["image1", "image2"]
    assert sockets_named(f"{written} <\u89c6\u98911> <\u906e\u7f691> <\u8499\u72482>") == {
        "image2",
        "video1",
        "mask1",
        "mask2",
    }
    with pytest.raises(PromptError, match=r"image2.*not connected; connected: image1"):
        bind_names(f"Animate {written}", {"image1": MEDIA["image1"]})


def test_other_words_in_brackets_are_text():
    for text in ("<\u56fe\u50cf>", "<\u56fe0>", "\u300a\u7ea2\u697c\u68a6\u300b", "<image 1>"):
        assert sockets_named(text) == set()


def test_a_name_without_input_is_refused():
    with pytest.raises(PromptError, match=r"image2.*not connected; connected: image1"):
        bind_names("Animate <image2>", {"image1": MEDIA["image1"]})


def test_too_long_an_instruction_is_refused():
    with pytest.raises(PromptError, match="characters"):
        parse_paths("x" * (MAX_TEXT + 1))


@given(st.text(max_size=300))
def test_any_text_is_a_prompt_or_a_prompt_error(text):
    for parse in (parse_paths, parse_pads):
        try:
            prompt = parse(text)
        except InputError:
            continue
        assert len(prompt.kinds) == len(prompt.media)
        assert all(
            a == "" or not (isinstance(a, str) and isinstance(b, str))
            for a, b in zip(prompt.segments, prompt.segments[1:], strict=False)
        )


@given(st.lists(st.sampled_from(["###a.png###", "###b.mp4###", "word ", " and ", ". "]), min_size=1, max_size=12))
def test_text_with_pads_reads_back_the_same(parts):
    prompt = parse_paths("".join(parts) + "x")
    again = parse_pads(prompt.text)
    assert again.kinds == prompt.kinds
    assert again.text == prompt.text


# Batches


def batch(socket, count, kind="image"):
    """As the nodes name them: the first after its socket, the others with a number."""
    return [Medium(kind, name=socket if number == 0 else f"{socket} #{number + 1}") for number in range(count)]


def test_a_batch_stands_in_a_row_where_it_is_named():
    prompt = bind_names("Put <image1> next to <image2>.", {"image1": batch("image1", 3), "image2": MEDIA["image2"]})
    assert prompt.text == "Put <IMGPAD> <IMGPAD> <IMGPAD> next to <IMGPAD>."
    assert [m.name for m in prompt.media] == ["image1", "image1 #2", "image1 #3", "image2"]


def test_an_unnamed_batch_stands_before_the_text():
    media = {"image1": batch("image1", 2), "video1": MEDIA["video1"], "mask1": [MEDIA["mask1"]]}
    assert bind_names("Blend them.", media).text == "<IMGPAD> <IMGPAD> <VIDPAD> Blend them. Here is the mask <IMGPAD>."
    assert bind_names("", media).text == "<IMGPAD> <IMGPAD> <VIDPAD>  Here is the mask <IMGPAD>."


def test_a_name_said_twice_is_further_media():
    assert len(bind_names("<image1> and <image1>", {"image1": MEDIA["image1"]}).media) == 2
    assert bind_names("<image1> and <image1>", {"image1": batch("image1", 2)}).text == (
        "<IMGPAD> <IMGPAD> and <IMGPAD> <IMGPAD>"
    )


def test_a_socket_is_used_by_its_own_name_whatever_its_media_are_called():
    media = {
        "image1": [Medium("image", name="image2")],
        "image2": Medium("image", name="other"),
        "image3": Medium("image"),
    }
    prompt = bind_names("Look at <image1>.", media)
    assert prompt.text == "<IMGPAD> <IMGPAD> Look at <IMGPAD>."
    assert [m.name for m in prompt.media] == ["other", None, "image2"]


def test_an_empty_batch_is_not_connected():
    with pytest.raises(PromptError, match=r"image1.*not connected; connected: image2"):
        bind_names("Look at <image1>.", {"image1": [], "image2": MEDIA["image2"]})
    assert bind_names("Draw a dog.", {"image1": ()}).text == "Draw a dog."


def test_masks_are_known_by_their_index():
    assert bind_names("In <mask1> of <image1>", MEDIA).masks == (2,)
    assert bind_names("In <mask1> of <image1>", MEDIA).kinds == ("image", "video", "image", "image")
    assert parse_paths("Here is the mask ###a.png###.").masks == ()


SOCKETS = ("image1", "image2", "video1", "mask1")


@given(
    st.dictionaries(st.sampled_from(SOCKETS), st.integers(1, 4), min_size=1),
    st.lists(st.sampled_from([*(f"<{name}>" for name in SOCKETS), "word", " and ", ". "]), max_size=8),
)
def test_every_medium_is_there_as_often_as_its_socket_is_said(counts, parts):
    parts = [part for part in parts if part[1:-1] in counts or not part.startswith("<")]
    media = {
        name: [Medium(MEDIA[name].kind, name=f"{name}.{i}", is_mask=MEDIA[name].is_mask) for i in range(count)]
        for name, count in counts.items()
    }
    prompt = bind_names("".join(parts), media)
    for name, given_media in media.items():
        times = max(parts.count(f"<{name}>"), 1)
        assert [m for m in prompt.media if m in given_media] == given_media * times
    assert parse_pads(prompt.text).kinds == prompt.kinds


@pytest.mark.parametrize("path", ["a" * 6000, "a" * 256 + ".png", "b/" * 3000 + "c.png"])
def test_what_is_too_long_for_a_file_is_not_told_whole(path):
    with pytest.raises(PromptError, match=f"stand {len(path)} characters .* no file has so long a name") as told:
        parse_paths(f"Make ###{path}### red")
    assert len(str(told.value)) < 200
    assert parse_paths(f"Make ###{'a' * 251}.png### red").media[0].kind == "image"
