"""Incremental decoder of a content encoding, for streams that are watched while they run. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import brotli
import zstandard

from flows.bytes.decode import MAX_DECODED_BYTES, layers

MAX_RATIO = 100
FREE_BYTES = 1024 * 1024
"""A stream may grow by `MAX_RATIO` and by this much: the event loop waits while a chunk is
decoded.
"""
_MAGIC_BYTES = 4


class IncrementalDecoder:
    """Decoder that takes compressed chunks and returns plain ones.

    Output beyond `max_bytes`, or beyond `MAX_RATIO` times the input, is dropped and `capped` set.
    Without `content_encoding` the first bytes of the stream decide (gzip and zstd have magic
    numbers); stacked encodings are not undone.
    """

    def __init__(self, content_encoding: str = "", *, max_bytes: int = MAX_DECODED_BYTES) -> None:
        self.capped = False
        self._content_encoding = content_encoding
        self._left_bytes = max_bytes
        self._earned_bytes = FREE_BYTES
        self._first_bytes = b""
        self._decode: Callable[[bytes, int], bytes] | None = None

    def feed(self, data: bytes) -> bytes:
        """Return what the next chunk decodes to.

        Raises:
            ValueError: the stream is broken, or its encoding is unknown.
        """
        if not data or self.capped:
            return b""
        if self._decode is None:
            data = self._first_bytes + data
            if len(data) < _MAGIC_BYTES and not self._content_encoding:
                self._first_bytes = data
                return b""
            self._first_bytes = b""
            self._decode = _decoder(layers(self._content_encoding, data))
        self._earned_bytes += len(data) * MAX_RATIO
        limit = min(self._left_bytes, self._earned_bytes)
        try:
            # One byte beyond the limit shows that there is more.
            out = self._decode(data, limit + 1)
        except (zlib.error, brotli.error, zstandard.ZstdError) as exc:
            raise ValueError(f"The stream is not valid {self._content_encoding}: {exc}") from None
        if len(out) > limit:
            self.capped = True
            return out[:limit]
        self._left_bytes -= len(out)
        self._earned_bytes -= len(out)
        return out


def _decoder(names: list[str]) -> Callable[[bytes, int], bytes]:
    if not names:
        return lambda data, limit: data[:limit]
    if names == ["gzip"]:
        return zlib.decompressobj(wbits=31).decompress
    if names == ["deflate"]:
        return zlib.decompressobj().decompress
    if names == ["br"]:
        return _brotli()
    if names == ["zstd"]:
        return _zstd()
    raise ValueError(f"The content encoding “{', '.join(names)}” is not known here.")


def _brotli() -> Callable[[bytes, int], bytes]:
    inflater = brotli.Decompressor()

    def decode(data: bytes, limit: int) -> bytes:
        out: bytes = inflater.process(data, output_buffer_limit=limit)
        return out

    return decode


def _zstd() -> Callable[[bytes, int], bytes]:
    inflater = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)

    # A block of a few bytes may decode to 128 KB: small steps keep the memory near the limit.
    def decode(data: bytes, limit: int) -> bytes:
        parts: list[bytes] = []
        size_bytes = 0
        for start in range(0, len(data), 1024):
            part = inflater.decompress(data[start : start + 1024])
            parts.append(part)
            size_bytes += len(part)
            if size_bytes > limit:
                break
        return b"".join(parts)

    return decode
