"""Captured connections other than HTTP: other protocols, and TLS that cannot be read.

Each is one narrow row: destination, duration, bytes, and the reason of a bad end. Their content is
neither kept nor buffered.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from mitmproxy import ctx
from mitmproxy.connection import Client, Server
from mitmproxy.tcp import TCPFlow
from mitmproxy.tls import TlsData
from mitmproxy.udp import UDPFlow

from flows.record import FlowRecord, SideRecord, Sink
from interceptor.addons.capture.client_hello import ClientHelloAddon, first_hello
from interceptor.addons.capture.runs import (
    came_by_wireguard,
    origin_fields,
    run_of,
    was_captured,
)
from interceptor.forward.mode import source_of
from interceptor.stock_addons import Proxyserver
from interceptor.wireguard.client_hello import MalformedHello
from interceptor.wireguard.hosts import plain_name
from interceptor.wireguard.lease import RunBook

QUIC_PORT = 443
MAX_ERROR_CHARS = 300
FAILED_CLOSE_DELAY_S = 0.2

AnyFlow = TCPFlow | UDPFlow


@dataclass(slots=True)
class _Passing:
    """A running connection."""

    record: FlowRecord
    client_id: str
    up_bytes: int = 0
    down_bytes: int = 0
    error: str = ""
    held: bytes = b""
    """The client's first bytes, kept back while its ClientHello is not complete."""
    has_begun: bool = False
    """The client's first bytes are known and on their way."""


