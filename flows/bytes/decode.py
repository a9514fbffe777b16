"""Decoders of content encodings, with a cap on the output. Pure.

A small compressed body can never fill the memory.
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
"""Output by input up to `_SMALL_BYTES` of output; `_FREE_BYTES` are always allowed."""
MAX_RATIO_OF_LARGE = 20
"""Output by input beyond `_SMALL_BYTES`.

Real conversations shrink to a tenth; a bomb of 1 MB would grow to 1 GB.
"""
CAPPED_BYTES = 1024 * 1024
"""Size of the part that is kept of a body that reached a cap."""
MAX_LAYERS = 4
"""Stacked encodings that are undone."""

_FREE_BYTES = 1024 * 1024
_SMALL_BYTES = 16 * 1024 * 1024
_STEP_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Decoded:
    """Decoded bytes.

    `complete` is false for damaged or unfinished input and when the cap was reached; `capped` only
    for the latter.
    """

    data: bytes
    complete: bool
    capped: bool = False


def layers(content_encoding: str, data: bytes) -> list[str]:
    """Return the encodings to undo, outermost first.

    Without a header the first bytes decide: gzip and zstd have magic numbers.

        "gzip, br" → ["br", "gzip"]
    """
    named = [name.strip().lower() for name in content_encoding.split(",")]
    known = [_ALIASES.get(name, name) for name in named if name and name != "identity"]
    if known:
        # The header lists encodings in the order in which they were applied.
        return known[::-1]
    if data.startswith(b"\x1f\x8b"):
        return ["gzip"]
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return ["zstd"]
    return []


def decode(data: bytes, content_encoding: str, *, max_bytes: int = MAX_DECODED_BYTES) -> Decoded:
    """Undo `content_encoding` (gzip, deflate, br, zstd, stacked).

    Never raises. An unknown encoding ends the decoding where it stands.
    """
    limit = decoded_limit(len(data), max_bytes)
    complete = True
    for name in layers(content_encoding, data)[:MAX_LAYERS]:
        step = _DECODERS.get(name)
        if step is None:
            return Decoded(data, complete=False)
        result = _run(step, data, limit)
        if result.capped:
            return result
        data = result.data
        complete = complete and result.complete
    return Decoded(data, complete)


def decoded_limit(encoded_bytes: int, max_bytes: int = MAX_DECODED_BYTES) -> int:
    """Return how many bytes a body of this size may decode to."""
    for_small = min(encoded_bytes * MAX_RATIO, _SMALL_BYTES)
    for_large = encoded_bytes * MAX_RATIO_OF_LARGE
    return min(max_bytes, max(_FREE_BYTES, for_small, for_large))


def _run(step: Callable[[bytes], Iterator[bytes]], data: bytes, limit: int) -> Decoded:
    out = bytearray()
    try:
        for piece in step(data):
            out += piece
            if len(out) > limit:
                # Cut before the copy: a bomb must not cost twice its limit.
                del out[min(limit, CAPPED_BYTES) :]
                return Decoded(bytes(out), complete=False, capped=True)
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError):
        return Decoded(bytes(out), complete=False)
    return Decoded(bytes(out), complete=True)


def _gzip(data: bytes) -> Iterator[bytes]:
    # A gzip file may hold several members, with NUL bytes as padding behind each (RFC 1952).
    while data:
        inflater = zlib.decompressobj(wbits=31)
        yield from _inflate(inflater, data)
        if not inflater.eof:
            raise EOFError
        data = inflater.unused_data.lstrip(b"\0")


def _deflate(data: bytes) -> Iterator[bytes]:
    inflater = new_inflater(data)
    yield from _inflate(inflater, data)
    if not inflater.eof:
        raise EOFError


def new_inflater(first_bytes: bytes) -> zlib._Decompress:
    """Return the decoder for a deflate body that begins with these bytes, two at least.

    The name means zlib framing (RFC 9110, 8.4.1.2), but some servers send bare deflate.
    """
    return zlib.decompressobj(wbits=15 if _is_zlib(first_bytes) else -15)


def _is_zlib(data: bytes) -> bool:
    """Check the two bytes of a zlib header: method 8, and a multiple of 31 (RFC 1950)."""
    if len(data) < 2:
        return False
    method = data[0] & 0x0F
    header = int.from_bytes(data[:2], "big")
    return method == 8 and header % 31 == 0


def _inflate(inflater: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    while piece := inflater.decompress(data, _STEP_BYTES):
        yield piece
        data = inflater.unconsumed_tail


def _brotli(data: bytes) -> Iterator[bytes]:
    inflater = brotli.Decompressor()
    piece = inflater.process(data, output_buffer_limit=_STEP_BYTES)
    while piece:
        yield piece
        if inflater.is_finished():
            return
        piece = inflater.process(b"", output_buffer_limit=_STEP_BYTES)
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
