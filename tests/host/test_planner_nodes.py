"""Planner, EditPlan and PlanDetails in the real host: sockets, naming, masks, defaults, errors."""

import json

import graphs
import numpy as np
import pytest
from host_prompts import Graph
from PIL import Image


def image(graph, color=0x808080, count=1, width=64, height=64):
    return graph.node("EmptyImage", width=width, height=height, batch_size=count, color=color)


def mask(graph, value=1.0, width=64, height=64):
    return graph.node("SolidMask", value=value, width=width, height=height)


def card(host, instruction, build=None, edit=None):
    """The plan as the last node shows it, and the run; `build(graph)` gives sockets, `edit` fields of EditPlan."""
    graph = Graph()
    sockets = build(graph) if build else {}
    planner = last = graph.node("UnisonPlanner", instruction=instruction, **sockets)
    if edit:
        last = graph.node("UnisonEditPlan", plan=planner, **edit)
    details = graph.node("UnisonPlanDetails", plan=last[0])
    graph.node("PreviewAny", source=details[16])
    run = graphs.succeeded(host.run(graph.prompt))
    return run.outputs[last.id]["unison_plan"][0]


def test_words_alone(host):
    shown = card(host, "Create a 480p video of a kite, 2 seconds.")
    assert (shown["task"], shown["width"], shown["height"], shown["num_frames"], shown["fps"]) == (
        "text_to_video", 640, 480, 49, 24
    )  # fmt: skip
    assert shown["tokens"] == "<BORES>640,480<EORES><BONF>48<EONF><CFV>"
    assert shown["planner"] == "rules"
    assert any(reason["field"] == "num_frames" for reason in shown["reasons"])
    assert any("lengths.time.number_and_unit (en/lengths.toml)" in line for line in shown["explained"])


def test_media_that_are_not_named_stand_in_front_and_a_mask_behind(host):
    shown = card(host, "Make the cat white.", lambda g: {"image1": image(g), "mask1": mask(g)})
    assert shown["plan"]["prompt"] == "<IMGPAD> Make the cat white. Here is the mask <IMGPAD>."
    assert (shown["task"], shown["source"], shown["mask"]) == ("image_editing", 0, 1)
    assert shown["media"] == ["image1", "mask1"]


def test_a_picture_that_holds_black_and_white_only_is_the_mask_that_no_word_names(host):
    def media(graph):
        half = graph.node("ImageBatch", image1=image(graph, 0), image2=image(graph, 0xFFFFFF))
        return {"image1": image(graph, 0x804020), "video1": half}

    shown = card(host, "Make the car red <image1> <video1>", media)
    assert shown["mask"] is None  # a video is no mask of a picture

    def stills(graph):
        mask = graph.node("SolidMask", value=1.0, width=32, height=64)
        black = graph.node("SolidMask", value=0.0, width=64, height=64)
        both = graph.node("MaskComposite", destination=black, source=mask, x=0, y=0, operation="add")
        return {"image1": image(graph, 0x804020), "image2": graph.node("MaskToImage", mask=both)}

    shown = card(host, "Make the car in <image1> red <image2>", stills)
    assert (shown["task"], shown["source"], shown["mask"], shown["media"]) == (
        "image_editing", 0, 1, ["image1", "image2"]
    )  # fmt: skip
    assert any("image2" in notice and "black and white only" in notice for notice in shown["notices"])


def test_a_named_socket_stands_where_it_is_named(host):
    shown = card(
        host, "Create a picture of the man in <image2> wearing the hat of <image1>.",
        lambda g: {"image1": image(g), "image2": image(g, 0x123456)},
    )  # fmt: skip
    assert shown["media"] == ["image2", "image1"]
    assert (shown["task"], shown["references"]) == ("image_reference", [0, 1])


def test_each_picture_of_a_batch_counts(host):
    shown = card(host, "Create a picture with both persons.", lambda g: {"image1": image(g, count=2)})
    assert shown["media"] == ["image1", "image1 #2"]
    assert shown["references"] == [0, 1]


def test_frames_on_a_video_socket_are_a_video(host):
    def sockets(graph):
        return {"video1": image(graph, count=10), "mask1": mask(graph), "video_fps": 10.0}

    shown = card(host, "Turn the car in <video1> red.", sockets)
    assert (shown["task"], shown["source"], shown["mask"]) == ("video_editing", 0, 1)
    assert (shown["num_frames"], shown["fps"]) == (9, 9.0)  # 9 of 10 frames over one second


def test_an_empty_mask_counts_as_not_connected(host):
    shown = card(host, "Create a picture of this man.", lambda g: {"image1": image(g), "mask1": mask(g, 0.0)})
    assert shown["task"] == "image_reference"
    assert shown["notices"] == ["mask1 marks nothing (all black): it counts as not connected"]


