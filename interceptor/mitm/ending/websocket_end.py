"""Websocket layer whose flow is recorded before its close frame leaves.

mitmproxy 12.2 sends the close frame, closes both connections, and calls the event `websocket_end`
last. A client that has read the frame may then know of a flow that no record has.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.websocket import WebsocketEndHook, WebsocketLayer
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection

from interceptor.exchange.flow_state import state_of
from interceptor.mitm.http_stream import ProxyStopped

Commands = Generator[commands.Command, Any, None]

GOING_AWAY = 1001
"""RFC 6455, 7.4.1."""
MAX_REASON_BYTES = 123
"""RFC 6455, 5.5: a control frame has 125 bytes, of which the code takes two."""
_OPEN = frozenset({ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING})


class RecordedWebsocket(WebsocketLayer):
    """One websocket; `websocket_end` comes before the frames that end it."""

    def relay_messages(self, event: events.Event) -> Commands:
        """Relay messages, and end the websocket when a side or the proxy closes it."""
        if isinstance(event, ProxyStopped):
            yield from self._stop(event.message)
            return
        ending: list[commands.Command] = []
        for command in super().relay_messages(event):
            if isinstance(command, WebsocketEndHook):
                yield command
                yield from ending
            elif self._has_ended:
                ending.append(command)
            else:
                yield command

    @property
    def _has_ended(self) -> bool:
        return self.flow.websocket is not None and self.flow.websocket.timestamp_end is not None

    def _stop(self, message: str) -> Commands:
        """Close both sides."""
        websocket, state = self.flow.websocket, state_of(self.flow)
        if websocket is None:
            return
        if state is not None:
            state.fail(message)
        reason = message.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        websocket.timestamp_end = time.time()
        websocket.closed_by_client = False
        websocket.close_code, websocket.close_reason = GOING_AWAY, reason
        yield WebsocketEndHook(self.flow)
        for side in (self.server_ws, self.client_ws):
            if side.state in _OPEN:
                yield side.send2(CloseConnection(GOING_AWAY, reason))
            yield commands.CloseConnection(side.conn)
        self.flow.live = False
        self._handle_event = self.done
