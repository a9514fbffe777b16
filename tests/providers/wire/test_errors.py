from __future__ import annotations

import json

import pytest

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WIRE_FORMATS,
)
from providers.wire.core.sse import SseParser
from providers.wire.errors import error_body, error_event


@pytest.mark.parametrize(
    ("status", "anthropic", "openai", "google"),
    [
        (400, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
        (401, "authentication_error", "authentication_error", "UNAUTHENTICATED"),
        (403, "permission_error", "permission_error", "PERMISSION_DENIED"),
        (404, "not_found_error", "not_found_error", "NOT_FOUND"),
        (413, "request_too_large", "invalid_request_error", "INVALID_ARGUMENT"),
        (429, "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (500, "api_error", "server_error", "INTERNAL"),
        (501, "api_error", "server_error", "UNIMPLEMENTED"),
        (502, "api_error", "server_error", "INTERNAL"),
        (503, "overloaded_error", "server_error", "UNAVAILABLE"),
        (529, "overloaded_error", "server_error", "UNAVAILABLE"),
    ],
)
def test_each_status_has_the_vendors_word(status, anthropic, openai, google):
    assert json.loads(error_body(ANTHROPIC_MESSAGES, status, "m")) == {
        "type": "error",
        "error": {"type": anthropic, "message": "m"},
    }
    for name in (OPENAI_CHAT, OPENAI_RESPONSES, None):
        error = json.loads(error_body(name, status, "m"))["error"]
        assert (error["type"], error["message"], error["param"]) == (openai, "m", None)
        assert "code" in error
    assert json.loads(error_body(GOOGLE_GENERATE, status, "m")) == {
        "error": {"code": status, "message": "m", "status": google}
    }


def test_kind_and_odd_text_survive():
    assert json.loads(error_body(ANTHROPIC_MESSAGES, 401, "x\ud800é", kind="k"))["error"] == {
        "type": "k",
        "message": "x\ud800é",
    }


@pytest.mark.parametrize("name", list(WIRE_FORMATS))
def test_stream_errors_are_one_event_of_the_format(name):
    (event,) = SseParser().feed(error_event(name, 529, "busy\nnow", sequence_number=7))
    data = json.loads(event.data)
    if name == OPENAI_RESPONSES:
        assert event.event == data["type"] == "error"
        assert (data["message"], data["sequence_number"], data["code"]) == (
            "busy\nnow",
            7,
            "server_overloaded",
        )
    else:
        assert event.event == ("error" if name == ANTHROPIC_MESSAGES else "")
        assert data["error"]["message"] == "busy\nnow"
