"""Chains of fallbacks, between a real client and scripted providers."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from flows.record import FlowRecord
from interceptor.addons.failures import fallback, retry
from interceptor.config.snapshot.schema import ClientTokenConf
from interceptor.explain.dry_run import explain
from interceptor.explain.explanation import DryRequest
from interceptor.transform.cooldowns import Target
from providers.fallbacks import Fallback, parse_fallbacks
from providers.provider_conf import ProviderConf
from providers.retry_policy import RetryPolicy
from tests.fakes.upstream import Script, Seen, Upstream, sse
from tests.interceptor.proxied import (
    Running,
    key_auth,
    provider,
    rule,
    running_proxy,
    snapshot,
)
from tests.patience import PATIENCE_S

PATH, CHAT = "/v1/messages", "/v1/chat/completions"
ASK = {"model": "demo", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
GOOD = Script(pieces=(b'{"ok":true}',))
RESET = Script(reset_after=0)


def busy(status: int = 503, *headers: tuple[str, str], body: bytes = b"{}") -> Script:
    return Script(status, (("content-type", "application/json"), *headers), (body,))


def by_key(**scripts: Script | Callable[[Seen], Script]) -> Callable[[Seen], Script]:
    """Answers by the credential that came: "main" or "backup"."""

    def choose(seen: Seen) -> Script:
        key = seen.header("x-api-key") or (seen.header("authorization") or "")[7:]
        found = scripts[key]
        return found if isinstance(found, Script) else found(seen)

    return choose


def keyed(name: str, port: int, **more: Any) -> ProviderConf:
    """A provider whose credential is its own name."""
    return provider(name, port, **{"auth": key_auth("x-api-key", name), **more})


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def to(*entries: str) -> tuple[Fallback, ...]:
    return parse_fallbacks(list(entries))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.01)


@pytest.fixture(scope="module")
def listening(upstream: Upstream) -> Iterator[Running]:
    with running_proxy(snapshot(), idle_timeout_s=1.0) as running:
        yield running


@pytest.fixture
def proxy(listening: Running, upstream: Upstream) -> Running:
    """The proxy with a chain main → backup → chat (of another format), and no pauses left."""
    upstream.requests.clear()
    upstream.scripts.clear()
    listening.proxy.cooldowns.clear()
    configure(listening, upstream)
    return listening


def configure(proxy: Running, upstream: Upstream, *more: ProviderConf, **main: Any) -> None:
    chat = keyed("chat", upstream.port, type="openai", path=CHAT, auth=key_auth("", "chat"))
    port = main.pop("port", upstream.port)
    values = {"fallbacks": to("backup", "chat/small"), **main}
    proxy.store.replace(
        snapshot(
            keyed("main", port, **values),
            keyed("backup", upstream.port, headers=(("x-own", "backup"),)),
            chat,
            *more,
        )
    )


def post(proxy: Running, path: str = PATH, name: str = "main", **body: Any) -> httpx.Response:
    headers = {"x-api-key": f"sk-ccproxy-{name}", "anthropic-version": "2023-06-01"}
    url = f"{proxy.url}{path}"
    return httpx.post(url, json={**ASK, **body}, headers=headers, timeout=PATIENCE_S)


def asked(upstream: Upstream) -> list[str]:
    """Which credentials came, in order."""
    keys = [seen.header("x-api-key") or seen.header("authorization") for seen in upstream.requests]
    return [(key or "").removeprefix("Bearer ") for key in keys]


def tried(record: FlowRecord) -> list[tuple[str, str, int | str | None]]:
    return [(a.provider, a.model, a.status_code or a.failure) for a in record.attempts]


# The next candidate answers


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_a_failure_goes_to_the_next_candidate(
    proxy: Running, upstream: Upstream, status: int
) -> None:
    upstream.scripts[PATH] = by_key(main=busy(status), backup=GOOD)
    answer = post(proxy)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    first, second = upstream.requests
    assert asked(upstream) == ["main", "backup"]
    assert first.body == second.body
    assert (first.header("x-own"), second.header("x-own")) == (None, "backup")
    record = proxy.sink.of(answer)
    assert (record.state, record.error, record.provider) == ("done", "", "backup")
    assert record.route == "as a fallback of main to provider backup"
    stages = [step.hook for step in record.hooks if step.stage in ("replay", "transform")]
    assert stages == ["fallback", "redirect"], "the steps of the failed request are gone"
    assert tried(record) == [("main", "demo", status), ("backup", "demo", 200)]
    assert record.attempts[1].reason == f"main/demo: {status}; sent to backup/demo"
    assert [a.sent_bytes for a in record.attempts] == [len(first.body)] * 2
    assert [a.received_bytes for a in record.attempts] == [2, len(b'{"ok":true}')]


def test_no_credential_reaches_another_candidate(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = by_key(main=busy(), backup=busy())
    post(proxy)
    assert asked(upstream) == ["main", "backup", "chat"]
    names = ("x-api-key", "authorization")
    for seen in upstream.requests:
        assert len([name for name, _ in seen.headers if name.lower() in names]) == 1


def test_a_lost_connection_goes_to_the_next_candidate(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = by_key(main=RESET, backup=GOOD)
    answer = post(proxy)
    assert answer.json() == {"ok": True}
    record = proxy.sink.of(answer)
    assert (record.state, record.error) == ("done", "")
    assert tried(record) == [("main", "demo", "connect"), ("backup", "demo", 200)]


def test_a_provider_that_does_not_listen(proxy: Running, upstream: Upstream) -> None:
    configure(proxy, upstream, port=closed_port())
    upstream.scripts[PATH] = by_key(backup=GOOD)
    answer = post(proxy)
    assert answer.json() == {"ok": True}
    assert tried(proxy.sink.of(answer))[0] == ("main", "demo", "connect")


def test_silence_goes_to_the_next_candidate(proxy: Running, upstream: Upstream) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        configure(proxy, upstream, port=silent.getsockname()[1])
        upstream.scripts[PATH] = by_key(backup=GOOD)
        answer = post(proxy)
    assert answer.json() == {"ok": True}
    assert tried(proxy.sink.of(answer))[0] == ("main", "demo", "timeout")


def test_another_format_is_translated_anew(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = by_key(main=busy(), backup=busy(529))
    answer = post(proxy, top_k=5)
    assert (answer.status_code, answer.json()["type"]) == (200, "message")
    third = upstream.requests[2]
    assert (third.path, third.json["model"]) == (CHAT, "small")
    assert third.header("x-api-key") is None
    assert third.header("authorization") == "Bearer chat"
    assert third.header("anthropic-version") is None
    record = proxy.sink.of(answer)
    assert [path for path, _ in record.losses] == ["top_k"]
    assert (record.provider_format, record.sent_model) == ("openai_chat", "small")
    assert tried(record)[2] == ("chat", "small", 200)


def test_a_translated_request_comes_back_to_the_clients_own_format(
    proxy: Running, upstream: Upstream
) -> None:
    """A candidate of the client's format gets the client's body, not a translation of one."""
    rules = (rule("transform", dest_provider="chat", fallbacks=to("backup")),)
    known = proxy.store.current.providers.values()
    proxy.store.replace(snapshot(*known, rules=rules))
    upstream.scripts[CHAT] = busy()
    upstream.scripts[PATH] = by_key(backup=GOOD)
    answer = post(proxy, top_k=5)
    assert answer.json() == {"ok": True}
    assert upstream.last.json == {**ASK, "top_k": 5}
    record = proxy.sink.of(answer)
    assert (record.losses, record.rule) == ((), "r")


def test_streams_stay_streams(proxy: Running, upstream: Upstream) -> None:
    gate = threading.Event()
    stream = sse(b"data: 1\n\n", b"data: 2\n\n", gate=gate)
    upstream.scripts[PATH] = by_key(main=busy(529), backup=stream)
    headers = {"x-api-key": "sk-ccproxy-main"}
    with httpx.stream("POST", f"{proxy.url}{PATH}", json=ASK, headers=headers) as answer:
        pieces = answer.iter_bytes()
        assert next(pieces) == b"data: 1\n\n", "the first event comes before the last one is sent"
        gate.set()
        assert b"".join(pieces) == b"data: 2\n\n"


def test_a_translated_stream(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = by_key(main=busy(), backup=RESET)
    answer = post(proxy, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: message_stop" in answer.text
    assert proxy.sink.of(answer).is_stream


def test_a_stream_that_breaks_is_not_sent_to_another(proxy: Running, upstream: Upstream) -> None:
    broken = sse(b"data: 1\n\n", b"data: 2\n\n", reset_after=1, pause_s=0.05)
    upstream.scripts[PATH] = by_key(main=broken, backup=GOOD)
    assert post(proxy).content.startswith(b"data: 1\n\n")
    assert asked(upstream) == ["main"]


def test_a_client_of_http2_goes_to_a_provider_of_http1(proxy: Running, upstream: Upstream) -> None:
    configure(proxy, upstream, host="localhost")
    upstream.scripts[PATH] = by_key(main=busy(), backup=GOOD)
    with httpx.Client(http1=False, http2=True, timeout=PATIENCE_S) as client:
        headers = {"x-api-key": "sk-ccproxy-main"}
        answer = client.post(f"{proxy.url}{PATH}", json=ASK, headers=headers)
    assert answer.json() == {"ok": True}
    hosts = [seen.header("host") for seen in upstream.requests]
    assert hosts == [f"localhost:{upstream.port}", f"127.0.0.1:{upstream.port}"]


# It fails in the end


def test_the_last_error_names_every_attempt(proxy: Running, upstream: Upstream) -> None:
    error = b'{"error":{"message":"too much","type":"rate_limit"}}'
    upstream.scripts[PATH] = by_key(main=busy(500), backup=RESET)
    upstream.scripts[CHAT] = busy(429, body=error)
    answer = post(proxy)
    assert (answer.status_code, answer.json()["error"]["message"]) == (429, "too much")
    assert answer.json()["type"] == "error"
    line = answer.headers["x-ccproxy-attempts"]
    assert line == "1: main/demo 500; 2: backup/demo connect; 3: chat/small 429"


def test_the_last_lost_connection_is_an_error_in_the_clients_format(
    proxy: Running, upstream: Upstream
) -> None:
    gone = keyed("gone", closed_port(), type="openai", path=CHAT)
    configure(proxy, upstream, gone, fallbacks=to("gone/x"))
    upstream.scripts[PATH] = by_key(main=busy())
    answer = post(proxy)
    assert (answer.status_code, answer.json()["type"]) == (502, "error")
    assert "provider gone" in answer.json()["error"]["message"]
    assert answer.headers["x-ccproxy-attempts"] == "1: main/demo 503; 2: gone/x connect"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_other_errors_stay(proxy: Running, upstream: Upstream, status: int) -> None:
    upstream.scripts[PATH] = by_key(main=busy(status), backup=GOOD)
    assert post(proxy).status_code == status
    assert asked(upstream) == ["main"]


def test_a_candidate_that_cannot_be_used_is_left_out(proxy: Running, upstream: Upstream) -> None:
    """An unknown provider, one whose credential is missing, and then a good one."""
    broken = keyed("broken", upstream.port, auth=key_auth("x-api-key", ""))
    configure(proxy, upstream, broken, fallbacks=to("nobody", "broken", "backup"))
    upstream.scripts[PATH] = by_key(main=busy(), backup=GOOD)
    answer = post(proxy)
    assert answer.json() == {"ok": True}
    assert asked(upstream) == ["main", "backup"]


def test_when_no_candidate_can_be_used_the_error_passes(proxy: Running, upstream: Upstream) -> None:
    configure(proxy, upstream, fallbacks=to("nobody"))
    upstream.scripts[PATH] = by_key(main=busy(503, body=b'{"mine":1}'))
    answer = post(proxy)
    assert (answer.status_code, answer.json()) == (503, {"mine": 1})
    record = proxy.sink.of(answer)
    assert (record.provider, record.attempts) == ("main", ())
    assert not [step for step in record.hooks if step.hook == "fallback"]


def test_a_fault_of_our_own_lets_the_error_pass(
    proxy: Running, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> str:
        raise RuntimeError("a defect")

    monkeypatch.setattr(fallback, "aim_at", fail)
    upstream.scripts[PATH] = by_key(main=busy(503, body=b'{"mine":1}'))
    answer = post(proxy)
    assert (answer.status_code, answer.json()) == (503, {"mine": 1})
    assert proxy.sink.of(answer).provider == "main"


# With other policies


def test_each_candidate_has_its_own_retries(proxy: Running, upstream: Upstream) -> None:
    policy = RetryPolicy(attempts=2)
    again = keyed("again", upstream.port, retry=RetryPolicy(attempts=3))
    configure(proxy, upstream, again, retry=policy, fallbacks=to("again", "backup"))
    upstream.scripts[PATH] = by_key(main=busy(), again=busy(529), backup=GOOD)
    assert post(proxy).json() == {"ok": True}
    assert asked(upstream) == ["main"] * 2 + ["again"] * 3 + ["backup"]


def test_a_wait_over_the_budget_goes_to_the_next_candidate(
    proxy: Running, upstream: Upstream
) -> None:
    configure(proxy, upstream, retry=RetryPolicy(attempts=3))
    upstream.scripts[PATH] = by_key(main=busy(429, ("retry-after", "3600")), backup=busy(400))
    answer = post(proxy)
    assert (answer.status_code, asked(upstream)) == (400, ["main", "backup"])
    assert "x-ccproxy-hint" not in answer.headers, "it spoke of the first candidate"


def test_the_policy_of_a_rule_holds_for_its_own_destination(
    proxy: Running, upstream: Upstream
) -> None:
    configure(proxy, upstream, retry=RetryPolicy(attempts=9))
    known = proxy.store.current.providers.values()
    chosen = rule(dest_provider="main", retry=RetryPolicy(2, frozenset({429})))
    proxy.store.replace(snapshot(*known, rules=(chosen,)))
    upstream.scripts[PATH] = by_key(main=busy(429), backup=busy(529))
    assert post(proxy).status_code == 200
    assert asked(upstream) == ["main", "main", "backup", "chat"]
    upstream.requests.clear()
    proxy.proxy.cooldowns.clear()
    upstream.scripts[PATH] = by_key(main=busy(503))
    assert post(proxy).status_code == 503
    assert asked(upstream) == ["main"]


def test_a_policy_says_which_failures_count(proxy: Running, upstream: Upstream) -> None:
    configure(proxy, upstream, retry=RetryPolicy(2, frozenset({429})))
    upstream.scripts[PATH] = by_key(main=busy(503), backup=GOOD)
    assert post(proxy).status_code == 503


def test_a_401_of_a_fallback_is_renewed(proxy: Running, upstream: Upstream) -> None:
    """The proxy gives the newest stored key when the one of the flow's beginning is refused."""
    old = keyed("backup", upstream.port, auth=key_auth("x-api-key", "old"))
    main = keyed("main", upstream.port, fallbacks=to("backup"))
    proxy.store.replace(snapshot(main, old))

    def denied(_: Seen) -> Script:
        proxy.store.replace(snapshot(main, keyed("backup", upstream.port)))
        return busy(401)

    upstream.scripts[PATH] = by_key(main=busy(), old=denied, backup=GOOD)
    answer = post(proxy)
    assert answer.json() == {"ok": True}
    assert asked(upstream) == ["main", "old", "backup"]
    assert [status for _, _, status in tried(proxy.sink.of(answer))] == [503, 401, 200]


