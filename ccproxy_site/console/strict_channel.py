"""HTTP/1.1 of the console that answers a request it will never read to its end.

Twisted closes the connection without a word after a line of 16 KB, and waits for bodies of any
announced length.
"""

# Twisted's HTTP has no types.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any, Final

from twisted.web import http

MAX_BODY_DIGITS: Final = 12
"""Digits of the longest `Content-Length` that is believed: a terabyte, less one."""
MAX_CHUNK_BYTES: Final = 1 << 40


class BoundedChunks(http._ChunkedTransferDecoder):
    """Decoder of chunks that refuses a size that no chunk has."""

    def _dataReceived_CHUNK_LENGTH(self) -> bool:
        was_read = bool(super()._dataReceived_CHUNK_LENGTH())
        if was_read and (self.length or 0) > MAX_CHUNK_BYTES:
            raise http._MalformedChunkedDataError("chunk size too large")
        return was_read


class StrictChannel(http.HTTPChannel):
    """Channel of one connection."""

    def lineLengthExceeded(self, line: bytes) -> None:
        """Answer 414 for the request line and 431 for a header (RFC 9110, 15.5.15; RFC 6585, 5)."""
        del line
        # Twisted keeps it to itself, under the name that Python makes of a private one.
        is_request_line = bool(getattr(self, "_HTTPChannel__first_line"))  # noqa: B009
        self.refuse(b"414 URI Too Long" if is_request_line else b"431 Header Fields Too Large")

    def headerReceived(self, line: bytes) -> bool:
        """Refuse a length that no body has, and take every other header."""
        name, _, value = line.partition(b":")
        digits = value.strip().lstrip(b"0")
        if name.strip().lower() == b"content-length" and len(digits) > MAX_BODY_DIGITS:
            self.refuse(b"413 Content Too Large" if digits.isdigit() else b"400 Bad Request")
            return False
        return bool(super().headerReceived(line))

    def refuse(self, status: bytes) -> None:
        """Answer with a status alone, and close."""
        transport: Any = self.transport
        transport.write(
            b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        self.loseConnection()

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:
        is_chosen = bool(super()._maybeChooseTransferDecoder(header, data))
        if isinstance(self._transferDecoder, http._ChunkedTransferDecoder):
            self._transferDecoder = BoundedChunks(
                self.requests[-1].handleContentChunk, self._finishRequestBody
            )
        return is_chosen


def strict_protocol() -> Any:
    """Return the protocol of a new connection, for a factory's `protocol`."""
    return http._GenericHTTPChannelProtocol(StrictChannel())
