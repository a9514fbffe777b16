"""What the forward proxy refuses: strangers, this machine, metadata services, contradictions.

Every refusal is recorded, and nothing arrives anywhere.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from interceptor.addons.capture.forward_gate import MAX_STRANGERS_A_MINUTE
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.forward.world import World
from tests.sockets import read_exactly


@dataclass
class Target:
    """A server of this machine that nobody may reach by way of the proxy."""

    server: Upstream

    @property
    def port(self) -> int:
        return self.server.port


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with Upstream() as server:
        yield Target(server)


HERE = (
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "0.1.2.3",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
)
SPELLED = (
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "017700000001",
    "127.1",
    "0177.0.0.1",
    "127.0.0.1.",
)
METADATA = (
    "169.254.169.254",
    "169.254.170.2",
    "2852039166",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "[fe80::a9fe:a9fe]",
    "100.100.100.200",
    "168.63.129.16",
    "metadata.google.internal",
)


@pytest.mark.parametrize("host", (*HERE, *SPELLED, *METADATA))
@pytest.mark.parametrize("form", ["connect", "absolute"])
def test_a_closed_destination(world: World, target: Target, host: str, form: str) -> None:
    authority = f"{host}:{target.port}"
    if form == "connect":
        line = f"CONNECT {authority} HTTP/1.1\r\nHost: good.test\r\n"
    else:
        line = f"GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\n"
    status, _ = world.say(f"{line}{world.authorization()}Connection: close\r\n\r\n".encode())
    assert status == 403
    [record] = world.records(action="refused")
    assert record.error and record.source == "forward" and record.run_label == "test-run"
    assert not target.server.requests


def test_the_proxys_own_ports(world: World) -> None:
    for port in (world.port, world.proxy.port):
        line = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n{world.authorization()}\r\n"
        assert world.say(line.encode())[0] == 403
    assert len(world.records(action="refused")) == 2


def test_the_machines_own_address_on_its_network(world: World, target: Target) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        own = probe.getsockname()[0]
    line = f"CONNECT {own}:{target.port} HTTP/1.1\r\n{world.authorization()}\r\n"
    assert world.say(line.encode())[0] == 403


@pytest.mark.parametrize(
    "line",
    [
        "CONNECT good.test:443 HTTP/1.1\r\n",
        "CONNECT good.test:443 HTTP/1.1\r\nProxy-Authorization: Basic cnVuOg==\r\n",
        "CONNECT good.test:443 HTTP/1.1\r\nProxy-Authorization: Basic !!!\r\n",
        "CONNECT good.test:443 HTTP/1.1\r\nProxy-Authorization: Bearer x\r\n",
        "GET http://plain.test/health HTTP/1.1\r\nHost: plain.test\r\n",
        "GET /health HTTP/1.1\r\nHost: plain.test\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.test\r\n",
        "POST /to/anthropic/v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    ],
)
def test_a_stranger(world: World, line: str) -> None:
    """Another program, or a web page that fetches this port."""
    status, got = world.say(f"{line}Connection: close\r\n\r\n".encode())
    assert status == 407 and b"proxy-authenticate: basic" in got.lower()
    [record] = world.records(action="refused")
    assert "credentials" in record.error
    assert not [*world.good.requests, *world.plain.requests]


def test_another_runs_credentials(world: World) -> None:
    other = urlsplit(world.lease("other-run"))
    line = f"CONNECT good.test:443 HTTP/1.1\r\n{world.authorization(other.password)}\r\n"
    assert world.say(line.encode())[0] == 407
    assert world.say(line.encode(), other.port)[0] == 200


def test_strangers_do_not_fill_the_record(world: World) -> None:
    for _ in range(MAX_STRANGERS_A_MINUTE + 5):
        world.say(b"CONNECT good.test:443 HTTP/1.1\r\n\r\n")
    assert len(world.records(action="refused")) <= MAX_STRANGERS_A_MINUTE


@pytest.mark.parametrize(
    "line",
    [
        "GET http://plain.test/ HTTP/1.1\r\nHost: good.test\r\n",
        "GET http://user@plain.test/ HTTP/1.1\r\nHost: plain.test\r\n",
        "GET http://plain.test@127.0.0.1/ HTTP/1.1\r\nHost: plain.test\r\n",
        "GET http://plain.test#@127.0.0.1/ HTTP/1.1\r\nHost: plain.test\r\n",
        "GET http://plain.test\\@127.0.0.1/ HTTP/1.1\r\nHost: plain.test\r\n",
        "GET http://127.0.0.1%2eplain.test/ HTTP/1.1\r\nHost: plain.test\r\n",
        "GET http://plain.test:0/ HTTP/1.1\r\nHost: plain.test\r\n",
        "GET ftp://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n",
        "GET file:///etc/passwd HTTP/1.1\r\nHost: plain.test\r\n",
        "GET http:///x HTTP/1.1\r\nHost: plain.test\r\n",
        "CONNECT plain.test HTTP/1.1\r\n",
        "CONNECT http://plain.test:443 HTTP/1.1\r\n",
        "CONNECT [::1%25lo]:443 HTTP/1.1\r\n",
        "CONNECT plain.test:99999 HTTP/1.1\r\n",
        "CONNECT plain.test:443 HTTP/1.1\r\nContent-Length: 5\r\n",
    ],
)
def test_a_target_that_two_readers_could_take_differently(world: World, line: str) -> None:
    status, _ = world.say(f"{line}{world.authorization()}\r\n".encode())
    assert status == 400
    assert not [*world.good.requests, *world.plain.requests]


def test_https_in_a_url_needs_a_tunnel(world: World) -> None:
    line = "GET https://good.test/ HTTP/1.1\r\nHost: good.test\r\nX-API-Key: sk-ccproxy-good\r\n"
    status, _ = world.say(f"{line}{world.authorization()}Connection: close\r\n\r\n".encode())
    assert status == 403
    assert not world.good.requests


@pytest.mark.parametrize(
    "inside", ["CONNECT 127.0.0.1:1 HTTP/1.1", "GET http://127.0.0.1/ HTTP/1.1"]
)
def test_no_proxy_inside_a_tunnel(world: World, inside: str) -> None:
    with world.tls("good.test") as connection:
        connection.sendall(f"{inside}\r\nHost: good.test\r\n\r\n".encode())
        assert read_exactly(connection, 12)[9:] in (b"400", b"405")
    assert not world.good.requests


def test_a_redirect_to_this_machine_leads_nowhere(world: World, target: Target) -> None:
    place = f"http://127.0.0.1:{target.port}/"
    world.plain.scripts["/moved"] = Script(302, headers=(("location", place),), pieces=(b"",))
    line = "GET http://plain.test/moved HTTP/1.1\r\nHost: plain.test\r\nConnection: close\r\n"
    status, got = world.say(f"{line}{world.authorization()}\r\n".encode())
    assert status == 302 and place.encode() in got
    line = f"GET {place} HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\nConnection: close\r\n"
    assert world.say(f"{line}{world.authorization()}\r\n".encode())[0] == 403
    assert not target.server.requests


def test_a_name_that_is_found_at_this_machine(
    world: World, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up counts, and the connection goes to what it found (DNS rebinding)."""
    asked: list[str] = []
    found = iter(["192.0.2.7", "127.0.0.1"])
    real = socket.getaddrinfo

    def rebinding(host: str, *args: object, **more: object) -> object:
        if host != "rebind.test":
            return real(host, *args, **more)  # type: ignore[arg-type]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(found), 0))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    line = f"CONNECT rebind.test:{target.port} HTTP/1.1\r\n{world.authorization()}\r\n"
    with world.connection() as first:
        first.sendall(line.encode())
        assert read_exactly(first, 12) == b"HTTP/1.1 200"
    assert world.say(line.encode())[0] == 403
    assert len(asked) == 2 and not target.server.requests
