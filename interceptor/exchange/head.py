"""Request line and headers as a listener read them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from interceptor.pipeline.headers import Fields, HeaderMap


@dataclass(slots=True)
class RequestHead:
    """A request before its body is read; `admit` takes tokens and grants out of it.

    `host` and `port` are where a captured connection was going. On the reverse listener, which is
    the destination itself, they are empty.
    """

    method: str
    path: str
    """With its query."""
    fields: Fields
    scheme: str = "http"
    host: str = ""
    port: int = 0
    authority: str = ""
    """The :authority of HTTP/2 and HTTP/3."""
    http_version: str = "HTTP/1.1"
    from_this_machine: bool = True
    """The client's address is a loopback address."""

    @property
    def multiplexed(self) -> bool:
        """True for HTTP/2 and HTTP/3, whose header values are framed, not delimited."""
        return self.http_version in ("HTTP/2.0", "HTTP/3")

    def address(self) -> tuple[str, str, int]:
        """Return the scheme, host and port that the client believes it talks to.

        Example: `Host: [::1]:4000` over plain HTTP → `("http", "::1", 4000)`.
        """
        if self.host:
            return self.scheme, self.host, self.port
        default_port = 443 if self.scheme == "https" else 80
        try:
            parts = urlsplit(f"//{HeaderMap(self.fields).get('host') or ''}")
            return self.scheme, parts.hostname or "localhost", parts.port or default_port
        except ValueError:
            return self.scheme, "localhost", 80
