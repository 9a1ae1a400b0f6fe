"""The subgraph Unison: from one sentence and its media to a picture, a video or an answer; and graphs around it."""

from __future__ import annotations

from functools import cache
from typing import Any

from workflow_builder import Node, Workflow
from workflow_layout import arrange, box, column, row
from workflow_parts import BLUE, CYAN, GREEN, IDS, PURPLE, RED, YELLOW
from workflow_subgraph import Port, Subgraph, Way, promoted

CATEGORY = "Video generation and editing/Video Edit"
DESCRIPTION = (
    "One sentence makes or edits pictures and videos, and answers questions about them: the words and the connected "
    "media decide the task. Name media in the sentence, as in <image1>. Nothing connected to model, clip and vae: tiny "
    "demo models, which know coloured shapes."
)
MODELS = ("model", "clip", "vae", "planner", "projector")
MEDIA = ("image1", "image2", "video1", "mask1", "mask2")
FINDERS = ("detector", "segmenter", "control_model")
STEPS = 20
LABELS = {
    "image1": "picture 1 <image1>",
    "image2": "picture 2 <image2>",
    "video1": "video 1 <video1>",
    "mask1": "mask 1 <mask1>",
    "mask2": "mask 2 <mask2>",
    "control_model": "control model",
}


def ports() -> list[Port]:
    """Sockets, then widgets: the order that a node has them in."""
    kinds = {"model": "MODEL", "clip": "CLIP", "vae": "VAE", "planner": "UNISON_PLANNER",
             "projector": "UNISON_PROJECTOR"}  # fmt: skip
    return [
        *(Port(name, kinds[name]) for name in MODELS),
        *(promoted("UnisonPlanner", name, label=LABELS[name]) for name in MEDIA),
        *(promoted("UnisonPrepareSources", name, label=LABELS.get(name)) for name in FINDERS),
        promoted("UnisonPlanner", "instruction"),
        promoted("UnisonPlanner", "output"),
        promoted("UnisonVACESampler", "seed"),
        promoted("UnisonVACESampler", "steps", default=STEPS),
        promoted("UnisonVACESampler", "cfg", label="cfg (0: the model's own)", default=0.0),
    ]


@cache
def unison(name: str = "Unison", description: str = DESCRIPTION, category: str = CATEGORY) -> Subgraph:
    """The subgraph under a name; all of them are the same inside."""
    inner = Workflow(name, name, IDS)
    made = Subgraph(name, description, category, inner, ports())
    given = {port.name: made.port(port.name) for port in made.inputs}
    models = inner.node("models", "UnisonDemoModels", **{name: given[name] for name in MODELS})
    planner = inner.node("planner", "UnisonPlanner", media="named",
                         planner=models["planner"],
                         **{key: given[key] for key in ("instruction", "output", *MEDIA)})  # fmt: skip
    plan = planner["plan"]
    projector = inner.node("projector", "UnisonProjector", projector=models["projector"],
                           features=planner["features"])  # fmt: skip
    words = inner.node("text", "UnisonTextContext", clip=models["clip"], plan=plan, projected=projector["projected"])
    sources = inner.node("sources", "UnisonPrepareSources", plan=plan, length="whole",
                         **{key: given[key] for key in FINDERS})  # fmt: skip
    sampler = inner.node("sampler", "UnisonVACESampler", model=models["model"], positive=words["positive"],
                         negative=words["negative"], vae=models["vae"], sources=sources["sources"],
                         **{key: given[key] for key in ("seed", "steps", "cfg")})  # fmt: skip
    kept = inner.node("composite", "UnisonComposite", images=sampler["images"], sources=sources["sources"])
    results = inner.node("route_modality", "UnisonRouteModality", plan=plan, value=kept["images"])
    answers = inner.node("route_answer", "UnisonRouteModality", plan=plan, value=planner["answer"])
    video = inner.node("create_video", "CreateVideo", images=results["video"], fps=sources["fps"],
                       audio=sources["audio"])  # fmt: skip
    made.outputs += [
        Way("image", results["image"]),
        Way("video", video["VIDEO"]),
        Way("answer", answers["text"]),
        Way("plan", plan),
    ]
    layout = row(
        column(box("Plan", BLUE, ["planner"]), box("Models", YELLOW, ["models"])),
        column(box("Text", CYAN, ["projector"], ["text"]), box("Sources", GREEN, ["sources"])),
        box("Sampling", PURPLE, ["sampler", "composite"]),
        box("Picture, video or answer", RED, ["route_modality", "create_video", "route_answer"]),
    )
    arrange(inner, layout)
    return made


