"""Whom to talk to, and with which keys."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Peer:
    """The WireGuard server of a lease: a UDP port on 127.0.0.1, our private and its public key,
    base64.
    """

    port: int
    private_key: str = field(repr=False)
    public_key: str


def decode_key(text: str) -> bytes:
    """The 32 bytes of a key in WireGuard's base64.

    Raises:
        ValueError: it is no base64, or of another length.
    """
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("a WireGuard key is 32 bytes in base64")
    return key


def encode_key(key: bytes) -> str:
    """A key as WireGuard's tools write it."""
    return base64.b64encode(key).decode()
