"""What a run tells before anything is made: words and media that the embedded models know nothing of."""

import numpy as np
from PIL import Image

from unison_backend.cli.run import _say_what_is_unknown
from unison_backend.pipeline.planning import make_plan
from unison_backend.plan.prompt import parse_paths


def test_a_photograph_is_told_with_its_file_name_beside_unknown_words(tmp_path, capsys):
    light = np.linspace(0, 255, 64)[None, :, None] * np.array([1, 0.7, 0.4])
    photo = light + np.linspace(0, 90, 64)[:, None, None] * np.array([0.2, 0.9, 1])
    Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8)).save(tmp_path / "photo.png")
    Image.new("RGB", (64, 64), (230, 25, 25)).save(tmp_path / "plain.png")

    def told(instruction):
        _say_what_is_unknown(make_plan(parse_paths(instruction)))
        return capsys.readouterr().err

    said = told(f"Create a picture of the dog in ###{tmp_path / 'photo.png'}### on a beach.")
    assert "names none of the shapes" in said and f"note: {tmp_path / 'photo.png'}: more colours than flat" in said
    assert said.count("wan_2.1_vae.safetensors") == 2
    assert told(f"Create a picture of the star in ###{tmp_path / 'plain.png'}### on a beach.") == ""
    assert "so the answer is a guess" in told(f"What is the star in ###{tmp_path / 'photo.png'}###?")
