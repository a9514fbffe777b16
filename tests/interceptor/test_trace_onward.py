"""`otel.propagate`: providers see our span as their parent; without it, what the client sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flows.record import FlowRecord
from flows.telemetry.trace_context import UPSTREAM, part_id_of, span_id_of, trace_id_of
from interceptor.addons.failures import retry
from interceptor.hooks.table import HookConf
from providers.fallbacks import parse_fallbacks
from providers.retry_policy import RetryPolicy
from tests.fakes.upstream import Script, Upstream
from tests.flows.telemetry.traced import spans
from tests.interceptor.proxied import DEFAULT_HOOKS, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
BODY = b'{"model":"demo","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}'
SEALED = (*DEFAULT_HOOKS, HookConf("seal", "content_digest", 1))


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


def ask(url: str, **headers: str) -> httpx.Response:
    sent = {"x-api-key": "sk-ccproxy-up", "content-type": "application/json"} | headers
    return httpx.post(f"{url}/v1/messages", content=BODY, headers=sent, timeout=PATIENCE_S)


def upstream_id(record: FlowRecord) -> str:
    """The id of the span of the provider's part."""
    return part_id_of(span_id_of(record.id), UPSTREAM).hex()


@pytest.mark.parametrize("hooks", [DEFAULT_HOOKS, SEALED])
def test_the_provider_s_parent_is_our_span(upstream: Upstream, hooks: Any) -> None:
    config = snapshot(provider("up", upstream.port), hooks=hooks)
    with running_proxy(config, sends_trace=True) as proxy:
        own = proxy.sink.of(ask(proxy.url))
        made = upstream.last
        below = proxy.sink.of(
            ask(proxy.url, traceparent=f"00-{TRACE}-{PARENT}-01", tracestate="a=1")
        )
        joined = upstream.last
        asked = f"00-{TRACE}-{PARENT}-00"
        quiet = proxy.sink.of(ask(proxy.url, traceparent=asked))
        unsampled = upstream.last
        broken = proxy.sink.of(ask(proxy.url, traceparent="nonsense", tracestate="a=1"))
        mended = upstream.last
    assert made.header("traceparent") == (f"00-{trace_id_of(own.id).hex()}-{upstream_id(own)}-01")
    parent = upstream_id(below)
    assert joined.header("traceparent") == f"00-{TRACE}-{parent}-01"
    assert joined.header("tracestate") == "a=1"
    span_id = upstream_id(quiet)
    assert unsampled.header("traceparent") == f"00-{TRACE}-{span_id}-00"
    assert mended.header("traceparent") == (
        f"00-{trace_id_of(broken.id).hex()}-{upstream_id(broken)}-01"
    )
    assert mended.header("tracestate") is None
    # The record shows what left, and the span that it names is one of ours.
    (forwarded,) = [side for side in below.sides if side.side == "forwarded"]
    assert ("traceparent", f"00-{TRACE}-{parent}-01") in forwarded.headers
    (found,) = [span for span in spans(below) if span.name == "ccproxy.upstream"]
    assert found.span_id.hex() == parent


def test_off_it_leaves_what_the_client_sent(upstream: Upstream) -> None:
    with running_proxy(snapshot(provider("up", upstream.port))) as proxy:
        ask(proxy.url)
        assert upstream.last.header("traceparent") is None
        ask(proxy.url, traceparent="00-anything", tracestate="a=1")
        assert upstream.last.header("traceparent") == "00-anything"
        assert upstream.last.header("tracestate") == "a=1"


def test_each_attempt_names_the_same_parent(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.01)
    config = snapshot(
        provider(
            "up",
            upstream.port,
            path="/busy",
            retry=RetryPolicy(2, frozenset({503})),
            fallbacks=parse_fallbacks(["spare"]),
        ),
        provider("spare", upstream.port),
    )
    upstream.scripts["/busy"] = Script(503, (("content-type", "application/json"),), (b"{}",))
    with running_proxy(config, sends_trace=True) as proxy:
        answer = ask(proxy.url, traceparent=f"00-{TRACE}-{PARENT}-01", tracestate="a=1")
        record = proxy.sink.of(answer)
    assert answer.status_code == 200
    sent = upstream.requests[-3:]
    assert [seen.path for seen in sent] == ["/busy", "/busy", "/v1/messages"]
    parents = [seen.header("traceparent") for seen in sent]
    assert parents == [f"00-{TRACE}-{upstream_id(record)}-01"] * 3
    assert [seen.header("tracestate") for seen in sent] == ["a=1"] * 3
    # Each attempt is a span below the one that providers see as their parent.
    found = spans(record)
    (above,) = [span for span in found if span.name == "ccproxy.upstream"]
    attempts = [span for span in found if span.name.startswith("ccproxy.attempt")]
    assert len(attempts) == 3
    assert {span.parent_span_id for span in attempts} == {above.span_id}
