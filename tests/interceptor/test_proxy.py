"""The proxy between a real client and a scripted upstream: what arrives, what comes back, what is
recorded.
"""

from __future__ import annotations

import gzip
import json
import threading

import httpx
import pytest

from interceptor.config.snapshot.schema import Snapshot
from tests.fakes.upstream import Script, Upstream, sse
from tests.interceptor.proxied import KEY, Running, provider, rule, snapshot

BODY = (
    b'{ "model":"claude-x",  "max_tokens": 5, "messages":[{"role":"user","content":"hi \\u00e9"}] }'
)
HEADERS = {
    "x-api-key": "sk-ccproxy-up",
    "content-type": "application/json",
    "anthropic-version": "2023-06-01",
}


@pytest.fixture(scope="module")
def configuration(upstream: Upstream) -> Snapshot:
    return snapshot(
        provider("up", upstream.port, headers=(("x-extra", "1"),)),
        provider("dead", 1),
        provider("based", upstream.port, path="/anthropic/v1/messages"),
        provider("chat", upstream.port, type="openai", path="/v1/chat/completions"),
        rules=(
            rule(
                match_model="^other$", dest_provider="chat", dest_model="renamed", name="by model"
            ),
            rule(match_path="^/raw", dest_host="127.0.0.1", dest_path="/elsewhere"),
        ),
    )


def test_it_works(proxy: Running, upstream: Upstream) -> None:
    answer = httpx.post(f"{proxy.url}/v1/messages?beta=true", content=BODY, headers=HEADERS)
    assert answer.status_code == 200
    seen = upstream.last
    assert (seen.target, seen.body) == ("/v1/messages?beta=true", BODY)
    assert seen.header("x-api-key") == KEY
    assert seen.header("host") == f"127.0.0.1:{upstream.port}"
    assert seen.header("x-extra") == "1"
    order = ["Host", "x-api-key", "content-type", "anthropic-version"]
    assert [name for name, _ in seen.headers if name in order] == order
    assert not [name for name, _ in seen.headers if name.lower().startswith("x-ccproxy")]
    record = proxy.sink.of(answer)
    assert answer.headers["x-ccproxy-flow"] == record.id
    assert (record.state, record.provider, record.requested_model, record.status_code) == (
        "done",
        "up",
        "claude-x",
        200,
    )
    sides = {side.side: side for side in record.sides}
    assert list(sides) == ["client", "forwarded", "upstream", "delivered"]
    assert ("x-api-key", "sk-ccproxy-up") in sides["client"].headers
    assert ("x-api-key", KEY) in sides["forwarded"].headers
    assert sides["client"].body == sides["forwarded"].body == BODY
    assert sides["upstream"].body == sides["delivered"].body == answer.content
    changed = {step.hook: step.changed for step in record.hooks if step.changed}
    assert changed["inject_auth"] == ("header:x-api-key",)
    assert KEY in proxy.secrets.values


def test_a_stream_passes_byte_for_byte_and_is_kept_with_times(
    proxy: Running, upstream: Upstream
) -> None:
    gate = threading.Event()
    events = [b'event: a\ndata: {"n":%d}\n\n' % n for n in range(5)]
    upstream.scripts["/v1/messages"] = sse(*events, gate=gate)
    try:
        with httpx.stream(
            "POST", f"{proxy.url}/v1/messages", content=BODY, headers=HEADERS
        ) as answer:
            got = b""
            for piece in answer.iter_raw():
                got += piece
                if got == b"".join(events[:4]):
                    # the last event leaves the upstream only after the client has the others
                    gate.set()
        assert got == b"".join(events)
    finally:
        del upstream.scripts["/v1/messages"]
    record = proxy.sink.of(answer)
    assert record.is_stream and record.event_count == 5
    delivered = record.sides[-1]
    assert delivered.body == got and len(delivered.chunk_times) >= 2
    assert b"".join(d.data for d in proxy.sink.deltas if d.flow_id == record.id) == got


