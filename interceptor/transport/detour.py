"""Way of one flow's requests through the transport. No mitmproxy, no libcurl.

The loopback connection carries the process's secret and a number. The number stands for the head
of the request, which is taken once. A caller cannot name a destination of its own.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import NamedTuple

from shapes.replay.captured_handshake import CapturedHandshake

Fields = tuple[tuple[bytes, bytes], ...]

SECRET_HEADER = "x-ccproxy-transport"  # noqa: S105  # a name
NUMBER_HEADER = "x-ccproxy-transport-request"
MAX_ANNOUNCED = 4096
"""Requests that were announced and not yet taken; the oldest is dropped."""


class TransportAddress(NamedTuple):
    """Address of the transport's listener; its type distinguishes it from every other."""

    host: str
    port: int


class Destination(NamedTuple):
    """Where a request goes; `host` has no brackets."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class OutgoingHead:
    """Head of a request as the provider gets it; `target` is path and query."""

    method: str
    target: bytes
    fields: Fields


@dataclass(frozen=True, slots=True)
class IncomingHead:
    """Head of a provider's response as it came; `version` as mitmproxy writes it."""

    version: str
    status_code: int
    reason: str
    fields: Fields


@dataclass(slots=True)
class Detour:
    """One flow's way through the transport, used by each of its attempts.

    `response` and `failure` are of the newest attempt; at most one is set.
    """

    book: AnnouncedRequests
    address: TransportAddress
    profile: str
    destination: Destination
    described: str = ""
    """How the request leaves, for people: "chrome131"."""
    handshake: CapturedHandshake | None = None
    """Set where the profile is `captured`."""
    head: OutgoingHead | None = None
    response: IncomingHead | None = None
    failure: str = ""
    """Sentence that goes on behind the provider's name."""

    def announce(self, head: OutgoingHead) -> Fields:
        """Expect the next attempt, and return the header fields that name it on loopback."""
        self.head, self.response, self.failure = head, None, ""
        number = self.book.add(self)
        return (
            (b"host", f"{self.address.host}:{self.address.port}".encode()),
            (SECRET_HEADER.encode(), self.book.secret.encode()),
            (NUMBER_HEADER.encode(), number.encode()),
        )


@dataclass(slots=True)
class AnnouncedRequests:
    """Requests that may be taken, by number; and the secret of those who may take them."""

    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _waiting: dict[str, Detour] = field(default_factory=dict)

    def add(self, detour: Detour) -> str:
        """Return the number of a new request."""
        while len(self._waiting) >= MAX_ANNOUNCED:
            del self._waiting[next(iter(self._waiting))]
        number = secrets.token_urlsafe(16)
        self._waiting[number] = detour
        return number

    def admits(self, shown: str) -> bool:
        """Return whether the secret is ours; takes the same time for every wrong one."""
        return secrets.compare_digest(shown.encode(), self.secret.encode())

    def take(self, number: str) -> Detour | None:
        """Return the request of this number, once; None: there is none."""
        return self._waiting.pop(number, None)
