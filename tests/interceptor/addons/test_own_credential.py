"""Clients with their own credential: it goes to the provider of the base path, and nothing else
goes anywhere.

Names are dialled as in real life, only that the connections end at scripted servers: `good.test` is
the provider, every other name and address is the attacker's server, whose certificate is trusted.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import httpx
import pytest

from interceptor.config.snapshot.schema import ClientTokenConf
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import Running, key_auth, provider, rule, running_proxy, snapshot
from tests.patience import PATIENCE_S

OURS = "canary-5d1e7f20a9b34c68"
OWN = "sk-own-3c9a77e1b2d4f6089a5c"
TOKEN = "cct-all-1234567890"
BOUND = "cct-bound-1234567890"
BODY = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
SENTINELS = ("sk-ccproxy-good", "sk-ccproxy-other", "sk-ant-oat-ccproxy-other")


@dataclass
class World:
    """Two servers with names, a proxy, and what was dialled."""

    good: Upstream
    evil: Upstream
    ca_file: str
    dialled: list[tuple[str, int]] = field(default_factory=list)

    def config(self, **more: Any) -> Any:
        good = replace(
            provider("good", 443, host="good.test", scheme="https"),
            **{"auth": key_auth("x-api-key", OURS), **more},
        )
        other = replace(good, name="other", host="other.test", verify_tls=True)
        rules = (
            rule(name="away", match_model="^away", dest_provider="other"),
            rule(name="raw", match_model="^raw", dest_host="evil.test"),
            rule(name="moved", match_model="^moved", dest_provider="good", dest_host="evil.test"),
            rule(name="model", match_model="^renamed", dest_provider="good", dest_model="new"),
            rule("passthrough", name="as it is", match_model="^kept"),
            rule(name="host", match_host="^good[.]test$", match_model="^named", dest_host="x.test"),
        )
        return snapshot(good, other, rules=rules)

    def run(self, config: Any, **options: Any) -> Any:
        return running_proxy(config, ssl_verify_upstream_trusted_ca=self.ca_file, **options)

    def head_lines(self) -> str:
        """Everything that arrived anywhere."""
        seen = [*self.good.requests, *self.evil.requests]
        return "\n".join(request.head.decode("latin-1") for request in seen)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    authority = make_authority(
        tmp_path_factory.mktemp("ca"), "good.test", "evil.test", "other.test", "x.test"
    )
    context = authority.server_context(["http/1.1"])
    with (
        Upstream(context) as good,
        Upstream(context) as evil,
        pytest.MonkeyPatch.context() as patch,
    ):
        made = World(good, evil, str(authority.ca_file))
        dial = asyncio.open_connection

        async def open_connection(host: str, port: int, **more: Any) -> Any:
            made.dialled.append((host, port))
            server = good if (host, port) == ("good.test", 443) else evil
            return await dial("127.0.0.1", server.port)

        patch.setattr(asyncio, "open_connection", open_connection)
        yield made


@pytest.fixture(scope="module")
def running(world: World) -> Iterator[Running]:
    with world.run(world.config()) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def nothing_yet(world: World) -> None:
    for server in (world.good, world.evil):
        server.requests.clear()
        server.scripts.clear()
    world.dialled.clear()


def post(
    proxy: Running, path: str = "/to/good/v1/messages", model: str = "m", **headers: str
) -> httpx.Response:
    sent = {"x-api-key": OWN} | {name.replace("_", "-"): value for name, value in headers.items()}
    body = {**BODY, "model": model}
    return httpx.post(f"{proxy.url}{path}", json=body, headers=sent, timeout=PATIENCE_S)


def raw(proxy: Running, first: str, *lines: str, body: bytes = b"") -> int:
    """Send a request byte by byte; the status, 0 when the connection was closed without one."""
    named = any(line.lower().startswith("host:") for line in lines)
    headers = [] if named else [f"Host: 127.0.0.1:{proxy.port}"]
    headers += [*lines, f"x-api-key: {OWN}", "anthropic-version: 2023-06-01", "Connection: close"]
    if body:
        headers.append(f"Content-Length: {len(body)}")
    text = "\r\n".join([f"{first} HTTP/1.1", *headers, "", ""])
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as connection:
        connection.sendall(text.encode("latin-1") + body)
        answered = b""
        while part := connection.recv(65536):
            answered += part
    return int(answered.split(b" ", 2)[1]) if answered else 0


def test_the_client_s_bytes_reach_the_provider_and_nothing_of_ours(
    world: World, running: Running
) -> None:
    body = b'{"model":"m",  "max_tokens":1,"messages":[{"role":"user","content":"h\\u0069"}]}'
    lines = ("X-Odd:  two  ", "User-Agent: claude-cli/2.1", "anthropic-beta: a,redact-thinking-x")
    assert raw(running, "POST /to/good/v1/messages?beta=true", *lines, body=body) == 200
    seen = world.good.last
    assert (seen.target, seen.body) == ("/v1/messages?beta=true", body)
    names = [name for name, _ in seen.headers]
    assert names == [
        "Host", "X-Odd", "User-Agent", "anthropic-beta", "x-api-key", "anthropic-version",
        "Connection", "Content-Length",
    ]  # fmt: skip
    assert seen.header("host") == "good.test"
    assert seen.header("x-api-key") == OWN
    assert OURS not in world.head_lines()
    record = running.sink.wait(len(running.sink.records) or 1)
    assert (record.provider, record.action, record.credential_injected) == (
        "good", "passthrough", False,
    )  # fmt: skip
    assert record.route == "by its base path unchanged to good"
    assert record.client_format == "anthropic_messages"
    assert "/to/good/v1/messages" in record.client_url


@pytest.mark.parametrize("header", ["authorization", "x-goog-api-key", "cookie"])
def test_whatever_header_carries_it(world: World, running: Running, header: str) -> None:
    sent = {header: f"Bearer {OWN}"}
    answer = httpx.get(f"{running.url}/to/good/v1/models", headers=sent, timeout=PATIENCE_S)
    assert answer.status_code == 200
    assert world.good.last.header(header) == f"Bearer {OWN}"
    assert world.good.last.target == "/v1/models"


def test_a_rule_may_change_the_request_on_its_way_to_the_same_host(
    world: World, running: Running
) -> None:
    assert post(running, model="renamed-x").status_code == 200
    assert world.good.last.json["model"] == "new"
    assert world.good.last.header("x-api-key") == OWN
    assert post(running, model="kept").status_code == 200
    assert world.good.last.json["model"] == "kept"
    assert world.dialled and set(world.dialled) == {("good.test", 443)}


@pytest.mark.parametrize("model", ["away", "raw", "moved", "named"])
def test_a_rule_that_leads_elsewhere_is_refused_and_recorded(
    world: World, running: Running, model: str
) -> None:
    answer = post(running, model=model)
    assert answer.status_code == 403
    assert "goes there alone" in answer.json()["error"]["message"]
    assert world.dialled == []
    assert running.sink.of(answer).status_code == 403


@pytest.mark.parametrize("key", SENTINELS)
@pytest.mark.parametrize("where", ["x-api-key", "authorization", "query"])
def test_a_sentinel_key_gets_no_credential_of_ours(
    world: World, running: Running, key: str, where: str
) -> None:
    path = f"/to/good/v1/messages?key={key}" if where == "query" else "/to/good/v1/messages"
    headers = {} if where == "query" else {where: key}
    answer = httpx.post(f"{running.url}{path}", json=BODY, headers=headers, timeout=PATIENCE_S)
    assert answer.status_code == 401
    assert "Leave /to/good out of the base URL" in answer.json()["error"]["message"]
    assert world.dialled == []
    assert running.sink.of(answer).status_code == 401


@pytest.mark.parametrize("path", ["/messages", "/v1/messages", "/v1/v1/messages"])
def test_a_base_url_with_or_without_a_version(world: World, running: Running, path: str) -> None:
    assert post(running, f"/to/good{path}", anthropic_version="2023-06-01").status_code == 200
    assert world.good.last.target == "/v1/messages"


def test_a_401_is_the_client_s_own(world: World, running: Running) -> None:
    world.good.scripts["/v1/messages"] = Script(status=401, pieces=(b'{"error": {}}',))
    answer = post(running)
    assert (answer.status_code, len(world.good.requests)) == (401, 1)
    assert "x-ccproxy-hint" not in answer.headers


def test_a_redirect_is_the_client_s_business(world: World, running: Running) -> None:
    target = "http://169.254.169.254/latest/meta-data"
    world.good.scripts["/v1/messages"] = Script(status=307, headers=(("location", target),))
    answer = post(running)
    assert (answer.status_code, answer.headers["location"]) == (307, target)
    assert set(world.dialled) <= {("good.test", 443)}


UNKNOWN_PROVIDERS = (
    "127.0.0.1", "127.0.0.1:22", "localhost", "[::1]", "169.254.169.254", "0", "2130706433",
    "metadata.google.internal", "good.test", "evil.test", "good:8080", "good@evil.test",
    "evil.test@good", "%67ood", "good%2f", "good%00", "good%20", "Good", "GOOD", "..", ".",
    "good.evil.test", "good\\@evil.test", "http:", "good;evil", "*", "good,other", "good.cct-",
)  # fmt: skip
"""What stands in the place of a provider's name: refused, recorded, and dialled never."""