def unison_node(workflow: Workflow, instruction: str, **given: Any) -> Node:
    """The subgraph as a node of a workflow."""
    return workflow.node("unison", unison().id, title="Unison", instruction=instruction, **given)


# A short name for each intent, with the words that people search: the frontend's search looks at the first thirty
# characters of a name, and at no description. Then where it stands, what it is for, and a sentence to start from, which
# the embedded models can do with the sample media.
BLUEPRINTS = {
    "Unison": (CATEGORY, DESCRIPTION, "Create a 64x64 image of a red circle on a blue background."),
    "Text to Image (Unison)": (
        "Image generation and editing/Text to image",
        "Makes a picture from a sentence.",
        "Create a 64x64 image of a red circle on a blue background.",
    ),
    "Text to Video (Unison)": (
        "Video generation and editing/Text to video",
        "Makes a video from a sentence.",
        "Create a 64x64 video of a white circle moving to the right on a purple background, 9 frames.",
    ),
    "Image Edit (Unison)": (
        "Image generation and editing/Edit image",
        "Changes a picture as a sentence says, inside a painted mask, or where a detector finds the thing.",
        "Make the square in <image1> red.",
    ),
    "Inpaint with a Mask (Unison)": (
        "Image generation and editing/Inpaint image",
        "Fills what is painted on a picture with what a sentence says; the rest stays to the bit.",
        "Add a yellow star in the middle of <image1>.",
    ),
    "Object Removal (Unison)": (
        "Image generation and editing/Inpaint image",
        "Takes a thing out of a picture or video: paint over it, or name it where a detector is connected.",
        "Remove the square from <image1>.",
    ),
    "Outpaint (Unison)": (
        "Image generation and editing/Outpaint image",
        "Makes a picture or video larger beyond its edges.",
        "Extend <image1> to the left.",
    ),
    "Video Edit (Unison)": (
        CATEGORY,
        "Changes a thing in a video as a sentence says, with a mask or a detector.",
        "Make the circle in <video1> yellow.",
    ),
    "Image to Video (Unison)": (
        "Video generation and editing/Image to video",
        "Sets a picture in motion: the first frame, the last, or both.",
        "Make a video of 9 frames that starts with <image1>: the circle moves to the right.",
    ),
    "Animate a Picture (Unison)": (
        "Video generation and editing/Image to video",
        "Sets a picture in motion as a sentence says.",
        "Animate <image1>, 9 frames: the circle moves to the right.",
    ),
    "Reference to Video (Unison)": (
        "Video generation and editing/Conditioned",
        "Makes a picture or video with who or what is shown in one or more pictures.",
        "Create a 64x64 video of the star in <image1> moving to the right on a green background, 9 frames.",
    ),
    "Follow a Map (Unison)": (
        "Video generation and editing/Conditioned",
        "Makes a picture or video that follows a depth, pose, edge, scribble, flow or grey map.",
        "Draw a yellow star on a purple background with the edge map <image1>.",
    ),
    "Ask a Question (Unison)": (
        "Text Tools",
        "Answers questions about a picture or video. The embedded planner knows coloured shapes only, Qwen2.5-VL the "
        "world.",
        "What colour is the circle in <image1>?",
    ),
    "Caption (Unison)": (
        "Text Tools",
        "Describes a picture or video. The embedded planner knows coloured shapes only, Qwen2.5-VL the world.",
        "Describe <image1> in one sentence.",
    ),
}


def blueprint(name: str) -> Workflow:
    """A file of one node, which the node library inserts with everything inside."""
    category, description, sentence = BLUEPRINTS[name]
    nested = unison(name, description, category)
    made = Workflow(name, name, {"unison": 1})
    made.node("unison", nested.id, title=name, instruction=sentence)
    made.extra = {"BlueprintDescription": description}
    arrange(made, row(box("Unison", BLUE, ["unison"])))
    made.groups = []
    return made
