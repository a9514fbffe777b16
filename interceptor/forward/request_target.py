"""Target of a request to a forward proxy (RFC 9112, 3.2). Pure.

CONNECT api.example.com:443        authority form
GET http://example.com/a?b         absolute form
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final, NamedTuple

_AUTHORITY: Final = re.compile(
    rb"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,254}))(?::(?P<port>[0-9]{1,5}))?"
)
_ABSOLUTE: Final = re.compile(rb"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)")
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class BadTarget(ValueError):
    """The target is malformed; the text is a sentence for the client."""


class Target(NamedTuple):
    """Destination of a request; `path` begins with "/", or is empty for CONNECT."""

    scheme: str
    host: str
    port: int
    path: bytes


def connect_target(text: bytes) -> Target:
    """Parse the authority form: b"a.test:443" → ("", "a.test", 443, b"").

    Raises:
        BadTarget: it is malformed or has no port.
    """
    host, port = parse_authority(text)
    if port is None:
        raise BadTarget("CONNECT needs a host and a port.")
    return Target("", host, port, b"")


def absolute_target(text: bytes) -> Target:
    """Parse the absolute form: b"http://a.test/b?c" → ("http", "a.test", 80, b"/b?c").

    Raises:
        BadTarget: it is malformed, or its scheme is neither http nor https.
    """
    found = _ABSOLUTE.match(text)
    if found is None or b"#" in text:
        raise BadTarget("The request's URL is malformed.")
    scheme = found["scheme"].decode().lower()
    if scheme not in DEFAULT_PORTS:
        raise BadTarget(f"ccproxy forwards http and https, not {scheme[:20]}.")
    host, port = parse_authority(found["authority"])
    path = text[found.end() :]
    # RFC 9112, 3.2.1: without a path it is "/".
    if not path.startswith(b"/"):
        path = b"/" + path
    return Target(scheme, host, port or DEFAULT_PORTS[scheme], path)


def parse_authority(text: bytes) -> tuple[str, int | None]:
    """Return name and port of an authority; the name in lower case, without the root's dot.

    Raises:
        BadTarget: it is malformed, or names a user.
    """
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        raise BadTarget("The request's host is malformed.")
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port < 65536:
        raise BadTarget("The request's port is out of range.")
    if found["six"]:
        try:
            return str(IPv6Address(found["six"].decode())), port
        except ValueError:
            raise BadTarget("The request's host is malformed.") from None
    return found["name"].decode().lower().rstrip("."), port