@pytest.mark.parametrize("name", UNKNOWN_PROVIDERS)
def test_only_a_provider_s_own_name_leads_anywhere(
    world: World, running: Running, name: str
) -> None:
    before = len(running.sink.records)
    run = "/run/x-1" if len(name) % 2 else ""
    assert raw(running, f"GET {run}/to/{name}/latest/meta-data") == 400
    assert world.dialled == []
    record = running.sink.wait(before + 1)
    assert "The base path leads nowhere" in record.error


TO_GOOD_ALONE = (
    ("GET /to/good//evil.test/v1/x", "//evil.test/v1/x"),
    ("GET /to/good/@evil.test/", "/@evil.test/"),
    ("GET /to/good/http://evil.test/", "/http://evil.test/"),
    ("GET /to/good/../../to/other/x", "/../../to/other/x"),
    ("GET /to/good/to/other/x", "/to/other/x"),
    ("GET /to/good?url=http://evil.test", "/?url=http://evil.test"),
    ("GET /to/good/..%2fother", "/..%2fother"),
    ("GET /to/good/health", "/health"),
    ("GET /to/good/mcp", "/mcp"),
)


@pytest.mark.parametrize(("first", "target"), TO_GOOD_ALONE)
def test_what_follows_the_name_is_a_path_at_its_host(
    world: World, running: Running, first: str, target: str
) -> None:
    raw(running, first)
    assert world.good.last.target == target
    assert world.dialled and set(world.dialled) == {("good.test", 443)}
    assert world.good.last.header("host") == "good.test"


