"""TLS handshake of a shape's reference client, as far as a capture tells it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class CapturedHandshake:
    """The lists of a ClientHello in wire order; numbers as in IANA's registries.

    `ja3_full` (github.com/salesforce/ja3) has ciphers, extensions and groups, `ja4_r` (FoxIO's
    technical_details/JA4.md) the version, the first protocol and the signature algorithms.
    """

    ja3_full: str
    ja3: str
    ja4: str
    ja4_r: str = ""
    client: str = ""
    """Name and release of the client for people."""

    @cached_property
    def ciphers(self) -> tuple[int, ...]:
        """Cipher suites."""
        return self._listed(1)

    @cached_property
    def extensions(self) -> tuple[int, ...]:
        """Types of the extensions, without GREASE."""
        return self._listed(2)

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """Supported groups."""
        return self._listed(3)

    @cached_property
    def signature_algorithms(self) -> tuple[int, ...]:
        """Signature algorithms; empty for captures that did not keep them.

        "t13d1516h2_002f,…_0005,…_0403,0804" → (0x0403, 0x0804)
        """
        parts = self.ja4_r.split("_")
        return tuple(int(number, 16) for number in parts[3].split(",")) if len(parts) > 3 else ()

    @property
    def has_tls_1_3(self) -> bool:
        """True where the client offered TLS 1.3."""
        return self.ja4[1:3] == "13"

    @property
    def protocol(self) -> str:
        """First protocol the client offered by its first and last letter: "h2", "h1" or "00"."""
        return self.ja4.partition("_")[0][-2:]

    def _listed(self, index: int) -> tuple[int, ...]:
        """Return a list of `ja3_full`: "771,4865-4866,0-10,29,0" has its ciphers at index 1."""
        texts = self.ja3_full.split(",")[index].split("-")
        return tuple(int(text) for text in texts if text)


def read_handshake(fingerprint: object, client: str = "") -> CapturedHandshake | None:
    """Return the handshake of a shape's fingerprint; None: it has none that can be sent.

    Example: {"ja3_full": "771,4865-4866,0-10,29-23,0", "ja3": "…", "ja4": "t13d02…", "ja4_r": "…"}
    """
    if not isinstance(fingerprint, Mapping):
        return None
    ja3_full, ja3, ja4, ja4_r = (_text(fingerprint, name) for name in _NAMES)
    handshake = CapturedHandshake(ja3_full, ja3, ja4, ja4_r, client)
    try:
        complete = handshake.ciphers and handshake.extensions and handshake.groups
        _ = handshake.signature_algorithms
    except (ValueError, IndexError):
        return None
    return handshake if complete and ja4 else None


_NAMES = ("ja3_full", "ja3", "ja4", "ja4_r")


def _text(fingerprint: Mapping[str, Any], name: str) -> str:
    value = fingerprint.get(name)
    return value if isinstance(value, str) else ""
