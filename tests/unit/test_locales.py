"""Help pages and translations against the nodes: every id, type, default and text, in English and in Chinese.

No host is needed: ids, types and defaults come from the snapshot that the host tests keep, texts from the sources.
"""

import ast
import copy
import json
import re
from functools import cache
from pathlib import Path

import pytest

from unison_backend.plan.prompt import Medium, bind_names
from unison_backend.planner.rules import plan as rules

ROOT = Path(__file__).resolve().parents[2]
NODES = json.loads((ROOT / "tests" / "host" / "data" / "nodes.json").read_text(encoding="utf-8"))
LANGUAGES = ("en", "zh")

# Headings of a page, and the words of its tables; Chinese is escaped because sources are ASCII.
HEADINGS = {
    "en": ["Inputs", "Outputs", "How it behaves", "Works with", "Example"],
    "zh": [
        "\u8f93\u5165",
        "\u8f93\u51fa",
        "\u5de5\u4f5c\u65b9\u5f0f",
        "\u642d\u914d\u8282\u70b9",
        "\u793a\u4f8b",
    ],
}
WORDS = {
    "en": {"required": "required", "optional": "optional", "empty": "empty", "any": "any"},
    "zh": {"required": "\u5fc5\u9700", "optional": "\u53ef\u9009", "empty": "\u7a7a", "any": "\u4efb\u610f"},
}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SPAN = re.compile(r"`([^`\n]+)`")
WORD = re.compile(r"[A-Za-z_][\w.-]*")
# A picture lies beside the nodes' folders: ComfyUI serves it from there, without a network.
DOCS = ROOT / "js" / "docs"
PICTURE = re.compile(r"^!\[([^\]\n]+)\]\(([\w-]+\.png)\)$", re.MULTILINE)
TITLES = json.loads((ROOT / "tests" / "host" / "api" / "titles.json").read_text(encoding="utf-8"))
TITLE = re.compile(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)")
# What may stand in backticks besides ids, options and types of the pack's own nodes.
ALLOWED = {
    "stock nodes": "BasicScheduler CLIPLoader CLIPTextEncode CropByBBoxes DrawBBoxes "
    "PrimitiveBoundingBox RTDETR_detect ConditioningCombine ConditioningConcat ConditioningSetMask "
    "ConditioningSetTimestepRange CreateVideo EasyCache GetImageSize GetVideoComponents ImageFromBatch KSampler "
    "KSamplerSelect LoadImage LoadImageMask LoadVideo LoraLoaderModelOnly MaskPreview ModelSamplingSD3 PreviewAny "
    "PreviewImage PrimitiveBoolean SAM3_Detect SamplerCustom SamplerCustomAdvanced SaveImage SaveVideo SplitSigmas "
    "TorchCompileModel TrimVideoLatent UNETLoader VAEDecode VAELoader WanVaceToVideo",
    "their inputs and options": "reference_image wan uni_pc_bh2",
    "files and folders": "models unison my-planner loras LLM VLM prompt_generator text_encoders config.json "
    "adapter_config.json projector.pth detection grounding-dino groundingdino grounding-dino-tiny sam2 sams "
    "optical_flow sam2.1_hiera_large.safetensors depth_anything_v2_vits_fp32.safetensors facebook Kijai sam2-safetensors "
    "DepthAnythingV2-safetensors unison_square.png UNISON_SAMPLE_MEDIA "
    "sam2.1-hiera-large vitpose depth_anything depthanything controlnet_aux Depth-Anything-V2-Small-hf",
    "options that the snapshot leaves out": "auto rules none found",
    "places and pads": "first last IMGPAD VIDPAD",
    "parts of plans that no node has": "borders",
    "addresses and keys": "http localhost v1 example.com THE-KEY UNISON_SERVER_KEY __unison keys",
}
# Names that ComfyUI's own Chinese keeps in English.
KEPT_NAMES = {"fps", "cfg", "clip", "vae", "sigmas", "Latent", "LoRA", "JSON"}
CATEGORY_NAMES_KEPT = {"Unison"}
# Characters with a meaning in the frontend's message format, where these texts have none.
MESSAGE_SYNTAX = set("{}|@")


