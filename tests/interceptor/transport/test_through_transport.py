"""Requests and responses that pass the transport stay as they were."""

from __future__ import annotations

import gzip
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from providers.base.upstream_proxy import choose_proxies
from tests.fakes.connect_proxy import ConnectProxy
from tests.fakes.http2 import Http2Upstream
from tests.fakes.upstream import Script, Seen, Upstream, sse
from tests.interceptor.proxied import KEY, Running, key_auth, provider, snapshot
from tests.interceptor.transport.conftest import BODY, HOST, KEYED, PATH, Start, ask, corp
from tests.patience import PATIENCE_S

EVENT = b'data: {"choices": [{"delta": {"content": "hello"}}]}\n\n'
STREAMED = b'{"model": "m", "messages": [], "stream": true}'
OLD_KEY = "old-key-0123456789"


def _steps(proxy: Running, response: httpx.Response) -> list[str]:
    record = proxy.sink.of(response)
    return [step.reason for step in record.hooks if step.hook == "transport"]


def test_headers_keep_order_case_and_duplicates(start: Start, over_http1: Http2Upstream) -> None:
    over_http1.scripts[PATH] = Script(
        headers=(("Set-Cookie", "a=1"), ("X-Case", "q"), ("Set-Cookie", "b=2")),
    )
    proxy = start(over_http1.port)
    sent = [
        ("Zed", "1"),
        ("authorization", KEYED["authorization"]),
        ("X-Twice", "1"),
        ("accept", "*/*"),
        ("X-Twice", "2"),
        ("X-Empty", ""),
    ]
    url = f"{proxy.url}{PATH}?b=%2e%2E&a=1"
    with httpx.Client(trust_env=False, timeout=PATIENCE_S) as client:
        client.headers.clear()
        response = client.post(url, content=BODY, headers=sent)
    seen = over_http1.last
    assert seen.target == f"{PATH}?b=%2e%2E&a=1"
    assert seen.body == BODY
    ours = {"zed", "x-twice", "accept", "x-empty", "x-api-key"}
    assert [pair for pair in seen.headers if pair[0].lower() in ours] == [
        ("Zed", "1"),
        ("x-api-key", KEY),
        ("X-Twice", "1"),
        ("accept", "*/*"),
        ("X-Twice", "2"),
        ("X-Empty", ""),
    ]
    names = {name.lower() for name, _ in seen.headers}
    # Neither the browser's own headers nor libcurl's.
    assert names <= ours | {"host", "content-length", "accept-encoding", "user-agent"}
    assert seen.header("host") == HOST
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    record = proxy.sink.of(response)
    upstream = next(side for side in record.sides if side.side == "upstream")
    assert upstream.headers[:3] == (("Set-Cookie", "a=1"), ("X-Case", "q"), ("Set-Cookie", "b=2"))


def test_the_record_shows_the_true_target_and_the_profile(
    start: Start, over_http2: Http2Upstream
) -> None:
    proxy = start(over_http2.port)
    response = ask(proxy)
    assert _steps(proxy, response) == ["sent as chrome131"]
    record = proxy.sink.of(response)
    assert (record.host, record.forwarded_url) == (HOST, f"https://{HOST}{PATH}")
    upstream = next(side for side in record.sides if side.side == "upstream")
    assert upstream.http_version == "HTTP/2.0"
    assert over_http2.authorities == [HOST]
    told = repr(record)
    assert "127.0.0.1:" + str(proxy.proxy.transport.server.address.port) not in told  # type: ignore[union-attr]
    assert "x-ccproxy-transport" not in told
    assert proxy.proxy.transport._book.secret not in told


def test_a_content_coding_passes_untouched(start: Start, over_http1: Http2Upstream) -> None:
    packed = gzip.compress(b'{"a": 1}')
    headers = (("content-type", "application/json"), ("content-encoding", "gzip"))
    over_http1.scripts[PATH] = Script(headers=headers, pieces=(packed,))
    proxy = start(over_http1.port)
    with httpx.stream(
        "POST", f"{proxy.url}{PATH}", content=BODY, headers=KEYED, trust_env=False
    ) as response:
        assert b"".join(response.iter_raw()) == packed
    assert response.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("version", ["over_http1", "over_http2"])
