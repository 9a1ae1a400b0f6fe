"""The models of a run on a server: by the names that its loaders list, found as `weights.find` finds files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import InputError
from ..plan.controls import weighted_kinds
from ..weights.find import first_named
from ..weights.needs import need_of
from .server import Server

# Where each model is loaded on the server, and by which input.
LOADERS = {
    "vace": ("UNETLoader", "unet_name"),
    "text_encoder": ("CLIPLoader", "clip_name"),
    "vae": ("VAELoader", "vae_name"),
    "planner": ("UnisonLoadPlanner", "planner"),
    "lora": ("UnisonLoadPlanner", "lora"),
    "projector": ("UnisonLoadProjector", "projector"),
    "detector": ("UnisonLoadDetector", "detector"),
    "segmenter": ("UnisonLoadSegmenter", "segmenter"),
    "control_model": ("UnisonLoadControlModel", "control"),
    "loras": ("LoraLoaderModelOnly", "lora_name"),
}
REQUIRED = ("vace", "text_encoder", "vae")
# What loaders list beside models, and where there is none.
_WORDS = {"flow": "raft"}
_NO_MODELS = ("auto", "rules", "none", "none found")


@dataclass(frozen=True)
class ServerModels:
    """Names on the server by `LOADERS`' keys. Without `vace` the embedded set makes the result."""

    names: Mapping[str, str] = field(default_factory=dict)
    loras: tuple[tuple[str, float], ...] = ()
    controls: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def embedded(self) -> bool:
        """Whether the server's pack makes it with its embedded models."""
        return "vace" not in self.names

    def control_model(self, kind: str | None) -> str | None:
        """Which model makes that map: the named one, else the first whose name says so; None where it takes none."""
        if kind not in weighted_kinds():
            return None
        word = _WORDS.get(kind, kind)
        return self.names.get("control_model") or next((n for n in self.controls if word in n.lower()), None)

    @property
    def finds_masks(self) -> bool:
        """Whether what an instruction names can be looked for."""
        return {"detector", "segmenter"} <= self.names.keys()


def choose(server: Server, given: Mapping[str, str], loras: Iterable[tuple[str, float]] = ()) -> ServerModels:
    """What the server has. given: names that the person chose, by `LOADERS`' keys.

    Raises InputError for a name that the server does not list, or models of which only some are there; ServerError.
    """
    listed = {key: _listed(server, key) for key in LOADERS}
    names = {key: _named(server, key, name, listed[key]) for key, name in given.items()}
    chosen = tuple((_named(server, "loras", name, listed["loras"]), strength) for name, strength in loras)
    controls = tuple(listed["control_model"])
    found = {key: names.get(key) or first_named(listed[key], key) for key in REQUIRED}
    asked_for = chosen or not given.keys().isdisjoint(REQUIRED)
    if found["vace"] is None and not asked_for:
        role = need_of("vace").role
        told = f"the ComfyUI at {server.url} lists no {role}: its pack's embedded demo models make the result"
        return ServerModels(_annotators(names, listed), (), controls, (told,))
    names |= {**_annotators(names, listed), **_whole(server, found)}
    return ServerModels(_with_projector(names, listed), chosen, controls, (_told(server, names),))


def _annotators(names: Mapping[str, str], listed: Mapping[str, list[str]]) -> dict[str, str]:
    """Those that are named, and the first detector and segmenter of those that are not."""
    firsts = {key: listed[key][0] for key in ("detector", "segmenter") if listed[key]}
    return firsts | {key: names[key] for key in ("detector", "segmenter", "control_model") if key in names}


def _whole(server: Server, found: Mapping[str, str | None]) -> dict[str, str]:
    """All that a picture takes. Raises InputError when some of it is missing."""
    if absent := [need_of(key) for key, name in found.items() if name is None]:
        what = ", ".join(f"{need.role} (models/{need.folders[0]}/)" for need in absent)
        raise InputError(f"the ComfyUI at {server.url} lists no {what}: put it there, or name the file it has")
    return {key: name for key, name in found.items() if name is not None}


def _listed(server: Server, key: str) -> list[str]:
    return [name for name in server.choices(*LOADERS[key]) if name not in _NO_MODELS]


def _named(server: Server, key: str, name: str, listed: list[str]) -> str:
    """A name as the server has it; one without its folder will do."""
    for choice in listed:
        if name == choice or name == choice.replace("\\", "/").rpartition("/")[2]:
            return choice
    shown = f"it lists {', '.join(listed[:8])}{' ...' if len(listed) > 8 else ''}" if listed else "it lists none"
    raise InputError(f"the ComfyUI at {server.url} has no {key.replace('_', ' ')} {name!r:.120}: {shown}")


def _with_projector(names: dict[str, str], listed: Mapping[str, list[str]]) -> dict[str, str]:
    """A planning LoRA says that the server's planner gives features; a merged folder has to be named."""
    if "planner" not in names and listed["planner"] and listed["lora"]:
        names = {**names, "planner": listed["planner"][0], "lora": names.get("lora", listed["lora"][0])}
    if "planner" in names and "projector" not in names and listed["projector"]:
        names = {**names, "projector": listed["projector"][0]}
    return (
        names if "planner" in names else {key: name for key, name in names.items() if key not in ("lora", "projector")}
    )


def _told(server: Server, names: Mapping[str, str]) -> str:
    return f"made by the ComfyUI at {server.url} with {', '.join(names[key] for key in REQUIRED)}"
