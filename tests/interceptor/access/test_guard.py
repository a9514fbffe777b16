"""Who may call: names, origins and client tokens, as rules and on a running proxy."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from interceptor.access.caller_rules import GuardRules, check_caller, check_host, guard_rules
from interceptor.access.client_access import find_token, may_use, split_key, take_token
from interceptor.config.snapshot.schema import ClientTokenConf, Snapshot
from interceptor.operate.listening import BACKLOG
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S
from tests.sockets import read_exactly

PROXY = guard_rules("127.0.0.1", ["Box.Local"], ["app://editor", "https://Tool.test/"])
CONSOLE = GuardRules(is_page=True, hosts=frozenset({"ccproxy.example", ".sub.example"}))


def status(rules: GuardRules, method: str = "GET", **headers: str) -> int:
    """The refusal's status, 0 when there is none; header names with _ for -."""
    given = {"host": "127.0.0.1"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    refusal = check_caller(method, given.get, rules, ("api.good.test",))
    assert refusal is None or refusal.message.endswith(".")
    return refusal.status_code if refusal else 0


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("box.local:1", 0),
        ("BOX.LOCAL", 0),
        ("api.good.test", 0),
        ("evil.test", 421),
        ("", 400),
        ("a b", 400),
    ],
)
def test_names(host: str, expected: int) -> None:
    assert status(PROXY, host=host) == expected


@pytest.mark.parametrize(
    ("bind", "host", "expected"),
    [
        ("0.0.0.0", "192.168.7.7:4000", 0), ("0.0.0.0", "[fd00::1]", 0), ("0.0.0.0", "evil.test",
        421),
        ("::", "10.1.2.3", 0), ("192.168.7.7", "192.168.7.7", 0), ("192.168.7.7", "192.168.7.8",
        421),
        ("my-host", "MY-HOST:4000", 0), ("127.0.0.1", "192.168.7.7", 421),
    ],
)  # fmt: skip
def test_names_follow_the_bind_address(bind: str, host: str, expected: int) -> None:
    refusal = check_host(host, guard_rules(bind, (), ()))
    assert (refusal.status_code if refusal else 0) == expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("app://editor", 0), ("APP://EDITOR/", 0), ("https://tool.test", 0), ("http://tool.test",
        403),
        ("https://tool.test:444", 403), ("null", 403), ("http://127.0.0.1", 403), ("", 403),
    ],
)  # fmt: skip
def test_origins(origin: str, expected: int) -> None:
    assert status(PROXY, "POST", origin=origin) == expected


def test_null_is_never_an_origin() -> None:
    assert status(guard_rules("127.0.0.1", (), ["null"]), origin="null") == 403


@pytest.mark.parametrize(
    ("headers", "proxy", "console"),
    [
        ({"sec_fetch_site": "cross-site"}, 403, 403),
        ({"sec_fetch_site": "same-site"}, 403, 403),
        ({"sec_fetch_site": "same-origin"}, 0, 0),
        ({"sec_fetch_site": "none"}, 0, 0),
        ({"sec_fetch_mode": "cors"}, 0, 0),
        (
            {
                "sec_fetch_site": "cross-site",
                "sec_fetch_mode": "navigate",
                "sec_fetch_dest": "document",
            },
            403,
            0,
        ),
        (
            {
                "sec_fetch_site": "cross-site",
                "sec_fetch_mode": "navigate",
                "sec_fetch_dest": "iframe",
            },
            403,
            403,
        ),
        (
            {
                "sec_fetch_site": "cross-site",
                "sec_fetch_mode": "no-cors",
                "sec_fetch_dest": "image",
            },
            403,
            403,
        ),
        ({"origin": "http://127.0.0.1"}, 403, 0),
        ({"origin": "http://127.0.0.1:3000"}, 403, 403),
        ({"origin": "http://localhost"}, 403, 403),
        ({"origin": "http://127.0.0.1", "access_control_request_method": "POST"}, 403, 403),
        ({"host": "ccproxy.example", "origin": "https://ccproxy.example"}, 421, 0),
        ({"host": "ccproxy.example:443", "origin": "https://ccproxy.example"}, 421, 0),
        ({"host": "a.sub.example"}, 421, 0),
    ],
)
def test_pages(headers: dict[str, str], proxy: int, console: int) -> None:
    assert (status(PROXY, "GET", **headers), status(CONSOLE, "GET", **headers)) == (proxy, console)


