"""A server's interface: what it is asked, and each way in which it can fail as one sentence."""

from io import BytesIO

import pytest

from unison_backend.comfy.server import TOKEN_VARIABLE, Server
from unison_backend.errors import Cancelled, InputError, ServerError

from ..comfy_server import Comfy, combo, serving


@pytest.fixture
def comfy():
    with serving(Comfy()) as running:
        yield running


def test_a_comfyui_with_the_pack_is_fine_and_hears_the_token(comfy, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "a secret")
    Server(comfy.url + "/").check()
    assert set(comfy.tokens) == {"Bearer a secret"}


def test_no_token_is_sent_unless_given(comfy, monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    Server(comfy.url).check()
    assert set(comfy.tokens) == {None}


def test_one_without_the_pack_says_what_to_install(comfy):
    comfy.nodes.clear()
    with pytest.raises(ServerError, match="has no node UnisonPlanFromJSON: install or update ComfyUI-Unison"):
        Server(comfy.url).check()


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (302, "sends on to another address"),
        (401, f"wants to know who asks .401.: put its token into {TOKEN_VARIABLE}"),
        (403, "wants to know who asks"),
        (413, "larger --max-upload-size"),
        (500, "/system_stats answers 500"),
        (200, "does not answer in JSON: is it a ComfyUI"),
    ],
)
def test_each_refusal_is_a_sentence(comfy, status, told):
    comfy.statuses = [status]
    with pytest.raises(ServerError, match=told) as caught:
        Server(comfy.url).check()
    assert not caught.value.lost
    assert comfy.url in str(caught.value)


def test_nobody_there_is_told_as_lost():
    with pytest.raises(ServerError, match=r"no answer from ComfyUI at http://127\.0\.0\.1:9 ") as caught:
        Server("127.0.0.1:9").check()
    assert caught.value.lost


def test_hanging_up_is_told_as_lost(comfy):
    comfy.statuses = [0]
    with pytest.raises(ServerError, match="no answer") as caught:
        Server(comfy.url).check()
    assert caught.value.lost


@pytest.mark.parametrize(
    "url", ["", "ftp://a", "file:///etc/passwd", "http://", "http://a:b", "http://a/?x=1", "http://a:99999"]
)
def test_what_is_no_address_is_refused_before_anything_is_sent(url):
    with pytest.raises(InputError, match="no address of a ComfyUI"):
        Server(url)


def test_a_password_in_the_address_is_refused_without_being_repeated():
    with pytest.raises(InputError, match=TOKEN_VARIABLE) as caught:
        Server("http://me:secret@127.0.0.1:8188")
    assert "secret" not in str(caught.value)


def test_choices_in_both_forms_of_a_host(comfy):
    comfy.nodes |= combo("VAELoader", "vae_name", ["a"]) | combo("UNETLoader", "unet_name", ["b", "c"], new=True)
    server = Server(comfy.url)
    assert server.choices("VAELoader", "vae_name") == ["a"]
    assert server.choices("UNETLoader", "unet_name") == ["b", "c"]
    assert server.choices("UNETLoader", "other") == server.choices("Nothing", "name") == []


def test_an_upload_arrives_byte_by_byte(comfy):
    data = bytes(range(256)) * 9000
    assert Server(comfy.url).upload("a.bin", BytesIO(data), "unison") == "unison/a.bin"
    assert comfy.files == {"a.bin": data}


def test_an_upload_can_be_stopped(comfy):
    with pytest.raises(Cancelled):
        Server(comfy.url).upload("a.bin", BytesIO(b"x"), "unison", lambda: True)
    assert comfy.files == {}


def test_a_refused_graph_says_which_node_lacks_what(comfy):
    comfy.refuses = {
        "error": {"message": "Prompt outputs failed validation"},
        "node_errors": {"vae": {"class_type": "VAELoader", "errors": [{"details": "vae_name: 'x' not in []"}]}},
    }
    with pytest.raises(ServerError, match=r"does not take the graph: VAELoader: vae_name: 'x' not in \[\]"):
        Server(comfy.url).queue({})
