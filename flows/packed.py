"""How a body is stored: compressed alone, or as what it adds to another one. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import zstandard

from flows import delta

ZSTD_LEVEL = 3
RAW_BELOW_BYTES = 64


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PackedBody:
    """A body as it is stored. `size_bytes` counts the bytes before packing; a delta cannot be read without its base."""

    digest: str
    encoding: str
    size_bytes: int
    blob: bytes
    base: PackedBody | None = None

    def bases(self) -> Iterator[PackedBody]:
        """What has to be stored with it: its base, the base of that, and so on."""
        base = self.base
        while base is not None:
            yield base
            base = base.base


def digest_of(data: bytes) -> str:
    """The name of these bytes."""
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def pack(data: bytes, digest: str = "") -> PackedBody:
    """Compress `data`, whose digest may be known; what is tiny or does not shrink stays as it is."""
    digest = digest or digest_of(data)
    if len(data) >= RAW_BELOW_BYTES:
        blob = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(data)
        if len(blob) < len(data):
            return PackedBody(digest, "zstd", len(data), blob)
    return PackedBody(digest, "raw", len(data), data)


def unpack(encoding: str, size_bytes: int, blob: bytes, base: bytes = b"") -> bytes:
    """The bytes that were packed; of a delta with those of its base."""
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompress(blob, max_output_size=size_bytes)
    return delta.decode(blob, base, size_bytes) if encoding == "delta" else blob