# ---------------------------------------------------------------------------------------------- what the nodes are


def inputs(node):
    """{id: (type, options, whether it is required)} in the order of the schema."""
    groups = NODES[node]["inputs"]
    return {
        name: (kind, options, group == "required")
        for group in ("required", "optional")
        for name, (kind, options) in groups[group].items()
    }


def with_seed_control(node):
    """The input ids of a node, and the widget that the frontend adds to a seed."""
    extra = any(options.get("control_after_generate") for _, options, _ in inputs(node).values())
    return {*inputs(node), *(["control_after_generate"] if extra else [])}


@cache
def known_words():
    words = {word for names in ALLOWED.values() for word in names.split()}
    for node, shape in NODES.items():
        words |= {node, *inputs(node), *(name for name, _ in shape["outputs"])}
        words |= {str(option) for _, options, _ in inputs(node).values() for option in options.get("options", ())}
        words |= {str(options["default"]).lower() for _, options, _ in inputs(node).values() if "default" in options}
    return words


def read_text(path):
    """A UTF-8 file without a byte order mark."""
    data = path.read_bytes()
    assert not data.startswith(b"\xef\xbb\xbf"), f"{path} has a byte order mark"
    text = data.decode("utf-8")
    assert "\r" not in text and text.endswith("\n") and not text.endswith("\n\n"), path
    return text


def read_json(path):
    """A JSON object in which no key stands twice."""

    def unique(pairs):
        assert len(dict(pairs)) == len(pairs), f"{path}: a key stands twice in {[key for key, _ in pairs]}"
        return dict(pairs)

    return json.loads(read_text(path), object_pairs_hook=unique)


@cache
def locale(language, file="nodeDefs"):
    return read_json(ROOT / "locales" / language / f"{file}.json")


@cache
def page(node, language):
    return read_text(ROOT / "js" / "docs" / node / f"{language}.md")


# ---------------------------------------------------------------------------------------------- help pages


