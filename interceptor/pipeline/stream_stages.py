"""Stages of a streamed response: what the provider's bytes pass on their way to the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from flows.bytes.incremental import IncrementalDecoder


class StreamBroken(Exception):
    """A stage cannot read the provider's bytes; the message is for the client."""


class StreamStage(Protocol):
    """One stage. It may keep bytes back, and may give none for some."""

    def feed(self, data: bytes, /) -> bytes:
        """Take the next bytes, never b"", and return what they give.

        Raises:
            StreamBroken: the bytes cannot be read.
        """

    def flush(self) -> bytes:
        """Return what is still due at the end of the stream."""

    def fail(self, status: int, message: str, /) -> bytes:
        """Return what ends the stream with an error; nothing comes after it."""


class StreamStages:
    """A list of stages as one, in the order from the provider to the client.

    Example: gzip → translation. `feed(gzipped)` undoes the compression, then translates; when the
    gzip is damaged, the translation's `fail` ends the client's stream in the client's format.
    """

    def __init__(self, stages: Sequence[StreamStage]) -> None:
        self._stages = tuple(stages)
        self._ended = False

    def feed(self, data: bytes) -> bytes:
        """Return the client's bytes for the provider's next bytes."""
        return self._feed_from(0, data)

    def flush(self) -> bytes:
        """Return what is still due to the client when the provider's stream has ended."""
        if self._ended:
            return b""
        out = b""
        for index, stage in enumerate(self._stages):
            out += self._feed_from(index + 1, stage.flush())
            if self._ended:
                return out
        self._ended = True
        return out

    def fail(self, status: int, message: str) -> bytes:
        """End the client's stream with an error, in the format that the last stage writes."""
        if self._ended:
            return b""
        self._ended = True
        return self._stages[-1].fail(status, message)

    def _feed_from(self, first: int, data: bytes) -> bytes:
        for stage in self._stages[first:]:
            if not data or self._ended:
                return b""
            try:
                data = stage.feed(data)
            except StreamBroken as exc:
                return self.fail(502, str(exc))
        return data


class DecodingStage:
    """Undoes the content encoding of a stream that a later stage reads."""

    def __init__(self, content_encoding: str) -> None:
        self._decoder = IncrementalDecoder(content_encoding)

    def feed(self, data: bytes) -> bytes:
        """Return the plain bytes.

        Raises:
            StreamBroken: the bytes are damaged, or decompress to more than they may.
        """
        try:
            plain = self._decoder.feed(data)
        except ValueError:
            raise StreamBroken("The provider's stream is not in the encoding it names.") from None
        if self._decoder.capped:
            raise StreamBroken("The provider's stream decompresses to more than it may.")
        return plain

    def flush(self) -> bytes:
        """Return nothing: the decoder keeps no bytes back."""
        return b""

    def fail(self, status: int, message: str) -> bytes:
        """Return nothing: an encoding has no way to say it."""
        del status, message
        return b""
