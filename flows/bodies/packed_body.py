"""Bodies as they are stored: compressed alone, or against an earlier body. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flows.bytes import delta, splice
from flows.bytes.digest import digest_of as digest_of
from flows.bytes.matching import Matching, match_bodies
from flows.bytes.zstd import compress, decompress

RAW_BELOW_BYTES = 64
_SPLICE_FROM_BYTES = 8 * 1024
"""Smaller bodies are compressed by zstd as fast as they are compared."""
_MAX_NEW_SHARE = 8
"""If more than 1/8 of a body is new, text may have moved; only zstd finds moved text, so fall back
to a delta.
"""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PackedBody:
    """A stored body. `size_bytes` counts its bytes before packing.

    Encodings: "raw" (as it is), "zstd" (alone), "splice" and "delta" (need `base` to be read).
    """

    digest: str
    encoding: str
    size_bytes: int
    blob: bytes
    base: PackedBody | None = None

    def bases(self) -> Iterator[PackedBody]:
        """Yield what has to be stored with it: its base, the base of that, and so on."""
        base = self.base
        while base is not None:
            yield base
            base = base.base


def pack(data: bytes, digest: str = "") -> PackedBody:
    """Compress `data` alone; tiny or incompressible bodies stay raw.

    `digest`: the digest of `data`, if known.
    """
    digest = digest or digest_of(data)
    if len(data) >= RAW_BELOW_BYTES:
        blob = compress(data)
        if len(blob) < len(data):
            return PackedBody(digest, "zstd", len(data), blob)
    return PackedBody(digest, "raw", len(data), data)


def pack_against(
    data: bytes,
    base: bytes,
    matching: Matching | None = None,
    *,
    max_splice_bytes: int = splice.MAX_BYTES,
) -> tuple[str, bytes]:
    """Return the encoding and the blob of `data` as what it adds to an earlier body.

    `matching`: what both share, if known.
    """
    fits = max(len(data), len(base)) <= max_splice_bytes
    if fits and len(data) >= _SPLICE_FROM_BYTES:
        if matching is None:
            matching = match_bodies(data, base)
        if _MAX_NEW_SHARE * matching.new_bytes <= len(data):
            return "splice", splice.encode(data, matching)
    return "delta", delta.encode(data, base)


def unpack(encoding: str, size_bytes: int, blob: bytes, base: bytes = b"") -> bytes:
    """Return the bytes that were packed; `base` holds the base's bytes of a splice or a delta.

    Raises:
        splice.MalformedSplice, zstandard.ZstdError, struct.error: `blob` is damaged, or has another
        base.
    """
    match encoding:
        case "zstd":
            return decompress(blob, size_bytes)
        case "splice":
            return splice.decode(blob, base, size_bytes)
        case "delta":
            return delta.decode(blob, base, size_bytes)
    return blob
