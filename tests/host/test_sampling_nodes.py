"""Conditioning, VACE and samplers in the real host: our nodes with stock ones, in both directions."""

import shutil

import graphs
import pytest
from host_prompts import Graph
from PIL import Image

from unison_backend.demo import set as demo

STILL = "Create a 64x48 image of a red circle."
CLIP = "Create a 64x48 video of a red circle, 9 frames."


def stock_context(graph, planner, context, models, **parts):
    """Stock WanVaceToVideo on the native outputs of our sources."""
    sources = graph.node("UnisonPrepareSources", plan=planner[0])
    inputs = {
        "control_video": sources[1],
        "control_masks": sources[2],
        "reference_image": sources[3],
        "width": sources[4],
        "height": sources[5],
        "length": sources[6],
    }
    return graph.node("WanVaceToVideo", positive=context[0], negative=context[1], vae=models[2], batch_size=1, strength=1.0,
                      **inputs | parts)  # fmt: skip


def test_a_still_comes_out_as_a_picture(host):
    graph = Graph()
    models, planner = graphs.planned(graph, STILL)
    made = graphs.all_in_one(graph, models, planner)
    picture, video = graphs.save_image(graph, made[0]), graphs.save_video(graph, made[1])
    run = graphs.succeeded(host.run(graph.prompt))
    (file,) = run.files(picture)
    assert Image.open(file).size == (64, 48)
    assert video.id in run.blocked
    assert not run.errors


def test_a_video_comes_out_as_frames_and_as_a_video(host):
    import av

    graph = Graph()
    models, planner = graphs.planned(graph, CLIP)
    made = graphs.all_in_one(graph, models, planner, fps=12.0)
    frames, video = graph.node("PreviewImage", images=made[0]), graphs.save_video(graph, made[1])
    fps = graph.node("PreviewAny", source=made[2])
    run = graphs.succeeded(host.run(graph.prompt))
    assert len(run.files(frames)) == 9
    assert run.outputs[fps.id]["text"] == ["12.0"]
    with av.open(str(run.files(video)[0])) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (64, 48, 12)
        assert sum(1 for _ in container.decode(stream)) == 9


def test_the_node_runs_as_the_hosts_own_nodes(fresh_host):
    """So that whatever patches those (LoRA, previews, caches, several GPUs) works here too."""
    graph = Graph()
    models, planner = graphs.planned(graph, STILL)
    made = graphs.all_in_one(graph, models, planner, seed=3)
    graphs.save_image(graph, made[0])
    run = graphs.succeeded(fresh_host().run(graph.prompt))
    assert {run.display[node] for node in run.executed if "." in node} == {made.id}
    # VACE conditioning, exact padding, UniPC and sigmas are ours; the rest are the host's.
    assert sum("." in node for node in run.executed) == 8


def test_own_sampler_and_sigmas_take_the_place_of_ours(host):
    graph = Graph()
    models, planner = graphs.planned(graph, STILL)
    sampler = graph.node("KSamplerSelect", sampler_name="euler")
    sigmas = graph.node("BasicScheduler", model=models[0], scheduler="simple", steps=2, denoise=1.0)
    made = graphs.all_in_one(graph, models, planner, sampler=sampler, sigmas=sigmas)
    graphs.save_image(graph, made[0])
    run = graphs.succeeded(host.run(graph.prompt))
    assert sum("." in node for node in run.executed) == 6


def test_our_sampler_wants_sigmas_below_one(host):
    graph = Graph()
    models, planner = graphs.planned(graph, STILL)
    sigmas = graph.node("BasicScheduler", model=models[0], scheduler="simple", steps=2, denoise=1.0)
    made = graphs.all_in_one(graph, models, planner, sigmas=sigmas)
    graphs.save_image(graph, made[0])
    run = host.run(graph.prompt)
    assert run.status == "error"
    assert "UnisonSigmas" in run.why


