"""Every client format against every provider type through the interceptor: official SDKs, recorded
answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from providers.base.names import FORMAT_OF_TYPE, GOOGLE_GENERATE, WIRE_FORMATS, WireFormatName
from tests.e2e.conversations import (
    SDK_ERRORS,
    anthropic_sdk,
    converse,
    error_facts,
    google_sdk,
    openai_sdk,
)
from tests.e2e.process import Interceptor, running, wait_until
from tests.e2e.recordings import TOPICS, Recording, recording
from tests.e2e.sent_history import answered_calls
from tests.fakes.replayed import (
    CHUNKINGS,
    ReplayedUpstream,
    in_envelope,
    in_pieces,
    recorded,
    whole,
)
from tests.fakes.upstream import Script, sse
from tests.providers.wire.cases import MODELS, errors
from tests.providers.wire.sdk_answers import Digest
from tests.providers.wire.sdk_types import problems

pytestmark = pytest.mark.corpus

KEY = "real-key-5a4938271605f4e3d2c1b00f9e8d7c6b"
_VERTEX = "/v1/projects/p/locations/l/publishers/google/models/{model}:{action}"
PATHS = {
    "anthropic": "/v1/messages",
    "openai": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "google": "/v1beta/models/{model}:{action}",
    "gemini": "/v1internal:{action}",
    "vertex_ai": _VERTEX,
}
CELLS = [(client, kind) for client in WIRE_FORMATS for kind in PATHS]
ANSWER_TOPICS = [
    "unicode",
    "reasoning",
    "length",
    "cache",
    "one call",
    "parallel calls",
    "signed call",
]
CALL_TOPICS = [topic for topic in TOPICS if topic.endswith(("call", "calls"))]
CHUNKING_OF = dict(zip(TOPICS, [*CHUNKINGS] * 2, strict=False))


def provider_yaml(kind: str, port: int, key_file: Path) -> str:
    header = {"anthropic": "x-api-key", "google": "x-goog-api-key"}.get(kind, "authorization")
    lines = [
        f"  {kind}:",
        f"    type: {kind}",
        "    scheme: http",
        "    host: 127.0.0.1",
        f"    port: {port}",
        f'    path: "{PATHS[kind]}"',
        f"    auth: {{type: file, file: {key_file}, header: {header}}}",
    ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[ReplayedUpstream]:
    with ReplayedUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(
    upstream: ReplayedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("translation")
    key_file = folder / "key"
    key_file.write_text(KEY)
    config = "providers:\n" + "".join(
        provider_yaml(kind, upstream.port, key_file) for kind in PATHS
    )
    with running(Interceptor(folder, config, "--no-console")) as process:
        yield process


@pytest.fixture(autouse=True)
def _nothing_left(upstream: ReplayedUpstream) -> Iterator[None]:
    upstream.queue.clear()
    upstream.requests.clear()
    yield
    for seen in upstream.requests:
        assert KEY in seen.head.decode()
        assert "ccproxy" not in seen.head.decode().lower()


REQUESTS: dict[WireFormatName, tuple[str, dict[str, Any]]] = {
    "anthropic_messages": (
        "/v1/messages",
        {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    ),
    "openai_chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "openai_responses": ("/v1/responses", {"input": "hi"}),
    "google_generate": (
        "/v1beta/models/demo:generateContent",
        {"contents": [{"parts": [{"text": "hi"}]}]},
    ),
}
ERROR_EVENT = {
    "anthropic_messages": b'event: error\ndata: {"type":"error"',
    "openai_chat": b'data: {"error":{',
    "openai_responses": b'event: error\ndata: {"type":"error"',
    "google_generate": b'data: {"error":{"code":',
}
SUCCESS = {
    "anthropic_messages": [b"message_stop"],
    "openai_chat": [b"[DONE]", b'"finish_reason":"'],
    "openai_responses": [b"response.completed", b"response.incomplete"],
    "google_generate": [b"finishReason"],
}


def raw_request(
    proxy: Interceptor, client: WireFormatName, kind: str, *, stream: bool = False
) -> Any:
    """Method, URL, body and headers of a small request."""
    path, body = REQUESTS[client]
    if client != GOOGLE_GENERATE:
        body = {"model": "demo", **body, **({"stream": True} if stream else {})}
    elif stream:
        path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    return "POST", f"{proxy.url}{path}", body, {"x-api-key": f"sk-ccproxy-{kind}"}


def ask_raw(
    proxy: Interceptor,
    client: WireFormatName,
    kind: str,
    *,
    stream: bool = False,
    more: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """The bytes a client of this format gets."""
    method, url, body, own = raw_request(proxy, client, kind, stream=stream)
    return httpx.request(
        method,
        url,
        json={**body, **(more or {})},
        headers={**own, **(headers or {})},
        trust_env=False,
    )


def script(kind: str, rec: Recording, chunking: str) -> Script:
    """The recording as a provider of this type sends it."""
    raw = in_envelope(rec.raw, stream=rec.stream) if kind == "gemini" else rec.raw
    return in_pieces(CHUNKINGS[chunking](raw)) if rec.stream else whole(raw)


def check(rec: Recording, got: Digest) -> None:
    """The client's SDK reads what the provider's own SDK reads in the recording."""
    want = rec.digest
    reasoning = "".join(got.reasoning.split())  # formats differ in what stands between its pieces
    seen = (got.text, reasoning, got.calls, got.stop, got.usage, got.model)
    assert seen == (
        want.text,
        want.reasoning,
        want.calls,
        want.stop,
        want.usage,
        want.model,
    ), rec.id


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("client", "kind"), CELLS)
def test_answers(
    upstream: ReplayedUpstream,
    proxy: Interceptor,
    corpus: Path,
    subtests: pytest.Subtests,
    client: WireFormatName,
    kind: str,
    stream: bool,
) -> None:
    fmt = FORMAT_OF_TYPE[kind]
    assert fmt
    checked = 0
    for topic in ANSWER_TOPICS:
        if (rec := recording(corpus, fmt, topic, stream=stream)) is None:
            continue
        chunking = CHUNKING_OF[topic]
        with subtests.test(topic=topic, chunking=chunking if stream else ""):
            upstream.queue.append(script(kind, rec, chunking))
            talk = converse(
                client,
                proxy.url,
                kind,
                model=MODELS[fmt],
                tools=sorted({n for n, _ in rec.digest.calls}),
            )
            check(rec, talk.ask(stream=stream))
            checked += 1
    assert checked >= 5


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("client", "kind"), CELLS)
def test_tools_over_two_turns(
    upstream: ReplayedUpstream,
    proxy: Interceptor,
    corpus: Path,
    subtests: pytest.Subtests,
    client: WireFormatName,
    kind: str,
    stream: bool,
) -> None:
    fmt = FORMAT_OF_TYPE[kind]
    assert fmt
    last = recording(corpus, fmt, "unicode", stream=stream)
    assert last
    for topic in CALL_TOPICS:
        if (first := recording(corpus, fmt, topic, stream=stream)) is None:
            continue
        with subtests.test(topic=topic):
            upstream.queue += [
                script(kind, first, "packed"),
                script(kind, last, "inside characters"),
            ]
            names = sorted({name for name, _ in first.digest.calls})
            talk = converse(client, proxy.url, kind, model=MODELS[fmt], tools=names)
            called = talk.ask(stream=stream)
            check(first, called)
            results = [f"result {number}: 7 °C, «Föhn» 🌦" for number in range(len(called.calls))]
            talk.give(called, results)
            check(last, talk.ask(stream=stream))
            sent = upstream.last.json["request"] if kind == "gemini" else upstream.last.json
            if client != fmt:
                assert problems(fmt, _without_envelope(sent)) == []
            answered = answered_calls(fmt, sent)
            assert [(name, value) for name, value, _ in answered] == first.digest.calls
            for want, (_, _, text) in zip(results, answered, strict=True):
                assert want in text
            assert _missing(first.signatures, upstream.last.body) == []


def _without_envelope(body: dict[str, object]) -> dict[str, object]:
    """Code Assist's own key in the inner request."""
    return {key: value for key, value in body.items() if key != "session_id"}


