"""Bodies in the database: compressed, stored once under the digest of their (redacted) bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import zstandard

from flows.models import FlowBody

ZSTD_LEVEL = 3
RAW_BELOW_BYTES = 64
_FETCH_ROWS = 200


class BodyMissing(LookupError):
    """No body is stored under this digest; retention or a clear removed it."""


@dataclass(frozen=True, slots=True)
class PackedBody:
    """A body as it is stored. `size_bytes` counts the bytes before packing."""

    digest: str
    encoding: str
    size_bytes: int
    blob: bytes


def pack(data: bytes) -> PackedBody:
    """Digest and compress `data`; what is tiny or does not shrink stays as it is."""
    digest = hashlib.blake2b(data, digest_size=32).hexdigest()
    if len(data) >= RAW_BELOW_BYTES:
        blob = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(data)
        if len(blob) < len(data):
            return PackedBody(digest, "zstd", len(data), blob)
    return PackedBody(digest, "raw", len(data), data)


def unpack(encoding: str, size_bytes: int, blob: bytes) -> bytes:
    """The bytes that `pack` was given."""
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompress(blob, max_output_size=size_bytes)
    return blob


def load_body(digest: str) -> bytes:
    """The body under a digest; the empty digest is the empty body.

    Raises:
        BodyMissing: when nothing is stored under it.
    """
    if not digest:
        return b""
    bodies = load_bodies([digest])
    if digest not in bodies:
        raise BodyMissing(f"the body {digest[:12]} is no longer stored")
    return bodies[digest]


def load_bodies(digests: Iterable[str]) -> dict[str, bytes]:
    """Bodies by digest; those no longer stored are left out."""
    wanted = sorted({digest for digest in digests if digest})
    found: dict[str, bytes] = {}
    for start in range(0, len(wanted), _FETCH_ROWS):
        chunk = FlowBody.objects.filter(digest__in=wanted[start : start + _FETCH_ROWS])
        for digest, encoding, size_bytes, blob in chunk.values_list("digest", "encoding", "size_bytes", "blob"):
            found[digest] = unpack(encoding, size_bytes, bytes(blob))
    return found
