"""Clients that stop sending, and clients that begin with HTTP/2."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.access.peer_socket import has_owner
from tests.fakes.http2_client import ask_h2
from tests.fakes.upstream import Script, Upstream, sse
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S
from tests.sockets import read_to_end, read_until

HEAD = "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: sk-ccproxy-up\r\n"
REQUEST = f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode()
needs_tables = pytest.mark.skipif(
    not os.path.exists("/proc/self/net/tcp"), reason="the kernel has no table of sockets"
)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as made:
        yield made


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[Running]:
    with running_proxy(snapshot(provider("up", upstream.port))) as running:
        yield running


def half_closed(proxy: Running, data: bytes) -> socket.socket:
    """Send these bytes and nothing more, ever."""
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S)
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    return connection


@needs_tables
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_half_closed_client_gets_its_response(
    proxy: Running, upstream: Upstream, framing: str
) -> None:
    gate = threading.Event()
    upstream.scripts["/v1/messages"] = Script(
        pieces=(b"first", b"last"), framing=framing, gate=gate
    )
    with half_closed(proxy, REQUEST) as connection:
        upstream.wait_for(1)
        gate.set()
        got = read_to_end(connection)
    assert got.startswith(b"HTTP/1.1 200") and b"first" in got and b"last" in got
    assert proxy.sink.wait().state == "done"


@needs_tables
def test_pipelined_requests_are_answered_before_the_close(
    proxy: Running, upstream: Upstream
) -> None:
    upstream.scripts["/v1/messages"] = Script(pieces=(b"{}",))
    with half_closed(proxy, REQUEST * 3) as connection:
        got = read_to_end(connection)
    assert got.count(b"HTTP/1.1 200") == 3


@needs_tables
@pytest.mark.parametrize("streams", [False, True])
def test_a_half_closed_client_that_goes_away_frees_its_provider(
    proxy: Running, upstream: Upstream, streams: bool
) -> None:
    gate = threading.Event()
    paced = threading.Semaphore(0)
    held = Script(pieces=(b"1", b"2"), gate=gate)
    if streams:
        # Only a later write than the first one after the close is told of it.
        pieces = [b"data: %d\n\n" % number for number in range(1, 1000)]
        held = sse(*pieces, pause_s=0.05, paced_by=paced)
    upstream.scripts["/v1/messages"] = held
    with half_closed(proxy, REQUEST) as connection:
        seen = upstream.wait_for(1)[0]
        if streams:
            assert read_until(connection, b"data: 1")
    assert proxy.sink.wait().state in ("error", "aborted", "cancelled")
    gate.set()
    paced.release(1000)
    # A buffered response is sent in one write, which may still succeed.
    assert not streams or seen.client_gone.wait(PATIENCE_S)


@needs_tables
def test_an_owner_is_seen_as_long_as_there_is_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        ends = client.getsockname(), server.getsockname()
        accepted, _ = server.accept()
        with accepted:
            client.shutdown(socket.SHUT_WR)
            assert accepted.recv(1) == b"" and has_owner(*ends)
            client.close()
            assert not has_owner(*ends)
            assert not has_owner(("192.0.2.1", 80), ends[1])


hosts = st.ip_addresses().map(str)
ports = st.integers(1, 65535)


@given(client=st.tuples(hosts, ports), proxy=st.tuples(hosts, ports), text=st.text(max_size=40))
def test_any_table_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    client: tuple[str, int],
    proxy: tuple[str, int],
    text: str,
) -> None:
    folder: Path = tmp_path_factory.mktemp("net")
    assert not has_owner(client, proxy, str(folder))
    assert not has_owner((text, 1), proxy, str(folder))


def upstream_body(upstream: Upstream) -> bytes:
    return b"".join(part for _, part in upstream.last.sent)


def test_http2_without_tls_is_served(proxy: Running, upstream: Upstream) -> None:
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", f"localhost:{proxy.port}"),
        (":path", "/v1/messages"),
        ("x-api-key", "sk-ccproxy-up"),
        ("content-length", "2"),
    ]
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as connection:
        answer = ask_h2(connection, headers, b"{}")
    assert answer.status == 200 and answer.body == upstream_body(upstream)
    assert upstream.last.version == "HTTP/1.1" and upstream.last.body == b"{}"


@pytest.mark.parametrize("cut", [1, 3, 4, 14, 20])
def test_a_preface_in_parts_is_no_silence(proxy: Running, cut: int) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = b"\0\0\0\x04\0\0\0\0\0"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(preface[:cut])
        connection.sendall(preface[cut:] + settings)
        assert connection.recv(100), "it was closed without a word"
