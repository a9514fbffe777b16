"""HTTP/2 without TLS, for clients that begin with it (RFC 9113, 3.3)."""

from __future__ import annotations

from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.mode_specs import ReverseMode

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_ENOUGH = 4
"""No method of HTTP/1 begins with `PRI `: the name is reserved for this."""


class PriorKnowledgeAddon:
    """Serves HTTP/2 on the proxy's own port where a client's first bytes are HTTP/2."""

    def next_layer(self, data: NextLayer) -> None:
        """Set what TLS would have negotiated; mitmproxy's HTTP layer asks for nothing else."""
        client = data.context.client
        if client.tls or client.alpn or not isinstance(client.proxy_mode, ReverseMode):
            return
        first = data.data_client()[: len(PREFACE)]
        if len(first) >= _ENOUGH and PREFACE.startswith(first):
            client.alpn = b"h2"
