"""A body as stretches of an earlier one and the bytes between them. Pure.

What `flows.bytes.delta` does for bodies that differ in a few places, at a tenth of its cost:
nothing is searched but what is new. That is packed with the text before it as its dictionary.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import zstandard

from flows.bytes.matching import Shared, Stretch
from flows.bytes.zstd import compress, compress_with, decompress

MAX_BYTES = 2**32 - 1
"""Larger bodies cannot be named in the head."""

_RAW_BELOW_BYTES = 64
_DICTIONARY_FROM_BYTES = 512
_DICTIONARY_BYTES = 8 * 1024
"""As much saves a tenth to a quarter of what a turn of an agent needs; eight times as much saves 3
% more of it.
"""

_HEAD = struct.Struct(">?HII")
"""Whether the new bytes are packed, how many stretches there are, where the dictionary stands in
the base, its size.
"""
_STRETCH = struct.Struct(">III")
"""How many new bytes come before it, where it stands in the base, its size."""


class MalformedSplice(ValueError):
    """The blob was not made with this base, or is damaged."""


def encode(data: bytes, shared: Shared) -> bytes:
    """What `decode` needs besides the base to give `data` back; both of `MAX_BYTES` at most."""
    base = shared.base
    pieces: list[bytes] = []
    named: list[bytes] = []
    position = longest = base_at = before_end = 0
    for stretch in (*shared.stretches, Stretch(len(data), len(base), 0)):
        pieces.append(data[position : stretch.at])
        if len(pieces[-1]) > longest:
            longest, base_at = len(pieces[-1]), before_end
        if stretch.size:
            named.append(_STRETCH.pack(stretch.at - position, stretch.base_at, stretch.size))
        position, before_end = stretch.end, stretch.base_end
    new = b"".join(pieces)
    start = max(0, base_at - _DICTIONARY_BYTES) if len(new) >= _DICTIONARY_FROM_BYTES else base_at
    packed = _packed(new, base[start:base_at])
    is_packed = len(packed) < len(new)
    head = _HEAD.pack(is_packed, len(named), start, base_at - start)
    return b"".join((head, *named, packed if is_packed else new))


def decode(blob: bytes, base: bytes, size_bytes: int) -> bytes:
    """The `size_bytes` bytes that `encode` was given with the same base.

    Raises:
        MalformedSplice: when `blob` was not made with this base, or gives another size.
    """
    try:
        is_packed, count, start, length = _HEAD.unpack_from(blob)
        named = list(_STRETCH.iter_unpack(blob[_HEAD.size : _HEAD.size + count * _STRETCH.size]))
    except struct.error as error:
        raise MalformedSplice("the head of a splice is damaged") from error
    new_size = size_bytes - sum(size for _, _, size in named)
    ends = [start + length, *(base_at + size for _, base_at, size in named)]
    if len(named) != count or new_size < 0 or max(ends) > len(base):
        raise MalformedSplice(f"a splice does not fit its base of {len(base)} bytes")
    new = blob[_HEAD.size + count * _STRETCH.size :]
    if is_packed:
        new = _unpacked(new, new_size, base[start : start + length])
    if len(new) != new_size or sum(before for before, _, _ in named) > new_size:
        raise MalformedSplice(f"a splice gives another size than {size_bytes} bytes")
    return _joined(new, base, named)


def _joined(new: bytes, base: bytes, named: Sequence[tuple[int, int, int]]) -> bytes:
    pieces: list[bytes | memoryview] = []
    view, base_view, position = memoryview(new), memoryview(base), 0
    for before, base_at, size in named:
        pieces += (view[position : position + before], base_view[base_at : base_at + size])
        position += before
    return b"".join((*pieces, view[position:]))


def _packed(new: bytes, dictionary: bytes) -> bytes:
    if len(new) < _RAW_BELOW_BYTES:
        return new
    return compress_with(dictionary, new) if dictionary else compress(new)


def _unpacked(packed: bytes, size: int, dictionary: bytes) -> bytes:
    try:
        return decompress(packed, size, dictionary)
    except zstandard.ZstdError as error:
        raise MalformedSplice("the new bytes of a splice cannot be unpacked") from error