def test_a_client_token_covers_no_candidate_of_other_providers(
    proxy: Running, upstream: Upstream
) -> None:
    token = ClientTokenConf("laptop", sha256(b"cct-x").hexdigest(), frozenset({"main", "chat"}))
    proxy.store.replace(replace(proxy.store.current, client_tokens=(token,)))
    upstream.scripts[PATH] = by_key(main=busy(), backup=GOOD)
    answer = post(proxy, name="main.cct-x")
    assert answer.status_code == 200
    assert asked(upstream) == ["main", "chat"]


# What has no fallback


def test_a_websocket_has_none(proxy: Running, upstream: Upstream) -> None:
    path = "/v1/responses"
    oai = keyed("oai", upstream.port, type="openai_responses", path=path, fallbacks=to("backup"))
    configure(proxy, upstream, oai)
    upstream.scripts[path] = busy(503)
    url, headers = f"ws://127.0.0.1:{proxy.port}{path}", {"x-api-key": "sk-ccproxy-oai"}
    with pytest.raises(InvalidStatus) as caught:
        connect(url, additional_headers=headers, compression=None, proxy=None)
    assert (caught.value.response.status_code, len(upstream.requests)) == (503, 1)


@pytest.mark.parametrize("path", ["/v1/files", "/v1/messages/batches"])
def test_stored_objects_stay_with_their_provider(
    proxy: Running, upstream: Upstream, path: str
) -> None:
    upstream.scripts[path] = by_key(main=busy(), backup=GOOD)
    assert post(proxy, path).status_code == 503


