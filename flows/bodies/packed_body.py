"""How a body is stored: compressed alone, or as what it adds to another one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flows.bytes import delta, splice
from flows.bytes.digest import digest_of as digest_of
from flows.bytes.matching import Shared, shared
from flows.bytes.zstd import compress, decompress

RAW_BELOW_BYTES = 64
_SPLICED_FROM_BYTES = 8 * 1024
"""Smaller bodies are searched through as fast."""
_SPLICED_SHARE = 8
"""When more than this part of a body is new, it may stand elsewhere in the earlier one, where only
zstd looks.
"""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PackedBody:
    """A body as it is stored.

    `size_bytes` counts the bytes before packing; a delta cannot be read without its base.
    """

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


def pack(data: bytes, digest: str = "") -> PackedBody:
    """Compress `data`, whose digest may be known; what is tiny or does not shrink stays as it
    is.
    """
    digest = digest or digest_of(data)
    if len(data) >= RAW_BELOW_BYTES:
        blob = compress(data)
        if len(blob) < len(data):
            return PackedBody(digest, "zstd", len(data), blob)
    return PackedBody(digest, "raw", len(data), data)


def pack_over(data: bytes, base: bytes, known: Shared | None = None) -> tuple[str, bytes]:
    """`data` as what it adds to an earlier body: the encoding and the blob.

    `known`: what both share.
    """
    if len(data) >= _SPLICED_FROM_BYTES and max(len(data), len(base)) <= splice.MAX_BYTES:
        found = known or shared(data, base)
        if _SPLICED_SHARE * found.new_bytes <= len(data):
            return "splice", splice.encode(data, found)
    return "delta", delta.encode(data, base)


def unpack(encoding: str, size_bytes: int, blob: bytes, base: bytes = b"") -> bytes:
    """The bytes that were packed; of a splice or a delta with those of its base.

    Raises:
        splice.MalformedSplice, zstandard.ZstdError, struct.error: when `blob` is damaged or the
        base is another one.
    """
    match encoding:
        case "zstd":
            return decompress(blob, size_bytes)
        case "splice":
            return splice.decode(blob, base, size_bytes)
        case "delta":
            return delta.decode(blob, base, size_bytes)
    return blob
