"""Plans and answers from a server on the loopback address, and every way in which one fails."""

import base64
import io
import json
import threading
import time

import numpy as np
import openai
import pytest
from PIL import Image

from unison_backend.errors import Cancelled, InputError, UnisonError
from unison_backend.media.from_files import FileMedia
from unison_backend.plan.prompt import parse_pads, parse_paths
from unison_backend.planner.prompt.model import ModelFailed
from unison_backend.planner.prompt.plan_schema import EMPTY
from unison_backend.planner.prompt.planner import PromptPlanner
from unison_backend.planner.prompt.server import listening
from unison_backend.planner.prompt.server.address import ServerOptions
from unison_backend.planner.prompt.server.model import ServerModel

from ... import chat_server
from ...chat_server import cut, error, plain, serving, whole

KEY = "sk-verysecret0123456789"
assert openai.__version__  # the extra `server`, which the tests always have


def said(**values):
    return json.dumps(EMPTY | values)


KITE = said(task="text_to_video", width=640, height=480, num_frames=72)
ASKED = parse_pads("a red kite, 480p, 3 seconds")


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    for name in ("UNISON_SERVER_KEY", "OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def planner_at(url, by_rules=False, **options):
    return PromptPlanner(ServerModel(ServerOptions(url, **options)), by_rules=by_rules)


def failure(answer, **options):
    """What is told when the server gives this answer to a plan."""
    with serving(answer) as stub, pytest.raises(ModelFailed) as caught:
        planner_at(stub.url, **options).plan(ASKED)
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return text.replace(stub.url, "URL")


def test_a_plan_comes_as_a_stream_in_one_request_of_the_shape_that_all_document():
    with serving(KITE) as stub:
        result = planner_at(stub.url, model="tiny").plan(ASKED)
    assert (result.plan.task, result.plan.width, result.plan.num_frames) == ("text_to_video", 640, 72)
    assert result.notices == ()
    ((body, headers),) = stub.requests
    assert stub.paths == ["/v1/chat/completions"]
    assert (body["model"], body["stream"], body["temperature"]) == ("tiny", True, 0)
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["schema"]["properties"]["task"]["enum"][0] == "text_understanding"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert all(isinstance(message["content"], str) for message in body["messages"])
    assert "Authorization" not in headers


def test_the_only_model_of_a_server_needs_no_name():
    with serving(KITE) as stub:
        planner = planner_at(stub.url)
        planner.plan(ASKED)
        planner.plan(ASKED)
    assert [body["model"] for body, _ in stub.requests] == ["tiny", "tiny"]
    assert stub.paths.count("/v1/models") == 1
    with serving(KITE, models=("a", "b")) as stub, pytest.raises(InputError, match=r"which model .* it has a, b"):
        planner_at(stub.url).plan(ASKED)


def test_a_question_costs_one_call():
    with serving(said(task="text_understanding", answer="Because blue light scatters.")) as stub:
        result = planner_at(stub.url, model="tiny").plan(parse_pads("Why is the sky blue?"))
    assert result.plan.answer == "Because blue light scatters."
    assert len(stub.requests) == 1


def test_pictures_go_as_data_and_come_out_as_they_were(tmp_path):
    Image.fromarray(np.full((16, 24, 3), (255, 0, 0), np.uint8)).save(tmp_path / "red.png")
    prompt = parse_paths(f"paint the wall in ###{tmp_path}/red.png### green")
    with serving(said(task="image_editing", source=0, target="wall")) as stub:
        planner_at(stub.url, model="tiny").plan(prompt, media=FileMedia(prompt.media))
    parts = stub.requests[0][0]["messages"][1]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text"]
    kind, data = parts[1]["image_url"]["url"].split(",")
    assert kind == "data:image/jpeg;base64"
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert picture.shape == (16, 24, 3)
    assert abs(picture.astype(int) - (255, 0, 0)).max() < 4
    assert str(tmp_path) not in json.dumps(stub.requests[0][0])


@pytest.mark.parametrize(
    "first",
    [
        error(500, "Input should be 'text' or 'json_object'"),  # llama-cpp-python
        error(400, "response_format type json_schema is not supported"),
        error(422, {"detail": [{"loc": ["body", "response_format"], "msg": "unexpected value"}]}),
    ],
)
def test_a_server_that_takes_json_object_only_is_asked_so_and_it_is_told_and_remembered(first):
    with serving(first, KITE) as stub:
        planner = planner_at(stub.url, model="tiny")
        result = planner.plan(ASKED)
        planner.plan(ASKED)
    assert stub.formats == ["json_schema", "json_object", "json_object"]
    assert stub.requests[1][0]["response_format"]["schema"]["properties"]["width"]
    assert result.plan.num_frames == 72
    assert "schema as json_object" in result.notices[0].text


def test_a_server_without_any_schema_is_asked_in_words():
    no = error(400, "'response_format' is not supported")
    with serving(no, no, f"Here you are:\n```json\n{KITE}\n```") as stub:
        result = planner_at(stub.url, model="tiny").plan(ASKED)
    assert stub.formats == ["json_schema", "json_object", None]
    assert result.plan.width == 640
    assert "takes no schema" in result.notices[0].text


def test_a_server_that_does_not_stream_or_thinks_aloud_is_read():
    for answer in (whole(KITE), f"<think>A {{kite}}.</think>{KITE}"):
        with serving(answer) as stub:
            assert planner_at(stub.url, model="tiny").plan(ASKED).plan.num_frames == 72


def test_a_server_that_ignores_the_schema_is_put_right_once():
    with serving(said(task="text_to_video", width=12, height=480), KITE) as stub:
        assert planner_at(stub.url, model="tiny").plan(ASKED).plan.width == 640
    repaired = stub.requests[1][0]["messages"]
    assert [message["role"] for message in repaired] == ["system", "user", "assistant", "user"]
    assert "width is 12; allowed is 16 to 4096" in repaired[-1]["content"]


def test_prose_twice_is_told():
    told = failure("I would make a lovely video.")
    assert told.startswith("tiny at URL/v1 gave no plan that can be used, asked twice")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (error(401, "Invalid key"), "without its key (401): put it into the environment variable UNISON_SERVER_KEY"),
        (error(403, "no"), "without its key (403)"),
        (error(404, "model not found"), "knows no model 'big', or its address ends differently (404): it has tiny"),
        (error(429, "slow down"), "is busy (429): try again later: slow down"),
        (error(429, "slow down", Retry_After="3600"), "is busy (429); it asks to wait 3600 s"),
        (
            error(400, "maximum context length is 2048 tokens"),
            "does not take the request (400): maximum context length",
        ),
        (error(413, "too large"), "does not take the request (413)"),
        (error(500, "out of memory"), "failed (500): out of memory"),
        (plain(500, "Internal Server Error"), "failed (500): Internal Server Error"),
        (plain(502, "<html>\n<body>Bad gateway</body>"), "failed (502): <html> <body>Bad gateway"),
        (lambda handler, _: handler.send(307, "", Location="http://127.0.0.1:9/"), "another address (307)"),
        (plain(200, "Ollama is running"), "broke off after 0 characters"),
        (chat_server.half, "broke off after 30 characters"),
        (cut('{"task": "text_to'), "gave no plan that can be used, asked twice"),
        (whole("{}"), "gave no plan that can be used, asked twice"),
        (lambda handler, _: handler.send(200, {"hello": 1}), "no chat completion"),
    ],
)
def test_each_failure_is_one_sentence(answer, told):
    assert told in failure(answer, model="big")


