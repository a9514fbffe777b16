from __future__ import annotations

import json

import pytest

from providers.base.errors import BadUpstreamAnswer, UnsupportedByTarget
from providers.base.names import ANTHROPIC_MESSAGES, GOOGLE_GENERATE, OPENAI_CHAT, OPENAI_RESPONSES
from providers.wire.core.base import TargetInfo
from providers.wire.counting import translate_count_request, translate_count_response
from providers.wire.rules.limits import retry_after_s, seconds_of, translate_headers

A, C, R, G = ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES, GOOGLE_GENERATE
COUNT = {
    "model": "claude",
    "messages": [{"role": "user", "content": "x"}],
    "system": "s",
    "tools": [{"name": "f"}],
}


def test_counting_is_asked_in_the_targets_way():
    body, _ = translate_count_request(COUNT, A, G, target=TargetInfo(model="gemini-2.5-flash"))
    inner = body["generateContentRequest"]
    assert inner["model"] == "models/gemini-2.5-flash"
    assert set(inner) == {"model", "contents", "systemInstruction", "tools"}
    body, _ = translate_count_request(
        COUNT, A, G, target=TargetInfo(model="g", provider_type="vertex_ai")
    )
    assert set(body) == {"contents", "systemInstruction", "tools"}
    body, _ = translate_count_request(
        COUNT, A, G, target=TargetInfo(model="g", provider_type="gemini")
    )
    assert set(body["request"]) == {"model", "contents"}
    contents = [{"role": "user", "parts": [{"text": "x"}]}]
    for asked in (
        {"contents": contents},
        {"generateContentRequest": {"model": "models/g", "contents": contents}},
    ):
        body, _ = translate_count_request(asked, G, A, target=TargetInfo(model="claude"), model="g")
        assert body == {
            "model": "claude",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        }
    assert set(translate_count_request(COUNT, A, R)[0]) == {
        "model",
        "input",
        "instructions",
        "tools",
    }
    with pytest.raises(UnsupportedByTarget, match="counts tokens"):
        translate_count_request(COUNT, A, C)


def test_counts_are_told_in_the_clients_way():
    assert translate_count_response({"totalTokens": 7}, G, A) == {"input_tokens": 7}
    assert translate_count_response({"input_tokens": 7}, A, G) == {"totalTokens": 7}
    assert translate_count_response({"input_tokens": 7}, A, R) == {
        "object": "response.input_tokens",
        "input_tokens": 7,
    }
    bodies: list[object] = [{}, {"totalTokens": "seven"}, [], None]
    for bad in bodies:
        with pytest.raises(BadUpstreamAnswer):
            translate_count_response(bad, G, A)


def test_rate_limits_keep_their_meaning():
    now_s = 1_700_000_000.0
    anthropic = [
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-tokens-reset", "2023-11-14T22:13:30Z"),
        ("anthropic-ratelimit-input-tokens-limit", "9"),
        ("request-id", "req_1"),
        ("retry-after", "12"),
        ("content-type", "application/json"),
    ]
    assert translate_headers(anthropic, A, C, now_s=now_s) == [
        ("x-ratelimit-limit-requests", "50"),
        ("x-ratelimit-reset-tokens", "10s"),
        ("anthropic-ratelimit-input-tokens-limit", "9"),
        ("x-request-id", "req_1"),
        ("retry-after", "12"),
        ("content-type", "application/json"),
    ]
    openai = [
        ("x-ratelimit-remaining-tokens", "3"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-request-id", "r"),
    ]
    assert translate_headers(openai, R, A, now_s=now_s) == [
        ("anthropic-ratelimit-tokens-remaining", "3"),
        ("anthropic-ratelimit-requests-reset", "2023-11-14T22:19:20Z"),
        ("request-id", "r"),
    ]
    assert translate_headers(openai, R, G, now_s=now_s) == openai


def test_googles_waiting_time_is_in_its_body():
    details = [
        {"@type": "type.googleapis.com/google.rpc.Help"},
        {"@type": "x/google.rpc.RetryInfo", "retryDelay": "36.5s"},
    ]
    body = json.dumps({"error": {"code": 429, "details": details}}).encode()
    assert retry_after_s(body) == 36.5
    assert retry_after_s(b"[" + body + b"]") == 36.5
    for bad in (
        b"",
        b"[]",
        b'{"error":3}',
        b'{"error":{"details":[3,{"@type":"RetryInfo","retryDelay":3}]}}',
    ):
        assert retry_after_s(bad) is None
    assert [seconds_of(text) for text in ("9s", "500ms", "2m", "1h2m3s", "1.5", "x", "5s!")] == [
        9,
        0.5,
        120,
        3723,
        1.5,
        None,
        None,
    ]
