"""How mitmproxy finds out what a captured connection speaks. Written against mitmproxy 12.2."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.net.tls import starts_like_dtls_record
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.modes import TransparentProxy
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.tls import ClientHello

SERVER_SPEAKS_FIRST = frozenset({21, 22, 25, 110, 119, 143, 587, 2525, 3306, 5900})
"""FTP, SSH, SMTP, POP3, NNTP, IMAP, submission, MySQL, VNC: their clients wait for a greeting."""


class CapturedConnection(TransparentProxy):
    """The first layer of a captured connection."""

    def _handle_event(self, event: events.Event) -> Generator[commands.Command, Any, None]:
        address = self.context.server.address
        greeted = address is not None and address[1] in SERVER_SPEAKS_FIRST
        self.child_layer = layer.NextLayer(self.context, ask_on_start=greeted)
        error = yield from self.finish_start()
        if error:
            yield commands.CloseConnection(self.context.client)


class CapturedNextLayer(NextLayer):
    """mitmproxy's choice of the next layer, which would wait for more of any datagram when
    `ignore_hosts` is set.
    """

    name = "nextlayer"

    def _ignore_connection(
        self, context: Context, data_client: bytes, data_server: bytes
    ) -> bool | None:
        # `allow_hosts` and `ignore_hosts` are about captured connections. The reverse listener's
        # upstream is a placeholder that no pattern of a user's can mean.
        if isinstance(context.client.proxy_mode, ReverseMode):
            return False
        return super()._ignore_connection(context, data_client, data_server)

    @staticmethod
    def _get_client_hello(context: Context, data_client: bytes) -> ClientHello | None:
        if context.client.transport_protocol == "udp" and not starts_like_dtls_record(data_client):
            return None
        return NextLayer._get_client_hello(context, data_client)