class ConnectionsAddon:
    """Recorder of connections of captured commands.

    Args:
        runs: the running commands.
        hellos: the ClientHellos of TLS clients.
        sink: receiver of the rows.
    """

    def __init__(self, runs: RunBook, hellos: ClientHelloAddon, sink: Sink) -> None:
        self._runs = runs
        self._hellos = hellos
        self._sink = sink
        self._passing: dict[str, _Passing] = {}

    def client_connected(self, client: Client) -> None:
        """Close QUIC: its clients fall back to TCP, where they can be read."""
        if (
            came_by_wireguard(client)
            and client.transport_protocol == "udp"
            and client.sockname[1] == QUIC_PORT
        ):
            client.error = "QUIC is closed"

    def client_disconnected(self, client: Client) -> None:
        """End everything that is still open of the client."""
        if was_captured(client):
            for flow_id in [
                key for key, passing in self._passing.items() if passing.client_id == client.id
            ]:
                self._end(flow_id)

    def done(self) -> None:
        """End all connections when the proxy stops."""
        for flow_id in list(self._passing):
            self._end(flow_id)

    def tcp_start(self, flow: TCPFlow) -> None:
        """Begin to record a connection that is no HTTP."""
        self._begin(flow, "TCP")

    def udp_start(self, flow: UDPFlow) -> None:
        """Begin to record a UDP connection."""
        self._begin(flow, "UDP")

    def tcp_message(self, flow: TCPFlow) -> None:
        """Count the bytes and look at the beginning; keep nothing."""
        passing = self._passing.get(flow.id)
        if passing is None:
            return
        message = flow.messages[-1]
        if message.from_client and not passing.has_begun:
            message.content = self._begin_upward(flow, passing, passing.held + message.content)
        if message.from_client and passing.error:
            message.content = b""
        self._count(flow, passing)

    def udp_message(self, flow: UDPFlow) -> None:
        """Count the bytes; keep nothing."""
        if passing := self._passing.get(flow.id):
            self._count(flow, passing)

    def tcp_end(self, flow: TCPFlow) -> None:
        """Record a closed connection."""
        self._end(flow.id)

    def udp_end(self, flow: UDPFlow) -> None:
        """Record a UDP connection that timed out."""
        self._end(flow.id)

    async def tcp_error(self, flow: TCPFlow) -> None:
        """Record a connection that could not be opened, or broke."""
        self._fail(flow)
        if came_by_wireguard(flow.client_conn) and flow.server_conn.timestamp_tcp_setup is None:
            # A server may refuse before the tunnel has seen the end of the client's own handshake;
            # a connection that is closed that early stays open for the client.
            await asyncio.sleep(FAILED_CLOSE_DELAY_S)

    def udp_error(self, flow: UDPFlow) -> None:
        """Record a UDP connection that broke."""
        self._fail(flow)

    def tls_failed_client(self, data: TlsData) -> None:
        """Record a client that refuses our certificate, or speaks no TLS that we know."""
        client = data.context.client
        if not was_captured(client):
            return
        host = plain_name(client.sni or "") or self._name(client, data.context.server)
        reason = (client.error or "the handshake failed")[:MAX_ERROR_CHARS]
        record = self._record(client, data.context.server, client.id, "TLS")
        text = (
            f"{host} was not reached: the client broke the TLS handshake off ({reason}). It does"
            " not trust ccproxy's certificate, because it reads no CA variable or pins another"
            " one; to let it pass unread, add the host to inspector.mitmproxy.ignore_hosts."
        )
        self._sink.finished(
            replace(record, host=host, state="error", finished_at=time.time(), error=text)
        )

    def _begin(self, flow: AnyFlow, method: str) -> None:
        if not was_captured(flow.client_conn):
            return
        record = self._record(flow.client_conn, flow.server_conn, flow.id, method)
        self._passing[flow.id] = _Passing(record, flow.client_conn.id)
        self._sink.started(record)

    def _record(self, client: Client, server: Server, flow_id: str, method: str) -> FlowRecord:
        host, (address, port) = self._name(client, server), (server.address or ("", 0))[:2]
        return FlowRecord(
            id=flow_id,
            state="live",
            started_at=client.timestamp_start,
            source=source_of(client),
            method=method,
            host=host,
            path=f"{address}:{port}",
            client_url=f"{method.lower()}://{host}:{port}",
            action="passthrough",
            route="passed on to where it was going, unread",
            **origin_fields(run_of(client, self._runs), self._hellos.of(client)),
        )

    def _name(self, client: Client, server: Server) -> str:
        address = server.address[0] if server.address else ""
        run = run_of(client, self._runs)
        names = run.answers.names(address) if run else ()
        return plain_name(client.sni or "") or (names[0] if names else address)

    def _begin_upward(self, flow: TCPFlow, passing: _Passing, data: bytes) -> bytes:
        """Return what is sent of the client's first bytes; b"" while more of them are needed.

        A ClientHello with keys for quantum computers is larger than a packet, and any client may
        cut its own into small ones: its host is checked before any of it leaves.
        """
        try:
            hello = first_hello(data)
        except MalformedHello:
            self._refuse_unreadable(flow, passing)
            hello = b""
        if hello is None:
            passing.held = data
            return b""
        passing.held, passing.has_begun = b"", True
        if hello:
            self._check_host(flow, passing, hello)
        return data

    def _check_host(self, flow: TCPFlow, passing: _Passing, raw_hello: bytes) -> None:
        """Check the host in the ClientHello of TLS that is forwarded unread (ignore_hosts)."""
        hello = self._hellos.keep(flow.client_conn, raw_hello)
        if hello is None:
            self._refuse_unreadable(flow, passing)
            return
        run = run_of(flow.client_conn, self._runs)
        host = plain_name(hello.sni) or passing.record.host
        passing.record = replace(passing.record, host=host, **origin_fields(run, hello))
        if run and hello.sni and (reason := run.refusal_of_name(plain_name(hello.sni))):
            _refuse(flow, passing, reason)

    def _refuse_unreadable(self, flow: TCPFlow, passing: _Passing) -> None:
        """Refuse TLS whose host is unknown, where an allow-list would have to hold for it.

        The server may well read what we cannot, such as a ClientHello that is too long for us.
        """
        run = run_of(flow.client_conn, self._runs)
        if run and (reason := run.refusal_of_unknown_name()):
            _refuse(flow, passing, reason)

    def _count(self, flow: AnyFlow, passing: _Passing) -> None:
        for message in flow.messages:
            if message.from_client:
                passing.up_bytes += len(message.content)
            else:
                passing.down_bytes += len(message.content)
        flow.messages.clear()  # mitmproxy would keep all that ever passes

    def _fail(self, flow: AnyFlow) -> None:
        if passing := self._passing.get(flow.id):
            passing.error = passing.error or (
                flow.error.msg if flow.error else "the connection broke"
            )
            self._end(flow.id)

    def _end(self, flow_id: str) -> None:
        passing = self._passing.pop(flow_id, None)
        if passing is None:
            return
        record, now = passing.record, time.time()
        sides = (
            SideRecord(
                "client",
                method=record.method,
                url=record.client_url,
                body_size_bytes=passing.up_bytes,
            ),
            SideRecord("delivered", body_size_bytes=passing.down_bytes),
        )
        self._sink.finished(
            replace(
                record,
                state="error" if passing.error else "done",
                finished_at=now,
                duration_ms=(now - record.started_at) * 1000,
                error=passing.error,
                action="refused" if "--egress" in passing.error else record.action,
                sides=sides,
            )
        )


def _refuse(flow: TCPFlow, passing: _Passing, reason: str) -> None:
    """Close both sides of a connection that is forwarded unread."""
    passing.error = reason
    server = ctx.master.addons.get("proxyserver")
    if isinstance(server, Proxyserver) and (handler := server.connections.get(flow.client_conn.id)):
        for transport in handler.transports:
            handler.close_connection(transport)