def test_stock_nodes_take_our_conditioning(host):
    graph = Graph()
    models, planner = graphs.planned(graph, CLIP)
    context, _ = graphs.conditioned(graph, models, planner)
    vace = stock_context(graph, planner, context, models)
    latent = graph.node("KSampler", model=models[0], seed=1, steps=2, cfg=5.0, sampler_name="uni_pc_bh2", scheduler="simple",
                        positive=vace[0], negative=vace[1], latent_image=vace[2], denoise=1.0)  # fmt: skip
    trimmed = graph.node("TrimVideoLatent", samples=latent, trim_amount=vace[3])
    shown = graph.node("PreviewImage", images=graph.node("VAEDecode", samples=trimmed, vae=models[2]))
    run = graphs.succeeded(host.run(graph.prompt))
    assert len(run.files(shown)) == 9


def test_our_sampler_takes_stock_conditioning(host):
    graph = Graph()
    models = graph.node("UnisonDemoModels")
    texts = [graph.node("CLIPTextEncode", clip=models[1], text=text) for text in ("a red circle", "bad")]
    vace = graph.node("WanVaceToVideo", positive=texts[0], negative=texts[1], vae=models[2], width=64, height=48, length=5,
                      batch_size=1, strength=1.0, reference_image=graph.node("EmptyImage", width=64, height=48, batch_size=1, color=5))  # fmt: skip
    made = graph.node("UnisonVACESampler", model=models[0], positive=vace[0], negative=vace[1], vae=models[2], latent=vace[2],
                      trim_latent=vace[3], seed=0, steps=2, shift=5.0, cfg=5.0, strength=1.0)  # fmt: skip
    shown = graph.node("PreviewImage", images=made[0])
    run = graphs.succeeded(host.run(graph.prompt))
    assert len(run.files(shown)) == 5


def test_several_references_are_cut_off_again(host):
    graph = Graph()
    people = graph.node("EmptyImage", width=40, height=64, batch_size=2, color=77)
    models, planner = graphs.planned(graph, "Create a 64x48 video with both persons, 5 frames.", image1=people)
    made = graphs.all_in_one(graph, models, planner)
    shown = graph.node("PreviewImage", images=made[0])
    latent = graph.node("SaveLatent", samples=made[3], filename_prefix="refs")
    run = graphs.succeeded(host.run(graph.prompt))
    from safetensors import safe_open

    assert len(run.files(shown)) == 5
    with safe_open(run.files(latent)[0], "pt") as file:
        assert file.get_slice("latent_tensor").get_shape() == [1, 16, 2, 6, 8]


def test_native_sockets_replace_parts_of_the_sources(host):
    graph = Graph()
    models, planner = graphs.planned(graph, CLIP)
    context, vace = graphs.conditioned(graph, models, planner)
    video = graph.node("EmptyImage", width=64, height=48, batch_size=9, color=0x808080)
    masks = graph.node("SolidMask", value=1.0, width=32, height=24)
    reference = graph.node("EmptyImage", width=10, height=90, batch_size=1, color=9)
    vace = graph.node("UnisonVACEConditioning", positive=context[0], negative=context[1], vae=models[2], strength=1.0,
                      control_video=video, control_masks=masks, references=reference)  # fmt: skip
    shown = graph.node("SaveLatent", samples=graphs.sampled(graph, models, vace, 1), filename_prefix="own")
    assert graphs.succeeded(host.run(graph.prompt)).files(shown)


@pytest.mark.parametrize(
    ("width", "frames", "masks", "message"),
    [
        (60, 5, 1, "sides must be multiples of 16 and the length 4k + 1"),
        (64, 6, 1, "sides must be multiples of 16 and the length 4k + 1"),
        (64, 5, 3, "the mask holds 3 frames, the video 5"),
    ],
)
def test_sizes_that_vace_cannot_hold_are_refused(host, width, frames, masks, message):
    graph = Graph()
    models, planner = graphs.planned(graph, CLIP)
    context, _ = graphs.conditioned(graph, models, planner)
    video = graph.node("EmptyImage", width=width, height=64, batch_size=frames, color=1)
    mask = graph.node(
        "ImageToMask",
        image=graph.node("EmptyImage", width=64, height=64, batch_size=masks, color=0xFFFFFF),
        channel="red",
    )
    vace = graph.node("UnisonVACEConditioning", positive=context[0], negative=context[1], vae=models[2], strength=1.0,
                      control_video=video, control_masks=mask)  # fmt: skip
    graph.node("SaveLatent", samples=vace[2], filename_prefix="no")
    run = host.run(graph.prompt)
    assert run.status == "error"
    assert message in run.why