def _missing(signatures: list[str], body: bytes) -> list[str]:
    """Signatures that did not come back; Google's SDK spells base64 for URLs."""
    text = body.decode().translate(str.maketrans("-_", "+/"))
    return [
        signature
        for signature in signatures
        if signature.translate(str.maketrans("-_", "+/")) not in text
    ]


SLOW_DOWN = "Slow down, «please» 🌦"
REFUSALS: dict[WireFormatName, object] = {
    "anthropic_messages": {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": SLOW_DOWN},
    },
    "openai_chat": {
        "error": {
            "message": SLOW_DOWN,
            "type": "requests",
            "param": None,
            "code": "rate_limit_exceeded",
        }
    },
    "openai_responses": {
        "error": {"message": SLOW_DOWN, "type": "tokens", "param": None, "code": "rate_limit"}
    },
    "google_generate": {
        "error": {"code": 429, "message": SLOW_DOWN, "status": "RESOURCE_EXHAUSTED"}
    },
}


@pytest.mark.parametrize(("client", "kind"), CELLS)
def test_refusals(
    upstream: ReplayedUpstream, proxy: Interceptor, corpus: Path, client: WireFormatName, kind: str
) -> None:
    fmt = FORMAT_OF_TYPE[kind]
    assert fmt
    recorded_400 = next(
        case.answer for case in errors(corpus) if case.format == fmt and case.status == 400
    )
    # The proxy itself waits for Code Assist, but not for ten minutes.
    wait_s = "600" if kind == "gemini" else "7"
    for stream in (False, True):
        upstream.queue.append(whole(recorded(REFUSALS[fmt]), 429, ("retry-after", wait_s)))
        upstream.queue.append(whole(recorded(recorded_400), 400))
        with pytest.raises(SDK_ERRORS) as slow:
            converse(client, proxy.url, kind).ask(stream=stream)
        status, message, retry_after = error_facts(slow.value)
        assert (status, retry_after) == (429, wait_s)
        assert SLOW_DOWN in message
        with pytest.raises(SDK_ERRORS) as bad:
            converse(client, proxy.url, kind).ask(stream=stream)
        status, message, retry_after = error_facts(bad.value)
        assert (status, retry_after) == (400, None)
        assert recorded_400["error"]["message"] in message


