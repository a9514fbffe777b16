"""A run with an allow-list reaches what is on it, and nothing else, by whatever name or address."""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from mitmproxy.net.dns import response_codes

from tests.interceptor.wireguard.test_transparent import request
from tests.interceptor.wireguard.tunnel import Captured
from tests.interceptor.wireguard.world import ADDRESSES, CANARY, World, talk
from tests.sockets import read_exactly

GONE = (ConnectionError, TimeoutError)


@pytest.fixture(scope="module")
def fenced(whole_world: World) -> Iterator[Captured]:
    with whole_world.another(
        label="fenced", egress=["good.test", "echo.test", "pinned.test"]
    ) as run:
        yield run


@pytest.fixture
def inside(world: World, fenced: Captured) -> World:
    """The world as the run with the allow-list sees it; it has looked its hosts up."""
    for name in ("good.test", "echo.test", "pinned.test"):
        fenced.address(name)
    world.forget()
    return replace(world, run=fenced)


def test_what_is_listed_is_reached_with_its_credential(inside: World) -> None:
    with inside.run.tls(ADDRESSES["good.test"], "good.test") as connection:
        assert b"200 OK" in talk(connection, request("good.test"))
    assert inside.good.last.header("x-api-key") == CANARY
    with inside.run.tcp(ADDRESSES["echo.test"], 7) as connection:
        connection.sendall(b"\x00hello")
        assert read_exactly(connection, 6) == b"\x00HELLO"


def test_other_names_are_not_looked_up(inside: World) -> None:
    assert inside.run.lookup("evil.test").response_code == response_codes.REFUSED
    record = inside.record(method="DNS", host="evil.test")
    assert (record.action, record.state, record.run_label) == ("refused", "error", "fenced")
    assert "--egress evil.test" in record.error


def test_other_name_servers_are_not_asked(inside: World) -> None:
    assert (
        inside.run.lookup("good.test", server="192.0.2.99").response_code == response_codes.REFUSED
    )


@pytest.mark.parametrize(
    ("address", "sni", "host"),
    [
        ("evil.test", "evil.test", "evil.test"),
        ("evil.test", "good.test", "good.test"),
        ("good.test", "evil.test", "good.test"),
        ("good.test", "good.test", "evil.test"),
        ("good.test", "good.test", "good.test@evil.test"),
        ("evil.test", None, "good.test"),
        ("evil.test", None, ADDRESSES["evil.test"]),
    ],
)
def test_https_to_anything_else_is_answered_with_403(
    inside: World, address: str, sni: str | None, host: str
) -> None:
    with inside.run.tls(ADDRESSES[address], sni) as connection:
        got = talk(connection, request(host, key="k"))
    assert got.startswith(b"HTTP/1.1 403")
    error = json.loads(got.partition(b"\r\n\r\n")[2])
    assert error["type"] == "error" and "--egress" in error["error"]["message"], (
        "in Anthropic's format"
    )
    assert inside.evil.requests == inside.good.requests == []
    record = inside.record(method="POST")
    assert (record.action, record.status_code, record.run_label) == ("refused", 403, "fenced")
    assert [side.side for side in record.sides if side.side == "forwarded"] == []


def test_the_root_path_is_recorded_too(inside: World) -> None:
    with inside.run.tcp(ADDRESSES["plain.test"], 80) as connection:
        assert talk(connection, b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n").startswith(
            b"HTTP/1.1 403"
        )
    assert inside.record(method="GET", path="/").action == "refused"


def test_the_sentinel_of_a_host_that_is_not_listed(inside: World) -> None:
    with inside.run.tls(ADDRESSES["other.test"], "other.test") as connection:
        assert b" 403 " in talk(connection, request("other.test", key="sk-ccproxy-other"))[:20]
    assert inside.good.requests == []


def test_other_protocols_are_cut_off(inside: World) -> None:
    with inside.run.tcp("192.0.2.77", 22) as connection, pytest.raises(GONE):
        connection.sendall(b"SSH-2.0-client\r\n")
        assert connection.recv(100) == b""
        raise ConnectionResetError
    record = inside.record(method="TCP")
    assert (record.action, record.host, record.path) == ("refused", "192.0.2.77", "192.0.2.77:22")


def test_tls_that_is_passed_on_unread_is_held_to_its_own_word(inside: World) -> None:
    """The connection goes to an address that is allowed, and names a host that is not."""
    context = ssl.create_default_context(cafile=inside.authority_file)
    with pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(
            inside.run.tcp(ADDRESSES["pinned.test"], 443), server_hostname="pinned.test.evil.test"
        )
    record = inside.record(method="TCP")
    assert (record.action, record.host) == ("refused", "pinned.test.evil.test")
    assert inside.evil.requests == []
    raw = inside.run.tcp(ADDRESSES["pinned.test"], 443)
    with context.wrap_socket(raw, server_hostname="pinned.test") as connection:
        talk(connection, request("pinned.test"))
    assert len(inside.evil.requests) == 1, "the control"


def client_hello(host: str) -> bytes:
    """Return what a TLS client says first."""
    said = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), said, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return said.read()


def in_records(record: bytes, size: int) -> bytes:
    """Return a TLS record as several records, whose contents have at most this size."""
    head, content = record[:3], record[5:]
    parts = (content[at : at + size] for at in range(0, len(content), size))
    return b"".join(head + len(part).to_bytes(2) + part for part in parts)