def test_either_sources_or_a_latent(host):
    graph = Graph()
    models, planner = graphs.planned(graph, STILL)
    made = graphs.all_in_one(
        graph, models, planner, latent=graph.node("EmptyLatentImage", width=64, height=64, batch_size=1)
    )
    graphs.save_image(graph, made[0])
    run = host.run(graph.prompt)
    assert run.status == "rejected"
    assert "connect sources or latent, one of the two" in run.why


@pytest.mark.parametrize(
    ("node", "inputs", "message"),
    [
        ("UnisonTextContext", {"prompt": "a"}, "connect clip (UMT5-XXL), or positive_in and negative_in"),
        ("UnisonTextContext", {"clip": 1}, "there is no prompt"),
        ("UnisonTextContext", {"clip": 1, "prompt": "  "}, "there is no prompt"),
        ("UnisonVACEConditioning", {"vae": 2, "strength": 1.0}, "connect sources, or a control_video"),
        ("UnisonVACESampler", {"vae": 2, "model": 0, "seed": 0, "steps": 1, "shift": 5.0, "cfg": 1.0, "strength": 1.0}, "one of the two"),
    ],
)  # fmt: skip
def test_what_is_not_connected_is_said_before_anything_runs(host, node, inputs, message):
    graph = Graph()
    models = graph.node("UnisonDemoModels")
    links = {name: models[value] if name in ("model", "clip", "vae") else value for name, value in inputs.items()}
    if node != "UnisonTextContext":
        text = graph.node("CLIPTextEncode", clip=models[1], text="a")
        links |= {"positive": text, "negative": text}
    graph.node("PreviewAny", source=graph.node(node, **links))
    run = host.run(graph.prompt)
    assert run.status == "rejected"
    assert message in run.why


