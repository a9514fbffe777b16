"""Lines of a start: addresses, missing credentials, commands that can be pasted."""

from __future__ import annotations

import io

import pytest

from ccproxy_site.process.banner import ready_text
from ccproxy_site.terminal import command_hints
from ccproxy_site.terminal.command_hints import HintedStream, hinted
from interceptor.instances.endpoints import Endpoints
from providers.credentials.credential_states import missing_credentials
from tests.rows import make_provider

ENDPOINTS = Endpoints(
    "http://127.0.0.1:4000", "http://127.0.0.1:8083", "/cfg", "/cfg/ca", "/cfg/db"
)


@pytest.fixture
def far_away(monkeypatch):
    """The command is not on PATH."""
    monkeypatch.setattr(command_hints, "own_path", lambda: "'/my venv/bin/ccproxy'")


@pytest.mark.django_db
def test_a_missing_key_is_named_with_its_command():
    printed = {"type": "command", "auth_config": {"command": "printenv MY_KEY"}}
    make_provider("stored", auth_type="key", secret="sk-1")
    make_provider("empty", auth_type="key", secret="")
    make_provider("off", auth_type="key", secret="", enabled=False)
    make_provider("printed", auth_type="command", auth_config=printed["auth_config"])
    make_provider("other", auth_type="command", auth_config={"command": "pass show key"})
    assert missing_credentials({"MY_KEY": "k"}) == ["no credential for empty: ccproxy setkey empty"]
    both = missing_credentials({})
    assert both == ["no credential for empty, printed: ccproxy setkey NAME"]
    text = ready_text(ENDPOINTS, None, to_tty=False, missing=both)
    assert "  Missing  no credential for empty, printed: ccproxy setkey NAME\n" in text


def test_a_terminal_gets_commands_that_can_be_pasted(far_away):
    text = ready_text(ENDPOINTS, None, to_tty=True)
    assert "Try it: '/my venv/bin/ccproxy' demo" in text
    assert "ccproxy is ready." in text
    assert "Try it: ccproxy demo" in ready_text(ENDPOINTS, None, to_tty=False)
    assert hinted("see ccproxy loginprovider x, not ccproxy-x start or /a/ccproxy start") == (
        "see '/my venv/bin/ccproxy' loginprovider x, not ccproxy-x start or /a/ccproxy start"
    )
    stream = io.StringIO()
    HintedStream(stream).write("with: ccproxy start\n")
    assert stream.getvalue() == "with: '/my venv/bin/ccproxy' start\n"


def test_on_path_the_name_is_enough(monkeypatch):
    monkeypatch.setattr(command_hints, "own_path", lambda: "")
    assert hinted("with: ccproxy start") == "with: ccproxy start"