def test_a_form_on_another_page_is_no_link() -> None:
    link = {
        "sec_fetch_site": "cross-site",
        "sec_fetch_mode": "navigate",
        "sec_fetch_dest": "document",
    }
    assert status(CONSOLE, "POST", **link) == 403


TOKEN = "cct-0123456789abcdefghij"


def token(name: str = "laptop", clear: str = TOKEN, *providers: str) -> ClientTokenConf:
    return ClientTokenConf(name, sha256(clear.encode()).hexdigest(), frozenset(providers))


def test_tokens_behind_keys() -> None:
    assert split_key(f"Bearer sk-ccproxy-up.{TOKEN}") == ("Bearer sk-ccproxy-up", TOKEN)
    assert split_key(f"/x?key=sk-ccproxy-g.{TOKEN}&alt=sse") == (
        "/x?key=sk-ccproxy-g&alt=sse",
        TOKEN,
    )
    assert split_key(f"sk-other.{TOKEN}") == (f"sk-other.{TOKEN}", "")
    fields = (
        (b"X-Api-Key", f"sk-ant-api03-ccproxy-a.b.{TOKEN}".encode()),
        (b"x-other", b"sk-ccproxy-a.cct-1"),
    )
    assert take_token(fields) == (((b"X-Api-Key", b"sk-ant-api03-ccproxy-a.b"), fields[1]), TOKEN)


def test_scopes() -> None:
    assert find_token(TOKEN, (token("a", "cct-other"), token("b"))) == token("b")
    assert find_token("cct-wrong", (token(),)) is None
    assert may_use(None, "x") and may_use(token(), "x") and may_use(token("a", TOKEN, "x"), "x")
    assert not may_use(token("a", TOKEN, "x"), "y") and not may_use(token("a", TOKEN, "x"), "")


def config(upstream: Upstream, *tokens: ClientTokenConf) -> Snapshot:
    return replace(
        snapshot(provider("up", upstream.port), provider("other", upstream.port)),
        client_tokens=tokens,
    )


def post(proxy: Running, key: str = "sk-ccproxy-up", **headers: str) -> httpx.Response:
    return httpx.post(
        f"{proxy.url}/v1/messages", json={"model": "m"}, headers={"x-api-key": key} | headers
    )


def test_tokens_on_a_running_proxy() -> None:
    with (
        Upstream() as upstream,
        running_proxy(
            config(upstream, token(), token("bound", TOKEN + "x", "up")), require_token=True
        ) as proxy,
    ):
        for refused in (
            post(proxy),
            post(proxy, **{"x-ccproxy-token": "cct-wrong"}),
            post(proxy, "sk-ccproxy-up.cct-no"),
        ):
            assert (
                refused.status_code == 401
                and "clienttoken add" in refused.json()["error"]["message"]
            )
        assert upstream.requests == []
        count = len(proxy.sink.records)
        assert post(proxy, **{"x-ccproxy-token": TOKEN}).status_code == 200
        assert post(proxy, f"sk-ccproxy-up.{TOKEN}").status_code == 200
        assert post(proxy, f"sk-ccproxy-other.{TOKEN}").status_code == 200
        assert post(proxy, f"sk-ccproxy-up.{TOKEN}x").status_code == 200
        scoped = post(proxy, f"sk-ccproxy-other.{TOKEN}x")
        assert (
            scoped.status_code == 403
            and "“bound” does not cover" in scoped.json()["error"]["message"]
        )
        assert len(upstream.requests) == 4
        assert "cct-" not in "".join(seen.head.decode() for seen in upstream.requests)
        proxy.sink.wait(count + 5)
        recorded = [
            str(side.headers) + side.url for record in proxy.sink.records for side in record.sides
        ]
        assert not any(f".{TOKEN}" in text for text in recorded)