HOST_TRICKS = (
    "X-Forwarded-Host: evil.test",
    "X-Forwarded-Host: 127.0.0.1:22",
    "Forwarded: host=evil.test;proto=http",
    "X-Original-URL: http://evil.test/",
    "X-Rewrite-URL: /to/other/v1/messages",
    "X-Host: evil.test",
    "Host: good.test",
    "Host: localhost:1",
    "x-ccproxy-hooks: -inject_auth",
    "Connection: x-api-key",
)


@pytest.mark.parametrize("line", HOST_TRICKS)
def test_no_header_moves_the_request(world: World, running: Running, line: str) -> None:
    assert raw(running, "GET /to/good/v1/models", line) == 200
    assert set(world.dialled) == {("good.test", 443)}
    assert world.good.last.header("host") == "good.test"


REFUSED = (
    (400, "GET http://good.test/to/good/v1/models"),
    (400, "GET http://127.0.0.1:22/to/good/v1/models"),
    (400, "GET https://169.254.169.254/to/good/"),
    (405, "CONNECT good.test:443"),
    (405, "CONNECT 127.0.0.1:22"),
    (405, "CONNECT 169.254.169.254:80"),
    (405, "CONNECT [::1]:80"),
    (421, "GET /to/good/v1/models", "Host: evil.test"),
    (421, "GET /to/good/v1/models", "Host: 169.254.169.254"),
    (421, "GET /to/good/v1/models", "Host: good.test.evil.test"),
    (400, "GET /to/good/v1/models", "Host: 127.0.0.1", "Host: evil.test"),
    (400, "GET /to/good/v1/models", "Host: evil.test@127.0.0.1"),
    (403, "GET /to/good/v1/models", "Origin: https://evil.test"),
    (403, "GET /to/good/v1/models", "Origin: null"),
    (403, "GET /to/good/v1/models", "Origin: http://127.0.0.1:8000"),
    (403, "GET /to/good/v1/models", "Sec-Fetch-Site: cross-site"),
    (403, "GET /to/good/v1/models", "Sec-Fetch-Site: same-site"),
    (403, "OPTIONS /to/good/v1/models", "Origin: https://evil.test",
     "Access-Control-Request-Method: POST"),
    (400, "POST /to/good/v1/messages", "Content-Length: 4", "Transfer-Encoding: chunked"),
    (501, "GET /TO/good/v1/models"),
    (501, "GET /to"),
    (501, "GET /run/../to/good/v1/models"),
    (501, "GET /run//to/good/v1/models"),
    (501, "GET /run/x/run/y/to/good/v1/models"),
    (501, "GET /run/x@evil.test/to/good/v1/models"),
    (501, "GET /to/"),
    (501, "GET //to/good/v1/models"),
    (501, "GET /x/../to/good/v1/models"),
    (501, "GET /v1/messages"),
)  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: " ".join(map(str, case)))
def test_what_is_refused(world: World, running: Running, case: tuple[Any, ...]) -> None:
    status, first, *lines = case
    assert raw(running, first, *lines) == status
    assert world.dialled == []
    assert world.good.requests == world.evil.requests == []


