"""Loaders: the planner, the projector, and the embedded models for graphs that have none of their own."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..unison_backend.demo.set import CFG as DEMO_CFG
from ..unison_backend.errors import InputError
from ..unison_backend.weights.needs import describe, need_of
from . import demo_models, folders, guidance, host, planner_socket
from .loader import Loader
from .prompt_planner import PLAN_BY, PROMPT, load_by
from .schema import ABSENT, ADVANCED, PlannerSocket, ProjectorSocket, schema

AUTO, RULES, NONE = "auto", "rules", "none"
NO_PLANNER = "auto found no Qwen2.5-VL: the rules plan, and questions are not answered."
MODELS = ("model", "clip", "vae")


class UnisonLoadPlanner(io.ComfyNode):
    """A planner from the models folders."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonLoadPlanner",
            "Loaders",
            display_name="Load Planner",
            description="The planner reads the instruction. A Qwen2.5-VL with Unison's planning weights plans, gives "
            "features for the projector and answers questions. A plain one, or another vision-language model, answers "
            "questions; it plans by prompt, or the rules do.",
            search_aliases=["unison", "qwen2.5-vl", "qwen3-vl", "planning lora", "vlm loader"],
            inputs=[
                io.Combo.Input(
                    "planner",
                    options=[AUTO, RULES, *folders.all_planners()],
                    default=AUTO,
                    tooltip="auto: the first Qwen2.5-VL folder with planning weights, else any Qwen2.5-VL, else the "
                    "rules. rules: no weights, plans in milliseconds, cannot answer questions. Folders are looked for "
                    "in models/unison, LLM, VLM, prompt_generator and text_encoders.",
                ),
                io.Combo.Input(
                    "lora",
                    options=[NONE, *folders.adapter_folders()],
                    default=NONE,
                    tooltip="Planning LoRA (a folder with adapter_config.json); none for a merged folder.",
                ),
                io.Combo.Input(
                    "dtype",
                    optional=True,
                    options=["auto", "bf16", "fp16", "fp32"],
                    default="auto",
                    tooltip="auto: as stored.",
                    extra_dict=ADVANCED,
                ),
                io.Combo.Input(
                    "attention",
                    optional=True,
                    options=["auto", "sdpa", "eager"],
                    default="auto",
                    tooltip="auto: sdpa.",
                    extra_dict=ADVANCED,
                ),
                io.Combo.Input(
                    "device",
                    optional=True,
                    options=["auto", "cpu"],
                    default="auto",
                    tooltip="auto: where ComfyUI runs text encoders.",
                    extra_dict=ADVANCED,
                ),
                io.Combo.Input(
                    "plan_by",
                    optional=True,
                    options=list(PLAN_BY),
                    default=PLAN_BY[0],
                    tooltip="Who plans. auto: the model, by its planning weights; one without them that is chosen by "
                    "name by prompt, where llguidance is installed; else the rules. prompt: the model is told what a "
                    "plan is, and held to one. rules: they plan, the model answers and gives features.",
                ),
            ],
            outputs=[PlannerSocket.Output(display_name="planner", tooltip="For the planner node.")],
        )

    @classmethod
    def validate_inputs(cls, planner: str | None, lora: str | None) -> bool | str:
        if planner not in (None, AUTO, RULES) and planner not in folders.all_planners():
            return folders.missing(planner, "planner")
        if lora not in (None, NONE) and lora not in folders.adapter_folders():
            return folders.missing(lora, "lora")
        return True

    @classmethod
    def fingerprint_inputs(
        cls,
        planner: str,
        lora: str,
        dtype: str = AUTO,
        attention: str = AUTO,
        device: str = AUTO,
        plan_by: str = PLAN_BY[0],
    ) -> str:
        folder = folders.all_planners().get(cls._name(planner, plan_by) or "")
        return "|".join((str(folder), folders.stamp(folder), folders.stamp(folders.adapter_folders().get(lora))))

    @classmethod
    def execute(
        cls,
        planner: str,
        lora: str,
        dtype: str = AUTO,
        attention: str = AUTO,
        device: str = AUTO,
        plan_by: str = PLAN_BY[0],
    ) -> io.NodeOutput:
        name = cls._name(planner, plan_by)
        if name is None:
            if plan_by == PROMPT:
                raise InputError(
                    "plan_by is prompt, and planner is rules: choose a model, or set plan_by to auto"
                    if planner == RULES
                    else folders.missing("", "planner")
                )
            told = [f"{NO_PLANNER} What goes there: {describe(need_of('planner'))}"] if planner == AUTO else []
            return io.NodeOutput(planner_socket.PlannerModel(), ui={"unison_notices": told})
        folder = folders.choose(name, folders.all_planners, "planner")
        adapter = None if lora == NONE else folders.choose(lora, folders.adapter_folders, "lora")
        options = {"dtype": dtype, "attention": attention, "device": device}
        loaded = load_by(plan_by, folder, adapter, name, named=planner != AUTO, progress=host.progress_bar(), **options)
        told = [f"auto: {name}"] if planner == AUTO else []
        return io.NodeOutput(loaded, ui={"unison_notices": told})

    @classmethod
    def _name(cls, planner: str, plan_by: str) -> str | None:
        """The model meant; None for the rules."""
        if planner == AUTO:
            return next(iter(folders.all_planners() if plan_by == PROMPT else folders.planner_folders()), None)
        return None if planner == RULES else planner


