"""Losses of responses through the real proxy: on the flow, in whatever form a response comes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from interceptor.config.snapshot.schema import Snapshot
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.addons.test_translate import PATHS, send
from tests.interceptor.proxied import Running, key_auth, provider, snapshot

BASE = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
MESSAGE = {"role": "assistant", "content": [{"type": "text", "text": "hey"}, {"type": "widget"}]}
BODY = {**BASE, "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}]}
CHUNK = {**BASE, "choices": [{"index": 0, "delta": MESSAGE, "finish_reason": "stop"}]}
JSON = json.dumps(BODY).encode()
STREAM = b"data: " + json.dumps(CHUNK).encode() + b"\n\ndata: [DONE]\n\n"
LOSS = ("content", "A part of type 'widget' was dropped.")


@pytest.fixture(scope="module")
def configuration(upstream: Upstream) -> Snapshot:
    return snapshot(
        provider("openai", upstream.port, type="openai", path=PATHS["openai"], auth=key_auth())
    )


@pytest.fixture(autouse=True)
def no_scripts(upstream: Upstream) -> Iterator[None]:
    yield
    upstream.scripts.clear()


@pytest.mark.parametrize("label", ["", "text/plain", "application/json", "text/event-stream"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("body", [JSON, STREAM], ids=["json", "events"])
@pytest.mark.parametrize("client", ["anthropic_messages", "openai_responses", "google_generate"])
def test_a_loss_is_on_the_flow(
    proxy: Running, upstream: Upstream, label: str, stream: bool, body: bytes, client: str
) -> None:
    headers = (("content-type", label),) if label else ()
    upstream.scripts[PATHS["openai"]] = Script(200, headers, (body,))
    answer = send(proxy, client, "openai", stream=stream)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    assert b"hey" in answer.content
    record = proxy.sink.of(answer)
    assert (record.state, record.losses) == ("done", (LOSS,))
