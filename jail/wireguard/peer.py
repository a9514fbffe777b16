"""Address and keys of a WireGuard server."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Peer:
    """WireGuard server of a lease: UDP port on 127.0.0.1, our private and its public key."""

    port: int
    private_key: str = field(repr=False)
    public_key: str


def decode_key(text: str) -> bytes:
    """Decode a key in WireGuard's base64 into 32 bytes.

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
    """Encode a key as WireGuard's tools write it."""
    return base64.b64encode(key).decode()