def test_a_token_count_has_fallbacks(proxy: Running, upstream: Upstream) -> None:
    path = f"{PATH}/count_tokens"
    upstream.scripts[path] = by_key(main=busy(), backup=GOOD)
    assert post(proxy, path).json() == {"ok": True}


# Pauses


def test_a_candidate_that_failed_is_skipped_for_a_while(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = by_key(main=busy(429, ("retry-after", "60")), backup=GOOD)
    post(proxy)
    answer = post(proxy)
    assert (answer.json(), asked(upstream)) == ({"ok": True}, ["main", "backup", "backup"])
    record = proxy.sink.of(answer)
    assert (record.provider, record.attempts) == ("backup", ())
    pauses = proxy.proxy.cooldowns.running()
    assert list(pauses) == [Target("main", "demo")]
    assert 55 < pauses[Target("main", "demo")].left_s <= 60


def test_after_its_pause_it_is_asked_again(proxy: Running, upstream: Upstream) -> None:
    left = [busy(429, ("retry-after-ms", "30"))]
    upstream.scripts[PATH] = by_key(main=lambda _: left.pop() if left else GOOD, backup=GOOD)
    first = proxy.sink.of(post(proxy))
    while proxy.proxy.cooldowns.running():
        time.sleep(0.01)
    second = proxy.sink.of(post(proxy))
    assert (first.provider, second.provider) == ("backup", "main")


def test_a_provider_that_is_never_skipped(proxy: Running, upstream: Upstream) -> None:
    configure(proxy, upstream, cooldown_s=0.0)
    upstream.scripts[PATH] = by_key(main=busy(429, ("retry-after", "60")), backup=GOOD)
    post(proxy)
    post(proxy)
    assert asked(upstream) == ["main", "backup"] * 2


def test_another_model_of_it_is_not_skipped(proxy: Running, upstream: Upstream) -> None:
    configure(proxy, upstream, fallbacks=to("main/other"))

    def by_model(seen: Seen) -> Script:
        return GOOD if seen.json["model"] == "other" else busy(429)

    upstream.scripts[PATH] = by_model
    answer = post(proxy)
    assert answer.json() == {"ok": True}
    assert tried(proxy.sink.of(answer)) == [("main", "demo", 429), ("main", "other", 200)]


def test_explain_agrees(proxy: Running, upstream: Upstream) -> None:
    """A dry run with the pauses of the proxy makes the request that the proxy makes."""
    configure(proxy, upstream, fallbacks=to("nobody", "chat/small"))
    upstream.scripts[PATH] = by_key(main=busy())
    post(proxy)
    answer = post(proxy, top_k=3)
    body = json.dumps({**ASK, "top_k": 3}).encode()
    key = ("x-api-key", "sk-ccproxy-main")
    found = explain(
        proxy.store.current,
        DryRequest("POST", PATH, (("Host", "localhost"), key), body),
        cooldowns=proxy.proxy.cooldowns,
    )
    assert found.url == f"http://127.0.0.1:{upstream.port}{CHAT}"
    assert json.loads(found.body) == upstream.last.json
    assert [each.name for each in found.chain if each.chosen] == ["chat/small"]
    first, second = (each.verdict for each in found.chain[:2])
    assert first.startswith("skipped: cools down for")
    assert second == "skipped: The fallback “nobody” is no provider, or is switched off."
    assert list(found.losses) == list(proxy.sink.of(answer).losses)


def test_a_success_ends_the_pause(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = by_key(main=busy(), backup=GOOD)
    post(proxy)
    assert proxy.proxy.cooldowns.running()
    # Here it is a fallback alone, so its own key asks it all the same.
    first = keyed("first", upstream.port, fallbacks=to("main"))
    proxy.store.replace(snapshot(first, keyed("main", upstream.port)))
    upstream.scripts[PATH] = by_key(main=GOOD)
    post(proxy)
    assert proxy.proxy.cooldowns.running() == {}


def test_when_all_cool_down_the_first_is_asked(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = by_key(main=busy(), backup=busy())
    upstream.scripts[CHAT] = busy()
    post(proxy)
    upstream.requests.clear()
    upstream.scripts[PATH] = by_key(main=GOOD)
    assert post(proxy).json() == {"ok": True}
    assert asked(upstream) == ["main"]


def test_a_changed_configuration_holds_at_once(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = by_key(main=busy(), backup=GOOD)
    configure(proxy, upstream, fallbacks=())
    assert post(proxy).status_code == 503
    configure(proxy, upstream)
    assert post(proxy).status_code == 200


def test_the_body_of_a_translated_candidate_is_json(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = by_key(main=busy(), backup=busy())
    post(proxy)
    third = upstream.requests[2]
    assert int(third.header("content-length") or 0) == len(third.body)
    assert json.loads(third.body)["messages"] == [{"role": "user", "content": "Hello"}]