def page_problems(node, language, text):
    """What is wrong with a help page, in words."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    if parts[1::2] != HEADINGS[language]:
        return [f"the headings are {parts[1::2]}"]
    purpose, input_part, output_part, behaviour, partners, example = parts[::2]
    problems = [] if 20 <= text.count("\n") <= 70 else [f"{text.count(chr(10))} lines"]
    if PICTURE.sub("", purpose).strip().count("\n") or purpose.startswith(("#", "|", "-")):
        problems.append("it does not begin with one paragraph")
    problems += list_problems(node, language, input_part, inputs_told(node, language), with_default=True)
    problems += list_problems(node, language, output_part, outputs_told(node, language), with_default=False)
    problems += picture_problems(text) + table_problems(text) + template_problems(node, text)
    for name, part in zip(("behaviour", "partners"), (behaviour, partners), strict=True):
        if not re.search(r"^- \S", part, re.MULTILINE):
            problems.append(f"{name} is no list")
    bare = SPAN.sub("", PICTURE.sub(r"\1", text))
    problems += [f"{sign!r} outside of backticks" for sign in ("<", "`", "](", "http", "![") if sign in bare]
    unknown = {word for span in SPAN.findall(text) for word in WORD.findall(span)} - known_words()
    problems += [f"`{word}` is no id and no name on the list" for word in sorted(unknown)]
    problems += language_problems(language, bare, [purpose, behaviour, partners, example])
    return problems + title_problems(language, text) + example_problems(example)


def inputs_told(node, language):
    """What the page must say of each input: {id: (types, default or None where any will do)}."""
    words, told = WORDS[language], {}
    for name, (kind, options, required) in inputs(node).items():
        default = options.get("default")
        if default is None:
            said = None if kind == "COMBO" else words["required" if required else "optional"]
        elif isinstance(default, str):
            said = f"`{default}`" if kind == "COMBO" else None if default else words["empty"]
        else:
            said = f"`{json.dumps(default)}`"
        told[name] = (types_told(kind, language), said)
    return told


def outputs_told(node, language):
    return {name: (types_told(kind, language), None) for name, kind in NODES[node]["outputs"]}


def types_told(kind, language):
    return {WORDS[language]["any"]} if kind == "COMFY_MATCHTYPE_V3" else set(kind.split(","))


# A line about one id or several that are alike: name, types and default, meaning.
ENTRY = {
    "en": re.compile(r"- \*\*(?P<names>.+?)\*\* \((?P<types>[^,()]+)(?:, (?P<default>[^()]+))?\): (?P<meaning>.+)"),
    "zh": re.compile(
        r"- \*\*(?P<names>.+?)\*\*\uff08(?P<types>[^\uff0c\uff08\uff09]+)(?:\uff0c(?P<default>[^\uff08\uff09]+))?"
        r"\uff09\uff1a(?P<meaning>.+)"
    ),
}


def list_problems(node, language, part, told, with_default):
    """Inputs or outputs, one line each, or one for several that are alike, in the order of the schema."""
    lines = [line for line in part.splitlines() if line]
    found = [ENTRY[language].fullmatch(line) for line in lines]
    if not all(found):
        return [f"a line that is no entry: {line}" for line, match in zip(lines, found, strict=True) if not match]
    problems, names = [], [SPAN.findall(match["names"]) for match in found]
    if (said := [name for group in names for name in group]) != list(told):
        return [f"the list has {said}, the node {list(told)}"]
    titles = locale(language)[node]["inputs" if with_default else "outputs"]
    for match, group in zip(found, names, strict=True):
        if (match["default"] is not None) != with_default:
            problems.append(f"{match['names']} has the default {match['default']}")
        for name in group:
            types, default = told[name]
            if not all(re.search(rf"(?<![A-Z_]){kind}(?![A-Z_])", match["types"]) for kind in types):
                problems.append(f"{name} is {' or '.join(types)}, not {match['types']}")
            if with_default and default not in (None, match["default"]):
                problems.append(f"the default of {name} is {default}, not {match['default']}")
            entry = titles[name if with_default else str(list(told).index(name))]
            if entry["name"] not in match["names"]:
                problems.append(f"the line of {name} does not call it {entry['name']}, as the node does")
    return problems


def picture_problems(text):
    """A page shows one picture at most, behind its first paragraph, small enough for the panel and the published zip."""
    shown = PICTURE.findall(text)
    if len(shown) > 1 or (shown and not text.split("\n")[2].startswith("![")):
        return [f"pictures: {shown}"]
    missing = [name for _, name in shown if not (DOCS / name).is_file()]
    return [f"there is no {name}" for name in missing] or [
        f"{name} has {(DOCS / name).stat().st_size} bytes" for _, name in shown if (DOCS / name).stat().st_size > 40_000
    ]


def table_problems(text):
    """The panel is narrow: it holds two columns, no more."""
    return [f"a table too wide for the panel: {line}" for line in text.splitlines() if line.count("|") > 3]


@cache
def templates_of(node):
    """The titles of the example workflows that the node stands in, at the top or inside of Unison."""
    return {title for title in TITLES.values() if node in kinds_in(title)}


@cache
def kinds_in(title):
    made = json.loads((ROOT / "workflows" / f"{title}.json").read_text(encoding="utf-8"))
    inner = [entry for nested in made.get("definitions", {}).get("subgraphs", ()) for entry in nested["nodes"]]
    return {entry["type"] for entry in (*made["nodes"], *inner)}


def template_problems(node, text):
    """A page names a template that shows the node, where there is one, and none that does not exist."""
    said = {title.replace("\\", "") for title in TITLE.findall(text)}
    if wrong := said - templates_of(node):
        return [f"the node is in no template {name}" for name in wrong]
    return [] if said or not templates_of(node) else ["it names no template, and stands in some"]


def language_problems(language, bare, parts):
    if language == "en":
        return [] if bare.isascii() else [f"not ASCII: {set(c for c in bare if not c.isascii())}"]
    return ["a part without Chinese" for part in parts if not CHINESE.search(part)]


def title_problems(language, text):
    """Nodes are called as they are: the pack's name stands on their badge, and every loader that is named exists."""
    problems = ["`(Unison)` is in no node's title"] if "(Unison)" in text else []
    titles = {entry["display_name"] for entry in locale(language).values()}
    named = re.findall(r"\bLoad (?:[A-Z]\w+)(?: [A-Z]\w+)*", text)
    return problems + [f"no node is called {name!r}" for name in named if not name.startswith(tuple(titles))]


