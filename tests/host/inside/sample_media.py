"""Copying the sample media, start after start, into folders of its own."""

import importlib
import os
import tempfile
from pathlib import Path


def main(pack, arguments):
    """What lies in the input folder after each of several starts: {situation: {name: size}}."""
    import folder_paths

    samples = importlib.import_module(f"{pack.__name__}.nodes.sample_media")
    root = Path(tempfile.mkdtemp())
    folder_paths.set_input_directory(str(root / "input"))
    folder_paths.set_user_directory(str(root / "user"))
    (root / "input").mkdir()
    (root / "input" / "unison_star.png").write_bytes(b"mine")

    def start():
        samples.put()
        return {path.name: path.stat().st_size for path in sorted((root / "input").iterdir())}

    found = {}
    os.environ[samples.OFF_VARIABLE] = "0"
    found["off by the environment"] = start()
    del os.environ[samples.OFF_VARIABLE]
    settings = root / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"Unison.SampleMedia": false}')
    found["off by the setting"] = start()
    settings.unlink()
    found["first start"] = start()
    (root / "input" / "unison_circle.mp4").unlink()
    found["after one was deleted"] = start()
    folder_paths.set_input_directory(str(root / "missing"))
    folder_paths.set_user_directory(str(root / "other"))
    samples.put()  # cannot be written: no error
    found["missing folder"] = (root / "missing").exists()
    return found