def test_one_of_two_experts_is_refused_and_both_run_with_stock_nodes(host):
    built = demo.ensure()
    names = [f"wan2.2_fun_vace_{side}_noise_14B_bf16.safetensors" for side in ("high", "low")]
    files = [host.models_folder / "diffusion_models" / name for name in (*names, "wan2.1_vace_14B_fp16.safetensors")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        shutil.copyfile(built.vace, file)
    try:
        graph = Graph()
        models, planner = graphs.planned(graph, STILL)
        loader = graph.node("UNETLoader", unet_name=names[1], weight_dtype="default")
        patched = graph.node("ModelSamplingSD3", model=loader, shift=5.0)
        parts = [patched[0], *(models[index] for index in range(1, 5))]
        graphs.save_image(graph, graphs.all_in_one(graph, parts, planner)[0])
        run = host.run(graph.prompt)
        assert run.status == "error"
        assert f"model: {names[1]} is one of two experts" in run.why

        graph = Graph()
        models, planner = graphs.planned(graph, CLIP)
        high, low, whole = (graph.node("UNETLoader", unet_name=file.name, weight_dtype="default") for file in files)
        made = graphs.all_in_one(graph, [whole[0], *(models[index] for index in range(1, 5))], planner)
        _, vace = graphs.conditioned(graph, models, planner)
        shared = {"steps": 4, "cfg": 3.5, "sampler_name": "euler", "scheduler": "simple", "noise_seed": 1}
        shared |= {"positive": vace[0], "negative": vace[1]}
        first = graph.node("KSamplerAdvanced", model=high, add_noise="enable", start_at_step=0, end_at_step=2,
                           latent_image=vace[2], return_with_leftover_noise="enable", **shared)  # fmt: skip
        second = graph.node("KSamplerAdvanced", model=low, add_noise="disable", start_at_step=2, end_at_step=10000,
                            latent_image=first, return_with_leftover_noise="disable", **shared)  # fmt: skip
        trimmed = graph.node("TrimVideoLatent", samples=second, trim_amount=vace[3])
        shown = graph.node("PreviewImage", images=graph.node("VAEDecode", samples=trimmed, vae=models[2]))
        alone = graph.node("PreviewImage", images=made[0])
        run = graphs.succeeded(host.run(graph.prompt))
        assert len(run.files(shown)) == len(run.files(alone)) == 9
    finally:
        for file in files:
            file.unlink()


def test_frames_without_a_plan(host):
    graph = Graph()
    first, last = (
        graph.node("EmptyImage", width=64, height=48, batch_size=1, color=color) for color in (0xFF0000, 0x00FF00)
    )
    made = graph.node(
        "UnisonFrameReference", width=64, height=48, num_frames=9, fps=24.0, first_frame=first, last_frame=last
    )
    shown = graph.node("PreviewImage", images=made[1])
    masks = graph.node("PreviewImage", images=graph.node("MaskToImage", mask=made[2]))
    run = graphs.succeeded(host.run(graph.prompt))
    colors = [Image.open(file).convert("RGB").getpixel((5, 5)) for file in run.files(shown)]
    assert colors[0] == (255, 0, 0)
    assert colors[-1] == (0, 255, 0)
    assert set(colors[1:-1]) == {(127, 127, 127)}
    levels = [Image.open(file).convert("L").getpixel((5, 5)) for file in run.files(masks)]
    assert levels == [0, *[255] * 7, 0]


def test_a_canvas_keeps_the_whole_picture(host):
    graph = Graph()
    picture = graph.node("EmptyImage", width=16, height=32, batch_size=2, color=0x0000FF)
    canvas = graph.node("UnisonReferenceCanvas", images=picture, width=64, height=64)
    shown = graph.node("PreviewImage", images=canvas)
    run = graphs.succeeded(host.run(graph.prompt))
    picture = Image.open(run.files(shown)[1]).convert("RGB")
    assert picture.size == (64, 64)
    assert [picture.getpixel((x, 32)) for x in (2, 32, 61)] == [(255, 255, 255), (0, 0, 255), (255, 255, 255)]


def test_a_mask_from_another_node_edits_without_one_in_the_plan(host):
    graph = Graph()
    picture = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0xFF0000)
    planner = graph.node("UnisonPlanner", instruction="Make the car in <image1> blue.", image1=picture)
    refused = graph.node("UnisonPrepareSources", plan=planner)
    graph.node("PreviewImage", images=refused[1])
    run = host.run(graph.prompt)
    assert run.status == "error"
    assert "edits image1 without a mask" in run.why

    graph.prompt[refused.id]["inputs"]["mask"] = graph.node("SolidMask", value=1.0, width=32, height=32)[0]
    shown = next(node for node, entry in graph.prompt.items() if entry["class_type"] == "PreviewImage")
    run = graphs.succeeded(host.run(graph.prompt))
    assert Image.open(run.files(shown)[0]).convert("RGB").getpixel((9, 9)) == (127, 127, 127)


def test_a_map_from_another_node_replaces_the_footage(host):
    graph = Graph()
    clip = graph.node("EmptyImage", width=64, height=64, batch_size=9, color=0xFF0000)
    depth = graph.node("EmptyImage", width=64, height=64, batch_size=9, color=0x333333)
    planner = graph.node(
        "UnisonPlanner", instruction="Create a video of a robot that follows the depth of <video1>.", video1=clip
    )
    sources = graph.node("UnisonPrepareSources", plan=planner, control_map=depth)
    shown = graph.node("PreviewImage", images=sources[1])
    run = graphs.succeeded(host.run(graph.prompt))
    pictures = [Image.open(file).convert("RGB").getpixel((5, 5)) for file in run.files(shown)]
    assert pictures == [(0x33, 0x33, 0x33)] * 9


def test_sockets_that_the_plan_has_no_use_for_are_said(host):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="Create a 64x64 picture of a cat.")
    mask = graph.node("SolidMask", value=1.0, width=64, height=64)
    depth = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=3)
    sources = graph.node("UnisonPrepareSources", plan=planner, mask=mask, control_map=depth)
    graph.node("PreviewAny", source=sources[4])
    run = graphs.succeeded(host.run(graph.prompt))
    assert run.outputs[sources.id]["unison_notices"] == [
        "mask is not used: this plan is text_to_image",
        "control_map is not used: this plan is text_to_image",
    ]


