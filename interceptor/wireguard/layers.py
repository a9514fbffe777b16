"""Detection of the protocol that a captured connection speaks, in mitmproxy's layers."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from mitmproxy.net.tls import starts_like_dtls_record
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.modes import TransparentProxy
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.tls import ClientHello

from interceptor.forward.mode import ForwardMode
from interceptor.stock_addons import NextLayer
from interceptor.wireguard.hosts import plain_name

SERVER_SPEAKS_FIRST = frozenset({21, 22, 25, 110, 119, 143, 587, 2525, 3306, 5900})
"""FTP, SSH, SMTP, POP3, NNTP, IMAP, submission, MySQL, VNC: their clients wait for a greeting."""

_original_client_hello = NextLayer._get_client_hello
_original_ignore = NextLayer._ignore_connection


class CapturedConnection(TransparentProxy):
    """The first layer of a captured connection."""

    def _handle_event(self, event: events.Event) -> Generator[commands.Command, Any, None]:
        address = self.context.server.address
        # mitmproxy would wait for the client's first bytes, and the client for the greeting.
        greeted = address is not None and address[1] in SERVER_SPEAKS_FIRST
        self.child_layer = layer.NextLayer(self.context, ask_on_start=greeted)
        error = yield from self.finish_start()
        if error:
            yield commands.CloseConnection(self.context.client)


def ignores_connection(
    self: NextLayer, context: Context, data_client: bytes, data_server: bytes
) -> bool | None:
    """Return whether `allow_hosts` and `ignore_hosts` exempt a connection; None: not yet known.

    They are about captured connections. The reverse listener's upstream is a placeholder that no
    pattern of a user's can mean. A tunnel of the forward proxy is read where its run says so.
    """
    mode = context.client.proxy_mode
    if isinstance(mode, ReverseMode):
        return False
    if isinstance(mode, ForwardMode) and not _reads(mode, context, data_client):
        return True
    return _original_ignore(self, context, data_client, data_server)


def _reads(mode: ForwardMode, context: Context, data_client: bytes) -> bool:
    """Return whether a tunnel is read; its host is known by name, or by the ClientHello's.

    Raises:
        mitmproxy.addons.next_layer.NeedsMoreData: the ClientHello is not complete.
    """
    address = context.server.address
    names = [plain_name(address[0])] if address else []
    hello = _original_client_hello(context, data_client)
    # Inside TLS that is read, the protocol is still to be told.
    sni = context.client.sni or (hello.sni if hello else None)
    if sni:
        names.append(plain_name(sni))
    return mode.reads(names)


def client_hello_of(context: Context, data_client: bytes) -> ClientHello | None:
    """Return the ClientHello that a connection begins with; None for a datagram without one.

    With `ignore_hosts` set, mitmproxy waits for more of any datagram, and DNS never gets through.

    Raises:
        mitmproxy.addons.next_layer.NeedsMoreData: it is not complete.
    """
    if context.client.transport_protocol == "udp" and not starts_like_dtls_record(data_client):
        return None
    return _original_client_hello(context, data_client)
