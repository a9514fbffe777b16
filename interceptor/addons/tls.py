"""TLS to providers: verified unless a provider without credential says otherwise, HTTP/2 offered.

A certificate is checked for every address that any credential may go to. When a newer configuration
sends a credential to an address that had none, the connections that were opened there unverified
are set apart: they carry none either.
"""

from __future__ import annotations

from mitmproxy import ctx
from mitmproxy.connection import Client, Server
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.tls import TlsData
from OpenSSL import SSL

from interceptor.config.snapshot.schema import Snapshot
from interceptor.config.snapshot.store import ConfigStore
from interceptor.exchange.flow_state import state_of
from interceptor.stock_addons import TlsConfig

SET_APART = "unverified:"
"""Stands in front of a host that no request names."""


class ProviderTls(TlsConfig):
    """mitmproxy's TLS addon with a decision per upstream address."""

    name = "tlsconfig"

    def __init__(self, store: ConfigStore) -> None:
        super().__init__()
        self._store = store
        self._http1_only: set[str] = set()
        self._unverified: dict[str, list[Server]] = {}
        """Client connection → server connections that were opened without verification."""

    def requestheaders(self, flow: HTTPFlow) -> None:
        """Client connections with a websocket upgrade, which needs HTTP/1.1 to the provider (RFC
        6455).
        """
        if flow.request.headers.get("upgrade", "").lower() == "websocket":
            self._http1_only.add(flow.client_conn.id)

    def request(self, flow: HTTPFlow) -> None:
        """Set connections aside that were opened unverified, before the credential is put in."""
        if flow.request.path.endswith(".crl"):
            super().request(flow)  # the addresses of revocation lists, on its own host
        state = state_of(flow)
        for server in self._unverified.get(flow.client_conn.id, ()):
            if state is None or server.address is None:
                continue
            host, port = server.address[:2]
            if must_verify(state.snapshot, host, port, insecure=bool(ctx.options.ssl_insecure)):
                # mitmproxy looks for an open connection by its address; it lets nobody set that on
                # one.
                vars(server)["address"] = (SET_APART + host, port)

    def client_disconnected(self, client: Client) -> None:
        """Forget the connection."""
        self._http1_only.discard(client.id)
        self._unverified.pop(client.id, None)

    def tls_start_server(self, tls_start: TlsData) -> None:
        """Offer HTTP/2 and decide about verification."""
        server = tls_start.conn
        client = tls_start.context.client
        # Whoever was captured speaks to the server as it would have by itself: mitmproxy's choice.
        reverse = isinstance(client.proxy_mode, ReverseMode)
        if (
            reverse
            and isinstance(server, Server)
            and not server.alpn_offers
            and not client.alpn_offers
        ):
            http1 = client.id in self._http1_only
            server.alpn_offers = (b"http/1.1",) if http1 else (b"h2", b"http/1.1")
        super().tls_start_server(tls_start)
        if tls_start.ssl_conn is None or not isinstance(server, Server) or not server.address:
            return
        insecure = bool(ctx.options.ssl_insecure)
        verify = must_verify(
            self._store.current, server.address[0], server.address[1], insecure=insecure
        )
        if not verify:
            self._unverified.setdefault(client.id, []).append(server)
        tls_start.ssl_conn.set_verify(SSL.VERIFY_PEER if verify else SSL.VERIFY_NONE)


def must_verify(snapshot: Snapshot, host: str, port: int, *, insecure: bool = False) -> bool:
    """Return True where the certificate must be verified.

    It is verified always where a credential may go. Elsewhere every provider at the address can
    switch it off, and so can the setting ssl_insecure (`insecure`).
    """
    at_host = [
        p
        for p in snapshot.providers.values()
        if p.host.lower() == host.lower() and p.effective_port == port
    ]
    if any(p.auth is not None for p in at_host):
        return True
    return not insecure and (not at_host or any(p.verify_tls for p in at_host))
