"""Chat templates are programs out of a folder: they run apart, end in time or on cancel, and say what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from unison_backend.errors import Cancelled, WeightsError
from unison_backend.planner.qwen import template
from unison_backend.planner.qwen.template import render

MESSAGES = {"messages": [{"role": "user", "content": "\ue8ff"}], "add_generation_prompt": True}
ENDLESS = "{% for i in range(1000000) %}{% for j in range(1000000) %}{% endfor %}{% endfor %}"


def test_what_transformers_renders(demo: Any) -> None:
    own = demo.apply_chat_template(MESSAGES["messages"], add_generation_prompt=True, tokenize=False)
    assert render(demo.get_chat_template(), MESSAGES) == own


def test_a_template_may_use_what_templates_use() -> None:
    text = "{{ messages | tojson }}{% for m in messages %}{{ m.role }}{% break %}{% endfor %}{{ strftime_now('%Y')|int > 0 }}"
    assert render(text, {"messages": [{"role": "user", "content": "\u00e9"}]}) == (
        '[{"role": "user", "content": "\u00e9"}]userTrue'
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{% if %}", "template fails .TemplateSyntaxError"),
        ("{{ raise_exception('only tools here') }}", "template fails .ValueError: only tools here"),
        ("{{ ''.__class__.__mro__ }}", "template fails .SecurityError"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "template fails"),
        ("{{ 'a' * 10000000000 }}", "template fails"),
        ("x" * 200_001, "200001 characters"),
    ],
)
def test_templates_that_fail(text: str, told: str) -> None:
    with pytest.raises(WeightsError, match=told) as error:
        render(text, MESSAGES)
    assert len(str(error.value)) < 400


def test_one_without_an_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "SECONDS", 0.2)
    with pytest.raises(WeightsError, match=r"did not end in 0\.2 seconds"):
        render("{% set x = 'a' %}" + ENDLESS.replace("1000000", "100000"), MESSAGES)


def test_cancel_is_heard_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(template, "SECONDS", 60.0)

    def cancel() -> bool:
        asked.append(True)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        render(ENDLESS.replace("1000000", "99999"), MESSAGES, cancel)
    assert len(asked) == 4
