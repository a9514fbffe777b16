"""CORS on a running proxy: preflights, responses, streams and errors of listed origins alone."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.access.caller_rules import guard_rules
from interceptor.access.cors import preflight_headers, with_origin
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot

ORIGIN = "app://obsidian.md"
EVIL = "https://evil.test"
PATH = "/v1/messages"
BODY = b'{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}'
KEY = {"x-api-key": "sk-ccproxy-up", "anthropic-version": "2023-06-01"}
ASKS = {"access-control-request-method": "POST"}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[Running]:
    rules = guard_rules("127.0.0.1", (), [ORIGIN, "*", "null"])
    chat = provider("chat", upstream.port, type="openai", path="/v1/chat/completions")
    gone = provider("gone", 1)
    conf = snapshot(provider("up", upstream.port), chat, gone)
    with running_proxy(conf, rules=rules, require_token=False) as running:
        yield running


def _preflight(proxy: Running, origin: str, **more: str) -> httpx.Response:
    headers = {"origin": origin, **ASKS, **{k.replace("_", "-"): v for k, v in more.items()}}
    return httpx.options(proxy.url + PATH, headers=headers, trust_env=False)


def _post(proxy: Running, origin: str, **headers: str) -> httpx.Response:
    given_headers = {"origin": origin, "sec-fetch-site": "cross-site", **KEY, **headers}
    return httpx.post(proxy.url + PATH, content=BODY, headers=given_headers, trust_env=False)


def _cors(answer: httpx.Response) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]


def _readable(answer: httpx.Response, origin: str = ORIGIN) -> bool:
    headers = answer.headers
    return (
        headers.get_list("access-control-allow-origin") == [origin]
        and headers.get("access-control-allow-credentials") == "true"
        and "origin" in headers.get("vary", "").lower()
    )


def test_a_preflight_of_a_listed_origin_is_answered(proxy: Running, upstream: Upstream) -> None:
    answer = _preflight(
        proxy,
        ORIGIN,
        access_control_request_headers="authorization,content-type",
        access_control_request_private_network="true",
    )
    assert answer.status_code == 204 and answer.content == b""
    assert "content-length" not in answer.headers
    assert _readable(answer)
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    assert answer.headers["access-control-allow-private-network"] == "true"
    assert int(answer.headers["access-control-max-age"]) > 0
    assert upstream.requests == []


@pytest.mark.parametrize("origin", [EVIL, "null", "*", "app://obsidian.md.evil", ""])
def test_every_other_origin_is_refused(proxy: Running, upstream: Upstream, origin: str) -> None:
    for answer in (_preflight(proxy, origin), _post(proxy, origin)):
        assert answer.status_code == 403 and _cors(answer) == []
    assert upstream.requests == []


def test_a_preflight_under_a_foreign_name_is_refused(proxy: Running) -> None:
    answer = _preflight(proxy, ORIGIN, host="rebound.test")
    assert answer.status_code == 421 and _cors(answer) == []


def test_responses_streams_and_errors_can_be_read(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = Script(
        headers=(
            ("content-type", "application/json"),
            ("access-control-allow-origin", "*"),
            ("request-id", "r1"),
            ("vary", "accept"),
        )
    )
    buffered = _post(proxy, ORIGIN)
    assert buffered.status_code == 200 and _readable(buffered)
    assert buffered.headers["vary"] == "accept, Origin"
    exposed = buffered.headers["access-control-expose-headers"].split(", ")
    assert {"request-id", "x-ccproxy-flow"} <= set(exposed)
    upstream.scripts[PATH] = Script(
        headers=(("content-type", "text/event-stream"),),
        pieces=(b"event: ping\ndata: {}\n\n",),
        framing="chunked",
    )
    assert _readable(_post(proxy, ORIGIN))
    upstream.scripts[PATH] = Script(429, pieces=(b'{"type":"error"}',))
    limited = _post(proxy, ORIGIN)
    assert limited.status_code == 429 and _readable(limited)
    # The proxy's own: no route, an unknown client token, a provider that is down.
    for key in ("nobody", "up.cct-unknown", "gone"):
        failed = _post(proxy, ORIGIN, **{"x-api-key": f"sk-ccproxy-{key}"})
        assert failed.status_code >= 400 and _readable(failed), key


def test_a_translated_response_can_be_read(proxy: Running) -> None:
    answer = _post(proxy, ORIGIN, **{"x-api-key": "sk-ccproxy-chat"})
    assert answer.status_code == 200 and _readable(answer)


def test_a_program_without_origin_gets_no_cors_header(proxy: Running) -> None:
    answer = httpx.post(proxy.url + PATH, content=BODY, headers=KEY, trust_env=False)
    assert answer.status_code == 200 and _cors(answer) == []


@given(method=st.text(), names=st.text(), network=st.text())
def test_nothing_asked_for_breaks_a_header(method: str, names: str, network: str) -> None:
    asked = {
        "access-control-request-method": method,
        "access-control-request-headers": names,
        "access-control-request-private-network": network,
    }
    for _, value in preflight_headers(asked.get):
        assert value.isascii() and value.isprintable()


@pytest.mark.parametrize(
    ("vary", "wanted"),
    [("", "Origin"), ("accept", "accept, Origin"), ("*", "*"), ("a, ORIGIN", "a, ORIGIN")],
)
def test_vary_names_origin_once(vary: str, wanted: str) -> None:
    assert with_origin(vary) == wanted