def test_an_unknown_token_is_refused_even_where_none_is_needed() -> None:
    with Upstream() as upstream, running_proxy(config(upstream)) as proxy:
        assert post(proxy).status_code == 200
        assert post(proxy, **{"x-ccproxy-token": "cct-revoked"}).status_code == 401


def test_pages_on_a_running_proxy() -> None:
    rules = guard_rules("127.0.0.1", ["box.local"], ["app://editor"])
    with Upstream() as upstream, running_proxy(config(upstream), rules=rules) as proxy:
        cors = (
            ("access-control-allow-origin", "*"),
            ("Access-Control-Expose-Headers", "x"),
            ("x-kept", "1"),
        )
        upstream.scripts["/v1/messages"] = Script(headers=cors)
        for headers in (
            {"origin": "https://evil.test"},
            {"host": "evil.test"},
            {"sec-fetch-site": "cross-site"},
        ):
            answer = post(proxy, **headers)
            assert answer.status_code in (403, 421) and answer.json()["type"] == "error"
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert answer.headers["connection"] == "close"
        preflight = httpx.options(
            f"{proxy.url}/v1/messages",
            headers={"origin": "https://evil.test", "access-control-request-method": "POST"},
        )
        assert preflight.status_code == 403
        with pytest.raises(InvalidStatus) as refused:
            connect(
                f"ws://127.0.0.1:{proxy.port}/v1/responses",
                origin=Origin("https://evil.test"),
                proxy=None,
            )
        assert refused.value.response.status_code == 403
        assert upstream.requests == [] and proxy.sink.records == []
        allowed = post(
            proxy, origin="app://editor", **{"host": "box.local:9", "sec-fetch-site": "cross-site"}
        )
        assert allowed.status_code == 200 and allowed.headers["x-kept"] == "1"
        assert allowed.headers.get_list("access-control-allow-origin") == ["app://editor"]
        assert upstream.last.header("x-kept") is None


def test_x_forwarded_host_only_matches() -> None:
    with Upstream() as upstream, running_proxy(config(upstream)) as proxy:
        assert post(proxy, **{"x-forwarded-host": "evil.test"}).status_code == 200
        assert upstream.last.header("host") == f"127.0.0.1:{upstream.port}"


def test_the_listener_queues_a_burst() -> None:
    with Upstream() as upstream, running_proxy(config(upstream)) as proxy:
        queue = _queue_length(proxy.port)
        assert queue >= BACKLOG
        clients = [
            socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S)
            for _ in range(300)
        ]
        try:
            for client in clients:
                client.sendall(
                    b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                )
            assert all(read_exactly(client, 12) == b"HTTP/1.1 200" for client in clients)
        finally:
            for client in clients:
                client.close()


def _queue_length(port: int) -> int:
    """The listener's backlog as the kernel knows it (sock_diag: idiag_wqueue of a listening
    socket).
    """
    netlink, sock_diag, by_family, dump = 16, 4, 20, 0x301
    with socket.socket(netlink, socket.SOCK_RAW, sock_diag) as query:
        request = struct.pack("<BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, 1 << 10) + bytes(48)
        query.sendto(
            struct.pack("<IHHII", 16 + len(request), by_family, dump, 1, 0) + request, (0, 0)
        )
        for kind, message in _netlink_messages(query):
            if kind == by_family and struct.unpack_from(">H", message, 4)[0] == port:
                return int(struct.unpack_from("<I", message, 4 + 48 + 4 + 4)[0])
    pytest.fail("the kernel does not know this listener")


def _netlink_messages(query: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the payload of each message of a dump.

    The kernel sends a long list in several datagrams; a message of the type NLMSG_DONE ends it.
    """
    done = 3
    while True:
        data = query.recv(1 << 20)
        while len(data) >= 16:
            length, kind = struct.unpack_from("<IH", data)
            if kind == done:
                return
            yield kind, data[16:length]
            data = data[length:]
