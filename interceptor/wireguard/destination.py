"""Everything that names the place a request is going to: they may contradict each other, and then
nobody is trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from interceptor.wireguard.hosts import plain_name
from interceptor.wireguard.lease import Run
from providers.provider_conf import ProviderConf


@dataclass(frozen=True, slots=True)
class Destination:
    """`address` and `port` are where the client's connection goes; `authorities` are its Host
    headers and :authority.

    `looked_up` are the names under which the client found the address.
    """

    scheme: str
    address: str
    port: int
    sni: str = ""
    authorities: tuple[str, ...] = ()
    looked_up: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The best name: what TLS was opened to, what HTTP asks for, what was looked up, the
        address.
        """
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
        """Why the run may not send this; "" when every name it goes by is allowed, and its address
        too.
        """
        names = [
            *([self.sni] if self.sni else []),
            *(name for name, _ in map(_parts, self.authorities)),
        ]
        refused = (run.refusal_of_name(name) for name in names)
        return next(filter(None, refused), "") or run.refusal_of_address(self.address)

    def is_own_host_of(self, provider: ProviderConf) -> bool:
        """True when all of it names the provider's own address and TLS is verified there."""
        if self.scheme != "https" or provider.scheme != "https" or not provider.verify_tls:
            return False
        if (
            not self.sni
            or not self.authorities
            or not provider.owns(plain_name(self.sni), self.port)
        ):
            return False
        wanted = plain_name(self.sni)
        return all(
            name == wanted and port in (None, self.port)
            for name, port in (_parts(text) for text in self.authorities)
        )


def _parts(authority: str) -> tuple[str, int | None]:
    """Name and port of a Host header; ("", None) when it is malformed."""
    try:
        parts = urlsplit(f"//{authority}")
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return "", None
        return plain_name(parts.hostname or ""), parts.port
    except ValueError:
        return "", None