def test_a_stream_streams(version: str, start: Start, request: pytest.FixtureRequest) -> None:
    upstream: Http2Upstream = request.getfixturevalue(version)
    gate = threading.Event()
    upstream.scripts[PATH] = sse(EVENT, EVENT, b"data: [DONE]\n\n", gate=gate)
    proxy = start(upstream.port)
    url = f"{proxy.url}{PATH}"
    with httpx.stream(
        "POST", url, content=STREAMED, headers=KEYED, timeout=PATIENCE_S, trust_env=False
    ) as response:
        lines = response.iter_lines()
        # The last piece waits for the gate, so this one cannot have waited for the end.
        if version == "over_http1":
            assert next(lines).startswith("data: {")
        gate.set()
        assert "data: [DONE]" in list(lines)
    assert proxy.sink.of(response).state == "done"


def test_a_client_that_leaves_ends_the_request_to_the_provider(
    start: Start, over_http1: Http2Upstream
) -> None:
    over_http1.scripts[PATH] = sse(*[EVENT] * 10_000, pause_s=0.01)
    proxy = start(over_http1.port)
    with httpx.stream(
        "POST", f"{proxy.url}{PATH}", content=STREAMED, headers=KEYED, trust_env=False
    ) as response:
        next(response.iter_lines())
    assert over_http1.last.client_gone.wait(PATIENCE_S)
    assert len(over_http1.last.sent) < 10_000


def test_a_response_that_breaks_off_is_no_success(start: Start, over_http1: Http2Upstream) -> None:
    over_http1.scripts[PATH] = sse(EVENT, EVENT, EVENT, reset_after=2)
    proxy = start(over_http1.port)
    response = ask(proxy)
    record = proxy.sink.of(response)
    assert record.state == "error"
    assert "data: [DONE]" not in response.text


def test_a_slow_client_holds_the_provider_back(start: Start, over_http1: Http2Upstream) -> None:
    megabyte = b"x" * 1024 * 1024
    over_http1.scripts[PATH] = Script(pieces=(megabyte,) * 100, headers=(("a", "b"),))
    proxy = start(over_http1.port)
    with httpx.stream(
        "POST", f"{proxy.url}{PATH}", content=BODY, headers=KEYED, timeout=None, trust_env=False
    ) as response:
        seen, before = over_http1.last, -1
        while len(seen.sent) != before:
            before = len(seen.sent)
            time.sleep(1)
        # What the kernel's buffers of four connections hold, and ours.
        assert before < 40
        assert sum(len(chunk) for chunk in response.iter_raw()) == 100 * len(megabyte)


def test_thirty_streams_share_one_session(start: Start, over_http1: Http2Upstream) -> None:
    paced = threading.Semaphore(0)
    over_http1.scripts[PATH] = sse(*[EVENT] * 5, paced_by=paced)
    proxy = start(over_http1.port)
    with ThreadPoolExecutor(30) as pool:
        waiting = [pool.submit(ask, proxy) for _ in range(30)]
        over_http1.wait_for(30)
        server = proxy.proxy.transport.server
        assert server is not None
        assert server.sessions.open_count == 1
        paced.release(30 * 4)
        responses = [future.result(PATIENCE_S) for future in waiting]
    assert {response.content for response in responses} == {EVENT * 5}