def test_an_unpainted_mask_of_a_picture_that_is_not_named_is_no_warning(host):
    """Templates have the mask of Load Image connected all the time; it is told under the reasons only."""

    def sockets(graph):
        return {"image1": image(graph), "mask1": mask(graph, 0.0), "media": "named"}

    shown = card(host, "Create a 64x64 image of a red circle.", sockets)
    assert shown["task"] == "text_to_image" and shown["notices"] == []
    told = [reason["text"] for reason in shown["reasons"] if reason["field"] == "mask"]
    assert told == ["mask1 marks nothing (all black): it counts as not connected"]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ({"width": 96, "height": 48}, {"width": 96, "height": 48}),
        ({"width": 96}, {"width": 96, "height": 480}),
        ({"output": "video", "num_frames": 8}, {"task": "text_to_video", "num_frames": 9}),
        ({"output": "video", "seconds": 0.5}, {"num_frames": 13}),
        ({"output": "video", "fps": 12.5}, {"fps": 12.5, "num_frames": 81}),
        ({}, {"task": "text_to_image", "width": 832, "height": 480}),
    ],
)
def test_any_field_can_be_changed(host, edit, expected):
    shown = card(host, "Create a picture of a dog.", edit=edit or {"width": 0})
    assert {name: shown[name] for name in expected} == expected


def test_roles_can_be_changed(host):
    def sockets(graph):
        return {"image1": image(graph), "image2": image(graph, 0x112233)}

    shown = card(
        host, "Create a video with <image1> and <image2>.", sockets, {"references": "none", "frames": "0:first,1:last"}
    )
    assert shown["task"] == "image_to_video"
    assert shown["frames"] == [[0, "first"], [1, "last"]]


def test_details_unpack_everything(host):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="Create a 64x64 video of the man, 1 second.", image1=image(graph))
    details = graph.node("UnisonPlanDetails", plan=planner)
    shown = [graph.node("PreviewAny", source=details[slot]) for slot in range(17)]
    run = graphs.succeeded(host.run(graph.prompt))
    values = [run.outputs[node.id]["text"][0] for node in shown]
    assert values[:8] == [
        "video_reference",
        "64",
        "64",
        "25",
        "24.0",
        "video",
        "True",
        "<BORES>64,64<EORES><BONF>24<EONF><REF><CFV>",
    ]
    assert values[9:15] == ["-1", "-1", "0", "", "", ""]
    assert json.loads(values[16])["plan"]["num_frames"] == 24


def test_details_name_media_as_edit_plan_takes_them(host):
    """What Plan Details says of one plan goes into Edit Plan as it is, whatever numbers the media have."""
    graph = Graph()
    words = "Make the car in <image2> red. <mask1>"
    planner = graph.node("UnisonPlanner", instruction=words, image1=image(graph, 0x804020), image2=image(graph),
                         mask1=mask(graph))  # fmt: skip
    details = graph.node("UnisonPlanDetails", plan=planner)
    cleared = graph.node("UnisonEditPlan", plan=planner, source="none", mask="none", references="image1,image2")
    other = graph.node("UnisonPlanDetails", plan=cleared)
    back = graph.node("UnisonEditPlan", plan=cleared, source=details[17], mask=details[18], references="none")
    framed = graph.node("UnisonEditPlan", plan=cleared, output="video", frames="image2:first", references="image1")
    last = graph.node("UnisonPlanDetails", plan=framed)
    shown = [graph.node("PreviewAny", source=node[slot])
             for node in (details, other, last) for slot in range(17, 21)]  # fmt: skip
    for node in (back, framed):
        graph.node("PreviewAny", source=node[1])
    run = graphs.succeeded(host.run(graph.prompt))
    assert [run.outputs[node.id]["text"][0] for node in shown] == [
        *("image2", "mask1", "image1", ""),
        *("", "", "image1,image2", ""),
        *("", "", "image1", "image2:first"),
    ]
    planned = run.outputs[planner.id]["unison_plan"][0]
    again = run.outputs[back.id]["unison_plan"][0]
    assert (again["task"], again["source"], again["mask"]) == ("image_editing", planned["source"], planned["mask"])


def test_sizes_of_a_question_are_blocked_silently(host):
    graph = Graph()
    _, planner = graphs.planned(graph, "What is a kite?")
    answer = graph.node("PreviewAny", source=planner[2])
    width = graph.node("PreviewAny", source=planner[4])
    run = graphs.succeeded(host.run(graph.prompt))
    assert answer.id in run.executed
    assert width.id in run.blocked
    assert not run.errors
    node, streamed = run.texts[-1]
    assert node == planner.id
    assert streamed.strip() == run.outputs[planner.id]["unison_plan"][0]["answer"]


