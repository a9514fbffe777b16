"""A user's own hooks on the real proxy: they end requests, and change them in any format."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from interceptor.hooks.table import HookConf
from interceptor.pipeline.hook import Stage
from tests.fakes.upstream import Upstream
from tests.interceptor.hooks import own_hooks
from tests.interceptor.proxied import DEFAULT_HOOKS, KEY, Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

PATH = f"{own_hooks.__name__}."
TEXT = [{"role": "user", "content": "Hi"}]
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "anthropic": ("/v1/messages", {"model": "m", "max_tokens": 5, "messages": TEXT}),
    "chat": ("/v1/chat/completions", {"model": "m", "messages": TEXT}),
    "responses": ("/v1/responses", {"model": "m", "input": "Hi"}),
    "google": (
        "/v1beta/models/m:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    ),
}


@pytest.fixture(scope="module")
def proxy() -> Iterator[tuple[Running, Upstream]]:
    own = [HookConf(Stage.INBOUND, PATH + name, 5) for name in ("refuse", "prepared", "be_brief")]
    own += [HookConf(Stage.SEAL, name, 1) for name in (PATH + "sign", "content_digest")]
    with Upstream() as upstream:
        providers = (
            provider("anthropic", upstream.port),
            provider("chat", upstream.port, type="openai", path="/v1/chat/completions"),
            provider("responses", upstream.port, type="openai_responses", path="/v1/responses"),
            provider(
                "google", upstream.port, type="google", path="/v1beta/models/{model}:{action}"
            ),
        )
        with running_proxy(snapshot(*providers, hooks=(*DEFAULT_HOOKS, *own))) as running:
            yield running, upstream


def send(proxy: Running, client: str, target: str, **headers: str) -> httpx.Response:
    path, body = REQUESTS[client]
    key = {"authorization": f"Bearer sk-ccproxy-{target}"}
    return httpx.post(proxy.url + path, json=body, headers={**key, **headers}, timeout=PATIENCE_S)


@pytest.mark.parametrize("client", sorted(REQUESTS))
@pytest.mark.parametrize(
    ("header", "status", "words"),
    [("x-refuse", 402, "used up until tomorrow"), ("x-refuse-early", 503, "cannot be looked up")],
)
def test_a_hook_ends_a_request_in_the_clients_format(
    proxy: tuple[Running, Upstream], client: str, header: str, status: int, words: str
) -> None:
    running, upstream = proxy
    before = len(upstream.requests)
    response = send(running, client, "anthropic", **{header: "1"})
    assert response.status_code == status
    error = response.json()["error"]
    assert (words in error["message"] and "code" in error) or "type" in error
    assert len(upstream.requests) == before, "nothing leaves"
    record = running.sink.of(response)
    assert (record.hooks[-1].outcome, words in record.error) == ("error", True)


@pytest.mark.parametrize("client", sorted(REQUESTS))
@pytest.mark.parametrize("target", sorted(REQUESTS))
def test_a_hook_changes_the_neutral_request(
    proxy: tuple[Running, Upstream], client: str, target: str
) -> None:
    running, upstream = proxy
    plain = send(running, client, target)
    assert own_hooks.SENTENCE not in json.dumps(upstream.last.json)
    response = send(running, client, target, **{"x-brief": "1"})
    assert (plain.status_code, response.status_code) == (200, 200)
    assert own_hooks.SENTENCE in json.dumps(upstream.last.json)
    step = next(step for step in running.sink.of(response).hooks if step.stage == "transform")
    assert "body" in step.changed and own_hooks.SENTENCE.encode() in (step.body_after or b"")


@pytest.mark.parametrize("target", ["anthropic", "chat"])
def test_seal_hooks_see_the_final_request_and_cannot_move_it(
    proxy: tuple[Running, Upstream], target: str
) -> None:
    running, upstream = proxy
    response = send(running, "anthropic", target, **{"x-move": "1"})
    seen = upstream.last
    assert response.status_code == 200
    assert seen.header("x-signature") == f"{len(seen.body)} {KEY[-4:]}"
    digest = base64.b64encode(hashlib.sha256(seen.body).digest()).decode()
    assert seen.header("content-digest") == f"sha-256=:{digest}:"
    assert seen.header("x-ccproxy-secret") is None
    record = running.sink.of(response)
    forwarded = next(side for side in record.sides if side.side == "forwarded")
    assert ("x-signature", seen.header("x-signature")) in forwarded.headers


def test_steps_say_when_they_began(proxy: tuple[Running, Upstream]) -> None:
    running, _ = proxy
    steps = running.sink.of(send(running, "anthropic", "anthropic")).hooks
    ran = [step for step in steps if step.outcome == "ran"]
    # Preparations run side by side, so hooks of one stage may begin in any order.
    latest = {
        stage: max(step.started_ms for step in ran if step.stage == stage)
        for stage in ("inbound", "transform", "egress")
    }
    assert 0 < latest["inbound"] < latest["transform"] < latest["egress"]