@pytest.mark.parametrize("places", ["0", "4,4", "8", "x", "1,2,3"])
def test_a_frame_takes_one_picture(host, places):
    graph = Graph()
    first, last = (graph.node("EmptyImage", width=64, height=48, batch_size=1, color=color) for color in (1, 2))
    count = 2 if places == "4,4" else 1
    frames = graph.node("EmptyImage", width=64, height=48, batch_size=count, color=3)
    made = graph.node("UnisonFrameReference", width=64, height=48, num_frames=9, fps=24.0, places=places, first_frame=first,
                      last_frame=last, frames=frames)  # fmt: skip
    graph.node("PreviewImage", images=made[1])
    run = host.run(graph.prompt)
    assert run.status == "error"
    assert "places" in run.why


def test_a_source_that_keeps_its_length_keeps_its_sound(host):
    graph = Graph()
    frames = graph.node("EmptyImage", width=64, height=64, batch_size=9, color=0x224466)
    sound = graph.node("EmptyAudio", duration=0.5, sample_rate=44100, channels=2)
    clip = graph.node("CreateVideo", images=frames, fps=18.0, audio=sound)
    mask = graph.node("SolidMask", value=1.0, width=64, height=64)
    planner = graph.node("UnisonPlanner", instruction="Turn the car in <video1> red.", video1=clip, mask1=mask)
    kept = graph.node("PreviewAny", source=graph.node("UnisonPrepareSources", plan=planner)[8])
    slower = graph.node("UnisonEditPlan", plan=planner, fps=9.0)
    lost = graph.node("PreviewAny", source=graph.node("UnisonPrepareSources", plan=slower)[8])
    run = graphs.succeeded(host.run(graph.prompt))
    assert "waveform" in run.outputs[kept.id]["text"][0]
    assert run.outputs[lost.id]["text"] == ["None"]


@pytest.mark.parametrize(("length", "made", "kept", "fps"), [(None, 5, 5, 5.0), ("whole", 9, 6, 6.0)])
def test_a_whole_video_comes_back(host, length, made, kept, fps):
    """Six frames stay six, behind our sampler, in a graph of single nodes, and through the composite."""
    graph = Graph()
    frames = graph.node("EmptyImage", width=64, height=64, batch_size=6, color=0x2244AA)
    small = graph.node("SolidMask", value=1.0, width=16, height=16)
    black = graph.node("SolidMask", value=0.0, width=64, height=64)
    mask = graph.node("MaskComposite", destination=black, source=small, x=24, y=24, operation="add")
    words = {"video_fps": 6.0}
    models, planner = graphs.planned(graph, "Turn the car in <video1> red.", **words, video1=frames, mask1=mask)
    chosen = {} if length is None else {"length": length}
    sources = graph.node("UnisonPrepareSources", plan=planner[0], **chosen)
    context = graph.node("UnisonTextContext", clip=models[1], plan=planner[0])
    sides = {"positive": context[0], "negative": context[1], "vae": models[2], "sources": sources, "strength": 1.0}
    sampled = graph.node("UnisonVACESampler", model=models[0], seed=0, steps=1, shift=5.0, cfg=1.0, **sides)
    mixed = graph.node("UnisonComposite", images=sampled[0], sources=sources, feather=0)
    shown = graph.node("PreviewImage", images=mixed)
    video = graphs.save_video(graph, sampled[1])
    vace = graph.node("UnisonVACEConditioning", **sides)
    numbers = [graph.node("PreviewAny", source=link) for link in (sources[6], sources[7], sources[9], vace[6])]
    longer = graph.node("PreviewImage", images=sources[1])
    cut = graph.node("ImageFromBatch", image=sources[1], batch_index=0, length=sources[9])
    cut = graph.node("PreviewImage", images=cut)
    run = graphs.succeeded(host.run(graph.prompt))
    assert [run.outputs[node.id]["text"][0] for node in numbers] == [str(made), str(fps), str(kept), str(kept)]
    assert [len(run.files(node)) for node in (shown, cut, longer)] == [kept, kept, made]
    for path in run.files(shown):
        assert Image.open(path).convert("RGB").getpixel((4, 4)) == (0x22, 0x44, 0xAA)
    notices = " ".join(run.outputs[sources.id]["unison_notices"])
    assert ("video1 gives 6 frames: 9 are made" in notices) == (length == "whole")

    import av

    with av.open(str(run.files(video)[0])) as container:
        stream = container.streams.video[0]
        assert (stream.average_rate, sum(1 for _ in container.decode(stream))) == (fps, kept)


