"""Connections that are no HTTP, and TLS that does not let itself be read."""

from __future__ import annotations

import gc
import socket
import ssl
from contextlib import suppress

import pytest
from mitmproxy.proxy.mode_specs import WireGuardMode

from interceptor.addons.capture.client_hello import ClientHelloAddon
from interceptor.addons.capture.connections import ConnectionsAddon
from interceptor.exchange.flow_state import FlowState
from interceptor.wireguard.lease import Run
from tests.interceptor.wireguard.test_lease import until
from tests.interceptor.wireguard.test_transparent import request
from tests.interceptor.wireguard.world import ADDRESSES, World, talk
from tests.patience import PATIENCE_S
from tests.sockets import read_exactly


def test_another_protocol_passes_and_is_recorded(world: World) -> None:
    with world.run.tcp(world.run.address("echo.test"), 22) as connection:
        connection.sendall(b"SSH-2.0-client\r\n")
        assert read_exactly(connection, 16) == b"ssh-2.0-CLIENT\r\n"
        connection.sendall(b"more")
        assert read_exactly(connection, 4) == b"MORE"
        assert any(record.method == "TCP" for record in world.proxy.sink.live)
    record = world.record(method="TCP")
    assert (record.host, record.path, record.state) == ("echo.test", "192.0.2.14:22", "done")
    assert [side.body_size_bytes for side in record.sides] == [20, 20]
    assert all(side.body is None for side in record.sides), "its content is not kept"
    assert (record.run_label, record.action) == ("test", "passthrough")


def test_a_server_that_speaks_first(world: World) -> None:
    """A mail server's client says nothing before it was greeted."""
    with socket.create_server(("127.0.0.1", world.udp_port)) as server:
        server.settimeout(PATIENCE_S)
        with world.run.tcp(world.run.address("udp.test"), 25) as connection:
            accepted, _ = server.accept()
            with accepted:
                accepted.sendall(b"220 ready\r\n")
                assert read_exactly(connection, 11) == b"220 ready\r\n"
    assert world.record(method="TCP").path.endswith(":25")


def test_nothing_that_passed_is_held(world: World) -> None:
    addon = next(a for a in world.proxy.proxy._chain.addons if isinstance(a, ConnectionsAddon))
    with world.run.tcp(world.run.address("echo.test"), 22) as connection:
        connection.sendall(b"\x00" * 100_000)
        assert len(read_exactly(connection, 100_000)) == 100_000
        assert len(addon._passing) == 1
    world.record(method="TCP")
    assert addon._passing == {}


def test_a_server_that_is_not_there(world: World) -> None:
    with (
        world.run.tcp(world.run.address("closed.test"), 22) as connection,
        suppress(ConnectionError),
    ):
        connection.sendall(b"\x00x")
        assert connection.recv(10) == b""
    record = world.record(method="TCP")
    assert (record.host, record.state, record.action) == ("closed.test", "error", "passthrough")
    assert record.error


def test_a_client_that_does_not_trust_us_is_told_apart(world: World) -> None:
    world.run.address("evil.test")
    context = ssl.create_default_context(
        cafile=world.authority_file
    )  # it pins the server's own authority
    with pytest.raises(ssl.SSLError):
        context.wrap_socket(world.run.tcp(ADDRESSES["evil.test"], 443), server_hostname="evil.test")
    record = world.record(method="TLS")
    assert (record.host, record.state, record.run_label) == ("evil.test", "error", "test")
    assert "ignore_hosts" in record.error and "certificate" in record.error
    assert record.ja4.startswith("t13d")


def test_a_host_that_is_passed_on_unread(world: World) -> None:
    """The client trusts the server's own authority alone, and it works."""
    context = ssl.create_default_context(cafile=world.authority_file)
    world.run.address("pinned.test")
    raw = world.run.tcp(ADDRESSES["pinned.test"], 443)
    with context.wrap_socket(raw, server_hostname="pinned.test") as connection:
        talk(connection, request("pinned.test"))
    assert world.evil.last.header("x-api-key") == "sk-ccproxy-good"
    record = world.record(method="TCP")
    assert (record.host, record.action) == ("pinned.test", "passthrough")
    assert record.ja4.startswith("t13d")


def test_quic_is_closed(world: World) -> None:
    """UDP passes, but not to the port where clients try QUIC first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", world.udp_port))
        server.settimeout(PATIENCE_S)
        address = world.run.address("udp.test")
        for port in (443, 444):
            with world.run.made("u") as udp:
                udp.sendto(b"to %d" % port, (address, port))
        assert server.recv(100) == b"to 444"
    assert [record.path for record in world.proxy.sink.live if record.method == "UDP"] == [
        "192.0.2.17:444"
    ]


def test_the_end_of_a_run_ends_its_connections(world: World) -> None:
    manager = world.proxy.proxy._master.addons.get("proxyserver")
    with world.another(label="ends") as run:
        others = {one.client.proxy_mode.full_spec for one in manager.connections.values()}
        connection = run.tcp(run.address("echo.test"), 22)
        connection.sendall(b"\x00x")
        assert read_exactly(connection, 2) == b"\x00X"
        own = {one.client.proxy_mode.full_spec for one in manager.connections.values()} - others
        assert len(own) == 1 and "ends" in [known.label for known in world.proxy.proxy.runs]
        run.lease_socket.close()
        assert world.record(method="TCP", run_label="ends").finished_at is not None
        until(lambda: "ends" not in [known.label for known in world.proxy.proxy.runs])
        until(
            lambda: (
                not [
                    one
                    for one in manager.connections.values()
                    if one.client.proxy_mode.full_spec in own
                ]
            )
        )
        connection.close()


def test_fingerprints_are_forgotten_with_their_connections(world: World) -> None:
    hellos = next(a for a in world.proxy.proxy._chain.addons if isinstance(a, ClientHelloAddon))
    with world.run.tls(world.run.address("evil.test"), "evil.test") as connection:
        talk(connection, request("evil.test", key="k"))
        assert len(hellos._hellos) == 1
    until(lambda: hellos._hellos == {})


def test_nothing_of_a_run_is_left(world: World) -> None:
    """Whatever it did: no run, no mode, no flow's state outlives its lease."""

    def left() -> list[object]:
        gc.collect()
        return [one for one in gc.get_objects() if issubclass(type(one), kinds) and is_of(one)]

    def is_of(one: Run | WireGuardMode | FlowState) -> bool:
        run = one if isinstance(one, Run) else one.run if isinstance(one, FlowState) else None
        return run.label == "gone" if run else isinstance(one, WireGuardMode) and one not in before

    # By type: a dead weak reference of somebody else's does not say what it is an instance of.
    kinds = (Run, WireGuardMode, FlowState)
    before = [one for one in gc.get_objects() if issubclass(type(one), WireGuardMode)]
    # To look at all that earlier tests left in this process takes a second each time.
    gc.collect()
    gc.freeze()
    for _ in range(3):
        with world.another(label="gone") as run:
            with run.tls(run.address("evil.test"), "evil.test") as connection:
                talk(connection, request("evil.test", key="k"))
            with run.tcp(run.address("echo.test"), 22) as raw:
                raw.sendall(b"\x00x")
                assert raw.recv(10) and left()
    until(lambda: not left())