def test_a_refused_credential_is_renewed_and_sent_again(
    start: Start, over_http1: Http2Upstream
) -> None:
    config = corp(auth=key_auth("x-api-key", OLD_KEY))
    proxy = start(over_http1.port, config)

    def reply(seen: Seen) -> Script:
        if seen.header("x-api-key") == KEY:
            return sse(EVENT)
        newer = replace(config, auth=key_auth("x-api-key"))
        proxy.store.replace(snapshot(newer))
        return Script(status=401, pieces=(b'{"error": {}}',))

    over_http1.scripts[PATH] = reply
    response = ask(proxy)
    assert (response.status_code, response.content) == (200, EVENT)
    assert [seen.header("x-api-key") for seen in over_http1.requests] == [OLD_KEY, KEY]
    assert [seen.body for seen in over_http1.requests] == [BODY, BODY]
    record = proxy.sink.of(response)
    assert [(each.status_code, each.host) for each in record.attempts] == [(401, HOST), (200, HOST)]


def test_the_companys_proxy_leads_to_the_provider(start: Start, over_http1: Http2Upstream) -> None:
    with ConnectProxy(over_http1.port) as corporate:
        proxies, _ = choose_proxies(f"http://me:pass@127.0.0.1:{corporate.port}", {})
        proxy = start(over_http1.port, overrides=None, proxies=proxies)
        assert ask(proxy).status_code == 200
        head = corporate.heads[0].lower()
        assert head.startswith(f"connect {HOST}:443 http/1.1")
        assert "proxy-authorization: basic bwu6cgfzcw==" in head
        assert over_http1.last.header("proxy-authorization") is None
        assert over_http1.last.header("x-api-key") == KEY


def test_a_provider_on_this_machine_may_have_a_profile(start: Start) -> None:
    with Upstream() as upstream:
        proxy = start(1, provider("corp", upstream.port, fingerprint_profile="chrome131"))
        answer = httpx.post(
            f"{proxy.url}/v1/messages",
            json={"model": "m", "max_tokens": 5, "messages": []},
            headers={"x-api-key": "sk-ccproxy-corp"},
            timeout=PATIENCE_S,
            trust_env=False,
        )
        assert answer.status_code == 200
        assert _steps(proxy, answer) == ["sent as chrome131"]


def test_a_hot_reload_changes_the_next_request(start: Start, over_http1: Http2Upstream) -> None:
    proxy = start(over_http1.port, corp(fingerprint_profile=""))
    assert _steps(proxy, ask(proxy)) == []
    proxy.store.replace(snapshot(corp(fingerprint_profile="firefox135")))
    assert _steps(proxy, ask(proxy)) == ["sent as firefox135"]
    proxy.store.replace(snapshot(corp(fingerprint_profile="")))
    assert _steps(proxy, ask(proxy)) == []


def test_a_broken_curl_cffi_fails_that_provider_alone(
    start: Start, over_http1: Http2Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "interceptor.transport.loopback_server", None)
    plain = corp(fingerprint_profile="")
    proxy = start(over_http1.port, corp(), replace(plain, name="plain"))
    refused = ask(proxy)
    assert refused.status_code == 400
    assert "Provider corp: a profile needs curl-cffi" in refused.text
    assert ask(proxy, authorization="Bearer sk-ccproxy-plain").status_code == 200
    assert len(over_http1.requests) == 1


def test_an_unknown_profile_fails_with_a_suggestion(
    start: Start, over_http1: Http2Upstream
) -> None:
    proxy = start(over_http1.port, corp(fingerprint_profile="chrom131"))
    refused = ask(proxy)
    assert refused.status_code == 400
    assert "did you mean chrome131" in refused.text
    assert over_http1.requests == []


def test_a_provider_that_cannot_be_reached_is_named(start: Start) -> None:
    proxy = start(1)
    response = ask(proxy)
    assert response.status_code == 502
    assert f"provider corp ({HOST}:443) could not be reached" in response.text
    assert proxy.sink.of(response).state == "error"


def test_a_websocket_is_refused_with_426(start: Start, over_http1: Http2Upstream) -> None:
    proxy = start(over_http1.port)
    response = httpx.get(
        f"{proxy.url}/v1/responses",
        headers={
            **KEYED,
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
        trust_env=False,
    )
    assert response.status_code == 426
    assert over_http1.requests == []
