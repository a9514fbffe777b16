"""ClientHello of each TLS client of a captured command, kept while its connection lives."""

from __future__ import annotations

import logging

from mitmproxy.connection import Client
from mitmproxy.proxy.layers.tls import get_client_hello
from mitmproxy.tls import ClientHelloData

from interceptor.addons.capture.runs import was_captured
from interceptor.wireguard.client_hello import (
    MAX_BYTES,
    ClientHello,
    MalformedHello,
    parse_client_hello,
)

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 4096
_RECORD_START = b"\x16\x03"
"""A handshake in a TLS record of any version (RFC 8446, 5.1)."""


class ClientHelloAddon:
    """Map of client connection id to ClientHello. Drops the oldest if there are too many."""

    def __init__(self) -> None:
        self._hellos: dict[str, ClientHello] = {}

    def tls_clienthello(self, data: ClientHelloData) -> None:
        """Keep the ClientHello of a handshake."""
        client = data.context.client
        if was_captured(client):
            self.keep(client, data.client_hello.raw_bytes(wrap_in_record=False))

    def client_disconnected(self, client: Client) -> None:
        """Forget the connection."""
        self._hellos.pop(client.id, None)

    def keep(self, client: Client, raw: bytes) -> ClientHello | None:
        """Parse a ClientHello and keep it. Return None for a malformed one, which is not kept."""
        try:
            hello = parse_client_hello(raw)
        except MalformedHello as exc:
            logger.debug("a ClientHello could not be read: %s", exc)
            return None
        while len(self._hellos) >= MAX_CONNECTIONS:
            del self._hellos[next(iter(self._hellos))]
        self._hellos[client.id] = hello
        return hello

    def of(self, client: Client) -> ClientHello | None:
        """Return the ClientHello of a connection, if it had one."""
        return self._hellos.get(client.id)


def first_hello(data: bytes) -> bytes | None:
    """Return the ClientHello with which a client begins; None if that is not complete yet.

    Without the headers of its TLS records, which may be several (RFC 8446, 5.1). b"" for a client
    that begins with something else than TLS.

    Raises:
        MalformedHello: TLS that begins with no ClientHello, or with one of more than `MAX_BYTES`.
    """
    if not _RECORD_START.startswith(data[: len(_RECORD_START)]):
        return b""
    if len(data) <= len(_RECORD_START):
        return None
    try:
        hello = get_client_hello(data)
    except ValueError as exc:
        raise MalformedHello(str(exc)) from None
    if len(hello or data) > MAX_BYTES:
        raise MalformedHello("too long")
    return hello