def test_a_video_file_keeps_its_sound_and_its_frames(host):
    """LoadVideo's file is read frame by frame, not as a whole."""
    graph = Graph()
    frames = graph.node("EmptyImage", width=64, height=64, batch_size=9, color=0x2244AA)
    sound = graph.node("EmptyAudio", duration=0.375, sample_rate=44100, channels=2)
    saved = graphs.save_video(graph, graph.node("CreateVideo", images=frames, fps=24.0, audio=sound))
    (path,) = graphs.succeeded(host.run(graph.prompt)).files(saved)
    (host.input_folder / "sound.mp4").write_bytes(path.read_bytes())

    graph = Graph()
    clip = graph.node("LoadVideo", file="sound.mp4")
    mask = graph.node("SolidMask", value=1.0, width=64, height=64)
    planner = graph.node("UnisonPlanner", instruction="Turn the car in <video1> red.", video1=clip, mask1=mask)
    sources = graph.node("UnisonPrepareSources", plan=planner)
    shown = graph.node("PreviewImage", images=sources[1])
    audio = graph.node("PreviewAny", source=sources[8])
    run = graphs.succeeded(host.run(graph.prompt))
    assert len(run.files(shown)) == 9
    assert "waveform" in run.outputs[audio.id]["text"][0]


def test_mask_options(host):
    graph = Graph()
    picture = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0xFF0000)
    small = graph.node("SolidMask", value=1.0, width=8, height=8)
    black = graph.node("SolidMask", value=0.0, width=64, height=64)
    mask = graph.node("MaskComposite", destination=black, source=small, x=28, y=28, operation="add")
    planner = graph.node("UnisonPlanner", instruction="Make the car in <image1> blue.", image1=picture, mask1=mask)
    sources = graph.node("UnisonPrepareSources", plan=planner, mask_grow=4, mask_fill="box", mask_blur=0.0)
    shown = graph.node("PreviewImage", images=graph.node("MaskToImage", mask=sources[2]))
    run = graphs.succeeded(host.run(graph.prompt))
    levels = Image.open(run.files(shown)[0]).convert("L")
    assert [levels.getpixel((x, 32)) for x in (23, 24, 32, 39, 40)] == [0, 255, 255, 255, 0]


def test_an_edit_ends_with_the_source_where_it_was_kept(host):
    graph = Graph()
    picture = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0x336699)
    small = graph.node("SolidMask", value=1.0, width=16, height=16)
    black = graph.node("SolidMask", value=0.0, width=64, height=64)
    mask = graph.node("MaskComposite", destination=black, source=small, x=24, y=24, operation="add")
    new = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0xFFFFFF)
    planner = graph.node("UnisonPlanner", instruction="Make the car in <image1> blue.", image1=picture, mask1=mask)
    sources = graph.node("UnisonPrepareSources", plan=planner)
    by_sources = graph.node(
        "PreviewImage", images=graph.node("UnisonComposite", images=new, sources=sources, feather=0)
    )
    own = graph.node("UnisonComposite", images=new, source=picture, mask=mask, feather=4)
    by_hand = graph.node("PreviewImage", images=own)
    run = graphs.succeeded(host.run(graph.prompt))
    hard, soft = (Image.open(run.files(node)[0]).convert("RGB") for node in (by_sources, by_hand))
    assert [hard.getpixel((x, 32)) for x in (0, 23, 24, 39, 40)] == [(0x33, 0x66, 0x99)] * 2 + [(255,) * 3] * 2 + [
        (0x33, 0x66, 0x99)
    ]
    row = [soft.getpixel((x, 32))[0] for x in range(18, 25)]
    assert row == sorted(row)
    assert (row[0], row[-1]) == (0x33, 255)
    assert len(set(row)) == 6


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("sources", "source"), "source has no effect alone: connect both"),
        (("sources", "mask"), "mask has no effect alone: connect both"),
        (("mask",), "mask has no effect alone: connect both"),
        ((), "connect sources, or source and mask"),
    ],
)
def test_a_composite_takes_source_and_mask_together(host, names, message):
    graph = Graph()
    picture = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0x336699)
    planner = graph.node("UnisonPlanner", instruction="Create a 64x64 picture of a hat.")
    inputs = {
        "sources": graph.node("UnisonPrepareSources", plan=planner),
        "source": picture,
        "mask": graph.node("SolidMask", value=1.0, width=64, height=64),
    }
    given = {name: inputs[name] for name in names}
    graph.node("PreviewImage", images=graph.node("UnisonComposite", images=picture, feather=0, **given))
    run = host.run(graph.prompt)
    assert run.status == "rejected"
    assert message in run.why