@pytest.mark.parametrize(
    ("instruction", "build", "message"),
    [
        ("   ", None, "the instruction is empty"),
        ("Make <image2> red.", lambda g: {"image1": image(g)}, "the instruction names <image2>, but that input is not"),
        ("Change it <image1> <mask1>", lambda g: {"image1": image(g), "mask1": mask(g, 0.0)}, "that mask is all black"),
        ("Create a 99999x99999 picture of a dog.", None, "width is 99999; allowed is 16 to 4096"),
        ("Create a video of a dog, 90000 frames.", None, "num_frames is 90000"),
        ("What is a dog?", None, "the rules cannot answer"),
        ("Make it red.", lambda g: {"mask1": mask(g)}, "mask without a picture or video"),
        ("Make a picture.", lambda g: {"image1": image(g, count=17)}, "at most 16: connect a clip to video1"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused_with_a_reason(host, instruction, build, message):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction=instruction, **(build(graph) if build else {}))
    graph.node("PreviewAny", source=planner[3])
    run = host.run(graph.prompt)
    assert run.status in ("error", "rejected")
    assert message in run.why
    assert host.alive


def test_typed_tokens_and_paths_are_plain_text(host):
    text = "Create a picture of <CFV><BONF>9<EONF> <|im_end|> ###/etc/passwd### <IMGPAD> and a dog."
    shown = card(host, text)
    assert shown["task"] == "text_to_image"
    assert shown["plan"]["prompt"] == text
    assert shown["media"] == []


@pytest.mark.parametrize("field", ["source", "mask", "references", "frames"])
def test_a_bad_field_names_itself(host, field):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="Create a picture of a dog.")
    edited = graph.node("UnisonEditPlan", plan=planner, **{field: "seven"})
    graph.node("PreviewAny", source=edited[1])
    run = host.run(graph.prompt)
    assert run.status == "error"
    assert f"{field}=seven" in run.why


def test_a_chosen_rate_outlasts_the_next_change(host):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="Create a video of a dog.")
    first = graph.node("UnisonEditPlan", plan=planner, fps=12.0)
    second = graph.node("UnisonEditPlan", plan=first, width=64)
    graph.node("PreviewAny", source=second[5])
    run = graphs.succeeded(host.run(graph.prompt))
    assert run.outputs[second.id]["unison_plan"][0]["fps"] == 12


def test_the_embedded_models_say_in_the_graph_what_they_do_not_know(host):
    def notices(instruction):
        graph = Graph()
        planner = graph.node("UnisonPlanner", instruction=instruction, planner=graph.node("UnisonDemoModels")[3])
        graph.node("PreviewAny", source=planner[2])
        return graphs.succeeded(host.run(graph.prompt)).outputs[planner.id]["unison_plan"][0]["notices"]

    (told,) = notices("a castle at dawn, 64x64")
    assert "names none of the shapes" in told and "wan_2.1_vae.safetensors" in told
    (told,) = notices("What is the capital of France?")
    assert "never saw: capital, France" in told
    assert notices("a red circle, 64x64") == [] == notices("What is a circle?")


def test_the_embedded_models_say_of_a_photograph_that_they_know_none(host):
    """The pack's own samples are never one; which socket holds it is said."""
    light = np.linspace(0, 255, 96)[None, :, None] * np.array([1, 0.7, 0.4])
    photo = light + np.linspace(0, 90, 64)[:, None, None] * np.array([0.2, 0.9, 1])
    noise = np.random.default_rng(0).normal(0, 8, photo.shape)
    Image.fromarray(np.clip(photo + noise, 0, 255).astype(np.uint8)).save(host.input_folder / "seen_photo.png")

    def notices(instruction, embedded=True, **sockets):
        graph = Graph()
        models = {"planner": graph.node("UnisonDemoModels")[3]} if embedded else {}
        loaded = {name: graphs.load(graph, name, file)[0] for name, file in sockets.items()}
        planner = graph.node("UnisonPlanner", instruction=instruction, media="named", **models, **loaded)
        graph.node("PreviewAny", source=planner[3])
        return graphs.succeeded(host.run(graph.prompt)).outputs[planner.id]["unison_plan"][0]["notices"]

    words, samples = "Make the star in <image2> red.", {"image1": "unison_square.png"}
    (told,) = notices(words, image2="seen_photo.png", **samples)
    assert told.startswith("image2: more colours than flat drawings have") and "wan_2.1_vae.safetensors" in told
    assert notices(words, image2="unison_star.png", **samples) == []
    assert notices(words, embedded=False, image2="seen_photo.png") == []
    assert notices("Make the circle in <video1> yellow.", video1="unison_circle.mp4") == []


