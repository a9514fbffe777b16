"""A saved edit takes effect on the next request, without a restart and without dropping an open
stream.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.e2e import raw
from tests.e2e.conftest import REAL_KEY
from tests.e2e.console import Console
from tests.e2e.process import Interceptor, wait_until
from tests.e2e.test_stream import BODY, delta
from tests.fakes.upstream import Upstream, sse


@pytest.fixture
def other() -> Iterator[Upstream]:
    """A second upstream."""
    with Upstream(key=REAL_KEY) as server:
        yield server


@pytest.fixture
def console(interceptor: Interceptor) -> Iterator[Console]:
    with Console(interceptor) as client:
        yield client


def ask(provider: str, path: str = "/v1/messages") -> bytes:
    head = [
        ("Host", "127.0.0.1"),
        ("x-api-key", f"sk-ccproxy-{provider}"),
        ("Content-Length", str(len(BODY))),
    ]
    return raw.request("POST", path, head, BODY)


def test_a_providers_new_host_is_used_and_an_open_stream_goes_on(
    upstream: Upstream, other: Upstream, interceptor: Interceptor, console: Console
) -> None:
    auth = {"auth_type": "key", "secret": REAL_KEY}
    moving = {
        "name": "moving",
        "type": "anthropic",
        "scheme": "http",
        "host": "127.0.0.1",
        "path": "/v1/messages",
    }
    console.post("/api/providers/", {**moving, **auth, "port": upstream.port}, 201)
    interceptor.settle()
    gate = threading.Event()
    upstream.scripts["/v1/messages"] = sse(delta(1), delta(2), gate=gate)
    with raw.connection(interceptor.port) as client:
        client.sendall(ask("moving"))
        upstream.wait_for(1)
        saved_at = time.monotonic()
        # With a credential of its own, as the old one would need the password to move.
        moved = {"host": "localhost", "port": other.port, "secret": REAL_KEY}
        console.patch("/api/providers/moving/", moved, 200)

        def arrived_there() -> bool:
            raw.exchange(interceptor.port, ask("moving", "/v1/messages/count_tokens"))
            return bool(other.requests)

        wait_until(arrived_there, "the new host is used")
        print(f"the edit took effect after {time.monotonic() - saved_at:.2f} s")
        gate.set()
        answer = raw.read_answer(client)
    assert (answer.complete, answer.body) == (True, delta(1) + delta(2))
    assert other.last.header("host") == f"localhost:{other.port}"
    assert other.last.header("authorization") == f"Bearer {REAL_KEY}"


def test_a_rule_with_a_bad_expression_is_refused_at_save(
    interceptor: Interceptor, console: Console
) -> None:
    rule = {
        "action": "redirect",
        "match_path": "/v1/(messages",
        "dest_provider": "up",
        "position": 7,
    }
    errors = console.post("/api/rules/", rule, 400)
    assert "match_path" in str(errors)
    assert interceptor.rows("select * from providers_transformrule where position=7") == []


def test_a_rule_redirects_and_changes_the_model_alone(
    upstream: Upstream, interceptor: Interceptor, console: Console
) -> None:
    rule = {
        "name": "cheaper",
        "action": "redirect",
        "match_path": "^/v1/messages",
        "match_model": "^expensive$",
        "dest_provider": "cmd",
        "dest_model": "demo",
    }
    made = console.post("/api/rules/", rule, 201)
    try:
        interceptor.settle()
        body = (
            b'{ "metadata": {"model": "expensive"},  "model" : "expensive", "max_tokens": 5,'
            b' "messages": [] }'
        )
        head = [
            ("Host", "127.0.0.1"),
            ("x-api-key", "sk-ccproxy-up"),
            ("Content-Length", str(len(body))),
        ]
        answer = raw.exchange(
            interceptor.port, raw.request("POST", "/v1/messages?beta=true", head, body)
        )
        assert answer.status == 200
        assert upstream.last.body == body.replace(b'"model" : "expensive"', b'"model" : "demo"')
        assert upstream.last.header("content-length") == str(len(upstream.last.body))
        assert upstream.last.target == "/v1/messages?beta=true"
        assert upstream.last.header("x-api-key") == REAL_KEY
        flow = interceptor.flow(answer.flow_id)
        assert flow["rule"] == "cheaper"
        assert (flow["requested_model"], flow["sent_model"], flow["provider"]) == (
            "expensive",
            "demo",
            "cmd",
        )
    finally:
        console.delete(f"/api/rules/{made['id']}/", 204)
        interceptor.settle()


def test_a_disabled_provider_is_unknown_at_once(interceptor: Interceptor, console: Console) -> None:
    console.patch("/api/providers/missing/", {"enabled": False}, 200)
    try:
        interceptor.settle()
        answer = raw.exchange(interceptor.port, ask("missing"))
        assert answer.status == 401
        assert "missing" in answer.json["error"]["message"]
    finally:
        console.patch("/api/providers/missing/", {"enabled": True}, 200)
        interceptor.settle()
