"""The company's proxy in front of a provider: chosen for each request, and let in with CONNECT.

mitmproxy opens a connection to `Server.via` and asks it for a tunnel (RFC 9110, 9.3.6). TLS and
its verification happen inside, with the provider's own name.
"""

from __future__ import annotations

from mitmproxy.connection import Server
from mitmproxy.http import HTTPFlow
from mitmproxy.net.server_spec import ServerSpec

from interceptor.addons.capture.upstream import ChosenDestinations, UpstreamAddon
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.wireguard.hosts import plain_name
from interceptor.wireguard.overrides import Overrides
from providers.base.upstream_proxy import UpstreamProxies, UpstreamProxy


class ViaAddon:
    """Chooser of the proxy of routed requests; stands behind the steps of the request path.

    Args:
        proxies: the configured ones.
        overrides: destinations that a setting replaces; these are reached directly.
        upstream: knows where captured commands may not go.
        chosen: learns which connections lead to a proxy.
    """

    def __init__(
        self,
        proxies: UpstreamProxies,
        overrides: Overrides,
        upstream: UpstreamAddon,
        chosen: ChosenDestinations,
    ) -> None:
        self._overrides = overrides
        self._proxies = proxies
        self._upstream = upstream
        self._chosen = chosen
        self._by_address: dict[tuple[str, int], UpstreamProxy] = {}
        for proxy in (proxies.http, proxies.https):
            if proxy is not None:
                self._by_address[proxy.host, proxy.port] = proxy

    def request(self, flow: HTTPFlow) -> None:
        """Send the request by way of the proxy, if its destination has one."""
        state = state_of(flow)
        # `CompanyProxyAddon` chose for a captured command's own traffic.
        if state is None or state.observed is not None or flow.response or flow.error:
            return
        request = flow.request
        via = self.choose(flow, state, request.scheme, request.host, request.port)
        if via is None:
            return
        # An object of its own: the flows of a client connection share the one that stands here.
        server = Server(address=(request.host, request.port))
        server.via = via
        flow.server_conn = server

    def choose(
        self, flow: HTTPFlow, state: FlowState, scheme: str, host: str, port: int
    ) -> ServerSpec | None:
        """Return the proxy by which a request gets there, and note it; None: directly."""
        proxy = self._proxy_of(flow, state, scheme, host, port)
        if proxy is None:
            return None
        state.via = proxy.label
        if state.source != "reverse":
            self._chosen.choose_proxy(flow.client_conn, proxy.host, proxy.port)
        return proxy.scheme, (proxy.host, proxy.port)

    def _proxy_of(
        self, flow: HTTPFlow, state: FlowState, scheme: str, host: str, port: int
    ) -> UpstreamProxy | None:
        if plain_name(host) in self._overrides.upstreams:
            return None
        # Without a proxy it is refused where every connection of a run is.
        is_captured = state.source != "reverse"
        if is_captured and self._upstream.refusal_of(flow.client_conn, (host, port)):
            return None
        return self._proxies.of(scheme, host, port)

    def http_connect_upstream(self, flow: HTTPFlow) -> None:
        """Write the destination as RFC 9110, 7.2 has it, and show the proxy its credential."""
        request, address = flow.request, flow.server_conn.address
        if ":" in request.host:
            # mitmproxy leaves the brackets of an IPv6 address out.
            authority = f"[{request.host}]:{request.port}"
            request.authority = authority
            request.headers["host"] = authority
        proxy = self._by_address.get((address[0], address[1])) if address else None
        if proxy is not None and proxy.authorization:
            request.headers["proxy-authorization"] = proxy.authorization
