"""Destinations of captured commands: refused, replaced by a setting, or chosen by a rule."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from mitmproxy.connection import Address, Client, Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from interceptor.access.closed_addresses import refusal_of_number
from interceptor.addons.capture.forward_gate import ForwardGate
from interceptor.addons.capture.runs import came_by_forward, run_of, was_captured
from interceptor.wireguard.hosts import plain_name
from interceptor.wireguard.lease import RunBook
from interceptor.wireguard.overrides import Overrides
from interceptor.wireguard.own_addresses import is_own_address

OWN_MACHINE = (
    "this address is the proxy's own machine, which captured commands do not reach through the"
    " tunnel"
)


class ChosenDestinations:
    """Addresses that the configuration chose for requests of captured clients.

    A captured command must not reach this machine's own addresses. A rule of its operator may send
    a request there all the same: to Ollama, vLLM or llama.cpp.
    """

    def __init__(self) -> None:
        self._of_client: dict[str, set[tuple[str, int]]] = {}
        self._proxies: dict[str, set[tuple[str, int]]] = {}

    def choose(self, client: Client, host: str, port: int) -> None:
        """Allow connections to the address on behalf of this client connection."""
        self._of_client.setdefault(client.id, set()).add((host, port))

    def includes(self, client: Client, address: Address) -> bool:
        """Return whether the address was chosen for a request of this client connection."""
        return address[:2] in self._of_client.get(client.id, ())

    def choose_proxy(self, client: Client, host: str, port: int) -> None:
        """Allow connections to a company's proxy, which leads to a destination that was chosen."""
        self._proxies.setdefault(client.id, set()).add((host, port))

    def is_proxy(self, client: Client, address: Address) -> bool:
        """Return whether the address is that of a proxy chosen for this client connection."""
        return address[:2] in self._proxies.get(client.id, ())

    def forget(self, client: Client) -> None:
        """Drop what was chosen for a client connection that is closed."""
        self._of_client.pop(client.id, None)
        self._proxies.pop(client.id, None)


class UpstreamAddon:
    """Refuses or redirects a connection just before it is opened, whatever protocol it speaks."""

    def __init__(
        self, runs: RunBook, overrides: Overrides, chosen: ChosenDestinations | None = None
    ) -> None:
        self._runs = runs
        self._overrides = overrides
        self._chosen = chosen or ChosenDestinations()
        self._meant: dict[str, Address] = {}

    def client_disconnected(self, client: Client) -> None:
        """Forget the client's destinations."""
        self._chosen.forget(client)

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Refuse it, or send it where the settings say."""
        server = data.server
        if server.address is None:
            return
        if self._chosen.is_proxy(data.client, server.address):
            return
        if was_captured(data.client):
            reason = self.refusal_of(data.client, server.address)
            if reason:
                server.error = reason
                return
        if target := self._override_of(data.client, server.address):
            self.redirect(server, target)

    def redirect(self, server: Server, target: Address) -> None:
        """Connect to another address; the one that was meant comes back once it is connected."""
        if server.address is not None:
            self._meant[server.id] = server.address
            server.address = target

    def server_connected(self, data: ServerConnectionHookData) -> None:
        """Restore the address that was meant.

        mitmproxy finds the connection again by it, and judges certificates by its name.
        """
        if (meant := self._meant.pop(data.server.id, None)) is not None:
            # mitmproxy's own setter refuses an open connection.
            vars(data.server)["address"] = meant

    server_connect_error = server_connected

    def is_redirected(self, server: Server) -> bool:
        """Return whether a connection that is being opened goes to another address."""
        return server.id in self._meant

    def refusal_of(self, client: Client, address: Address) -> str:
        """Return why a captured client must not get there; "" where it may."""
        run, host = run_of(client, self._runs), address[0]
        try:
            number = ip_address(host)
        except ValueError:
            return run.refusal_of_name(host) if run else ""
        if self._override_of(client, address) is None and (closed := _closed(client, number)):
            return "" if self._chosen.includes(client, address) else closed
        if run is None:
            return ""
        if reason := run.refusal_of_address(host):
            return reason
        return run.refusal_of_name(client.sni) if client.sni else ""

    def is_refused_or_replaced(self, client: Client, address: Address) -> bool:
        """Return whether a captured connection to the address is not made as it is meant."""
        if self._override_of(client, address) is not None:
            return True
        return bool(self.refusal_of(client, address))

    def _override_of(self, client: Client, address: Address) -> Address | None:
        """Return where a setting sends this connection instead, or None.

        A captured client's connection goes by the name in its ClientHello too, and by the names
        under which it looked the address up. Those names say nothing of a destination that the
        configuration chose, nor of connections of the reverse listener, where they name the proxy.
        """
        upstreams = self._overrides.upstreams
        if not upstreams:
            return None
        names = [address[0]]
        if was_captured(client) and not self._chosen.includes(client, address):
            run = run_of(client, self._runs)
            names += [client.sni] if client.sni else []
            names += run.answers.names(address[0]) if run else ()
        return next((upstreams[name] for name in map(plain_name, names) if name in upstreams), None)


class CheckedAddressAddon:
    """Connects clients of the forward proxy to the very address that their name was checked at.

    Stands behind `UpstreamAddon`, and leaves alone what that has refused or replaced.

    Args:
        gate: looks names up and checks what was found.
        upstream: replaces addresses.
        chosen: addresses that the configuration chose; these are not checked.
    """

    def __init__(
        self, gate: ForwardGate, upstream: UpstreamAddon, chosen: ChosenDestinations
    ) -> None:
        self._gate = gate
        self._upstream = upstream
        self._chosen = chosen

    async def server_connect(self, data: ServerConnectionHookData) -> None:
        """Refuse the connection, or lead it to the address."""
        client, server = data.client, data.server
        if not came_by_forward(client) or server.error or server.address is None:
            return
        if self._chosen.is_proxy(client, server.address):
            return
        if self._chosen.includes(client, server.address) or self._upstream.is_redirected(server):
            return
        host, port = server.address[:2]
        found, reason = await self._gate.checked_address(client, plain_name(host))
        if reason:
            server.error = reason
        elif found != host:
            self._upstream.redirect(server, (found, port))


def _closed(client: Client, number: IPv4Address | IPv6Address) -> str:
    """Return why no captured client may reach an address; "" where one may."""
    if came_by_forward(client):
        return refusal_of_number(number)
    return OWN_MACHINE if is_own_address(number) else ""
