"""Undoes content encodings with a cap on what comes out, so that a small body can never fill the
memory. Pure.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import brotli
import zstandard

MAX_DECODED_BYTES = 64 * 1024 * 1024
MAX_RATIO = 100
"""A body may grow this many times, up to `_SMALL_BYTES`; `_FREE_BYTES` are always allowed."""
MAX_RATIO_OF_LARGE = 20
"""Beyond `_SMALL_BYTES`.

Real conversations shrink to a tenth; a bomb of 1 MB would unfold to 1 GB.
"""
CAPPED_BYTES = 1024 * 1024
"""What is given of a body that reached a cap: enough to show, too little to matter."""

_FREE_BYTES = 1024 * 1024
_SMALL_BYTES = 16 * 1024 * 1024
_STEP_BYTES = 64 * 1024
_MAX_LAYERS = 4


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came out.

    `complete` is false for damaged or unfinished input and when a cap was reached.
    """

    data: bytes
    complete: bool
    capped: bool = False


def layers(content_encoding: str, data: bytes) -> list[str]:
    """The encodings to undo, outermost first: from the header, or guessed from the first bytes
    without one.
    """
    named = [name.strip().lower() for name in content_encoding.split(",")]
    known = [_ALIASES.get(name, name) for name in named if name and name != "identity"]
    if known:
        return list(reversed(known))
    if data.startswith(b"\x1f\x8b"):
        return ["gzip"]
    return ["zstd"] if data.startswith(b"\x28\xb5\x2f\xfd") else []


def decode(data: bytes, content_encoding: str, *, max_bytes: int = MAX_DECODED_BYTES) -> Decoded:
    """Undo `content_encoding` (gzip, deflate, br, zstd, stacked).

    Never raises; an unknown one stays as it is.
    """
    limit = decoded_limit(len(data), max_bytes)
    complete = True
    for name in layers(content_encoding, data)[:_MAX_LAYERS]:
        step = _DECODERS.get(name)
        if step is None:
            return Decoded(data, complete=False)
        result = _run(step, data, limit)
        data, complete = result.data, complete and result.complete
        if result.capped:
            return result
    return Decoded(data, complete)


def decoded_limit(encoded_bytes: int, max_bytes: int = MAX_DECODED_BYTES) -> int:
    """How many bytes a body of this size may unfold to."""
    by_ratio = max(min(encoded_bytes * MAX_RATIO, _SMALL_BYTES), encoded_bytes * MAX_RATIO_OF_LARGE)
    return min(max_bytes, max(_FREE_BYTES, by_ratio))


def _run(step: Callable[[bytes], Iterator[bytes]], data: bytes, limit: int) -> Decoded:
    out = bytearray()
    try:
        for piece in step(data):
            out += piece
            if len(out) > limit:
                del out[
                    min(limit, CAPPED_BYTES) :
                ]  # before the copy: a bomb must not cost twice its limit
                return Decoded(bytes(out), complete=False, capped=True)
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError):
        return Decoded(bytes(out), complete=False)
    return Decoded(bytes(out), complete=True)


def _gzip(data: bytes) -> Iterator[bytes]:
    while data:
        inflater = zlib.decompressobj(wbits=31)
        yield from _inflate(inflater, data)
        if not inflater.eof:
            raise EOFError
        data = inflater.unused_data.lstrip(b"\0")


def _deflate(data: bytes) -> Iterator[bytes]:
    # The name means zlib framing, but some servers send bare deflate.
    zlib_framed = (
        len(data) >= 2 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    )
    inflater = zlib.decompressobj(wbits=15 if zlib_framed else -15)
    yield from _inflate(inflater, data)
    if not inflater.eof:
        raise EOFError


def _inflate(inflater: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    while piece := inflater.decompress(data, _STEP_BYTES):
        yield piece
        data = inflater.unconsumed_tail


def _brotli(data: bytes) -> Iterator[bytes]:
    inflater = brotli.Decompressor()
    piece = inflater.process(data, output_buffer_limit=_STEP_BYTES)
    while piece:
        yield piece
        piece = (
            b""
            if inflater.is_finished()
            else inflater.process(b"", output_buffer_limit=_STEP_BYTES)
        )
    if not inflater.is_finished():
        raise EOFError


def _zstd(data: bytes) -> Iterator[bytes]:
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    while piece := reader.read(_STEP_BYTES):
        yield piece


_ALIASES = {"x-gzip": "gzip", "brotli": "br"}
_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