def example_problems(example):
    """A quoted instruction plans to a task that the example names; its sockets are ones that the planner has."""
    problems = []
    for quoted in re.findall(r"^> (.*)$", example, re.MULTILINE):
        instruction = quoted.replace("`", "")
        names = sorted(set(re.findall(r"<(\w+)>", instruction)))
        if strange := set(names) - set(inputs("UnisonPlanner")):
            problems.append(f"the planner has no {strange}")
            continue
        kinds = {name: "video" if name.startswith("video") else "image" for name in names}
        media = {name: Medium(kinds[name], name=name, is_mask=name.startswith("mask")) for name in names}
        task = str(rules.plan(bind_names(instruction, media)).task)
        if f"`{task}`" not in example:
            problems.append(f"{instruction!r} is {task}, which the example does not say")
    return problems


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("node", NODES)
def test_help_pages_are_true(node, language):
    assert page_problems(node, language, page(node, language)) == []


def test_there_are_pages_for_nothing_else():
    found = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.*")}
    shown = {name for node in NODES for language in LANGUAGES for _, name in PICTURE.findall(page(node, language))}
    assert found == {f"{node}/{language}.md" for node in NODES for language in LANGUAGES} | shown
    for node in NODES:
        assert [[name for _, name in PICTURE.findall(page(node, language))] for language in LANGUAGES] == [
            [name for _, name in PICTURE.findall(page(node, "en"))]
        ] * len(LANGUAGES)


def line_kinds(text):
    """Table row, list item, heading, quotation, picture, blank, or text, for every line."""
    return [line[:1] if line[:1] in ("|", "-", "#", ">", "!", "") else "text" for line in text.splitlines()]


@pytest.mark.parametrize("node", NODES)
def test_both_languages_say_the_same(node):
    english, chinese = page(node, "en"), page(node, "zh")
    assert set(SPAN.findall(english)) == set(SPAN.findall(chinese))
    assert line_kinds(english) == line_kinds(chinese)


def test_the_allowed_words_are_all_in_use():
    said = {word for node in NODES for span in SPAN.findall(page(node, "en")) for word in WORD.findall(span)}
    assert {word for names in ALLOWED.values() for word in names.split()} <= said


