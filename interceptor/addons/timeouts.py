"""Timeouts of clients that do not finish their request and of providers that stop sending."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from mitmproxy import ctx
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.proxy.server import ConnectionHandler

from interceptor.addons.tunnels import tunnel_of
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.mitm.attempts import attempts_of
from interceptor.mitm.deadlines import DEADLINES
from interceptor.stock_addons import Proxyserver

CONNECT_TIMEOUT_S = 30.0
"""TCP and TLS together."""
DEFAULT_IDLE_TIMEOUT_S = 300.0
TICK_S = 0.25


@dataclass(slots=True)
class _Waiting:
    """A flow that waits for its provider."""

    flow: HTTPFlow
    state: FlowState
    since_ms: float
    closed: Server | None = None
    """Its connection that was closed already."""


class TimeoutsAddon:
    """Addon that watches clients that do not finish a request and providers that stop sending.

    Stands before the record addon, which puts the reason into the record.

    Args:
        idle_timeout_s: how long a provider may be silent, before its response and within it.
        connect_timeout_s: how long a connection to it may take.
        own_call_timeout_s: how long it may take to begin its response to a request that the proxy
            sent again by itself; None: as long as to any other.
    """

    def __init__(
        self,
        *,
        idle_timeout_s: float = DEFAULT_IDLE_TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        own_call_timeout_s: float | None = None,
    ) -> None:
        self._idle_s = idle_timeout_s
        self._connect_s = connect_timeout_s
        self._own_call_s = own_call_timeout_s
        self._waiting: dict[str, _Waiting] = {}
        self._ticker: asyncio.Task[None] | None = None
        self._has_work = asyncio.Event()

    def running(self) -> None:
        """Start to watch."""
        DEADLINES.on_first = self._has_work.set
        self._ticker = asyncio.get_running_loop().create_task(self._watch(), name="timeouts")

    def done(self) -> None:
        """Stop watching."""
        if self._ticker:
            self._ticker.cancel()

    def client_connected(self, client: Client) -> None:
        """Expect a request on a new connection."""
        if isinstance(client.proxy_mode, ReverseMode):
            DEADLINES.expect_connection_head(client.id)

    def client_disconnected(self, client: Client) -> None:
        """Forget the connection."""
        DEADLINES.clear(client.id)

    def requestheaders(self, flow: HTTPFlow) -> None:
        """Stop expecting the headers of an HTTP/1 request."""
        # A connection without open streams may stay idle (RFC 9113, 9.1).
        if flow.request.is_http2 or flow.request.is_http3:
            DEADLINES.clear(flow.client_conn.id)

    def request(self, flow: HTTPFlow) -> None:
        """Expect the provider to send something from now on."""
        state = state_of(flow)
        # A captured command decides itself how long it waits for its provider.
        if state is None or state.observed is not None:
            return
        if state.forwarded is not None and flow.response is None and flow.error is None:
            self._waiting[flow.id] = _Waiting(flow, state, state.ms())
            self._has_work.set()

    def response(self, flow: HTTPFlow) -> None:
        """Expect nothing more: the response is complete."""
        self._waiting.pop(flow.id, None)

    def error(self, flow: HTTPFlow) -> None:
        """Expect nothing more: the flow failed."""
        self._waiting.pop(flow.id, None)

    async def _watch(self) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                if not self._waiting and DEADLINES.is_empty:
                    self._has_work.clear()
                    await self._has_work.wait()
                await asyncio.sleep(TICK_S)
                server = ctx.master.addons.get("proxyserver")
                if isinstance(server, Proxyserver):
                    await self._check(server)

    async def _check(self, server: Proxyserver) -> None:
        for connection_id in DEADLINES.overdue():
            if handler := server.connections.get(connection_id):
                DEADLINES.clear(connection_id)
                await handler.on_timeout()
        for waiting in list(self._waiting.values()):
            handler = server.connections.get(waiting.flow.client_conn.id)
            if handler is None or waiting.flow.id not in self._waiting:
                self._waiting.pop(waiting.flow.id, None)
            else:
                self._check_provider(handler, waiting)

    def _check_provider(self, handler: ConnectionHandler, waiting: _Waiting) -> None:
        """Close a silent provider's connection, as if the provider had closed it."""
        attempts = attempts_of(waiting.flow)
        # The proxy itself waits before it sends the request again.
        if attempts is not None and attempts.is_waiting:
            return
        server = waiting.flow.server_conn
        connected = server.timestamp_start is not None and server.connected
        limit_s = self._limit_s(waiting, connected=connected)
        silent_s = (waiting.state.ms() - _last_sign_ms(waiting)) / 1000
        if silent_s < limit_s:
            return
        connection = _connection_of(handler, waiting.flow, connected=connected)
        # Closing takes a turn of the loop; the next tick may come before.
        if connection is None or connection is waiting.closed:
            return
        waiting.closed = connection
        waiting.state.error = _sentence(waiting, limit_s, connected=connected)
        waiting.state.error_status = 504
        _close(handler, connection)

    def _limit_s(self, waiting: _Waiting, *, connected: bool) -> float:
        limit_s = self._idle_s if connected else min(self._connect_s, self._idle_s)
        attempts = attempts_of(waiting.flow)
        is_own_call = attempts is not None and len(attempts.made) > 1
        if self._own_call_s is None or not is_own_call or waiting.flow.response is not None:
            return limit_s
        return min(limit_s, self._own_call_s)


def _sentence(waiting: _Waiting, limit_s: float, *, connected: bool) -> str:
    provider = waiting.state.decision.provider if waiting.state.decision else None
    who = f"Provider {provider.name}" if provider else waiting.flow.request.host
    what = "sent nothing" if connected else "could not be reached"
    way = f" by way of {waiting.state.via}" if waiting.state.via else ""
    return f"{who} {what}{way} for {limit_s:g} s."


def _last_sign_ms(waiting: _Waiting) -> float:
    """Return when something last came from the provider, in milliseconds since the flow began.

    Before its response that is when the request was sent, for the last time.
    """
    state, response = waiting.state, waiting.flow.response
    last_ms = waiting.since_ms
    attempts = attempts_of(waiting.flow)
    if attempts is not None:
        last_ms = max(last_ms, (attempts.newest_began - state.began) * 1000)
    if response is not None and response.timestamp_start:
        last_ms = max(last_ms, (response.timestamp_start - state.started_at) * 1000)
    return max(last_ms, state.tee.last_ms) if state.tee else last_ms


def _connection_of(handler: ConnectionHandler, flow: HTTPFlow, *, connected: bool) -> Server | None:
    """Return the connection that the flow waits for; None when it is gone."""
    if flow.server_conn.via is not None:
        return tunnel_of(handler, flow.server_conn)
    if connected:
        return flow.server_conn if flow.server_conn in handler.transports else None
    # The flow does not know a connection that is still being opened.
    address = (flow.request.host, flow.request.port)
    for connection in handler.transports:
        if isinstance(connection, Server) and connection.address == address:
            return connection
    return None


def _close(handler: ConnectionHandler, connection: Server) -> None:
    task = handler.transports[connection].handler
    # A connection that is still being opened is closed for mitmproxy.
    if connection.state is ConnectionState.CLOSED and task is not None:
        task.cancel("timeout")
    else:
        handler.close_connection(connection)
