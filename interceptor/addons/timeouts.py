"""Ends what waits in vain: for clients that do not finish their request, for providers that say
nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from mitmproxy import ctx
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.proxy.server import ConnectionHandler

from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.mitm.attempts import attempts_of
from interceptor.mitm.deadlines import DEADLINES, HEAD_TIMEOUT_S

CONNECT_TIMEOUT_S = 30.0
"""TCP and TLS together."""
DEFAULT_IDLE_TIMEOUT_S = 300.0
TICK_S = 0.25


@dataclass(slots=True)
class _Waiting:
    """A flow whose request is on its way."""

    flow: HTTPFlow
    state: FlowState
    since_ms: float
    tried: Server | None = None


class TimeoutsAddon:
    """Stands before the record addon, which puts the reason into the record.

    Args:
        idle_timeout_s: how long a provider may be silent, before its answer begins and within it.
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

    def running(self) -> None:
        """Begin to watch."""
        self._ticker = asyncio.get_running_loop().create_task(self._watch(), name="timeouts")

    def done(self) -> None:
        """Stop watching."""
        if self._ticker:
            self._ticker.cancel()

    def client_connected(self, client: Client) -> None:
        """A connection must become a request."""
        if isinstance(client.proxy_mode, ReverseMode):
            DEADLINES.set(client.id, HEAD_TIMEOUT_S)

    def client_disconnected(self, client: Client) -> None:
        """Forget it."""
        DEADLINES.clear(client.id)

    def requestheaders(self, flow: HTTPFlow) -> None:
        """HTTP/2 has its own rules from here on."""
        if flow.request.is_http2 or flow.request.is_http3:
            DEADLINES.clear(flow.client_conn.id)

    def request(self, flow: HTTPFlow) -> None:
        """The request leaves: from now on the provider is expected to say something."""
        state = state_of(flow)
        if state is None or state.observed is not None:
            return  # how long to wait for whom is the captured command's affair
        if state.forwarded is not None and flow.response is None and flow.error is None:
            self._waiting[flow.id] = _Waiting(flow, state, state.ms())

    def response(self, flow: HTTPFlow) -> None:
        """The answer is complete."""
        self._waiting.pop(flow.id, None)

    def error(self, flow: HTTPFlow) -> None:
        """The flow broke."""
        self._waiting.pop(flow.id, None)

    async def _watch(self) -> None:
        with suppress(asyncio.CancelledError):
            while True:
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
        """Close a silent provider's connection: the layers then end the flow as if the provider had
        closed it.
        """
        attempts = attempts_of(waiting.flow)
        if attempts is not None and attempts.is_waiting:
            return  # it is the proxy that waits, before it sends the request again
        silent_s = (waiting.state.ms() - _last_sign_ms(waiting)) / 1000
        connected = (
            waiting.flow.server_conn.timestamp_start is not None
            and waiting.flow.server_conn.connected
        )
        limit_s = self._idle_s if connected else min(self._connect_s, self._idle_s)
        own_call_s = self._own_call_limit_s(waiting)
        if own_call_s is not None and own_call_s < limit_s:
            limit_s = own_call_s
        if silent_s < limit_s:
            return
        connection = _connection_of(handler, waiting.flow, connected=connected)
        if connection is None or connection is waiting.tried:
            return
        waiting.tried = connection
        provider = waiting.state.decision.provider if waiting.state.decision else None
        who = f"Provider {provider.name}" if provider else waiting.flow.request.host
        what = "sent nothing" if connected else "could not be reached"
        waiting.state.error = f"{who} {what} for {limit_s:g} s."
        waiting.state.error_status = 504
        _close(handler, connection)

    def _own_call_limit_s(self, waiting: _Waiting) -> float | None:
        """Return `provider_timeout` while a replay waits for its response, else None."""
        attempts = attempts_of(waiting.flow)
        was_sent_again = attempts is not None and len(attempts.made) > 1
        return self._own_call_s if was_sent_again and waiting.flow.response is None else None


def _last_sign_ms(waiting: _Waiting) -> float:
    """When something last came from the provider, in milliseconds since the flow began."""
    state, response = waiting.state, waiting.flow.response
    began_ms = waiting.since_ms
    attempts = attempts_of(waiting.flow)
    if attempts is not None:
        began_ms = max(began_ms, (attempts.newest_began - state.began) * 1000)
    if response is not None and response.timestamp_start:
        began_ms = max(began_ms, (response.timestamp_start - state.started_at) * 1000)
    return max(began_ms, state.tee.last_ms) if state.tee else began_ms


def _connection_of(handler: ConnectionHandler, flow: HTTPFlow, *, connected: bool) -> Server | None:
    """The connection that the flow waits for; while it is being made, the flow does not know it
    yet.
    """
    if connected:
        return flow.server_conn if flow.server_conn in handler.transports else None
    address = (flow.request.host, flow.request.port)
    return next(
        (c for c in handler.transports if isinstance(c, Server) and c.address == address), None
    )


def _close(handler: ConnectionHandler, connection: Server) -> None:
    task = handler.transports[connection].handler
    if connection.state is ConnectionState.CLOSED and task is not None:
        task.cancel("timeout")  # not open yet
    else:
        handler.close_connection(connection)
