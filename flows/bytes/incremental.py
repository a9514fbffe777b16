"""Incremental decoder of a content encoding, for streams that are watched while they run. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

import brotli
import zstandard

from flows.bytes.decode import MAX_DECODED_BYTES, MAX_LAYERS, layers, new_inflater

MAX_RATIO = 100
FREE_BYTES = 1024 * 1024
"""A stream may grow by `MAX_RATIO` and by this much: the event loop waits while a chunk is
decoded.
"""
_MAGIC_BYTES = 4
_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB_HEADER_BYTES = 2


Step = Callable[[bytes, int], bytes]
"""Decoder of one encoding: takes a chunk and the most bytes to return."""


class IncrementalDecoder:
    """Decoder that takes compressed chunks and returns plain ones.

    Output beyond `max_bytes`, or beyond `MAX_RATIO` times the input, is dropped and `capped` set.
    Without `content_encoding` the first bytes of the stream decide: gzip and zstd have magic
    numbers.
    """

    def __init__(self, content_encoding: str = "", *, max_bytes: int = MAX_DECODED_BYTES) -> None:
        self.capped = False
        self._content_encoding = content_encoding
        self._left_bytes = max_bytes
        self._earned_bytes = FREE_BYTES
        self._first_bytes = b""
        self._steps: list[Step] | None = None

    def feed(self, data: bytes) -> bytes:
        """Return what the next chunk decodes to.

        Raises:
            ValueError: the stream is broken, or its encoding is unknown.
        """
        if not data or self.capped:
            return b""
        if self._steps is None:
            data = self._first_bytes + data
            if len(data) < _MAGIC_BYTES and not self._content_encoding:
                self._first_bytes = data
                return b""
            self._first_bytes = b""
            self._steps = _steps(layers(self._content_encoding, data))
        self._earned_bytes += len(data) * MAX_RATIO
        limit = min(self._left_bytes, self._earned_bytes)
        try:
            out = self._decode(self._steps, data, limit)
        except (zlib.error, brotli.error, zstandard.ZstdError) as exc:
            raise ValueError(f"The stream is not valid {self._content_encoding}: {exc}") from None
        self._left_bytes -= len(out)
        self._earned_bytes -= len(out)
        return out

    def _decode(self, steps: list[Step], data: bytes, limit: int) -> bytes:
        for step in steps:
            # One byte beyond the limit shows that there is more.
            data = step(data, limit + 1) if data else b""
            if len(data) > limit:
                self.capped = True
                return data[:limit] if step is steps[-1] else b""
        return data


def _steps(names: list[str]) -> list[Step]:
    """Return the decoders of encodings, outermost first. Each layer is undone in turn."""
    if not names:
        return [lambda data, limit: data[:limit]]
    if len(names) > MAX_LAYERS or not _MAKERS.keys() >= set(names):
        raise ValueError(f"The content encoding “{', '.join(names)}” is not known here.")
    return [_MAKERS[name]() for name in names]


def _gzip() -> Step:
    members = zlib.decompressobj(wbits=31)
    held = b""

    def decode(data: bytes, limit: int) -> bytes:
        nonlocal members, held
        out = b""
        data = held + data
        held = b""
        # Servers flush a stream as one member after the other (RFC 1952, 2.2).
        while data and len(out) < limit:
            if members.eof:
                data = data.lstrip(b"\0")
                if not data.startswith(_GZIP_MAGIC):
                    # Half of the magic number may be all that has come; other bytes are padding.
                    held = data if data == _GZIP_MAGIC[:1] else b""
                    break
                members = zlib.decompressobj(wbits=31)
            out += members.decompress(data, limit - len(out))
            data = members.unused_data
        return out

    return decode


def _deflate() -> Step:
    inflater: zlib._Decompress | None = None
    first = b""

    def decode(data: bytes, limit: int) -> bytes:
        nonlocal inflater, first
        if inflater is None:
            first += data
            if len(first) < _ZLIB_HEADER_BYTES:
                return b""
            data = first
            inflater = new_inflater(data)
        return inflater.decompress(data, limit)

    return decode


def _brotli() -> Step:
    inflater = brotli.Decompressor()

    def decode(data: bytes, limit: int) -> bytes:
        out: bytes = inflater.process(data, output_buffer_limit=limit)
        return out

    return decode


def _zstd() -> Step:
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


_MAKERS: Final[dict[str, Callable[[], Step]]] = {
    "gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