def test_a_failure_leaves_the_plan_to_the_rules():
    with serving(error(500, "out of memory")) as stub:
        result = planner_at(stub.url, by_rules=True, model="tiny").plan(ASKED)
    assert (result.plan.task, result.plan.num_frames) == ("text_to_video", 72)
    assert result.notices[0].text == f"planned by the rules: {stub.url}/v1 failed (500): out of memory"


def test_pictures_that_a_server_does_not_take(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    prompt = parse_paths(f"###{tmp_path}/a.png### make it blue")
    for message in ("At most 0 image(s) may be provided", 'can only concatenate str (not "list") to str'):
        with serving(error(500, message)) as stub, pytest.raises(ModelFailed, match="takes no pictures"):
            planner_at(stub.url, model="tiny").plan(prompt, media=FileMedia(prompt.media))


def test_a_busy_server_is_asked_again_when_it_says():
    with serving(error(429, "busy", Retry_After="0.1"), KITE) as stub:
        assert planner_at(stub.url, model="tiny").plan(ASKED).plan.num_frames == 72
    assert len(stub.requests) == 2


def test_nobody_there():
    with serving(KITE) as stub:
        url = stub.url
    with pytest.raises(ModelFailed, match=r"nobody answers at .*/v1 .*: start the server or mend the address"):
        planner_at(url, model="tiny").plan(ASKED)


@pytest.mark.parametrize("answer", [chat_server.silent, chat_server.stuck])
def test_silence_ends_after_its_time(answer):
    assert "said nothing for 0.3 s" in failure(answer, model="tiny", silence=0.3)


@pytest.mark.parametrize("answer", [chat_server.silent, chat_server.stuck])
def test_a_cancel_closes_the_connection(answer):
    with serving(answer) as stub:
        with pytest.raises(Cancelled):
            planner_at(stub.url, model="tiny").plan(ASKED, cancel=lambda: bool(stub.requests))
        assert stub.left.wait(5)


def test_a_cancel_while_it_waits_for_a_busy_server():
    shown = []
    with serving(error(503, "loading", Retry_After="25")) as stub, pytest.raises(Cancelled):
        planner_at(stub.url, model="tiny").plan(
            ASKED, progress=lambda *stage: shown.append(stage), cancel=lambda: len(shown) > 3
        )
    assert len(stub.requests) == 1


def test_an_interrupt_while_it_listens_closes_the_connection():
    def interrupted():
        if stub.requests:
            raise KeyboardInterrupt
        return False

    with serving(chat_server.silent) as stub:
        with pytest.raises(KeyboardInterrupt):
            planner_at(stub.url, model="tiny").plan(ASKED, cancel=interrupted)
        assert stub.left.wait(5)


def test_a_server_that_never_stops_is_left(monkeypatch):
    def endless(handler, _):
        handler.begin()
        try:
            while True:
                handler.event("x" * 1000)
        except OSError:
            stub.left.set()

    monkeypatch.setattr("unison_backend.planner.prompt.server.wire.MOST_HEARD", 20_000)
    with serving(endless) as stub:
        with pytest.raises(ModelFailed, match="does not stop talking: left after 20000"):
            planner_at(stub.url, model="tiny").plan(ASKED)
        assert stub.left.wait(5)


def test_a_key_is_sent_and_never_told(monkeypatch, tmp_path):
    monkeypatch.setenv("MY_KEY", KEY)
    (tmp_path / "key.txt").write_text(f"127.0.0.1 {KEY}\n", encoding="utf-8")
    echo = error(500, f"no quota left for {KEY}")
    for options in ({"key_env": "MY_KEY"}, {"key_file": tmp_path / "key.txt"}):
        told = failure(echo, model="tiny", **options)
        assert "no quota left for (key)" in told
        with serving(KITE) as stub:
            planner_at(stub.url, model="tiny", **options).plan(ASKED)
        assert stub.requests[0][1]["Authorization"] == f"Bearer {KEY}"
        assert KEY not in repr(ServerOptions(stub.url, **options))


def test_keys_and_names_of_other_services_stay_here(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-mine")
    with serving(KITE) as stub:
        planner_at(stub.url, model="tiny").plan(ASKED)
    headers = json.dumps(stub.requests[0][1])
    assert KEY not in headers
    assert "mine" not in headers


def test_a_key_that_names_its_server_goes_to_no_other(monkeypatch):
    monkeypatch.setenv("UNISON_SERVER_KEY", f"api.example.com {KEY}")
    assert ServerOptions("https://api.example.com/v1").key() == KEY
    with pytest.raises(InputError, match="names another server, so it is not sent to evil") as caught:
        ServerOptions("https://evil.example").key()
    assert KEY not in str(caught.value)
    monkeypatch.setenv("UNISON_SERVER_KEY", KEY)
    assert ServerOptions("http://localhost:1", bound_keys=True).key() == KEY
    with pytest.raises(InputError, match="write the server's host in front of it") as caught:
        ServerOptions("https://evil.example", bound_keys=True).key()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"key_env": "NOT_SET_HERE"}, "NOT_SET_HERE, which should hold the server's key, is not set"),
        ({"key_file": "missing.txt"}, "missing.txt cannot be read: No such file"),
        ({"key_file": "broken.txt"}, "broken.txt holds no key"),
    ],
)
def test_a_key_that_is_not_there(options, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.txt").write_text("host one two three\n", encoding="utf-8")
    options = {name: tmp_path / value if name == "key_file" else value for name, value in options.items()}
    with pytest.raises(InputError) as caught:
        ServerOptions("localhost", **options).key()
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("localhost:11434", "http://localhost:11434/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        (" https://example.com/api/v3/ ", "https://example.com/api/v3"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_addresses(url, base):
    assert ServerOptions(url).base == base


@pytest.mark.parametrize(
    "url", ["", "ftp://host", "http://", "http://host:port", "http://a b", "http://me:pw@host", "http://host?key=1"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(UnisonError, match="the server's address") as caught:
        ServerOptions(url)
    assert "pw" not in str(caught.value)


def test_what_is_heard_comes_in_the_callers_thread_and_errors_come_through():
    async def work(say):
        say("one")
        say("two")
        raise LookupError("three")

    heard = []
    with pytest.raises(LookupError, match="three"):
        listening.listen(work, lambda text: heard.append((text, threading.current_thread())), lambda: False, "x")
    assert heard == [("one", threading.main_thread()), ("two", threading.main_thread())]


def test_nothing_is_left_running(monkeypatch):
    with serving(KITE) as stub:
        planner_at(stub.url, model="tiny").plan(ASKED)
    until = time.monotonic() + 5
    while any(thread.name == "unison-server" for thread in threading.enumerate()) and time.monotonic() < until:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name == "unison-server"]
