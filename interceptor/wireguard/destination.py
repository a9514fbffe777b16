"""Destination of a captured request: all names and addresses that it gives itself.

They may contradict each other; a credential is then given to none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from interceptor.wireguard.hosts import plain_name
from interceptor.wireguard.lease import Run
from providers.provider_conf import ProviderConf


@dataclass(frozen=True, slots=True)
class Destination:
    """Names and addresses of one request.

    `address` and `port` are of the client's connection. `authorities` are its Host headers and
    :authority. `looked_up` are the names under which the client found the address.
    """

    scheme: str
    address: str
    port: int
    sni: str = ""
    authorities: tuple[str, ...] = ()
    looked_up: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The best name: TLS's, else HTTP's, else the one that was looked up, else the address."""
        named = [name for name, _ in map(_parts, self.authorities) if name]
        return plain_name(self.sni) or next(iter((*named, *self.looked_up)), "") or self.address

    @property
    def origin(self) -> str:
        """The URL up to the path."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{name}" + (
            "" if self.port == self._default_port else f":{self.port}"
        )

    @property
    def _default_port(self) -> int:
        return 443 if self.scheme == "https" else 80

    def refusal(self, run: Run) -> str:
        """Return why the run may not send this; "" when all its names and its address are allowed.

        One allowed name is not enough: the server decides which of them it answers for.
        """
        names = [name for name, _ in map(_parts, self.authorities)]
        if self.sni:
            names.insert(0, self.sni)
        for name in names:
            reason = run.refusal_of_name(name)
            if reason:
                return reason
        return run.refusal_of_address(self.address)

    def is_own_host_of(self, provider: ProviderConf) -> bool:
        """Return whether all names are the provider's own, over TLS that is verified."""
        if self.scheme != "https" or provider.scheme != "https" or not provider.verify_tls:
            return False
        wanted = plain_name(self.sni)
        if not wanted or not self.authorities or not provider.owns(wanted, self.port):
            return False
        # A client of the forward proxy names the host that it wants to be connected with.
        if _is_name(self.address) and plain_name(self.address) != wanted:
            return False
        for name, port in map(_parts, self.authorities):
            if name != wanted or port not in (None, self.port):
                return False
        return True


def _is_name(address: str) -> bool:
    try:
        ip_address(address)
    except ValueError:
        return True
    return False


def _parts(authority: str) -> tuple[str, int | None]:
    """Return name and port of a Host header; ("", None) when it is malformed."""
    try:
        parts = urlsplit(f"//{authority}")
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return "", None
        return plain_name(parts.hostname or ""), parts.port
    except ValueError:
        return "", None
