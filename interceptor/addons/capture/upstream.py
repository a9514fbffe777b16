"""Where connections of captured commands may go, and where a setting sends them instead."""

from __future__ import annotations

from ipaddress import ip_address

from mitmproxy.connection import Address, Client, Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from interceptor.addons.capture.runs import came_by_wireguard, run_of
from interceptor.wireguard.hosts import plain_name
from interceptor.wireguard.lease import RunBook
from interceptor.wireguard.overrides import Overrides

OWN_MACHINE = (
    "this address is the proxy's own machine, which captured commands do not reach through the"
    " tunnel"
)


class UpstreamAddon:
    """The last word before a connection is opened, whatever protocol it speaks."""

    def __init__(self, runs: RunBook, overrides: Overrides) -> None:
        self._runs = runs
        self._overrides = overrides
        self._meant: dict[str, Address] = {}

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Refuse it, or send it where the settings say."""
        server = data.server
        if server.address is None:
            return
        if came_by_wireguard(data.client) and (reason := self._refusal(data.client, server)):
            server.error = reason
            return
        if self._overrides.upstreams and (target := self._target(data.client, server)):
            self._meant[server.id] = server.address
            server.address = target

    def server_connected(self, data: ServerConnectionHookData) -> None:
        """Its name is the one that was meant: by it mitmproxy finds the connection again, and
        judges certificates.
        """
        if (meant := self._meant.pop(data.server.id, None)) is not None:
            vars(data.server)["address"] = (
                meant  # mitmproxy lets nobody set it on an open connection
            )

    server_connect_error = server_connected

    def _refusal(self, client: Client, server: Server) -> str:
        run, host = run_of(client, self._runs), server.address[0] if server.address else ""
        try:
            address = ip_address(host)
        except ValueError:
            return run.refusal_of_name(host) if run else ""
        if self._override_of(client, host) is None and (
            address.is_loopback or address.is_unspecified
        ):
            return OWN_MACHINE
        if run is None:
            return ""
        return run.refusal_of_address(host) or (
            run.refusal_of_name(client.sni) if client.sni else ""
        )

    def _target(self, client: Client, server: Server) -> Address | None:
        return self._override_of(client, server.address[0] if server.address else "")

    def _override_of(self, client: Client, host: str) -> Address | None:
        """By the name that is dialled, the one in the ClientHello, or those that the address was
        looked up under.
        """
        upstreams = self._overrides.upstreams
        if not upstreams:
            return None
        run = run_of(client, self._runs)
        names = [
            host,
            *([client.sni] if client.sni else []),
            *(run.answers.names(host) if run else ()),
        ]
        if not came_by_wireguard(client):
            names = [host]  # SNI names the proxy there
        return next((upstreams[name] for name in map(plain_name, names) if name in upstreams), None)