@pytest.mark.parametrize(
    ("ends", "record_size"),
    [
        ((1,), 0),
        ((2,), 0),
        ((3,), 0),
        ((5, 6), 0),
        ((100, 200), 0),
        ((-1,), 0),
        ((), 64),
        ((40,), 32),
    ],
)
def test_the_host_of_tls_is_known_however_its_client_cuts_it(
    inside: World, ends: tuple[int, ...], record_size: int
) -> None:
    """A ClientHello with keys for quantum computers takes two packets in any case."""
    for host in ("pinned.test.evil.test", "pinned.test"):
        hello = client_hello(host)
        if record_size:
            hello = in_records(hello, record_size)
        with inside.run.tcp(ADDRESSES["pinned.test"], 443) as connection:
            for start, end in pairwise([0, *(end % len(hello) for end in ends), len(hello)]):
                # What is sent at once goes into one packet.
                time.sleep(0.05)
                connection.sendall(hello[start:end])
            if host == "pinned.test":
                assert connection.recv(1) == b"\x16", "the server answers"
            else:
                with contextlib.suppress(*GONE):
                    assert connection.recv(1) == b""
    refused = inside.record(method="TCP", action="refused")
    assert refused.host == "pinned.test.evil.test"


def extended(record: bytes, *extensions: tuple[int, bytes], ciphers: bytes = b"") -> bytes:
    """Return the message of a ClientHello with further extensions and ciphers at the ends."""
    body = record[9:]
    start = 2 + 32
    start += 1 + body[start]  # session id
    end = start + 2 + int.from_bytes(body[start : start + 2])
    suites = body[start + 2 : end] + ciphers
    listed = end + 1 + body[end]  # behind the compression methods
    more = b"".join(kind.to_bytes(2) + record_content(content) for kind, content in extensions)
    changed = body[:start] + record_content(suites) + body[end:listed]
    changed += record_content(body[listed + 2 :] + more)
    return b"\x01" + len(changed).to_bytes(3) + changed


def record_content(message: bytes) -> bytes:
    return len(message).to_bytes(2) + message


def server_name(host: bytes) -> tuple[int, bytes]:
    """Return the extension that names a host (RFC 6066, 3)."""
    entry = b"\x00" + record_content(host)
    return 0, record_content(entry)


def unreadable_hellos() -> dict[str, bytes]:
    """Return beginnings of TLS that a server might understand, and whose host we do not know."""
    hello = client_hello("echo.test")
    version, content = hello[:3], hello[5:]
    two_hosts = extended(hello, server_name(b"evil.test"))
    # More than 64 KB, by a padding (RFC 7685) and by cipher suites that nobody knows.
    long = extended(hello, (21, bytes(60_000)), ciphers=b"\x0a\x0a" * 4_000)
    parts = (long[at : at + 16_000] for at in range(0, len(long), 16_000))
    return {
        "too long": b"".join(version + record_content(part) for part in parts),
        "names two hosts": version + record_content(two_hosts),
        "another record within": version
        + record_content(content[:20])
        + b"\x17\x03\x03"
        + record_content(content[20:]),
        "an empty record first": version + b"\x00\x00" + hello,
        "cut short": version + record_content(b"\x01\x00\x00\x14" + content[4:24]),
    }


@pytest.mark.parametrize("kind", unreadable_hellos())
def test_tls_whose_host_cannot_be_read_does_not_leave(
    inside: World, world: World, kind: str
) -> None:
    """A server may read what we do not: an allow-list holds for what is known alone."""
    data = unreadable_hellos()[kind]
    with inside.run.tcp(ADDRESSES["echo.test"], 8443) as connection, contextlib.suppress(*GONE):
        connection.sendall(data)
        assert connection.recv(1) == b"", "nothing of it reached the server"
    record = inside.record(method="TCP")
    assert (record.action, record.state) == ("refused", "error"), kind
    assert "--egress" in record.error and "ClientHello" in record.error
    # The control: a run without a list sends what it will.
    world.run.address("echo.test")
    with world.run.tcp(ADDRESSES["echo.test"], 8443) as connection:
        connection.sendall(data)
        assert read_exactly(connection, 2) == b"\x16\x03"


def test_a_host_beyond_ascii_is_held_to_the_list(inside: World) -> None:
    hello = client_hello("echo.test").replace(b"echo.test", b"evil.tes\xff")
    with inside.run.tcp(ADDRESSES["echo.test"], 8443) as connection, contextlib.suppress(*GONE):
        connection.sendall(hello)
        assert connection.recv(1) == b""
    assert inside.record(method="TCP").action == "refused"
    with inside.run.tcp(ADDRESSES["echo.test"], 8443) as connection:
        connection.sendall(client_hello("echo.test"))
        assert read_exactly(connection, 2) == b"\x16\x03", "the control"


def test_everything_below_a_name(world: World) -> None:
    with world.another(label="below", egress=["*.good.test"]) as run:
        assert run.lookup("good.test").response_code == response_codes.REFUSED
        assert run.lookup("sub.good.test").response_code != response_codes.REFUSED


def test_another_run_is_not_fenced(inside: World, world: World) -> None:
    assert world.run.address("evil.test") == ADDRESSES["evil.test"]