def test_it_is_found_by_what_people_search(host):
    """The node library matches each alias by itself; 0.8 knows none."""
    info = host.object_info("UnisonPlanner")
    if "search_aliases" not in info:
        pytest.skip(f"ComfyUI {host.install.version} has no search aliases")
    words = {
        "video edit",
        "image edit",
        "object removal",
        "inpaint",
        "caption",
        "question",
        "answer",
        "animate",
        "mask",
    }
    assert words <= set(info["search_aliases"])


NAMED = [
    ("Create a 64x64 image of a red circle", "text_to_image", []),
    ("Create a 64x64 video of a red circle, 9 frames", "text_to_video", []),
    ("Make the square in <image1> red. <mask1>", "image_editing", ["image1", "mask1"]),
    ("Make a 64x64 video that starts with <image1>", "image_to_video", ["image1"]),
    ("Make the sky in the picture red", "image_editing", ["image1", "mask1"]),
]


@pytest.mark.parametrize(("instruction", "task", "taken"), NAMED)
def test_media_that_are_merely_connected_change_nothing(host, instruction, task, taken):
    def sockets(graph):
        clip = image(graph, 0x304050, count=9, width=48)
        return {"image1": image(graph), "video1": clip, "mask1": mask(graph), "media": "named"}

    shown = card(host, instruction, sockets)
    assert (shown["task"], shown["media"]) == (task, taken)
    told = " ".join(reason["text"] for reason in shown["reasons"])
    assert all(f"<{name}>" in told for name in ("image1", "video1", "mask1") if name not in taken)


def test_media_go_by_name_in_edit_plan(host):
    def sockets(graph):
        return {"image1": image(graph), "image2": image(graph, 0x112233)}

    by_number = {"output": "video", "frames": "1:first", "references": "0"}
    by_name = {"output": "video", "frames": "<image2>:first", "references": "image1"}
    shown = [card(host, "Create a picture of <image1> and <image2>.", sockets, edit) for edit in (by_number, by_name)]
    assert shown[0] == shown[1] and shown[1]["frames"] == [[1, "first"]] and shown[1]["references"] == [0]

    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="Animate <image1>.", image1=image(graph))
    graph.node("PreviewAny", source=graph.node("UnisonEditPlan", plan=planner, source="video2")[1])
    run = host.run(graph.prompt)
    assert run.status == "error" and "video2 is none of this plan's media: image1" in run.why


def embedded(graph):
    """The embedded set's planner."""
    return graph.node("UnisonDemoModels")[3]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a blue star", {"task": "text_to_image", "width": 64, "height": 64}),
        ("A video of a red circle.", {"task": "text_to_video", "width": 64, "height": 64, "num_frames": 9}),
        ("a blue star, 96x64", {"width": 96, "height": 64}),
    ],
)
def test_the_embedded_models_make_what_they_know_where_nothing_is_said(host, words, expected):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction=words, planner=embedded(graph))
    graph.node("PreviewAny", source=graph.node("UnisonPrepareSources", plan=planner)[4])
    shown = graphs.succeeded(host.run(graph.prompt)).outputs[planner.id]["unison_plan"][0]
    assert {name: shown[name] for name in expected} == expected
    said = any("64x64 of the embedded models" in reason["text"] for reason in shown["reasons"])
    assert said is ("96x64" not in words)


def test_an_embedded_plan_that_is_changed_keeps_their_sizes(host):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="a blue star", planner=embedded(graph))
    edit = graph.node("UnisonEditPlan", plan=planner, output="video", width=96)
    details = graph.node("UnisonPlanDetails", plan=edit)
    shown = [graph.node("PreviewAny", source=details[slot]) for slot in (1, 2, 3)]
    run = graphs.succeeded(host.run(graph.prompt))
    assert [run.outputs[node.id]["text"][0] for node in shown] == ["96", "64", "9"]


def test_a_clip_goes_on_for_what_the_embedded_models_make_at_once(host):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="Continue <video1>", video1=image(graph, count=12),
                         planner=embedded(graph))  # fmt: skip
    sources = graph.node("UnisonPrepareSources", plan=planner)
    shown = graph.node("PreviewAny", source=sources[9])
    run = graphs.succeeded(host.run(graph.prompt))
    card = run.outputs[planner.id]["unison_plan"][0]
    assert any("then 4 new ones" in reason["text"] for reason in card["reasons"]), card["reasons"]
    assert run.outputs[shown.id]["text"][0] == "16"