def test_a_run_names_its_flows(world: World, running: Running) -> None:
    answer = post(running, "/run/claude-1f/to/good/v1/messages")
    assert world.good.last.target == "/v1/messages"
    record = running.sink.of(answer)
    assert (record.run_label, record.provider) == ("claude-1f", "good")
    # Without a provider the path is the proxy's own: a sentinel key, a rule or a 501.
    answer = post(running, "/run/claude-1f/v1/messages")
    assert (answer.status_code, running.sink.of(answer).run_label) == (501, "claude-1f")
    answer = post(running, "/run/claude-1f/v1/messages", x_api_key="sk-ccproxy-good")
    assert world.good.last.header("x-api-key") == OURS
    assert running.sink.of(answer).run_label == "claude-1f"
    count = len(running.sink.records)
    assert httpx.head(f"{running.url}/run/claude-1f/api/hello").status_code == 200
    post(running)
    assert len(running.sink.records) == count + 1


def test_it_can_be_switched_off(world: World) -> None:
    with world.run(world.config(), own_credentials=False) as proxy:
        answer = post(proxy)
        assert answer.status_code == 403
        assert "own_credentials" in answer.json()["error"]["message"]
        assert proxy.sink.of(answer).status_code == 403
    assert world.dialled == []


def test_where_tokens_are_required_it_needs_one(world: World) -> None:
    tokens = tuple(
        ClientTokenConf(name, sha256(text.encode()).hexdigest(), frozenset(providers))
        for name, text, providers in (("all", TOKEN, ()), ("bound", BOUND, ("other",)))
    )
    conf = replace(world.config(), client_tokens=tokens)
    with world.run(conf, require_token=True) as proxy:
        assert post(proxy).status_code == 401
        assert post(proxy, "/to/good.cct-wrong/v1/messages").status_code == 401
        assert post(proxy, f"/to/good.{BOUND}/v1/messages").status_code == 403
        assert world.dialled == []
        answer = post(proxy, f"/to/good.{TOKEN}/v1/messages")
        assert answer.status_code == 200
        assert post(proxy, f"/run/x-1/to/good.{TOKEN}/v1/messages").status_code == 200
        assert post(proxy, x_ccproxy_token=TOKEN).status_code == 200
        record = proxy.sink.of(answer)
    assert TOKEN not in world.head_lines()
    assert TOKEN not in json.dumps([record.client_url, record.path, record.forwarded_url])


@pytest.mark.parametrize("more", [{"verify_tls": False}, {"auth": None}])
def test_it_goes_nowhere_without_a_verified_certificate(world: World, more: Any) -> None:
    with world.run(world.config(**more), ssl_insecure=True) as proxy:
        answer = post(proxy)
    assert answer.status_code == 400
    assert "not reached over verified TLS" in answer.json()["error"]["message"]
    assert world.dialled == []


def test_a_certificate_that_nobody_vouches_for(world: World) -> None:
    with running_proxy(world.config()) as proxy:
        assert post(proxy).status_code == 502
    assert OWN not in world.head_lines()