@pytest.mark.parametrize(
    ("path", "key", "target"),
    [
        (
            "/v1/messages/count_tokens?beta=true",
            "based",
            "/anthropic/v1/messages/count_tokens?beta=true",
        ),
        ("/v1/files", "based", "/anthropic/v1/files"),
        ("/api/event_logging/v2/batch", "based", "/api/event_logging/v2/batch"),
        ("/chat/completions", "chat", "/v1/chat/completions"),
        ("/v1/embeddings?x=1", "chat", "/v1/embeddings?x=1"),
        ("/v1/messages?", "based", "/anthropic/v1/messages?"),
        ("/v1/files?", "chat", "/v1/files?"),
        ("/v1/files?a&&=%2f%zz", "chat", "/v1/files?a&&=%2f%zz"),
    ],
)
def test_sub_paths_and_queries_survive(
    proxy: Running, upstream: Upstream, path: str, key: str, target: str
) -> None:
    httpx.post(
        f"{proxy.url}{path}", content=b"{}", headers={**HEADERS, "x-api-key": f"sk-ccproxy-{key}"}
    )
    assert upstream.last.target == target


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"", {}),
        (b"a=1&b=%20", {"content-type": "application/x-www-form-urlencoded"}),
        (b"\x00\xff\xfe not json", {"content-type": "application/octet-stream"}),
        (gzip.compress(BODY), {"content-encoding": "gzip"}),
        (b'{"big": 123456789012345678901234567890, "dup": 1, "dup": 2, "nan": NaN}', {}),
    ],
)
def test_bodies_that_nobody_changed_are_forwarded_as_they_came(
    proxy: Running, upstream: Upstream, content: bytes, headers: dict[str, str]
) -> None:
    httpx.post(f"{proxy.url}/v1/messages", content=content, headers={**HEADERS, **headers})
    assert upstream.last.body == content


def test_a_rule_changes_the_model_alone(proxy: Running, upstream: Upstream) -> None:
    body = b'{"messages": [ ],\n "model" : "other" }'
    answer = httpx.post(
        f"{proxy.url}/v1/chat/completions",
        content=body,
        headers={"authorization": "Bearer client-own-key"},
    )
    assert upstream.last.body == body.replace(b'"other"', b'"renamed"')
    assert upstream.last.header("content-length") == str(len(upstream.last.body))
    assert upstream.last.header("x-api-key") == KEY
    assert upstream.last.header("authorization") is None
    record = proxy.sink.of(answer)
    assert (record.rule, record.requested_model, record.sent_model) == (
        "by model",
        "other",
        "renamed",
    )
    step = next(step for step in record.hooks if step.stage == "transform")
    assert set(step.changed) == {"url", "body"} and step.body_after == upstream.last.body


def test_a_compressed_body_is_changed_and_compressed_again(
    proxy: Running, upstream: Upstream
) -> None:
    body = gzip.compress(b'{"model":"other","messages":[]}')
    headers = {**HEADERS, "content-encoding": "gzip"}
    httpx.post(f"{proxy.url}/v1/chat/completions", content=body, headers=headers)
    assert upstream.last.json == {"model": "renamed", "messages": []}


def test_a_credential_never_goes_to_another_host(proxy: Running, upstream: Upstream) -> None:
    answer = httpx.post(f"{proxy.url}/raw", content=BODY, headers=HEADERS)
    assert answer.status_code == 502  # nothing speaks TLS on 127.0.0.1:443
    record = proxy.sink.of(answer)
    forwarded = next(side for side in record.sides if side.side == "forwarded")
    assert KEY not in str(forwarded.headers) and "sk-ccproxy" not in str(forwarded.headers)
    assert not record.credential_injected


