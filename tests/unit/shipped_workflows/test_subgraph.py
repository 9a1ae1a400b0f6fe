"""The one subgraph, blueprints and app mode."""

from .shipped import BLUEPRINTS, NAMES, SUBGRAPHS, WIRED, read, workflow_of


def nested_of(name):
    (nested,) = workflow_of(name)["definitions"]["subgraphs"]
    return nested


def test_every_workflow_and_blueprint_holds_the_same_subgraph():
    """They differ by name, description and category, and by the ids made of the name."""
    inside = [nested_of(name) for name in NAMES if name not in WIRED]
    inside += [read(SUBGRAPHS / f"{name}.json")["definitions"]["subgraphs"][0] for name in BLUEPRINTS]
    ports = [[entry["name"] for entry in nested["inputs"]] for nested in inside]
    assert all(nested["nodes"] == inside[0]["nodes"] and nested["links"] == inside[0]["links"] for nested in inside)
    assert all(names == ports[0] for names in ports)
    assert len({nested["id"] for nested in inside}) == len(BLUEPRINTS)


def test_the_subgraph_lets_out_what_a_person_sets():
    nested = nested_of("unison_auto")
    names = [entry["name"] for entry in nested["inputs"]]
    assert names[-5:] == ["instruction", "output", "seed", "steps", "cfg"]
    assert {"image1", "image2", "video1", "mask1", "mask2", "detector", "segmenter", "control_model"} < set(names)
    assert [entry["name"] for entry in nested["outputs"]] == ["image", "video", "answer", "plan"]
    links = {link["id"]: link for link in nested["links"]}
    nodes = {node["id"]: node for node in nested["nodes"]}
    for slot, entry in enumerate(nested["inputs"]):
        for number in entry["linkIds"]:
            link = links[number]
            assert (link["origin_id"], link["origin_slot"]) == (-10, slot)
            assert nodes[link["target_id"]]["inputs"][link["target_slot"]]["link"] == number
    for slot, entry in enumerate(nested["outputs"]):
        link = links[entry["linkIds"][0]]
        assert (link["target_id"], link["target_slot"]) == (-20, slot)
        assert link["id"] in nodes[link["origin_id"]]["outputs"][link["origin_slot"]]["links"]
    kinds = [node["type"] for node in nested["nodes"]]
    assert kinds.count("UnisonPrepareSources") == kinds.count("UnisonPlanner") == 1


def test_blueprints_are_found_by_what_people_search():
    """The node library's search sees the first thirty characters of a name."""
    heads = [name[:30].lower() for name in BLUEPRINTS]
    for words in ("text to image", "text to video", "image edit", "video edit", "inpaint", "object removal", "outpaint",
                  "image to video", "animate", "follow a map", "ask", "question", "mask", "caption"):  # fmt: skip
        assert any(words in head for head in heads), words
    for name in BLUEPRINTS:
        made = read(SUBGRAPHS / f"{name}.json")
        (node,), (nested,) = made["nodes"], made["definitions"]["subgraphs"]
        assert node["type"] == nested["id"] and nested["name"] == name and made["links"] == []
        assert "/" in nested["category"] or nested["category"] == "Text Tools"
        assert made["extra"]["BlueprintDescription"] == nested["description"]


def test_app_mode_shows_the_sentence_and_the_results():
    for name in (n for n in NAMES if n not in WIRED):
        made = workflow_of(name)
        nodes = {node["id"]: node for node in made["nodes"]}
        data = made["extra"]["linearData"]
        assert data["inputs"][0][1] == "instruction"
        for number, widget, *_ in data["inputs"]:
            assert widget in [entry["name"] for entry in nodes[number]["inputs"] if "widget" in entry]
        shown = {nodes[number]["type"] for number in data["outputs"]}
        assert shown and shown <= {"SaveImage", "SaveVideo", "UnisonAnswer"}
        assert bool(made["extra"].get("linearMode")) == (name == "unison_app")
