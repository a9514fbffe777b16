"""The company's proxy in front of captured traffic that is forwarded unchanged.

HTTP and TLS go by way of it, as they would with the usual variables; other protocols do not. A
captured command knows addresses. The proxy is asked for the name that the command looked up, by
which companies filter.
"""

from __future__ import annotations

from mitmproxy.connection import Address, Client, Server
from mitmproxy.http import HTTPFlow
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers import ServerTLSLayer, TCPLayer
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy

from interceptor.access.closed_addresses import is_address
from interceptor.addons.capture.runs import run_of, was_captured
from interceptor.addons.capture.upstream import ChosenDestinations, UpstreamAddon
from interceptor.exchange.flow_state import state_of
from interceptor.wireguard.hosts import plain_name
from interceptor.wireguard.lease import RunBook
from providers.base.upstream_proxy import UpstreamProxies, UpstreamProxy


class CompanyProxyAddon:
    """Chooser of the proxy; stands between the transparent addon and `ViaAddon`.

    Args:
        proxies: the configured ones.
        runs: the running commands, whose look-ups give addresses their names.
        upstream: knows which destinations are refused or replaced; these are reached directly.
        chosen: learns which connections lead to a proxy.
    """

    def __init__(
        self,
        proxies: UpstreamProxies,
        runs: RunBook,
        upstream: UpstreamAddon,
        chosen: ChosenDestinations,
    ) -> None:
        self._proxies = proxies
        self._runs = runs
        self._upstream = upstream
        self._chosen = chosen
        self._names: dict[str, dict[tuple[str, int], str]] = {}

    def requestheaders(self, flow: HTTPFlow) -> None:
        """Send a forwarded request by way of the proxy.

        Its connection is opened before the `request` event, because its body is streamed.
        """
        state = state_of(flow)
        if state is None or state.observed is None or flow.response or flow.error:
            return
        request = flow.request
        address = (request.data.host, request.data.port)
        proxy = self._choose(flow.client_conn, request.scheme, address, state.observed.host)
        if proxy is None:
            return
        state.via = proxy.label
        # An object of its own: the flows of a client connection share the one that stands here.
        server = Server(address=address)
        server.via = proxy.scheme, (proxy.host, proxy.port)
        flow.server_conn = server

    def next_layer(self, layer: NextLayer) -> None:
        """Lead TLS through a tunnel of the proxy: unread, or with another protocol than HTTP.

        Requests of HTTP inside open connections of their own.
        """
        context, found = layer.context, layer.layer
        address, client = context.server.address, context.client
        is_unread = isinstance(found, TCPLayer) and starts_like_tls_record(layer.data_client())
        if found is None or not (is_unread or isinstance(found, ServerTLSLayer)):
            return
        if address is None or not was_captured(client) or client.transport_protocol != "tcp":
            return
        if any(isinstance(above, HttpUpstreamProxy) for above in context.layers):
            return
        proxy = self._choose(client, "https", address, plain_name(client.sni or ""))
        if proxy is None:
            return
        context.server.via = proxy.scheme, (proxy.host, proxy.port)
        stack = HttpUpstreamProxy.make(context, send_connect=True)
        # Requests choose their own way: a rule may lead them to this machine.
        context.server.via = None
        stack /= found
        layer.layer = stack[0]

    def http_connect_upstream(self, flow: HTTPFlow) -> None:
        """Ask the proxy for the name instead of the address."""
        request = flow.request
        names = self._names.get(flow.client_conn.id, {})
        name = names.get((request.host, request.port))
        if name:
            authority = f"{name}:{request.port}"
            request.data.host = name
            request.authority = authority
            request.headers["host"] = authority

    def client_disconnected(self, client: Client) -> None:
        """Forget the client's names."""
        self._names.pop(client.id, None)

    def _choose(
        self, client: Client, scheme: str, address: Address, name: str
    ) -> UpstreamProxy | None:
        """Return the proxy for a destination, and let the client's connections to it pass.

        An exemption of the name counts as well as one of the address.
        """
        host, port = address[:2]
        if self._upstream.is_refused_or_replaced(client, address):
            return None
        trusted = self._trusted_name(client, host, name)
        proxy = self._proxies.of(scheme, host, port)
        if proxy is None or self._proxies.of(scheme, trusted or host, port) is None:
            return None
        self._names.setdefault(client.id, {})[host, port] = trusted
        self._chosen.choose_proxy(client, proxy.host, proxy.port)
        return proxy

    def _trusted_name(self, client: Client, host: str, name: str) -> str:
        """Return the name that the proxy may be asked for; "" leaves the address.

        A run's names are those it looked the address up under: another one in its TLS or HTTP
        would lead it to another server than it connected to.
        """
        run = run_of(client, self._runs)
        if run is None:
            return name
        if run.forward is not None:
            # The client named it itself, and its proxy looks it up.
            return "" if is_address(host) else host
        looked_up = run.answers.names(host)
        if name in looked_up:
            return name
        return looked_up[0] if len(looked_up) == 1 and not name else ""