@pytest.mark.parametrize(
    ("path", "headers", "status", "shape"),
    [
        ("/v1/messages", {"x-api-key": "sk-ant-other"}, 501, ("type", "error")),
        ("/v1/messages", {"x-api-key": "sk-ant-oat-ccproxy-nobody"}, 401, ("type", "error")),
        (
            "/v1/chat/completions",
            {"authorization": "bearer sk-ccproxy-nobody"},
            401,
            ("error", None),
        ),
        (
            "/v1/responses/resp_1/cancel",
            {"authorization": "Bearer sk-ccproxy-up"},
            400,
            ("error", None),
        ),
        ("/v1/responses", {"authorization": "Bearer sk-ccproxy-up"}, 400, ("error", None)),
        (
            "/v1beta/models/g:generateContent",
            {"x-goog-api-key": "sk-ccproxy-nobody"},
            401,
            ("error", None),
        ),
    ],
)
def test_refusals_are_in_the_callers_format(
    proxy: Running,
    upstream: Upstream,
    path: str,
    headers: dict[str, str],
    status: int,
    shape: tuple[str, str | None],
) -> None:
    before = len(upstream.requests)
    body = BODY if status != 400 else b'{"model": "m", "input": 5}'
    answer = httpx.post(f"{proxy.url}{path}", content=body, headers=headers)
    assert answer.status_code == status
    assert shape[0] in answer.json() and shape[1] in (None, answer.json()[shape[0]])
    assert "sk-ant-other" not in answer.text
    assert len(upstream.requests) == before


def test_an_unreachable_provider_is_a_short_error_in_the_callers_format(proxy: Running) -> None:
    answer = httpx.post(
        f"{proxy.url}/v1/messages",
        content=BODY,
        headers={**HEADERS, "x-api-key": "sk-ccproxy-dead"},
    )
    assert (answer.status_code, answer.json()["type"]) == (502, "error")
    assert "provider dead (127.0.0.1:1)" in answer.json()["error"]["message"]
    record = proxy.sink.of(answer)
    assert record.state == "error" and "provider dead" in record.error


def test_local_routes(proxy: Running, upstream: Upstream) -> None:
    before = len(upstream.requests)
    assert httpx.get(f"{proxy.url}/health").json()["status"] == "ok"
    assert httpx.head(f"{proxy.url}/").status_code == 200
    assert len(upstream.requests) == before
    upstream.scripts["/"] = Script(status=204, pieces=())
    assert httpx.head(f"{proxy.url}/", headers={"x-api-key": "sk-ccproxy-up"}).status_code == 204
    assert (upstream.last.method, upstream.last.target) == ("HEAD", "/")


def test_hooks_that_change_headers_are_traced(proxy: Running, upstream: Upstream) -> None:
    headers = {**HEADERS, "anthropic-beta": "a-1, redact-thinking-2, b-3"}
    answer = httpx.post(f"{proxy.url}/v1/messages", content=BODY, headers=headers)
    assert upstream.last.header("anthropic-beta") == "a-1,b-3"
    step = next(s for s in proxy.sink.of(answer).hooks if s.hook == "verbose_mode")
    assert step.changed == ("header:anthropic-beta",)
    httpx.post(
        f"{proxy.url}/v1/messages",
        content=BODY,
        headers={**headers, "x-ccproxy-hooks": "-verbose_mode, -inject_auth"},
    )
    assert upstream.last.header("anthropic-beta") == "a-1, redact-thinking-2, b-3"
    assert upstream.last.header("x-api-key") == KEY  # a security hook cannot be skipped


def test_session_and_conversation_are_found(proxy: Running) -> None:
    user = json.dumps({"device_id": "d", "account_uuid": "", "session_id": "s-1"})
    body = {
        "model": "m",
        "metadata": {"user_id": user},
        "messages": [{"role": "user", "content": "hello"}],
    }
    answer = httpx.post(f"{proxy.url}/v1/messages", json=body, headers=HEADERS)
    record = proxy.sink.of(answer)
    assert (record.session_id, record.conversation_id) == ("s-1", "2cf24dba5fb0")


def test_an_upstream_error_passes_as_it_came(proxy: Running, upstream: Upstream) -> None:
    error = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
    upstream.scripts["/v1/messages"] = Script(status=529, pieces=(error,))
    try:
        answer = httpx.post(f"{proxy.url}/v1/messages", content=BODY, headers=HEADERS)
    finally:
        del upstream.scripts["/v1/messages"]
    assert (answer.status_code, answer.content) == (529, error)