@pytest.mark.parametrize(
    ("damage", "about"),
    [
        (lambda text: text.replace("`force_plan`", "`forced_plan`"), "`forced_plan` is no id"),
        (lambda text: re.sub(r"- \*\*`temperature`.*\n", "", text), "the list has"),
        (lambda text: text.replace(", `512`)", ", `256`)"), "the default of max_new_tokens"),
        (lambda text: text.replace(", `512`)", ")"), "has the default None"),
        (lambda text: text.replace(", empty)", ", required)"), "the default of instruction"),
        (lambda text: text.replace("## Outputs", "| a | b | c |\n\n## Outputs"), "a table too wide"),
        (lambda text: text.replace("(planner.png)", "(no.png)"), "there is no no.png"),
        (lambda text: text.replace("*One Sentence", "*Two Sentences"), "the node is in no template"),
        (lambda text: re.sub(r"\*One Sentence.*?\*", "it", text), "it names no template"),
        (lambda text: text.replace("VIDEO or IMAGE", "IMAGE"), "video1 is"),
        (lambda text: text.replace("(UNISON_PLAN)", "(PLAN)"), "plan is UNISON_PLAN"),
        (lambda text: text.replace("**`answer`**", "**`reply`**"), "the list has"),
        (lambda text: text.replace("`LoadVideo`", "`LoadMovie`"), "`LoadMovie` is no id"),
        (lambda text: text.replace("`<image1>`,", "<image1>,"), "'<' outside"),
        (lambda text: text.replace("## Works with", "## Partners"), "the headings"),
        (
            lambda text: text.replace("`image_editing`:", "`image_control`:").replace("as `image_editing`", ""),
            "is image_",
        ),
        (lambda text: text.replace("`<mask1>`.\n", "`<mask3>`.\n"), "the planner has no"),
        (lambda text: text.replace("Load Planner", "Load Planer"), "no node is called"),
        (lambda text: text.replace("Projector.", "Projector (Unison)."), "is in no node's title"),
        (lambda text: text.replace("Questions are", "Questions\u2014are"), "not ASCII"),
        (lambda text: text + "\n" * 40, "lines"),
    ],
)
def test_a_damaged_page_is_found(damage, about):
    damaged = damage(page("UnisonPlanner", "en"))
    assert damaged != page("UnisonPlanner", "en")
    assert any(about in problem for problem in page_problems("UnisonPlanner", "en", damaged))


def test_a_page_in_the_wrong_language_is_found():
    english, chinese = page("UnisonGate", "en"), page("UnisonGate", "zh")
    for old, new in zip(HEADINGS["en"], HEADINGS["zh"], strict=True):
        english = english.replace(f"## {old}\n", f"## {new}\n")
    assert "a part without Chinese" in page_problems("UnisonGate", "zh", english)
    name = locale("zh")["UnisonGate"]["inputs"]["condition"]["name"]
    assert any("as the node does" in p for p in page_problems("UnisonGate", "zh", chinese.replace(f"` {name}", "`")))


# ---------------------------------------------------------------------------------------------- translations


def locale_problems(language, data):
    """What is wrong with a nodeDefs.json, in words."""
    if set(data) != set(NODES):
        return [f"nodes that differ: {set(data) ^ set(NODES)}"]
    problems = []
    for node, entry in data.items():
        if set(entry) != {"display_name", "description", "inputs", "outputs"}:
            problems.append(f"{node} has {set(entry)}")
            continue
        outputs = {str(slot) for slot in range(len(NODES[node]["outputs"]))}
        for group, wanted in (("inputs", with_seed_control(node)), ("outputs", outputs)):
            if set(entry[group]) != wanted:
                problems.append(f"{node}.{group} differ: {set(entry[group]) ^ wanted}")
            for key, names in entry[group].items():
                if set(names) != ({"name"} if key == "control_after_generate" else {"name", "tooltip"}):
                    problems.append(f"{node}.{group}.{key} has {set(names)}")
    for where, text in texts(data):
        problems += [f"{where} {problem}" for problem in text_problems(language, where, text)]
    return problems


