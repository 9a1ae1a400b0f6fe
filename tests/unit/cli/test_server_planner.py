"""Planning and answering by a server, from the command line."""

import json

import pytest

from unison_backend.batch.job import Job, Setup, name_of
from unison_backend.cli import main
from unison_backend.plan.prompt import parse_paths
from unison_backend.planner.base import PLANNERS
from unison_backend.planner.choose import PlannerOptions, choose_planner
from unison_backend.planner.prompt.plan_schema import EMPTY
from unison_backend.planner.prompt.planner import PromptPlanner
from unison_backend.planner.prompt.server.address import ServerOptions
from unison_backend.planner.rules.plan import RulesPlanner
from unison_backend.weights.find import ModelPaths

from ..chat_server import error, serving

KITE = json.dumps(EMPTY | {"task": "text_to_video", "num_frames": 72, "other_reading": "text_to_image"})
SKY = json.dumps(EMPTY | {"task": "text_understanding", "answer": "Blue light scatters."})


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("UNISON_SERVER_KEY", raising=False)


def command(capsys, *words):
    status = main([str(word) for word in words])
    heard = capsys.readouterr()
    return status, heard.out, heard.err


def test_a_plan_by_a_server(capsys):
    with serving(KITE) as stub:
        status, out, _ = command(capsys, "plan", "--json", "a kite", "--planner", "server", "--server-url", stub.url)
    made = json.loads(out)
    assert (status, made["task"], made["num_frames"], made["reading"]) == (0, "text_to_video", 73, None)
    assert any("could also be text to image" in reason["text"] for reason in made["reasons"])


def test_a_question_is_answered_in_one_call(capsys):
    with serving(SKY) as stub:
        status, out, err = command(
            capsys, "run", "why is the sky blue?", "--server-url", stub.url, "--model", "tiny", "--quiet"
        )
    assert (status, out) == (0, "Blue light scatters.\n")
    assert "text_understanding" in err
    assert len(stub.requests) == 1


def test_a_demanded_answer_is_asked_for_alone_and_streamed(capsys):
    words = ("run", "the sky", "--make", "answer", "--model", "tiny", "--quiet", "--max-new-tokens", 9)
    with serving("It is blue.") as stub:
        status, out, _ = command(capsys, *words, "--server-url", stub.url)
    assert (status, out) == (0, "It is blue.\n")
    ((body, _),) = stub.requests
    assert body["messages"] == [{"role": "user", "content": "the sky"}]
    assert body["max_tokens"] == 9


def test_lines_are_planned_by_a_server(capsys, tmp_path):
    (tmp_path / "lines.jsonl").write_text('{"prompt": "a kite"}\n{"prompt": "why?"}\n', encoding="utf-8")
    with serving(KITE, SKY) as stub:
        status, out, _ = command(
            capsys, "plan", "--jsonl", tmp_path / "lines.jsonl", "--server-url", stub.url, "--model", "tiny"
        )
    first, second = map(json.loads, out.splitlines())
    assert (status, first["task"], second["answer"]) == (0, "text_to_video", "Blue light scatters.")


def test_a_server_that_fails_leaves_the_plan_to_the_rules_and_the_answer_to_nobody(capsys):
    with serving(error(500, "out of memory")) as stub:
        status, out, _ = command(capsys, "plan", "Create a picture of a kite", "--server-url", stub.url, "--model", "x")
        assert status == 0
        assert "planned by the rules: " in out and "failed (500): out of memory" in out
        status, out, err = command(capsys, "run", "why is the sky blue?", "--server-url", stub.url, "--model", "x")
        assert (status, out) == (1, "")
        assert err.splitlines()[-1] == f"unison: {stub.url}/v1 failed (500): out of memory"


def test_a_batch_answers_and_keeps_its_names_where_there_is_no_server(capsys, tmp_path):
    (tmp_path / "lines.jsonl").write_text('{"prompt": "why is the sky blue?"}\n', encoding="utf-8")
    with serving(SKY) as stub:
        status, _, _ = command(
            capsys, "batch", tmp_path / "lines.jsonl", "--out", tmp_path / "out", "--server-url", stub.url, "--model",
            "tiny", "--quiet",
        )  # fmt: skip
    row = json.loads((tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8"))
    assert (status, row["status"], row["answer"]) == (0, "done", "Blue light scatters.")
    job = Job(1, parse_paths("a kite"))
    plain = Setup(tmp_path, ModelPaths())
    one, other = (Setup(tmp_path, ModelPaths(), PlannerOptions(server=ServerOptions(url))) for url in ("one", "other"))
    assert len({name_of(job, setup) for setup in (plain, one, other)}) == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--planner", "server"), "--planner server takes --server-url"),
        (("--planner", "rules", "--server-url", "localhost"), "not with --planner rules"),
        (("--model", "tiny"), "belong to --server-url, which is missing"),
        (("--server-url", "http://me:secret@host"), "keys belong into the environment variable"),
        (("--server-url", "localhost", "--server-timeout", "0"), "time-out is 0 s"),
    ],
)
def test_what_does_not_go_together(capsys, words, told):
    status, out, err = command(capsys, "plan", "a kite", *words)
    assert (status, out) == (2, "")
    assert told in err and "secret" not in err


def test_who_plans():
    server = ServerOptions("localhost:1")
    assert "server" in PLANNERS
    assert isinstance(choose_planner(PlannerOptions("server", server=server), ModelPaths()), PromptPlanner)
    assert isinstance(choose_planner(PlannerOptions("auto", server=server), ModelPaths()), PromptPlanner)
    assert isinstance(choose_planner(PlannerOptions("auto"), ModelPaths()), RulesPlanner)
