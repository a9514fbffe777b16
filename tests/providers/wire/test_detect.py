from __future__ import annotations

import json

import pytest

from providers.base.names import ANTHROPIC_MESSAGES, GOOGLE_GENERATE, OPENAI_CHAT, OPENAI_RESPONSES
from providers.wire.detect import (
    action_of,
    client_format,
    endpoint_suffix,
    family_of,
    is_stream,
    model_of,
)

VERTEX = "/v1/projects/p/locations/europe-west4/publishers/google/models/gemini-2.5-pro:streamGenerateContent"


@pytest.mark.parametrize(
    ("path", "expected", "suffix"),
    [
        ("/v1/chat/completions", OPENAI_CHAT, ""),
        ("/chat/completions", OPENAI_CHAT, ""),
        ("/openai/v1/chat/completions?x=1", OPENAI_CHAT, ""),
        ("/v1beta/openai/chat/completions", OPENAI_CHAT, ""),
        ("/openai/deployments/d/chat/completions?api-version=1", OPENAI_CHAT, ""),
        ("/v1/chat/completions/cc_1/messages", OPENAI_CHAT, "/cc_1/messages"),
        ("/v1/messages?beta=true", ANTHROPIC_MESSAGES, ""),
        ("/anthropic/v1/messages", ANTHROPIC_MESSAGES, ""),
        ("/api/anthropic/v1/messages/count_tokens", ANTHROPIC_MESSAGES, "/count_tokens"),
        ("/v1/messages/batches/b1/results", ANTHROPIC_MESSAGES, "/batches/b1/results"),
        ("/v1/threads/t1/messages", None, ""),
        ("/v1/responses", OPENAI_RESPONSES, ""),
        ("/responses/", OPENAI_RESPONSES, ""),
        ("/backend-api/codex/responses", OPENAI_RESPONSES, ""),
        ("/v1/responses/resp_1/cancel", OPENAI_RESPONSES, "/resp_1/cancel"),
        ("/v1beta/models/gemini-2.5-flash:generateContent", GOOGLE_GENERATE, ""),
        ("/gemini/v1beta/models/g:countTokens?key=k", GOOGLE_GENERATE, ":countTokens"),
        ("/v1alpha/models/g:streamGenerateContent", GOOGLE_GENERATE, ""),
        (VERTEX, GOOGLE_GENERATE, ""),
        ("/v1internal:streamGenerateContent?alt=sse", GOOGLE_GENERATE, ""),
        ("/v1internal:loadCodeAssist", GOOGLE_GENERATE, ":loadCodeAssist"),
        ("/v1/models", None, ""),
        ("/", None, ""),
        ("/v1/embeddings", None, ""),
        ("/v1/messagesx", None, ""),
    ],
)
def test_paths_name_their_format(path, expected, suffix):
    assert client_format(path) == expected
    if expected:
        assert endpoint_suffix(path, expected) == suffix


def test_bare_messages_needs_the_version_header():
    assert client_format("/messages") is None
    assert client_format("/messages", {"anthropic-version": "2023-06-01"}.get) == ANTHROPIC_MESSAGES


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/v1/models", {"anthropic-version": "2023-06-01"}, ANTHROPIC_MESSAGES),
        ("/v1/models", {"authorization": "Bearer x"}, None),
        ("/v1/models", {"x-goog-api-key": "k"}, GOOGLE_GENERATE),
        ("/v1/embeddings", {}, OPENAI_CHAT),
        ("/embeddings", {}, OPENAI_CHAT),
        ("/v1/audio/speech", {"authorization": "Bearer x"}, OPENAI_CHAT),
        ("/v1beta/files", {}, GOOGLE_GENERATE),
        ("/upload/v1beta/files", {}, GOOGLE_GENERATE),
        ("/api/event_logging/v2/batch", {}, ANTHROPIC_MESSAGES),
        ("/whatever", {"x-api-key": "k"}, ANTHROPIC_MESSAGES),
        ("/v1/messages", {}, ANTHROPIC_MESSAGES),
        ("/nothing", {}, None),
    ],
)
def test_side_endpoints_have_a_family(path, headers, expected):
    assert family_of(path, headers.get) == expected


def test_google_paths_carry_model_and_action():
    assert model_of(VERTEX) == "gemini-2.5-pro"
    assert action_of(VERTEX) == "streamGenerateContent"
    assert action_of("/v1/messages") is None
    assert (
        model_of("/v1internal:generateContent", {"model": "gemini-2.5-flash"}) == "gemini-2.5-flash"
    )
    assert model_of("/v1/messages", {"model": "claude"}) == "claude"
    assert model_of("/v1/messages", {"model": 3}) is None
    assert model_of("/v1/messages") is None


def test_streaming_is_asked_for_in_each_vendors_way():
    assert is_stream(GOOGLE_GENERATE, VERTEX)
    assert is_stream(GOOGLE_GENERATE, "/v1beta/models/g:generateContent?alt=sse")
    assert not is_stream(GOOGLE_GENERATE, "/v1beta/models/g:generateContent", {"stream": True})
    assert is_stream(OPENAI_CHAT, "/chat/completions", {"stream": True})
    assert not is_stream(OPENAI_CHAT, "/chat/completions", {"stream": "yes"})
    assert not is_stream(ANTHROPIC_MESSAGES, "/v1/messages", None)


FOLDER_FORMATS = {
    "anthropic": ANTHROPIC_MESSAGES,
    "gemini": GOOGLE_GENERATE,
    "openai_chat": OPENAI_CHAT,
    "openai_responses": OPENAI_RESPONSES,
}


@pytest.mark.corpus
def test_every_recorded_path_is_recognised(corpus):
    seen = 0
    for folder, expected in FOLDER_FORMATS.items():
        for file in sorted((corpus / "wire" / folder).glob("*.json")):
            case = json.loads(file.read_text())
            path = case["path"]
            if not path.startswith("/") or (
                path.startswith("/models/") and "chat/completions" not in path
            ):
                continue
            seen += 1
            assert client_format(path) == expected, (file.name, path)
            query = "&".join("=".join(pair) for pair in case["query"])
            # A stream action without `alt=sse` is answered with a JSON array, which the recordings
            # do not count.
            streaming = case["streaming"] or ":stream" in path
            assert is_stream(expected, f"{path}?{query}", case["request"]["body"]) == streaming, (
                file.name
            )
    assert seen > 400
