"""A 401 to an injected credential, between a real client and a scripted provider that checks it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest

from providers.auth import renewal
from providers.auth.base import CommandAuth, FileAuth
from providers.auth.oauth_kinds import oauth_auth
from providers.provider_conf import ProviderConf
from tests.fakes.certificates import make_authority
from tests.fakes.http2 import Http2Upstream
from tests.fakes.token_endpoint import TokenEndpoint
from tests.fakes.upstream import Script, Seen, Upstream, sse
from tests.interceptor.proxied import Running, key_auth, provider, rule, running_proxy, snapshot
from tests.patience import PATIENCE_S

ASK = {"model": "demo", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
DENIED = Script(
    401,
    pieces=(
        (
            b'{"type":"error","error":{"type":"authentication_error","message":"invalid bearer'
            b' token"}}'
        ),
    ),
)


class Bench:
    """A login, the endpoint that renews it, a provider that checks it, the proxy between."""

    def __init__(self, endpoint: TokenEndpoint, upstream: Upstream, folder: Path) -> None:
        self.endpoint, self.upstream, self.file = endpoint, upstream, folder / "login.json"
        settings = {"file_path": str(self.file), "endpoint": endpoint.url}
        self.auth = oauth_auth("anthropic_oauth", settings)
        upstream.scripts["/v1/messages"] = self.checked
        self.proxy: Running

    def checked(self, seen: Seen) -> Script:
        return self.upstream.scripted_answer(seen) if self.good(seen) else DENIED

    def good(self, seen: Seen) -> bool:
        return self.endpoint.is_good(seen.header("authorization"))

    def login(self) -> str:
        access, refresh = self.endpoint.issue()
        document = {
            "access_token": access,
            "refresh_token": refresh,
            "expires_at": (time.time() + 9999) * 1000,
        }
        self.file.write_text(json.dumps(document))
        return access

    def post(self, name: str = "up", **body: Any) -> httpx.Response:
        headers = {"x-api-key": f"sk-ccproxy-{name}"}
        return httpx.post(
            f"{self.proxy.url}/v1/messages",
            json={**ASK, **body},
            headers=headers,
            timeout=PATIENCE_S,
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(renewal, "SETTLE_S", 0.1)
    with TokenEndpoint() as endpoint, Upstream() as upstream:
        bench = Bench(endpoint, upstream, tmp_path)
        bench.login()
        static = tmp_path / "static"
        static.write_text("static-token-0001")
        config = snapshot(
            provider("up", upstream.port, auth=bench.auth),
            provider("redirected", upstream.port, auth=bench.auth),
            provider("static", upstream.port, auth=FileAuth(file=str(static))),
            provider(
                "chat", upstream.port, type="openai", path="/v1/chat/completions", auth=bench.auth
            ),
            rules=(
                rule(match_model="^by-redirect$", dest_provider="redirected", dest_model="demo"),
                rule(
                    "transform",
                    match_model="^by-transform$",
                    dest_provider="chat",
                    dest_model="demo",
                ),
            ),
        )
        with running_proxy(config) as bench.proxy:
            yield bench


def test_it_works(bench: Bench) -> None:
    bench.endpoint.revoke_access()
    answer = bench.post()
    assert answer.status_code == 200
    assert answer.json()["content"][0]["text"]
    first, second = bench.upstream.requests
    assert not bench.good(first)
    assert bench.good(second)
    assert second.connection == first.connection
    assert (second.body, second.target) == (first.body, first.target)
    assert [h for h in second.headers if h[0] != "authorization"] == [
        h for h in first.headers if h[0] != "authorization"
    ]
    assert [name for name, _ in second.headers] == [name for name, _ in first.headers]
    record = bench.proxy.sink.of(answer)
    step = next(step for step in record.hooks if step.stage == "replay")
    assert (step.hook, step.outcome, step.changed) == ("auth", "ran", ("header:authorization",))
    assert step.reason == "401: credential refreshed and sent again"
    sides = {side.side: side for side in record.sides}
    assert (record.status_code, record.error, sides["upstream"].status_code) == (200, "", 200)
    assert dict(sides["forwarded"].headers)["authorization"] == second.header("authorization")
    assert "x-ccproxy-hint" not in answer.headers


def test_a_streamed_answer_still_streams(bench: Bench) -> None:
    gate = threading.Event()
    stream = sse(b"data: 1\n\n", b"data: 2\n\n", gate=gate)
    bench.upstream.scripts["/v1/messages"] = lambda seen: stream if bench.good(seen) else DENIED
    bench.endpoint.revoke_access()
    headers = {"x-api-key": "sk-ccproxy-up"}
    with httpx.stream(
        "POST", f"{bench.proxy.url}/v1/messages", json=ASK, headers=headers
    ) as answer:
        pieces = answer.iter_bytes()
        assert (
            next(pieces) == b"data: 1\n\n"
        )  # the second is held back until the client has seen the first
        gate.set()
        assert b"".join(pieces) == b"data: 2\n\n"
    assert len(bench.upstream.requests) == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["by-redirect", "by-transform"])
def test_rules_work_the_same(bench: Bench, model: str, stream: bool) -> None:
    def checked(seen: Seen) -> Script:
        return bench.upstream.scripted_answer(seen) if bench.good(seen) else DENIED

    bench.upstream.scripts["/v1/chat/completions"] = checked
    bench.endpoint.revoke_access()
    answer = bench.post("up", model=model, stream=stream)
    assert answer.status_code == 200
    if stream:
        assert "event: message_stop" in answer.text
    else:
        assert answer.json()["type"] == "message"
        assert answer.json()["content"][0]["text"]
    assert [bench.good(seen) for seen in bench.upstream.requests] == [False, True]


def test_a_renewal_that_fails_lets_the_401_pass_with_a_hint(bench: Bench) -> None:
    bench.endpoint.revoke_access()
    bench.endpoint._refresh = "void"
    answer = bench.post()
    assert answer.status_code == 401
    assert answer.content == DENIED.pieces[0]
    assert "log in again" in answer.headers["x-ccproxy-hint"]
    assert len(bench.upstream.requests) == 1
    record = bench.proxy.sink.of(answer)
    assert "log in again" in record.error
    assert [step.outcome for step in record.hooks if step.stage == "replay"] == ["error"]
    upstream = next(side for side in record.sides if side.side == "upstream")
    assert "x-ccproxy-hint" not in dict(upstream.headers)


def test_tokens_may_become_void_again_and_again(bench: Bench) -> None:
    for _ in range(3):
        bench.endpoint.revoke_access()
        assert bench.post().status_code == 200
    assert len(bench.endpoint.requests) == 3


def test_a_provider_that_refuses_everything_does_not_start_a_storm(bench: Bench) -> None:
    bench.upstream.scripts["/v1/messages"] = DENIED
    answers = [bench.post() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert len(bench.endpoint.requests) == 1
    assert "a moment ago" in answers[-1].headers["x-ccproxy-hint"]


def test_a_second_401_passes(bench: Bench) -> None:
    bench.upstream.scripts["/v1/messages"] = DENIED
    answer = bench.post()
    assert (answer.status_code, answer.content) == (401, DENIED.pieces[0])
    assert len(bench.upstream.requests) == 2
    assert len(bench.endpoint.requests) == 1


def test_a_static_source_is_read_again_and_the_same_value_is_not_sent_twice(
    bench: Bench, tmp_path: Path
) -> None:
    static = tmp_path / "static"
    bench.upstream.scripts["/v1/messages"] = DENIED
    answer = bench.post("static")
    assert answer.status_code == 401
    assert "credential file holds no other" in answer.headers["x-ccproxy-hint"]
    assert len(bench.upstream.requests) == 1

    def rotated(seen: Seen) -> Script:
        if seen.header("authorization") == "Bearer static-token-0002":
            return bench.upstream.scripted_answer(seen)
        static.write_text("static-token-0002")
        return DENIED

    bench.upstream.scripts["/v1/messages"] = rotated
    assert bench.post("static").status_code == 200


def test_a_key_that_was_replaced_meanwhile_is_used(bench: Bench) -> None:
    """A flow keeps the configuration it began with, all but this: a new key is the user's answer to
    a 401.
    """
    old = provider("keyed", bench.upstream.port, auth=key_auth("x-api-key", "old-key-0123456789"))
    new = replace(old, auth=key_auth("x-api-key", "new-key-0123456789"))
    configure(bench, old)

    def answer_401_once_the_key_is_replaced(seen: Seen) -> Script:
        if seen.header("x-api-key") == "new-key-0123456789":
            return bench.upstream.scripted_answer(seen)
        configure(bench, new)
        return DENIED

    bench.upstream.scripts["/v1/messages"] = answer_401_once_the_key_is_replaced
    assert bench.post("keyed").status_code == 200


def configure(bench: Bench, added: ProviderConf) -> None:
    current = bench.proxy.store.current
    providers = MappingProxyType({**current.providers, added.name: added})
    bench.proxy.store.replace(replace(current, providers=providers))


def test_a_clients_own_credential_is_its_own_affair(bench: Bench) -> None:
    bench.proxy.store.replace(
        replace(
            bench.proxy.store.current,
            rules=(rule(dest_host="127.0.0.1", dest_path="/v1/messages"),),
        )
    )
    bench.upstream.scripts["/v1/messages"] = DENIED
    headers = {"authorization": "Bearer theirs", "x-forwarded-port": str(bench.upstream.port)}
    answer = httpx.post(f"{bench.proxy.url}/v1/messages", json=ASK, headers=headers)
    assert "x-ccproxy-hint" not in answer.headers
    assert bench.endpoint.requests == []


def test_a_hundred_at_once_renew_once(bench: Bench) -> None:
    bench.endpoint.revoke_access()
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: bench.post(), range(100)))
    assert [answer.status_code for answer in answers] == [200] * 100
    assert len(bench.endpoint.requests) == 1
    assert bench.endpoint.refused == []


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_however_the_401_is_framed(bench: Bench, framing: str) -> None:
    denied = replace(DENIED, framing=framing)
    bench.upstream.scripts["/v1/messages"] = lambda seen: (
        bench.upstream.scripted_answer(seen) if bench.good(seen) else denied
    )
    bench.endpoint.revoke_access()
    assert bench.post().status_code == 200
    assert bench.post().status_code == 200


@pytest.mark.parametrize(
    "denied",
    [
        Script(401, pieces=()),
        Script(
            401,
            headers=(("content-type", "text/event-stream"),),
            pieces=(b"data: no\n\n",),
            framing="chunked",
        ),
        Script(401, headers=(("connection", "close"),), pieces=(b"{}",)),
    ],
)
def test_odd_401s_are_dropped_as_well(bench: Bench, denied: Script) -> None:
    bench.upstream.scripts["/v1/messages"] = lambda seen: (
        bench.upstream.scripted_answer(seen) if bench.good(seen) else denied
    )
    bench.endpoint.revoke_access()
    assert bench.post(stream=True).status_code == 200


def test_an_enormous_401_passes(bench: Bench) -> None:
    huge = b"x" * (3 * 1024 * 1024)
    bench.upstream.scripts["/v1/messages"] = Script(401, pieces=(huge,))
    answer = bench.post()
    assert (answer.status_code, answer.content) == (401, huge)
    assert len(bench.upstream.requests) == 1


def test_a_provider_that_is_gone_at_the_second_try_is_told_as_such(bench: Bench) -> None:
    bench.upstream.scripts["/v1/messages"] = lambda seen: (
        Script(reset_after=0) if bench.good(seen) else DENIED
    )
    bench.endpoint.revoke_access()
    answer = bench.post()
    assert answer.status_code == 502
    assert answer.json()["type"] == "error"
    assert bench.proxy.sink.wait().state == "error"


def test_a_client_that_leaves_meanwhile_gets_nothing_and_breaks_nothing(bench: Bench) -> None:
    asked, gate = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        asked.set()
        gate.wait(PATIENCE_S)

    bench.endpoint.after = hold
    bench.endpoint.revoke_access()
    body = json.dumps(ASK).encode()
    with socket.create_connection(("127.0.0.1", bench.proxy.port)) as client:
        head = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: sk-ccproxy-up\r\n"
        head += f"content-length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        assert asked.wait(PATIENCE_S)
    time.sleep(0.1)
    gate.set()
    assert bench.proxy.sink.wait().state == "error"
    assert len(bench.upstream.requests) == 1
    assert bench.post().status_code == 200
    assert len(bench.endpoint.requests) == 1


def test_a_slow_command_that_yields_the_new_token(bench: Bench, tmp_path: Path) -> None:
    count = tmp_path / "count"
    command = CommandAuth(command=f"echo x >> {count}; printf 'cmd-token-%04d' $(wc -l < {count})")
    configure(bench, provider("cmd", bench.upstream.port, auth=command))
    bench.upstream.scripts["/v1/messages"] = lambda seen: (
        DENIED
        if seen.header("authorization") == "Bearer cmd-token-0001"
        else bench.upstream.scripted_answer(seen)
    )
    assert bench.post("cmd").status_code == 200
    assert count.read_text() == "x\nx\n"


def test_over_http2(bench: Bench, tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with Http2Upstream(authority.server_context(["h2", "http/1.1"])) as upstream:
        upstream.scripts["/v1/messages"] = lambda seen: (
            upstream.scripted_answer(seen) if bench.good(seen) else DENIED
        )
        config = snapshot(
            provider("h2", upstream.port, scheme="https", host="localhost", auth=bench.auth)
        )
        with running_proxy(
            config, ssl_verify_upstream_trusted_ca=str(authority.ca_file)
        ) as bench.proxy:
            for stream in (False, True):
                bench.endpoint.revoke_access()
                answer = bench.post("h2", stream=stream)
                assert answer.status_code == 200, answer.text
            assert [seen.version for seen in upstream.requests] == ["HTTP/2"] * 4
            with httpx.Client(headers={"x-api-key": "sk-ccproxy-h2"}) as client:
                bench.endpoint.revoke_access()
                for _ in range(2):
                    assert (
                        client.post(f"{bench.proxy.url}/v1/messages", json=ASK).status_code == 200
                    )
            assert upstream.requests[-1].connection == upstream.requests[-3].connection
