"""Translation through the real proxy: every pair of formats, whole and streamed, with errors and
losses.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from interceptor.config.snapshot.schema import Snapshot
from providers.base.names import FORMAT_OF_TYPE, WIRE_FORMATS, WireFormatName
from tests.fakes.upstream import Script, Upstream, sse
from tests.interceptor.proxied import (
    KEY,
    Running,
    key_auth,
    provider,
    rule,
    snapshot,
)

PATHS = {
    "anthropic": "/v1/messages",
    "openai": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "google": "/v1beta/models/{model}:{action}",
}
REQUESTS: dict[WireFormatName, tuple[str, dict[str, Any]]] = {
    "anthropic_messages": (
        "/v1/messages",
        {"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    ),
    "openai_chat": (
        "/v1/chat/completions",
        {"model": "demo", "messages": [{"role": "user", "content": "hi"}]},
    ),
    "openai_responses": ("/v1/responses", {"model": "demo", "input": "hi"}),
    "google_generate": (
        "/v1beta/models/demo:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
}
PAIRS = [
    (client, kind) for client in WIRE_FORMATS for kind in PATHS if FORMAT_OF_TYPE[kind] != client
]


@pytest.fixture(scope="module")
def configuration(upstream: Upstream) -> Snapshot:
    headers = {"anthropic": "x-api-key", "google": "x-goog-api-key"}
    made = [
        provider(kind, upstream.port, type=kind, path=path, auth=key_auth(headers.get(kind, "")))
        for kind, path in PATHS.items()
    ]
    made.append(provider("assist", upstream.port, type="gemini", path="/v1internal:{action}"))
    rules = (
        rule(
            "transform",
            match_model="^renamed$",
            dest_provider="google",
            dest_model="demo",
            name="to google",
        ),
    )
    return snapshot(*made, rules=rules)


@pytest.fixture(autouse=True)
def no_scripts(upstream: Upstream) -> Iterator[None]:
    yield
    upstream.scripts.clear()


def send(
    proxy: Running, client: WireFormatName, kind: str, *, stream: bool = False, **more: Any
) -> httpx.Response:
    path, body = REQUESTS[client]
    body = {**body, **more}
    if client == "google_generate":
        path = (
            path.replace(":generateContent", ":streamGenerateContent?alt=sse") if stream else path
        )
    elif stream:
        body["stream"] = True
    headers = {"x-api-key": f"sk-ccproxy-{kind}", "x-ccproxy-show-losses": "1"}
    return httpx.post(f"{proxy.url}{path}", json=body, headers=headers)


def text_of(client: WireFormatName, answer: Any) -> str:
    match client:
        case "anthropic_messages":
            return "".join(block.get("text", "") for block in answer["content"])
        case "openai_chat":
            return str(answer["choices"][0]["message"]["content"])
        case "openai_responses":
            return "".join(p["text"] for item in answer["output"] for p in item.get("content", []))
        case _:
            return "".join(p["text"] for p in answer["candidates"][0]["content"]["parts"])


@pytest.mark.parametrize(("client", "kind"), PAIRS)
def test_whole_answers(
    proxy: Running, upstream: Upstream, client: WireFormatName, kind: str
) -> None:
    answer = send(proxy, client, kind)
    assert answer.status_code == 200, answer.text
    assert text_of(client, answer.json())
    assert KEY in str(upstream.last.headers)
    record = proxy.sink.of(answer)
    assert (record.action, record.client_format, record.provider_format) == (
        "transform",
        client,
        FORMAT_OF_TYPE[kind],
    )
    sides = {side.side: side for side in record.sides}
    assert sides["client"].body != sides["forwarded"].body == upstream.last.body
    assert sides["delivered"].body == answer.content != sides["upstream"].body
    assert next(s for s in record.hooks if s.stage == "transform").changed[-1] == "body"


ENDS = {
    "anthropic_messages": b"message_stop",
    "openai_chat": b"data: [DONE]",
    "openai_responses": b"response.completed",
    "google_generate": b'"finishReason":"STOP"',
}


@pytest.mark.parametrize(("client", "kind"), PAIRS)
def test_streams(proxy: Running, client: WireFormatName, kind: str) -> None:
    answer = send(proxy, client, kind, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert ENDS[client] in answer.content
    record = proxy.sink.of(answer)
    sides = {side.side: side for side in record.sides}
    assert sides["delivered"].body == answer.content and sides["upstream"].body
    assert sides["upstream"].chunk_times and record.event_count > 3
    assert b"".join(d.data for d in proxy.sink.deltas if d.flow_id == record.id) == answer.content


@pytest.mark.parametrize(("client", "kind"), PAIRS)
def test_errors_are_in_the_clients_format(
    proxy: Running, upstream: Upstream, client: WireFormatName, kind: str
) -> None:
    body = {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "slow down", "code": 429},
    }
    script = Script(
        status=429,
        headers=(("content-type", "application/json"), ("retry-after", "7")),
        pieces=(json.dumps(body).encode(),),
    )
    upstream.scripts[
        PATHS[kind].replace("{model}", "demo").replace("{action}", "generateContent")
    ] = script
    answer = send(proxy, client, kind)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    error = answer.json()["error"]
    assert error["message"] == "slow down"
    assert ("type" in answer.json()) == (client == "anthropic_messages")
    assert ("status" in error) == (client == "google_generate")


def test_a_rule_translates_and_renames(proxy: Running, upstream: Upstream) -> None:
    answer = send(proxy, "openai_chat", "anthropic", model="renamed", top_logprobs=2, logprobs=True)
    assert answer.status_code == 200
    assert upstream.last.target == "/v1beta/models/demo:generateContent"
    record = proxy.sink.of(answer)
    assert (record.rule, record.provider, record.sent_model) == ("to google", "google", "demo")


def test_losses_are_recorded_and_listed_when_asked_for(proxy: Running) -> None:
    answer = send(proxy, "openai_chat", "anthropic", unknown_field=1)
    assert "unknown_field" in answer.headers["x-ccproxy-losses"]
    assert any(path == "unknown_field" for path, _ in proxy.sink.of(answer).losses)


def test_a_native_request_stays_and_the_flow_names_the_rule_it_breaks(
    proxy: Running, upstream: Upstream
) -> None:
    more: dict[str, Any] = {"model": "claude-opus-5-5", "temperature": 0.2}
    answer = send(proxy, "anthropic_messages", "anthropic", **more)
    sent = json.loads(upstream.last.body)
    assert sent["temperature"] == 0.2
    assert sent == {**REQUESTS["anthropic_messages"][1], **more}
    found = dict(proxy.sink.of(answer).losses)
    assert "claude-opus-5-5 refuses `temperature`" in found["temperature"]
    assert "not changed" in found["temperature"]


def test_a_compressed_request_and_a_compressed_answer(proxy: Running, upstream: Upstream) -> None:
    deltas: tuple[dict[str, str], ...] = ({"role": "assistant", "content": "hé"}, {})
    chunks = [
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": d, "finish_reason": f}],
        }
        for d, f in zip(deltas, (None, "stop"), strict=True)
    ]
    lines = [f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks]
    events = gzip.compress("".join([*lines, "data: [DONE]\n\n"]).encode())
    upstream.scripts["/v1/chat/completions"] = Script(
        headers=(("content-type", "text/event-stream"), ("content-encoding", "gzip")),
        pieces=tuple(events[i : i + 1] for i in range(len(events))),
        framing="chunked",
    )
    body = gzip.compress(json.dumps({**REQUESTS["anthropic_messages"][1], "stream": True}).encode())
    answer = httpx.post(
        f"{proxy.url}/v1/messages",
        content=body,
        headers={"x-api-key": "sk-ccproxy-openai", "content-encoding": "gzip"},
    )
    assert "content-encoding" not in answer.headers
    assert "hé" in answer.text and "message_stop" in answer.text
    assert json.loads(upstream.last.body)["messages"][0]["content"] == "hi"


def test_code_assist_gets_its_envelope_and_the_client_never_sees_it(
    upstream: Upstream, proxy: Running
) -> None:
    inner = {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP"}
        ]
    }
    wrapped = json.dumps({"response": inner, "traceId": "t"}).encode()
    upstream.scripts["/v1internal:generateContent"] = Script(pieces=(wrapped,))
    upstream.scripts["/v1internal:streamGenerateContent"] = sse(b"data: " + wrapped + b"\n\n")
    for client in WIRE_FORMATS:
        assert text_of(client, send(proxy, client, "assist").json()) == "ok"
        assert upstream.last.json["request"]["contents"][0]["parts"] == [{"text": "hi"}]
        assert upstream.last.json["model"] == "demo"
        streamed = send(proxy, client, "assist", stream=True)
        assert upstream.last.target == "/v1internal:streamGenerateContent?alt=sse"
        assert ENDS[client] in streamed.content and b"traceId" not in streamed.content
    native = b'{"model": "demo", "request": {"contents": []}}'
    answer = httpx.post(
        f"{proxy.url}/v1internal:generateContent",
        content=native,
        headers={"x-api-key": "sk-ccproxy-assist"},
    )
    assert upstream.last.body == native and answer.content == wrapped


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_is_no_answer_is_a_502(
    proxy: Running, upstream: Upstream, stream: bool
) -> None:
    upstream.scripts["/v1/chat/completions"] = Script(
        headers=(("content-type", "text/html"),), pieces=(b"<html>hello",)
    )
    answer = send(proxy, "anthropic_messages", "openai", stream=stream)
    assert (answer.status_code, answer.json()["type"]) == (502, "error")


def test_a_stream_that_is_cut_ends_with_an_error_event(proxy: Running, upstream: Upstream) -> None:
    first = (
        b"data:"
        b' {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    )
    upstream.scripts["/v1/chat/completions"] = sse(first)
    answer = send(proxy, "anthropic_messages", "openai", stream=True)
    assert b"event: error" in answer.content and b"message_stop" not in answer.content
    record = proxy.sink.of(answer)
    assert "ended before" in record.error


@pytest.mark.parametrize(("client", "kind"), PAIRS)
@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"5", b'{"messages": 5, "input": 5, "contents": 5}', b"\xff\xfe", b""]
)
def test_bad_requests_are_the_clients_fault(
    proxy: Running, upstream: Upstream, client: WireFormatName, kind: str, body: bytes
) -> None:
    before = len(upstream.requests)
    answer = httpx.post(
        f"{proxy.url}{REQUESTS[client][0]}",
        content=body,
        headers={"x-api-key": f"sk-ccproxy-{kind}"},
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]
    assert len(upstream.requests) == before


def test_tokens_are_counted_across_formats(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts["/v1beta/models/demo:countTokens"] = Script(pieces=(b'{"totalTokens": 7}',))
    upstream.scripts["/v1/messages/count_tokens"] = Script(pieces=(b'{"input_tokens": 8}',))
    body = REQUESTS["anthropic_messages"][1]
    headers = {"x-api-key": "sk-ccproxy-google"}
    answer = httpx.post(
        f"{proxy.url}/v1/messages/count_tokens?beta=true", json=body, headers=headers
    )
    assert answer.json() == {"input_tokens": 7}
    assert "contents" in upstream.last.json["generateContentRequest"]
    path, body = REQUESTS["google_generate"]
    path = path.replace("generateContent", "countTokens")
    answer = httpx.post(
        f"{proxy.url}{path}", json=body, headers={"x-api-key": "sk-ccproxy-anthropic"}
    )
    assert answer.json() == {"totalTokens": 8}
    assert "max_tokens" not in upstream.last.json
    refused = httpx.post(
        f"{proxy.url}{path}", json=body, headers={"x-api-key": "sk-ccproxy-openai"}
    )
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_rate_limits_arrive_under_the_clients_names(proxy: Running, upstream: Upstream) -> None:
    limits = (("anthropic-ratelimit-requests-remaining", "5"), ("request-id", "r1"))
    upstream.scripts["/v1/messages"] = Script(status=429, headers=limits, pieces=(b"{}",))
    answer = send(proxy, "openai_chat", "anthropic")
    assert (answer.headers["x-ratelimit-remaining-requests"], answer.headers["x-request-id"]) == (
        "5",
        "r1",
    )
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.2s"}]
    error = json.dumps({"error": {"code": 429, "message": "m", "details": details}}).encode()
    upstream.scripts["/v1beta/models/demo:generateContent"] = Script(status=429, pieces=(error,))
    assert send(proxy, "openai_chat", "google").headers["retry-after"] == "4"