def test_a_composite_leaves_what_is_no_edit_alone(host):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="Create a 64x64 picture of a hat.")
    sources = graph.node("UnisonPrepareSources", plan=planner)
    new = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0x123456)
    shown = graph.node("PreviewImage", images=graph.node("UnisonComposite", images=new, sources=sources, feather=4))
    run = graphs.succeeded(host.run(graph.prompt))
    assert Image.open(run.files(shown)[0]).convert("RGB").getpixel((5, 5)) == (0x12, 0x34, 0x56)


def test_cfg_0_is_the_guidance_that_suits_the_model(host):
    """The demo models' is 3, noted on the MODEL and kept through patches; any other's is the reference's."""
    graph = Graph()
    models, planner = graphs.planned(graph, STILL)
    made = {cfg: graphs.all_in_one(graph, models, planner, cfg=cfg) for cfg in (0.0, 3.0, 5.0)}
    saved = {cfg: graphs.save_image(graph, node[0], f"cfg{cfg:g}") for cfg, node in made.items()}
    patched = graph.node("ModelSamplingSD3", model=models[0], shift=5.0)
    told = {"models": models[5], "patched": graph.node("UnisonGuidance", model=patched)[0]}
    texts = {name: graph.node("PreviewAny", source=source) for name, source in told.items()}
    run = graphs.succeeded(host.run(graph.prompt))
    pixels = {cfg: Image.open(run.files(node)[0]).tobytes() for cfg, node in saved.items()}
    assert pixels[0.0] == pixels[3.0] != pixels[5.0]
    assert {name: run.outputs[node.id]["text"] for name, node in texts.items()} == {
        "models": ["3.0"],
        "patched": ["3.0"],
    }


def test_a_model_of_the_persons_own_has_the_references_guidance(host):
    import shutil

    from unison_backend.demo.set import shipped

    target = host.base / "models" / "diffusion_models" / "own_vace.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(shipped().vace, target)
    graph = Graph()
    demo = graph.node("UnisonDemoModels")
    own = graph.node("UNETLoader", unet_name="own_vace.safetensors", weight_dtype="default")
    models = graph.node("UnisonDemoModels", model=own, clip=demo[1], vae=demo[2])
    shown = graph.node("PreviewAny", source=models[5])
    assert graphs.succeeded(host.run(graph.prompt)).outputs[shown.id]["text"] == ["5.0"]


def test_a_sampler_can_be_chosen_by_name(host):
    """One of the host's runs in place of ours; what is connected wins over the name."""
    graph = Graph()
    models, planner = graphs.planned(graph, STILL)
    euler = graph.node("KSamplerSelect", sampler_name="euler")
    made = {
        "ours": graphs.all_in_one(graph, models, planner),
        "named": graphs.all_in_one(graph, models, planner, sampler_name="euler"),
        "connected": graphs.all_in_one(graph, models, planner, sampler_name="heun", sampler=euler),
    }
    saved = {name: graphs.save_image(graph, node[0], name) for name, node in made.items()}
    run = graphs.succeeded(host.run(graph.prompt))
    pixels = {name: Image.open(run.files(node)[0]).tobytes() for name, node in saved.items()}
    assert pixels["named"] == pixels["connected"] != pixels["ours"]


def test_every_sampler_that_is_offered_is_the_hosts(host):
    offered = host.object_info("UnisonVACESampler")["input"]["optional"]["sampler_name"][1]["options"]
    known = host.object_info("KSamplerSelect")["input"]["required"]["sampler_name"]
    assert set(offered) - {"unipc"} <= set(known[0] if isinstance(known[0], list) else known[1]["options"])
