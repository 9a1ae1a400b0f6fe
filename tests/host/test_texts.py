"""What a person reads in the frontend: the host serves our translations and help pages, and the English is the schema's.

tests/unit/test_locales.py holds the files to the sources without a host; here they are as the frontend gets them.
"""

import json
from pathlib import Path

import pytest
from comfy_host import PACK

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "js" / "docs").rglob("*.md"))
# A widget that the frontend adds to a seed; no schema speaks of it.
ADDED = "control_after_generate"


@pytest.fixture(scope="module")
def nodes(host):
    """Our nodes as the host describes them."""
    return {name: info for name, info in host.object_info().items() if name.startswith("Unison")}


def described(info):
    """A node's texts in the form of nodeDefs.json."""
    groups = [info["input"].get(group, {}) for group in ("required", "optional")]
    options = {name: spec[1] if len(spec) > 1 else {} for group in groups for name, spec in group.items()}
    outputs = zip(info["output_name"], info["output_tooltips"], strict=True)
    return {
        "display_name": info["display_name"],
        "description": info["description"],
        "inputs": {name: {"name": name, "tooltip": given.get("tooltip")} for name, given in options.items()},
        "outputs": {str(slot): {"name": name, "tooltip": text} for slot, (name, text) in enumerate(outputs)},
    }


def test_english_is_what_the_nodes_say(host, nodes):
    english = {name: entry for name, entry in host.get("/i18n")["en"]["nodeDefs"].items() if name in nodes}
    for entry in english.values():
        entry["inputs"].pop(ADDED, None)
    assert english == {name: described(info) for name, info in nodes.items()}


def test_every_socket_is_explained(nodes):
    for node, info in nodes.items():
        for group in ("inputs", "outputs"):
            for key, entry in described(info)[group].items():
                assert entry["tooltip"], (node, group, key)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_translations_arrive_whole(host, language):
    served = host.get("/i18n")[language]
    for file in ("nodeDefs", "main"):
        text = (ROOT / "locales" / language / f"{file}.json").read_text(encoding="utf-8")
        ours = {"nodeDefs": json.loads(text)} if file == "nodeDefs" else json.loads(text)
        for part, entries in ours.items():
            assert {key: served[part].get(key) for key in entries} == entries


@pytest.mark.parametrize("page", PAGES, ids=lambda page: "-".join(page.parts[-2:]))
def test_help_pages_are_served(host, page):
    """Where the frontend looks: docs/<node>/<language>.md below the pack's web folder."""
    status, body = host.request(f"/extensions/{PACK}/docs/{page.parent.name}/{page.name}")
    assert status == 200
    assert (body if isinstance(body, bytes) else body.encode()) == page.read_bytes()


def test_every_node_has_its_pages(nodes):
    assert {(page.parent.name, page.stem) for page in PAGES} == {
        (node, lang) for node in nodes for lang in ("en", "zh")
    }


def test_the_host_serves_the_pictures_of_the_pages(host):
    """The frontend looks for a page's picture beside the nodes' folders, in the pack's web folder."""
    pictures = sorted((ROOT / "js" / "docs").glob("*.png"))
    assert pictures
    for picture in pictures:
        status, body = host.request(f"/extensions/{PACK}/docs/{picture.name}")
        assert (status, body) == (200, picture.read_bytes())