def texts(data, path=()):
    """(path, string) of every value."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from texts(value, (*path, key))
        else:
            yield (*path, key), value


def text_problems(language, where, text):
    if not isinstance(text, str) or not text.strip() or text != text.strip():
        return [f"is {text!r}"]
    problems = [f"holds {sorted(MESSAGE_SYNTAX & set(text))}"] if MESSAGE_SYNTAX & set(text) else []
    pairs = ("()", "[]", "<>", "\uff08\uff09", "\u201c\u201d")
    problems += [f"has an odd {opens}" for opens, closes in pairs if text.count(opens) != text.count(closes)]
    if language == "en":
        return problems if text.isascii() else [*problems, "is not ASCII"]
    name_kept = where[-1] == "name" and (text in KEPT_NAMES or text in inputs("UnisonRouteTask"))
    return problems if CHINESE.search(text) or name_kept else [*problems, "has no Chinese"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_locales_cover_the_nodes(language):
    assert locale_problems(language, locale(language)) == []


def test_english_names_are_the_ids():
    for node, entry in locale("en").items():
        assert [value["name"] for value in entry["outputs"].values()] == [name for name, _ in NODES[node]["outputs"]]
        for name, value in entry["inputs"].items():
            assert value["name"] == name.replace("control_after_generate", "control after generate")


def test_both_locales_explain_the_same_with_the_same_numbers():
    english, chinese = dict(texts(locale("en"))), dict(texts(locale("zh")))
    assert list(english) == list(chinese)
    for where, text in english.items():
        if where[-1] != "name":
            assert set(re.findall(r"\d+", text)) == set(re.findall(r"\d+", chinese[where])), where


def test_what_is_the_same_in_english_is_the_same_in_chinese():
    translated = {}
    for where, text in texts(locale("en")):
        if where[-1] == "tooltip":
            translated.setdefault(text, set()).add(dict(texts(locale("zh")))[where])
    assert {text: found for text, found in translated.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("damage", "about"),
    [
        (lambda data: data.pop("UnisonGate"), "UnisonGate"),
        (lambda data: data.update(UnisonGuess=data["UnisonGate"]), "UnisonGuess"),
        (lambda data: data["UnisonGate"].pop("description"), "UnisonGate has"),
        (lambda data: data["UnisonGate"]["inputs"].pop("value"), "UnisonGate.inputs differ"),
        (lambda data: data["UnisonGate"]["outputs"].update({"1": {"name": "\u503c"}}), "UnisonGate.outputs differ"),
        (lambda data: data["UnisonVACESampler"]["inputs"].pop("control_after_generate"), "UnisonVACESampler.inputs"),
        (lambda data: data["UnisonGate"]["inputs"]["value"].update(name=""), "is ''"),
        (lambda data: data["UnisonGate"]["inputs"]["value"].update(name=None), "is None"),
        (lambda data: data["UnisonGate"]["inputs"]["value"].update(name="value"), "has no Chinese"),
        (lambda data: data["UnisonGate"]["inputs"]["value"].update(tip="\u503c"), "UnisonGate.inputs.value has"),
        (lambda data: data["UnisonGate"]["outputs"]["0"].pop("tooltip"), "UnisonGate.outputs.0 has"),
        (lambda data: data["UnisonGate"].update(description="\u503c {value"), "holds ['{']"),
        (lambda data: data["UnisonGate"].update(description="\u503c (\u503c"), "has an odd ("),
    ],
)
def test_a_damaged_locale_is_found(damage, about):
    data = copy.deepcopy(locale("zh"))
    damage(data)
    assert any(about in problem for problem in locale_problems("zh", data))


# ---------------------------------------------------------------------------------------------- the sources' own texts


@cache
def sources():
    return [ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "nodes").glob("*.py"))]


@cache
def constants():
    return {n.value for tree in sources() for n in ast.walk(tree) if isinstance(n, ast.Constant)} | set(
        inputs("UnisonRouteTask")
    )


@cache
def tooltip_helpers():
    """{name: place of the argument} of functions in nodes/ that hand their `tooltip` on as it is."""
    places = {}
    for function in (n for tree in sources() for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
        names = [argument.arg for argument in function.args.args if argument.arg not in ("self", "cls")]
        given = [n.value for n in ast.walk(function) if isinstance(n, ast.keyword) and n.arg == "tooltip"]
        if "tooltip" in names and any(isinstance(value, ast.Name) and value.id == "tooltip" for value in given):
            places[function.name] = names.index("tooltip")
    return places


def told_by(call):
    """The texts that a call gives: by keyword, or in a helper's place for its tooltip."""
    yield from (k.value for k in call.keywords if k.arg in ("display_name", "description", "tooltip"))
    place = tooltip_helpers().get(getattr(call.func, "attr", getattr(call.func, "id", "")))
    if place is not None:
        yield from call.args[place : place + 1]


