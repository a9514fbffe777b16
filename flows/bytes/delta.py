"""A body as what it adds to an earlier one: zstd with parts of that one as its dictionary. Pure.

Agents send the whole conversation with every turn, so most of a request stands in the request
before. zstd finds it there; what is left costs about what the turn added. A body is cut into
segments of 1 MB, each packed with the region of the base where its text can be expected, so that
neither memory nor time grows faster than the body.
"""

from __future__ import annotations

import struct

import zstandard

LEVEL = 3
SEGMENT_BYTES = 1024 * 1024
_SLACK_BYTES = 64 * 1024
"""How far text may have moved within a segment beyond what the two sizes tell."""
_LENGTH = struct.Struct(">I")


def encode(data: bytes, base: bytes) -> bytes:
    """What `decode` needs besides `base` to give `data` back."""
    pieces: list[bytes] = []
    for start in range(0, len(data), SEGMENT_BYTES):
        dictionary = _dictionary(start, len(data), base)
        packer = zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary, write_dict_id=False)
        frame = packer.compress(data[start : start + SEGMENT_BYTES])
        pieces += (_LENGTH.pack(len(frame)), frame)
    return b"".join(pieces)


def decode(blob: bytes, base: bytes, size_bytes: int) -> bytes:
    """The `size_bytes` bytes that `encode` was given with the same base.

    Raises:
        zstandard.ZstdError: when `blob` was not made with this base.
    """
    pieces: list[bytes] = []
    position = 0
    for start in range(0, size_bytes, SEGMENT_BYTES):
        (length,) = _LENGTH.unpack_from(blob, position)
        position += _LENGTH.size
        unpacker = zstandard.ZstdDecompressor(dict_data=_dictionary(start, size_bytes, base))
        pieces.append(
            unpacker.decompress(blob[position : position + length], max_output_size=SEGMENT_BYTES)
        )
        position += length
    return b"".join(pieces)


def _dictionary(start: int, size_bytes: int, base: bytes) -> zstandard.ZstdCompressionDict:
    """Where the segment's text stands in the base: as far from its beginning, as far from its end,
    or in between.
    """
    moved = min(max(size_bytes - len(base), -SEGMENT_BYTES), SEGMENT_BYTES)
    first = max(0, start - max(moved, 0) - _SLACK_BYTES)
    end = start + SEGMENT_BYTES + max(-moved, 0) + _SLACK_BYTES
    return zstandard.ZstdCompressionDict(base[first:end], dict_type=zstandard.DICT_TYPE_RAWCONTENT)
