"""Captured traffic reaches whom it was meant for as it was sent, and comes back as it was
answered.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading

import pytest

from tests.fakes.upstream import Script, sse
from tests.interceptor.wireguard.world import ADDRESSES, CANARY, OTHER, World, talk
from tests.patience import PATIENCE_S
from tests.sockets import read_until

ODD_HEAD = (
    b"POST /v1/messages?b=2&a=%%7e HTTP/1.1\r\nhOsT: evil.test\r\nX-Zeta: 1\r\nx-alpha:"
    b" two\r\nACCEPT: */*\r\nx-ccproxy-hooks: -inject_auth\r\nX-Zeta: 2\r\nOrigin:"
    b" https://page.example\r\nContent-Type: text/plain\r\nContent-LENGTH: %d\r\n\r\n"
)


def ask(world: World, name: str, data: bytes, *, host: str = "", port: int = 443) -> bytes:
    """Send exact bytes over TLS to a name's address; `host` is another name for the ClientHello."""
    with world.run.tls(world.run.address(name), host or name, port) as connection:
        return talk(connection, data)


def request(
    host: str, *, key: str = "sk-ccproxy-good", body: bytes = b"{}", path: str = "/v1/messages"
) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nx-api-key: {key}\r\nContent-Length:"
        f" {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@pytest.mark.parametrize(
    "body", [b"a=1&b=%20", b'{ "z" : 1 ,\n"a":2}', bytes(range(256)), gzip.compress(b"{}", mtime=0)]
)
def test_every_byte_passes_both_ways(world: World, body: bytes) -> None:
    answer = b"\x00\xff not json {"
    headers = (
        ("X-Odd-CASE", "1"),
        ("set-cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("access-control-allow-origin", "*"),
    )
    world.evil.scripts["/v1/messages"] = Script(status=418, headers=headers, pieces=(answer,))
    got = ask(world, "evil.test", ODD_HEAD % len(body) + body)
    seen = world.evil.last
    assert seen.head == ODD_HEAD % len(body) and seen.body == body
    head, _, received = got.partition(b"\r\n\r\n")
    assert received == answer
    lines = head.split(b"\r\n")
    assert lines[0].split(b" ")[1] == b"418"
    assert [line for line in lines[1:] if not line.lower().startswith(b"content-length")] == [
        f"{name}: {value}".encode() for name, value in headers
    ]
    assert b"x-ccproxy" not in got.lower()


def test_it_is_recorded_as_what_it_was(world: World) -> None:
    body = json.dumps(
        {"model": "m-1", "metadata": {"user_id": "u_account_a_session_s-9"}, "messages": []}
    ).encode()
    ask(world, "evil.test", request("evil.test", key="real-key-of-the-user", body=body))
    record = world.record(method="POST")
    assert (record.source, record.host, record.path, record.state) == (
        "wireguard",
        "evil.test",
        "/v1/messages",
        "done",
    )
    assert (record.run_label, record.run_command) == ("test", "agent --flag 'two words'")
    assert (record.action, record.provider, record.credential_injected) == (
        "passthrough",
        "",
        False,
    )
    assert (record.client_format, record.requested_model) == ("anthropic_messages", "m-1")
    assert record.session_id == "s-9"
    assert record.client_url == "https://evil.test/v1/messages"
    sides = {side.side: side for side in record.sides}
    assert sides["client"].body == sides["forwarded"].body == body
    assert sides["upstream"].body == sides["delivered"].body
    assert (
        record.ja4.startswith("t13d") and len(record.ja3) == 32 and record.ja3_full.count(",") == 4
    )
    assert record.hooks == ()


def test_a_large_upload_is_not_held_back(world: World) -> None:
    """The server sees the beginning while the client still holds the end."""
    size = 3 * 1024 * 1024
    with world.run.tls(world.run.address("evil.test"), "evil.test") as connection:
        connection.sendall(
            b"PUT /blob HTTP/1.1\r\nHost: evil.test\r\nContent-Length: %d\r\n\r\n" % size
            + bytes(size - 1)
        )
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(PATIENCE_S)
        assert b" /blob" in talk(connection, b"\x01")
    assert world.evil.last.body == bytes(size - 1) + b"\x01"


def test_a_download_passes_while_it_comes(world: World) -> None:
    gate = threading.Event()
    world.evil.scripts["/big"] = Script(
        pieces=(bytes(300_000), b"end"), gate=gate, framing="chunked"
    )
    with world.run.tls(world.run.address("evil.test"), "evil.test") as connection:
        connection.sendall(b"GET /big HTTP/1.1\r\nHost: evil.test\r\n\r\n")
        got = b""
        while len(got) < 300_000:
            got += connection.recv(65536)
        gate.set()
        while not got.endswith(b"0\r\n\r\n"):
            got += connection.recv(65536)
    assert got.count(b"end") == 1
    assert [
        side.body_size_bytes for side in world.record(path="/big").sides if side.side == "delivered"
    ] == [300_003]


def test_a_large_body_that_is_no_llms_is_kept_in_part(world: World) -> None:
    piece = bytes(1024 * 1024)
    world.evil.scripts["/iso"] = Script(pieces=(piece,) * 6, framing="chunked")
    with world.run.tls(world.run.address("evil.test"), "evil.test") as connection:
        connection.sendall(b"GET /iso HTTP/1.1\r\nHost: evil.test\r\n\r\n")
        got = b""
        while not got.endswith(b"0\r\n\r\n"):
            got += connection.recv(65536)
    side = next(side for side in world.record(path="/iso").sides if side.side == "delivered")
    assert (
        side.body_truncated
        and side.body_size_bytes == 6 * len(piece)
        and len(side.body or b"") <= 4 * len(piece)
    )


def test_an_event_stream_is_live(world: World) -> None:
    gate = threading.Event()
    world.evil.scripts["/v1/messages"] = sse(b"data: one\n\n", b"data: two\n\n", gate=gate)
    with world.run.tls(world.run.address("evil.test"), "evil.test") as connection:
        connection.sendall(request("evil.test", key="k"))
        got = b""
        while b"data: one" not in got:
            got += connection.recv(65536)
        assert any(b"one" in delta.data for delta in world.proxy.sink.deltas)
        gate.set()
        while not got.endswith(b"0\r\n\r\n"):
            got += connection.recv(65536)
    assert world.record(method="POST").is_stream


def test_plain_http_passes_too(world: World) -> None:
    with world.run.tcp(world.run.address("plain.test"), 80) as connection:
        talk(connection, request("plain.test"))
    assert world.plain.last.header("x-api-key") == "sk-ccproxy-good"
    assert world.record(method="POST").client_url == "http://plain.test/v1/messages"


def test_several_requests_use_one_connection_each_side(world: World) -> None:
    with world.run.tls(world.run.address("evil.test"), "evil.test") as connection:
        for _ in range(3):
            talk(connection, request("evil.test", key="k"))
    assert len({seen.connection for seen in world.evil.requests}) == 1


def test_http2_stays_http2_for_the_client(world: World) -> None:
    with world.run.tls(
        world.run.address("evil.test"), "evil.test", alpn=("h2", "http/1.1")
    ) as connection:
        assert connection.selected_alpn_protocol() == "h2"


def test_the_sentinel_key_of_its_own_host_is_replaced(world: World) -> None:
    assert b"200 OK" in ask(world, "good.test", request("good.test"))
    assert world.good.last.head == request("good.test", key=CANARY).partition(b"{}")[0]
    record = world.record(method="POST")
    assert (record.provider, record.credential_injected, record.source) == (
        "good",
        True,
        "wireguard",
    )
    assert (record.host, record.run_label) == ("good.test", "test")


@pytest.mark.parametrize(
    ("address", "sni", "host"),
    [
        ("evil.test", "evil.test", "evil.test"),
        ("evil.test", "evil.test", "good.test"),
        ("good.test", "good.test", "evil.test"),
        ("good.test", "good.test", "good.test:8443"),
        ("good.test", "evil.test", "good.test"),
        ("good.test", "good.test", "good.test@evil.test"),
        ("evil.test", "evil.test", "good.test, evil.test"),
        ("other.test", "other.test", "other.test"),
    ],
)
def test_the_sentinel_key_of_another_host_is_left_alone(
    world: World, address: str, sni: str, host: str
) -> None:
    ask(world, address, request(host), host=sni)
    for seen in [*world.evil.requests, *world.good.requests]:
        assert seen.header("x-api-key") == "sk-ccproxy-good"
    record = world.record(method="POST")
    assert not record.credential_injected and CANARY not in str(record)
    assert "left alone" in record.route


def test_the_address_does_not_decide_where_a_credential_goes(world: World) -> None:
    """The client connects to the attacker's address and claims the provider's name: the provider
    gets the request.
    """
    ask(world, "evil.test", request("good.test"), host="good.test")
    assert world.good.last.header("x-api-key") == CANARY
    assert world.evil.requests == []


def test_neither_plain_http_nor_another_port_gets_a_credential(world: World) -> None:
    with world.run.tcp(world.run.address("plain.test"), 80) as connection:
        talk(connection, request("good.test"))
    ask(world, "good.test", request("good.test:8443"), port=8443)
    assert CANARY not in world.everything_seen_by_evil
    assert world.good.last.header("x-api-key") == "sk-ccproxy-good"


def test_a_sentinel_in_the_query_is_left_alone_elsewhere(world: World) -> None:
    path = "/v1beta/models/m:generateContent?key=sk-ccproxy-good"
    ask(world, "evil.test", request("evil.test", key="x", path=path))
    assert world.evil.last.target == path


def test_an_unknown_sentinel_passes(world: World) -> None:
    ask(world, "good.test", request("good.test", key="sk-ccproxy-nobody"))
    assert world.good.last.header("x-api-key") == "sk-ccproxy-nobody"


def test_a_certificate_of_another_name_stops_the_credential(world: World) -> None:
    """The override sends the name to a server whose certificate is for other names."""
    got = ask(world, "good.test", request("good.test"))
    assert got.startswith(b"HTTP/1.1 200"), "the control"
    with world.run.tls(world.run.address("echo.test"), "echo.test") as connection:
        got = talk(connection, request("echo.test"))
    assert got.startswith(b"HTTP/1.1 502") and CANARY.encode() not in got


def test_a_401_to_a_users_own_key_passes_untouched(world: World) -> None:
    world.evil.scripts["/v1/messages"] = Script(status=401, pieces=(b"no",))
    got = ask(world, "evil.test", request("evil.test", key="k"))
    assert got.startswith(b"HTTP/1.1 401") and got.endswith(b"no") and len(world.evil.requests) == 1


def test_both_providers_at_their_hosts_get_their_own(world: World) -> None:
    ask(world, "other.test", request("other.test", key="sk-ccproxy-other"))
    assert world.good.last.header("x-api-key") == OTHER


def test_an_address_without_a_name(world: World) -> None:
    """No SNI: the record names the host that HTTP asks for."""
    with world.run.tls(ADDRESSES["evil.test"], None) as connection:
        talk(connection, request("evil.test", key="k"))
    assert world.record(method="POST").host == "evil.test"


def test_a_client_that_goes_away_is_recorded(world: World) -> None:
    with world.run.tls(world.run.address("evil.test"), "evil.test") as connection:
        connection.sendall(
            b"PUT /half HTTP/1.1\r\nHost: evil.test\r\nExpect: 100-continue\r\nContent-Length:"
            b" 100\r\n\r\n"
        )
        assert b" 100 " in read_until(connection, b"\r\n\r\n")
        connection.sendall(b"half")
        connection.shutdown(socket.SHUT_RDWR)
    record = world.record(path="/half")
    assert record.state == "error" and record.error and record.sides[0].body in (b"", b"half")