@cache
def schema_texts():
    """What display_name, description and tooltip say in nodes/: plain texts, and patterns of f-strings."""
    plain, patterns = set(), []
    for tree in sources():
        for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
            for value in told_by(call):
                if isinstance(value, ast.Constant):
                    plain.add(value.value)
                elif isinstance(value, ast.JoinedStr):
                    parts = (re.escape(p.value) if isinstance(p, ast.Constant) else "(.*)" for p in value.values)
                    patterns.append("".join(parts))
    return plain, patterns


def stands_in_a_schema(text):
    plain, patterns = schema_texts()
    matches = (re.fullmatch(pattern, text) for pattern in patterns)
    return text in plain or any(match and set(match.groups()) <= constants() for match in matches)


def test_english_texts_are_the_schemas_own():
    for where, text in texts(locale("en")):
        assert where[-1] == "name" or stands_in_a_schema(text), f"{where} is not in nodes/: {text}"


def test_every_text_of_a_schema_is_translated():
    told = {text for _, text in texts(locale("en"))}
    assert schema_texts()[0] - told == set()


def test_a_changed_text_is_found():
    assert stands_in_a_schema("Runs for image_editing.") and not stands_in_a_schema("Runs for image_eating.")
    assert stands_in_a_schema("On: open.") and not stands_in_a_schema("On: opened.")


def test_categories_are_translated():
    calls = [n for tree in sources() for n in ast.walk(tree) if isinstance(n, ast.Call)]
    schemas = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "schema" and len(c.args) == 2]
    assert {call.args[0].value for call in schemas} == set(NODES)
    parts = {"Unison", *(call.args[1].value for call in schemas)}
    for language in LANGUAGES:
        main = locale(language, "main")
        assert list(main) == ["nodeCategories", "settingsCategories"] and set(main["nodeCategories"]) == parts
    assert all(key == value for key, value in locale("en", "main")["nodeCategories"].items())
    chinese = locale("zh", "main")["nodeCategories"]
    assert {key for key, value in chinese.items() if not CHINESE.search(value)} == CATEGORY_NAMES_KEPT


def test_there_is_nothing_else_in_locales():
    found = {path.relative_to(ROOT / "locales").as_posix() for path in (ROOT / "locales").rglob("*.*")}
    assert found == {f"{language}/{file}.json" for language in LANGUAGES for file in ("main", "nodeDefs", "settings")}


def test_settings_are_translated():
    """English is what the script says; keys are the ids as the frontend looks for them."""
    script = re.sub(r'"\s*\+\s*"', "", read_text(ROOT / "js" / "unison_settings.js"))
    said = {name: re.findall(rf'{name}:\s*"(.+?)",', script) for name in ("id", "name", "tooltip")}
    names = dict(zip(said["id"], zip(said["name"][-len(said["id"]) :], said["tooltip"], strict=True), strict=True))
    english, chinese = (locale(language, "settings") for language in ("en", "zh"))
    wanted = {key.replace(".", "_"): {"name": name, "tooltip": tip} for key, (name, tip) in names.items()}
    assert english == wanted and len(wanted) >= 1
    groups = [
        group for line in re.findall(r"category: \[(.+?)\]", script) for group in re.findall(r'"(.+?)"', line)[:2]
    ]
    for language, data in (("en", english), ("zh", chinese)):
        assert [where for where, _ in texts(data)] == [where for where, _ in texts(english)]
        assert [text_problems(language, where, text) for where, text in texts(data)] == [[]] * 2 * len(wanted)
        assert set(locale(language, "main")["settingsCategories"]) == set(groups)
    assert CHINESE.search(locale("zh", "main")["settingsCategories"]["Example workflows"])


def test_files_that_json_would_not_tell_apart_are_found(tmp_path):
    for name, data in {
        "bom": b'\xef\xbb\xbf{"a": 1}\n',
        "twice": b'{"a": 1, "a": 2}\n',
        "crlf": b'{"a": 1}\r\n',
        "latin": '{"a": "\u00e9"}\n'.encode("latin-1"),
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises((AssertionError, UnicodeDecodeError)):
            read_json(tmp_path / name)
