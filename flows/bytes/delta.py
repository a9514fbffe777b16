"""Deltas: a body compressed by zstd with parts of an earlier one as its dictionary. Pure.

Finds text of the earlier body wherever it stands in the new one, so what is left costs about what
the request added. A body is cut into segments of 1 MB. Each is compressed with the region of the
base where its text can be expected, so neither memory nor time grows faster than the body.

    base of 3.0 MB, body of 3.5 MB: the text of body[1 MB:2 MB] stands 0 to 0.5 MB earlier in the
    base, so the dictionary is base[0.5 MB - slack : 2 MB + slack]
"""

from __future__ import annotations

import struct

import zstandard

LEVEL = 3
SEGMENT_BYTES = 1024 * 1024
SLACK_BYTES = 64 * 1024
"""Text may have moved this much farther than the two sizes show."""
_LENGTH = struct.Struct(">I")


def encode(
    data: bytes, base: bytes, segment_bytes: int = SEGMENT_BYTES, slack_bytes: int = SLACK_BYTES
) -> bytes:
    """Return what `decode` needs besides `base` to restore `data`."""
    pieces: list[bytes] = []
    for start in range(0, len(data), segment_bytes):
        segment = data[start : start + segment_bytes]
        dictionary = _dictionary(start, len(data), base, segment_bytes, slack_bytes)
        packer = zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary, write_dict_id=False)
        frame = packer.compress(segment)
        pieces.append(_LENGTH.pack(len(frame)))
        pieces.append(frame)
    return b"".join(pieces)


def decode(
    blob: bytes,
    base: bytes,
    size_bytes: int,
    segment_bytes: int = SEGMENT_BYTES,
    slack_bytes: int = SLACK_BYTES,
) -> bytes:
    """Return the `size_bytes` bytes that `encode` was given with the same base and limits.

    Raises:
        zstandard.ZstdError: `blob` was made with another base.
    """
    pieces: list[bytes] = []
    position = 0
    for start in range(0, size_bytes, segment_bytes):
        (frame_bytes,) = _LENGTH.unpack_from(blob, position)
        position += _LENGTH.size
        frame = blob[position : position + frame_bytes]
        position += frame_bytes
        dictionary = _dictionary(start, size_bytes, base, segment_bytes, slack_bytes)
        unpacker = zstandard.ZstdDecompressor(dict_data=dictionary)
        pieces.append(unpacker.decompress(frame, max_output_size=segment_bytes))
    return b"".join(pieces)


def _dictionary(
    start: int, size_bytes: int, base: bytes, segment_bytes: int, slack_bytes: int
) -> zstandard.ZstdCompressionDict:
    """Return the region of the base that holds a segment's text.

    Text before an insertion keeps its distance from the beginning, text behind it its distance
    from the end. The region spans both.
    """
    grown_bytes = size_bytes - len(base)
    inserted = min(max(grown_bytes, 0), segment_bytes)
    removed = min(max(-grown_bytes, 0), segment_bytes)
    first = max(0, start - inserted - slack_bytes)
    end = start + segment_bytes + removed + slack_bytes
    region = base[first:end]
    return zstandard.ZstdCompressionDict(region, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
