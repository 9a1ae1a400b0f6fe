"""The pack's switch in ComfyUI's settings dialog: pressed by a person, read by the server at its next start."""

import json
import os
from pathlib import Path

import comfy_host
import pytest
import sessions
from host_install import find_host

from unison_backend.demo import samples

SETTING = "Unison.SampleMedia"
LOCALES = Path(__file__).resolve().parents[2] / "locales"


def words(language):
    """What the dialog says in a language, out of the pack's own translations."""
    return {
        "label": json.loads((LOCALES / language / "settings.json").read_text("utf-8"))["Unison_SampleMedia"]["name"],
        "group": json.loads((LOCALES / language / "main.json").read_text("utf-8"))["settingsCategories"][
            "Example workflows"
        ],
    }


@pytest.fixture(scope="module")
def presses(tmp_path_factory):
    """Two starts of one host; in each, a press of the switch, and what lay in the input folder before it."""
    install = find_host()
    reason = install if isinstance(install, str) else sessions.find_tools()
    if isinstance(reason, str):
        pytest.skip(f"browser test: {reason}")
    base = tmp_path_factory.mktemp("host")
    env = {"UNISON_CACHE": os.environ.get("UNISON_CACHE") or str(tmp_path_factory.mktemp("cache"))}
    seen = []
    for language in ("en", "zh"):
        with comfy_host.ComfyHost(install, base=base, env=env, watch=False) as host:
            lying = {path.name for path in host.input_folder.glob("unison_*")}
            place = sessions.folder(tmp_path_factory, host, f"settings {language}")
            settings = {"nodes2": False, "scale": 1, "settings": {"Comfy.Locale": language}, "id": SETTING}
            seen.append({"lying": lying, **sessions.drive("settings.mjs", host, settings, place)})
            for path in (*host.input_folder.glob("unison_*"), host.user_folder / "unison" / "sample_media.json"):
                path.unlink(missing_ok=True)
            stored = json.loads((host.user_folder / "default" / "comfy.settings.json").read_text("utf-8"))
            seen[-1]["stored"] = stored[SETTING]
    return seen


def test_the_dialog_names_it_in_the_interfaces_language(presses):
    for found, language in zip(presses, ("en", "zh"), strict=True):
        assert found["label"] == words(language)["label"]
        assert words(language)["group"] in found["page"]


def test_a_press_decides_what_the_next_start_puts_into_the_input_folder(presses):
    first, second = presses
    assert first["lying"] == {file.name for file in samples.files()}
    assert (first["before"], first["after"], first["stored"]) == (True, False, False)
    assert second["lying"] == set()
    assert (second["before"], second["after"], second["stored"]) == (False, True, True)
