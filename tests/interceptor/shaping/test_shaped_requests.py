"""Requests through the real proxy to a provider that takes those of its reference client alone."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anthropic
import httpx
import openai
import pytest

from interceptor.config.snapshot.schema import Snapshot
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import Running
from tests.interceptor.shaping.reference import (
    BILLING,
    FLAG,
    IDENTITY,
    SESSION,
    ReferenceProvider,
    active,
    shape_row,
    shaped_snapshot,
)
from tests.patience import PATIENCE_S

KEY = "sk-ccproxy-up"
HELLO: Any = [{"role": "user", "content": "Hello"}]
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 60).decode()
TOOLS: Any = [{"name": "look", "input_schema": {"type": "object", "properties": {}}}]


@pytest.fixture(scope="module")
def configuration(upstream: Upstream) -> Snapshot:
    return shaped_snapshot(upstream, shape_row())


@pytest.fixture(autouse=True)
def strict(upstream: Upstream) -> Iterator[ReferenceProvider]:
    upstream.requests.clear()
    yield ReferenceProvider(upstream)
    upstream.scripts.clear()


def post(proxy: Running, body: Any = None, **headers: str) -> httpx.Response:
    request = {"model": "demo", "max_tokens": 9, "messages": HELLO} | (body or {})
    return httpx.post(
        proxy.url + "/v1/messages",
        json=request,
        headers={"x-api-key": KEY, **headers},
        timeout=PATIENCE_S,
    )


def test_the_provider_refuses_a_request_without_the_shape(proxy, upstream):
    response = post(proxy, **{"x-ccproxy-hooks": "-shape"})
    assert response.status_code == 401
    assert upstream.last.header("x-app") is None


@pytest.fixture(scope="module")
def client(proxy: Running) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=proxy.url, api_key=KEY, max_retries=0)


def test_an_sdks_request_leaves_as_the_reference_clients(client, proxy, upstream):
    made = client.messages.create(
        model="demo", max_tokens=9, messages=HELLO, system="Be brief.", stop_sequences=["x"]
    )
    assert made.content
    seen = upstream.last
    body = seen.json
    assert [block["text"] for block in body["system"]] == [BILLING, IDENTITY, "Be brief."]
    assert body["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert (body["messages"], body["stop_sequences"]) == (HELLO, ["x"])
    assert list(body) == [
        "model", "system", "messages", "ref_mode", "max_tokens", "stop_sequences",
    ]  # fmt: skip
    names = [name.lower() for name, _ in seen.headers]
    assert names[:1] == ["host"]
    assert [name for name in names if not name.startswith("x-stainless")] == names
    # The client says who it is, unless a profile chooses otherwise.
    assert (seen.header("user-agent") or "").startswith("Anthropic/Python")
    assert seen.header("x-api-key") == "real-key-0123456789"
    assert names[-1] == "x-api-key"
    record = proxy.sink.wait()
    assert (record.shape, record.shape_problem) == ("anthropic v3", "")


def test_streams_tools_and_images_are_the_clients(client, upstream):
    image = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content: Any = [{"type": "image", "source": image}, {"type": "text", "text": "what is it?"}]
    messages: Any = [{"role": "user", "content": content}]
    with client.messages.stream(
        model="demo", max_tokens=99, messages=messages, tools=TOOLS
    ) as stream:
        assert stream.get_final_message().stop_reason
    body = upstream.last.json
    assert (body["messages"], body["tools"], body["stream"]) == (messages, TOOLS, True)


def test_an_openai_clients_request_is_translated_and_then_shaped(proxy, upstream):
    with_stream = openai.OpenAI(base_url=proxy.url + "/v1", api_key=KEY, max_retries=0)
    made = with_stream.chat.completions.create(
        model="demo",
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    )
    assert made.choices[0].message.content
    body = upstream.last.json
    assert [block["text"] for block in body["system"]] == [BILLING, IDENTITY, "Be brief."]
    chunks = list(
        with_stream.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": "Hello"}], stream=True
        )
    )
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert upstream.last.json["stream"] is True


def test_a_compressed_request_stays_compressed(proxy, upstream):
    import gzip
    import json

    data = gzip.compress(json.dumps({"model": "demo", "max_tokens": 9, "messages": HELLO}).encode())
    response = httpx.post(
        proxy.url + "/v1/messages",
        content=data,
        headers={"x-api-key": KEY, "content-encoding": "gzip", "content-type": "application/json"},
        timeout=PATIENCE_S,
    )
    assert response.status_code == 200, response.text
    assert upstream.last.header("content-encoding") == "gzip"
    assert upstream.last.json["ref_mode"] == {"fast": True}


def test_the_clients_own_session_flags_and_metadata_stay(proxy, upstream):
    own = "99999999-2222-4333-8444-555555555555"
    metadata = {"user_id": '{"device_id":"d","session_id":"mine"}'}
    headers = {"x-claude-code-session-id": own, "anthropic-beta": "mcp-client-2025-04-04"}
    response = post(proxy, {"metadata": metadata}, **headers)
    assert response.status_code == 200, response.text
    seen = upstream.last
    assert seen.header("x-claude-code-session-id") == own
    assert (seen.header("anthropic-beta") or "").endswith(",mcp-client-2025-04-04")
    assert seen.json["metadata"] == metadata


def test_every_request_has_a_fresh_session_of_its_own(proxy, upstream):
    post(proxy)
    post(proxy)
    first, second = (seen.header("x-claude-code-session-id") for seen in upstream.requests)
    assert len({first, second, SESSION}) == 3


def test_the_reference_client_itself_is_not_shaped(proxy, upstream):
    response = post(proxy, **{"user-agent": "Ref-CLI/9.9 (external)"})
    assert response.status_code == 401
    assert upstream.last.header("x-app") is None
    record = proxy.sink.of(response)
    [step] = [step for step in record.hooks if step.hook == "shape"]
    assert step.reason == "not shaped: the client is ref-cli itself"
    assert (record.shape, record.shape_problem, step.changed) == ("", "", ())


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/messages/batches"])
def test_only_calls_of_models_are_shaped(proxy, upstream, path):
    httpx.post(
        proxy.url + path, json={"model": "demo", "messages": HELLO}, headers={"x-api-key": KEY}
    )
    assert upstream.last.header("x-app") is None


def test_a_body_that_is_no_object_leaves_unshaped_with_the_reason(proxy):
    response = httpx.post(
        proxy.url + "/v1/messages", content=b"[1]", headers={"x-api-key": KEY}, timeout=PATIENCE_S
    )
    record = proxy.sink.of(response)
    assert record.shape_problem == "the body is no JSON object"
    assert record.shape == ""


def test_the_trace_tells_the_origin_of_every_part(proxy):
    record = proxy.sink.of(post(proxy, {"system": "Be brief.", "unknown": 1}, **{"x-mine": "1"}))
    steps = [step for step in record.hooks if step.stage == "shape" or step.hook == "shape"]
    assert [step.hook for step in steps] == [
        "shape", "regenerate", "caching.strip", "caching.insert",
    ]  # fmt: skip
    outer, regenerate, strip, insert = steps
    assert outer.reason == "anthropic v3 (ref-cli 9.8.7)"
    assert outer.body_after is not None
    assert regenerate.changed == ("header:x-claude-code-session-id",)
    assert strip.changed == ()
    assert insert.changed == ("body:system",)
    origins = dict(outer.origins)
    wanted = {
        "header:x-app": "shape",
        "header:anthropic-beta": "shape",
        "header:user-agent": "client",
        "header:x-claude-code-session-id": "regenerate",
        "header:x-mine": "dropped",
        "body:messages": "client",
        "body:system": "caching.insert",
        "body:ref_mode": "shape",
        "body:unknown": "dropped",
    }
    assert {part: origins[part] for part in wanted} == wanted


def test_a_new_shape_is_taken_by_the_next_request(proxy, upstream):
    before = proxy.store.current
    row = shape_row()
    headers = tuple((name, value.replace(FLAG, "newer")) for name, value in row.parts.headers)
    newer = shape_row(version=4, parts=replace(row.parts, headers=headers))
    proxy.store.replace(replace(before, shapes=active(newer)))
    try:
        record = proxy.sink.of(post(proxy))
        assert record.shape == "anthropic v4"
        assert "newer" in (upstream.last.header("anthropic-beta") or "")
        proxy.store.replace(replace(before, shapes={}))
        assert proxy.sink.of(post(proxy)).shape == ""
    finally:
        proxy.store.replace(before)