BREAKS: dict[WireFormatName, bytes] = {
    "anthropic_messages": (
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"%s"}}\n\n'
    ),
    "openai_chat": b'data: {"error":{"message":"%s","type":"server_error","code":null}}\n\n',
    "openai_responses": (
        b"event: error\ndata:"
        b' {"type":"error","code":"server_error","message":"%s","param":null}\n\n'
    ),
    "google_generate": (
        b'data: {"error":{"code":503,"message":"%s","status":"UNAVAILABLE"}}\r\n\r\n'
    ),
}
OVERLOADED = "Overloaded, zu viele Gäste"


def begun(rec: Recording) -> bytes:
    """The first two thirds of a stream's events, at least the first."""
    events = [event for event in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", rec.raw) if event]
    return b"".join(events[: max(1, len(events) * 2 // 3)])


@pytest.mark.parametrize("broken", ["error event", "early end", "reset"])
@pytest.mark.parametrize(
    ("client", "kind"), [cell for cell in CELLS if FORMAT_OF_TYPE[cell[1]] != cell[0]]
)
def test_broken_streams(
    upstream: ReplayedUpstream,
    proxy: Interceptor,
    corpus: Path,
    client: WireFormatName,
    kind: str,
    broken: str,
) -> None:
    fmt = FORMAT_OF_TYPE[kind]
    assert fmt
    rec = recording(corpus, fmt, "length", stream=True) or recording(
        corpus, fmt, "unicode", stream=True
    )
    assert rec
    raw = begun(rec) + (BREAKS[fmt] % OVERLOADED.encode() if broken == "error event" else b"")
    pieces = CHUNKINGS["packed"](in_envelope(raw, stream=True) if kind == "gemini" else raw)
    for _ in range(2):
        upstream.queue.append(
            replace(in_pieces(pieces), reset_after=len(pieces) if broken == "reset" else None)
        )
    with pytest.raises(SDK_ERRORS, match=OVERLOADED if broken == "error event" else None):
        converse(client, proxy.url, kind).ask(stream=True)
    answer = ask_raw(proxy, client, kind, stream=True)
    assert ERROR_EVENT[client] in answer.content
    assert [end for end in SUCCESS[client] if end in answer.content] == []


def delta(number: int) -> bytes:
    choice = {"index": 0, "delta": {"content": f"piece {number} "}, "finish_reason": None}
    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }
    return f"data: {json.dumps(chunk)}\n\n".encode()


@pytest.mark.parametrize("client", [name for name in WIRE_FORMATS if name != "openai_chat"])
def test_a_client_that_leaves_ends_the_upstream_request(
    upstream: ReplayedUpstream, proxy: Interceptor, client: WireFormatName
) -> None:
    upstream.queue.append(sse(*(delta(number) for number in range(2000)), pause_s=0.02))
    method, url, body, headers = raw_request(proxy, client, "openai", stream=True)
    with httpx.stream(method, url, json=body, headers=headers, trust_env=False) as answer:
        assert any("piece 3" in line for line in answer.iter_lines())
        assert not upstream.last.client_gone.is_set()
    wait_until(upstream.last.client_gone.is_set, "the upstream connection is closed")
    flow = proxy.flow(answer.headers["x-ccproxy-flow"])
    assert (flow["state"], flow["is_stream"]) == ("error", 1)


def test_losses_are_listed_for_a_client_that_asks(
    upstream: ReplayedUpstream, proxy: Interceptor, corpus: Path
) -> None:
    rec = recording(corpus, "google_generate", "unicode", stream=False)
    assert rec
    asked = {"x-ccproxy-show-losses": "1"}
    for headers in ({}, asked):
        upstream.queue.append(whole(rec.raw))
        answer = ask_raw(
            proxy, "openai_chat", "google", more={"logit_bias": {"1": 2}}, headers=headers
        )
        assert ("logit_bias" in answer.headers.get("x-ccproxy-losses", "")) == bool(headers)


def test_tokens_are_counted_by_another_vendor(
    upstream: ReplayedUpstream, proxy: Interceptor
) -> None:
    hello: Any = [{"role": "user", "content": "hi"}]
    upstream.queue.append(whole(b'{"totalTokens": 17}'))
    counted = anthropic_sdk(proxy.url, "google").messages.count_tokens(model="demo", messages=hello)
    assert (counted.input_tokens, upstream.last.target) == (17, "/v1beta/models/demo:countTokens")
    upstream.queue.append(whole(b'{"input_tokens": 18}'))
    totals = google_sdk(proxy.url, "anthropic").models.count_tokens(model="demo", contents="hi")
    assert (totals.total_tokens, upstream.last.target) == (18, "/v1/messages/count_tokens")
    assert upstream.last.json["messages"][0]["role"] == "user"


def test_what_has_no_equal_elsewhere_is_refused_in_the_clients_words(
    upstream: ReplayedUpstream, proxy: Interceptor
) -> None:
    """Token counts at a vendor without any, batches, embeddings, files: never sent to a vendor that
    has them not.
    """
    hello: Any = [{"role": "user", "content": "hi"}]
    openai_at_anthropic, anthropic_at_chat = (
        openai_sdk(proxy.url, "anthropic"),
        anthropic_sdk(proxy.url, "openai"),
    )
    google_at_chat = google_sdk(proxy.url, "openai")
    refused: list[Callable[[], object]] = [
        lambda: anthropic_at_chat.messages.count_tokens(model="demo", messages=hello),
        lambda: anthropic_at_chat.messages.batches.create(requests=[]),
        lambda: openai_at_anthropic.embeddings.create(model="demo", input="hi"),
        lambda: openai_at_anthropic.files.list(),
        lambda: openai_at_anthropic.images.generate(model="demo", prompt="hi"),
        lambda: google_at_chat.models.embed_content(model="demo", contents="hi"),
        lambda: google_at_chat.models.count_tokens(model="demo", contents="hi"),
    ]
    for call in refused:
        with pytest.raises(SDK_ERRORS) as caught:
            call()
        status, message, _ = error_facts(caught.value)
        assert status == 400
        assert "cannot be translated" in message
    assert upstream.requests == []
