"""Readers of chunked bodies (RFC 9112, 7.1): h11's with bounds, and a fast path over it."""

from __future__ import annotations

import re
from typing import Any

import h11
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.proxy.layers.http import _http1

MAX_CHUNK_BYTES = 1024**3
MAX_CHUNK_LINE_BYTES = 4096
MAX_TRAILER_BYTES = 64 * 1024
MAX_SIZE_DIGITS = 16

# Without a leading zero: "0" is the last chunk, which h11 reads.
_PLAIN_CHUNK_LINE = re.compile(rb"([1-9A-Fa-f][0-9A-Fa-f]{0,5})\r\n")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]+")
_original_reader = _http1.make_body_reader


class BoundedChunkedReader(ChunkedReader):
    """Reader that refuses a malformed, endless or enormous chunk header as soon as it shows.

    Drops trailers, as RFC 9110, 6.5.1 allows: mitmproxy's HTTP/1 layers cannot forward them.
    """

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        # CR LF of the chunk before, when it has not arrived yet.
        start = len(self._bytes_to_discard)
        if self._reading_trailer:
            if len(buf) > MAX_TRAILER_BYTES:
                raise h11.RemoteProtocolError("trailers too large")
        elif not self._bytes_in_chunk and len(buf) > start:
            _check_chunk_line(buf._data, start)
        part = super().__call__(buf)
        return h11.EndOfMessage() if isinstance(part, h11.EndOfMessage) else part


class FastChunkedReader(BoundedChunkedReader):
    """Reader that takes a complete plain chunk out of the buffer itself.

    One event of a stream usually arrives as one chunk: h11 takes 8 µs for it.
    """

    @property
    def is_between_chunks(self) -> bool:
        """True when the next byte begins a chunk."""
        return not (self._bytes_in_chunk or self._bytes_to_discard or self._reading_trailer)

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        if self.is_between_chunks:
            if not buf:
                return None
            if data := _complete_chunk(buf):
                return h11.Data(data=data)
        return super().__call__(buf)


def bounded_body_reader(expected_size: int | None) -> Any:
    """Return the reader for a body of this size: None means chunked, -1 until the close."""
    return BoundedChunkedReader() if expected_size is None else _original_reader(expected_size)


def fast_body_reader(expected_size: int | None) -> Any:
    """Return the fast reader for a body of this size: None means chunked, -1 until the close."""
    return FastChunkedReader() if expected_size is None else _original_reader(expected_size)


def _complete_chunk(buf: ReceiveBuffer) -> bytes:
    """Take the first chunk out of the buffer if it is plain and complete; else return b"".

    b"5\\r\\nhello\\r\\n3\\r\\nab" → b"hello"; b"3\\r\\nab" stays
    """
    line = _PLAIN_CHUNK_LINE.match(buf._data)
    if line is None:
        return b""
    start = line.end()
    end = start + int(line[1], 16)
    if buf._data[end : end + 2] != b"\r\n":
        return b""
    taken = buf.maybe_extract_at_most(end + 2)
    return bytes(taken[start:end]) if taken else b""


def complete_chunks(data: bytes) -> list[bytes] | None:
    """Return the contents of plain chunks, None if there is anything else.

    b"5\\r\\nhello\\r\\n1\\r\\n!\\r\\n" → [b"hello", b"!"]; b"3\\r\\nab" → None
    """
    found: list[bytes] = []
    position = 0
    while position < len(data):
        line = _PLAIN_CHUNK_LINE.match(data, position)
        if line is None:
            return None
        start = line.end()
        end = start + int(line[1], 16)
        if data[end : end + 2] != b"\r\n":
            return None
        found.append(data[start:end])
        position = end + 2
    return found


def _check_chunk_line(data: bytearray, start: int) -> None:
    """Refuse a chunk header at `start` that can never become good.

    Raises:
        h11.RemoteProtocolError: what is wrong with it.
    """
    size = _CHUNK_SIZE.match(data, start)
    end = data.find(b"\n", start, start + MAX_CHUNK_LINE_BYTES)
    # int() of a few kilobytes of digits is slow, so only the first 32 are converted.
    if size is None or int(size[0][:32], 16) > MAX_CHUNK_BYTES or len(size[0]) > MAX_SIZE_DIGITS:
        raise h11.RemoteProtocolError("bad chunk size")
    if end < 0 and len(data) - start >= MAX_CHUNK_LINE_BYTES:
        raise h11.RemoteProtocolError("chunk header too long")
    # h11 takes a bare LF as the line's end; a server behind us may not (request smuggling).
    if end >= 0 and data[end - 1 : end] != b"\r":
        raise h11.RemoteProtocolError("chunk header without CR LF")
