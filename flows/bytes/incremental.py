"""Undoes a content encoding piece by piece, for streams that somebody watches while they run.

Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import brotli
import zstandard

from flows.bytes.decode import MAX_DECODED_BYTES, layers

MAX_RATIO = 100
FREE_BYTES = 1024 * 1024
"""A stream may unfold to so many times what came, and this much: the proxy's loop waits while a
piece is unfolded.
"""
_MAGIC_BYTES = 4


class IncrementalDecoder:
    """Compressed pieces in, plain pieces out. Raises `ValueError` for a broken or unknown encoding.

    Output beyond `max_bytes`, or beyond `MAX_RATIO` times the input, is dropped and `capped` set.
    Without `content_encoding` the first bytes of the stream decide (gzip and zstd have magic
    numbers); stacked encodings are not undone.
    """

    def __init__(self, content_encoding: str = "", *, max_bytes: int = MAX_DECODED_BYTES) -> None:
        self.capped = False
        self._content_encoding = content_encoding
        self._left = max_bytes
        self._earned = FREE_BYTES
        self._head = b""
        self._decode: Callable[[bytes, int], bytes] | None = None

    def feed(self, data: bytes) -> bytes:
        """The next piece in, what it unfolds to out."""
        if not data or self.capped:
            return b""
        if self._decode is None:
            data, self._head = self._head + data, b""
            if len(data) < _MAGIC_BYTES and not self._content_encoding:
                self._head = data
                return b""
            self._decode = _decoder(layers(self._content_encoding, data))
        self._earned += len(data) * MAX_RATIO
        room = min(self._left, self._earned)
        try:
            out = self._decode(data, room + 1)
        except (zlib.error, brotli.error, zstandard.ZstdError) as exc:
            raise ValueError(f"The stream is not valid {self._content_encoding}: {exc}") from None
        if len(out) > room:
            self.capped = True
            return out[:room]
        self._left -= len(out)
        self._earned -= len(out)
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

    # A block of a few bytes may unfold to 128 KB: small steps keep the memory near the limit.
    def decode(data: bytes, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        for at in range(0, len(data), 1024):
            parts.append(inflater.decompress(data[at : at + 1024]))
            size += len(parts[-1])
            if size > limit:
                break
        return b"".join(parts)

    return decode
