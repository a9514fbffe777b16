"""Failures through the real proxy: recorded as such, passed through unchanged, or translated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from interceptor.config.snapshot.schema import Snapshot
from tests.fakes.upstream import Script, Upstream, sse
from tests.interceptor.proxied import Running, key_auth, provider, snapshot

CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"part"},"finish_reason":null}]}\n\n'
DONE = b"data: [DONE]\n\n"
SPELLINGS = [
    b'error: {"code":500,"message":"gpu lost"}\n\n',
    b'event: error\ndata: {"message":"gpu lost"}\n\n',
    b'data: {"error":{"code":500,"message":"gpu lost"}}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"error","error":{"message":"gpu lost"}}]}\n\n',
]
WHOLE = json.dumps(
    {
        "id": "c",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "part"},
                "finish_reason": "stop",
            }
        ],
    }
).encode()


@pytest.fixture(scope="module")
def configuration(upstream: Upstream) -> Snapshot:
    return snapshot(
        provider(
            "openai", upstream.port, type="openai", path="/v1/chat/completions", auth=key_auth()
        )
    )


@pytest.fixture(autouse=True)
def no_scripts(upstream: Upstream) -> Iterator[None]:
    yield
    upstream.scripts.clear()


def ask(proxy: Running, path: str, *, stream: bool) -> httpx.Response:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    body |= {"stream": stream, "max_tokens": 9}
    headers = {"x-api-key": "sk-ccproxy-openai"}
    return httpx.post(f"{proxy.url}{path}", json=body, headers=headers)


def anthropic(proxy: Running, *, stream: bool = True) -> httpx.Response:
    return ask(proxy, "/v1/messages", stream=stream)


def chat(proxy: Running, *, stream: bool = True) -> httpx.Response:
    return ask(proxy, "/v1/chat/completions", stream=stream)


def script(upstream: Upstream, body: bytes, status: int = 200, label: str = "") -> None:
    headers = (("content-type", label),) if label else ()
    upstream.scripts["/v1/chat/completions"] = Script(status, headers, (body,))


@pytest.mark.parametrize("failure", SPELLINGS)
def test_a_failed_stream_passes_unchanged_and_is_recorded_as_failed(
    proxy: Running, upstream: Upstream, failure: bytes
) -> None:
    upstream.scripts["/v1/chat/completions"] = sse(CHUNK, failure, DONE)
    answer = chat(proxy)
    assert answer.content == CHUNK + failure + DONE
    record = proxy.sink.of(answer)
    assert (record.state, record.error, record.status_code) == ("error", "gpu lost", 200)


@pytest.mark.parametrize("failure", SPELLINGS)
def test_a_failed_stream_is_translated_and_recorded_as_failed(
    proxy: Running, upstream: Upstream, failure: bytes
) -> None:
    upstream.scripts["/v1/chat/completions"] = sse(CHUNK, failure, DONE)
    answer = anthropic(proxy)
    assert b"event: error" in answer.content and b"gpu lost" in answer.content
    assert b"end_turn" not in answer.content and b"message_stop" not in answer.content
    record = proxy.sink.of(answer)
    assert (record.state, record.error) == ("error", "gpu lost")


def test_a_good_stream_is_recorded_as_good(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts["/v1/chat/completions"] = sse(CHUNK, DONE)
    record = proxy.sink.of(chat(proxy))
    assert (record.state, record.error) == ("done", "")


@pytest.mark.parametrize("client", [anthropic, chat])
def test_an_error_status_with_a_stream_for_a_body(
    proxy: Running, upstream: Upstream, client: Any
) -> None:
    body = b'event: error\ndata: {"type":"error","error":{"message":"slow down please"}}\n\n'
    script(upstream, body, 429, "text/event-stream")
    answer = client(proxy)
    assert answer.status_code == 429 and b"slow down please" in answer.content
    record = proxy.sink.of(answer)
    assert (record.state, record.error) == ("error", "slow down please")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("code", [429, "insufficient_quota"])
def test_an_error_with_status_200(
    proxy: Running, upstream: Upstream, stream: bool, code: object
) -> None:
    error = {"message": "no more today. Please try again in 7s.", "code": code}
    body = json.dumps({"error": error}).encode()
    script(upstream, body, label="application/json")
    answer = anthropic(proxy, stream=stream)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"] == {"type": "rate_limit_error", "message": error["message"]}
    record = proxy.sink.of(answer)
    assert (record.state, record.error) == ("error", error["message"])

    passed = chat(proxy, stream=stream)
    assert (passed.status_code, passed.content) == (200, body)
    record = proxy.sink.of(passed)
    assert (record.state, record.error) == ("error", error["message"])


@pytest.mark.parametrize("label", ["", "text/plain", "application/json", "text/event-stream"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("is_events", [False, True])
def test_the_form_of_an_answer_is_seen_from_its_bytes(
    proxy: Running, upstream: Upstream, label: str, stream: bool, is_events: bool
) -> None:
    script(upstream, CHUNK + DONE if is_events else WHOLE, label=label)
    answer = anthropic(proxy, stream=stream)
    assert answer.status_code == 200, answer.text
    if stream:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert b'"text":"part"' in answer.content and b"message_stop" in answer.content
    else:
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["content"] == [{"type": "text", "text": "part"}]
    record = proxy.sink.of(answer)
    assert (record.state, record.error) == ("done", "")


def test_an_array_of_one_error(proxy: Running, upstream: Upstream) -> None:
    error = {"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}}
    script(upstream, json.dumps([error]).encode(), 403, "application/json")
    answer = anthropic(proxy)
    assert (answer.status_code, answer.json()["error"]["message"]) == (403, "denied")