class UnisonLoadProjector(Loader):
    """The projector's weights."""

    NAME, LISTING, NOTHING = "projector", staticmethod(folders.projector_files), "projector.pth"

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonLoadProjector",
            "Loaders",
            display_name="Load Projector",
            description="The projector turns planner features into 4 extra text tokens. It belongs to the planner "
            "that it was trained with.",
            search_aliases=["unison", "mlp projector", "projector.pth"],
            inputs=[cls.combo("A file in models/unison: projector.pth as published, or safetensors.")],
            outputs=[ProjectorSocket.Output(display_name="projector", tooltip="For the projector node.")],
        )

    @classmethod
    def validate_inputs(cls, projector: str | None) -> bool | str:
        return cls.check(projector)

    @classmethod
    def fingerprint_inputs(cls, projector: str) -> str:
        return cls.stamp(projector)

    @classmethod
    def execute(cls, projector: str) -> io.NodeOutput:
        return io.NodeOutput(planner_socket.load_projector(cls.path(projector)))


class UnisonDemoModels(io.ComfyNode):
    """The embedded set; whatever is connected takes its place."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonDemoModels",
            "Loaders",
            display_name="Models: yours or demo",
            description="Five models for a whole Unison graph. Nothing connected: the tiny embedded set, which runs "
            "on any CPU without a download and knows coloured shapes (64x64, 96x64, 64x96; 9 or 17 frames). Connect "
            "model, clip and vae (and a planner and projector, if you have them) and yours are used instead.",
            search_aliases=["unison", "demo", "embedded models", "test models"],
            inputs=[
                io.Model.Input("model", optional=True, tooltip="Wan2.1-VACE-1.3B, with LoRAs if you like."),
                io.Clip.Input("clip", optional=True, tooltip="UMT5-XXL (Load CLIP, type wan)."),
                io.Vae.Input("vae", optional=True, tooltip="The Wan 2.1 VAE."),
                PlannerSocket.Input(
                    "planner", optional=True, tooltip="With your models and no planner, the rules plan."
                ),
                ProjectorSocket.Input("projector", optional=True, tooltip="Without one there are no projected tokens."),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="Yours, or the demo's."),
                io.Clip.Output(display_name="clip", tooltip="Yours, or the demo's."),
                io.Vae.Output(display_name="vae", tooltip="Yours, or the demo's."),
                PlannerSocket.Output(display_name="planner", tooltip="Yours, the demo's, or the rules."),
                ProjectorSocket.Output(display_name="projector", tooltip="Yours, the demo's, or nothing."),
                io.Float.Output(
                    display_name="cfg", tooltip="The guidance that suits the model: the demo's is 3, else 5."
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        model: Any = ABSENT,
        clip: Any = ABSENT,
        vae: Any = ABSENT,
        planner: Any = ABSENT,
        projector: Any = ABSENT,
    ) -> bool | str:
        given = {"model": model, "clip": clip, "vae": vae, "planner": planner, "projector": projector}
        return cls._problem({name for name, value in given.items() if value is not ABSENT}) or True

    @classmethod
    def _problem(cls, given: set[str]) -> str:
        """Why these inputs cannot be used together, "" when they can."""
        absent = [name for name in MODELS if name not in given]
        if 0 < len(absent) < len(MODELS):
            return f"{', '.join(absent)} must be connected too: demo models do not fit to real ones"
        if "projector" in given and "planner" not in given:
            return "projector belongs to the planner that it was trained with: connect planner too"
        return ""

    @classmethod
    def execute(
        cls, model: Any = None, clip: Any = None, vae: Any = None, planner: Any = None, projector: Any = None
    ) -> io.NodeOutput:
        if model is not None:
            yours = planner or planner_socket.PlannerModel()
            return io.NodeOutput(model, clip, vae, yours, projector, guidance.suiting(model))
        progress = host.progress_bar()
        files = demo_models.ensure(progress)
        return io.NodeOutput(
            demo_models.model(files),
            demo_models.clip(files),
            demo_models.vae(files),
            planner or demo_models.planner(files, progress),
            # The demo projector reads the demo planner's features only.
            demo_models.projector(files) if planner is None else projector,
            DEMO_CFG,
            ui={"unison_notices": [f"demo models: {files.known}"]},
        )


NODES = (UnisonLoadPlanner, UnisonLoadProjector, UnisonDemoModels)
