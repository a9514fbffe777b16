"""Amazon's event streams as the Anthropic events inside them.

Frames of application/vnd.amazon.eventstream hold {"bytes": BASE64, "p": PADDING}; the base64 is the
JSON of one event. An exception of Bedrock becomes an `error` event.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
"""

from __future__ import annotations

import base64
import struct
from typing import Any, Final

from providers.base.names import ANTHROPIC_MESSAGES
from providers.wire.core.ir import Failure, Loss
from providers.wire.core.jsonio import loads
from providers.wire.errors import error_body

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"
_DAMAGED: Final = "The provider's event stream is damaged."
_STATUS: Final = {
    "throttlingexception": 429,
    "validationexception": 400,
    "modeltimeoutexception": 504,
    "serviceunavailableexception": 503,
    "modelstreamerrorexception": 502,
}


class FramedEvents:
    """Converter of frames, in any chunking, into server-sent events."""

    def __init__(self) -> None:
        # With the first stream, as the signer: see `signature`.
        from botocore.eventstream import EventStreamBuffer

        self._buffer = EventStreamBuffer()
        self._is_damaged = False

    def feed(self, data: bytes) -> bytes:
        """Return the events in the provider's next bytes; damaged frames end with an error."""
        from botocore.eventstream import ParserError

        if self._is_damaged:
            return b""
        out: list[bytes] = []
        self._buffer.add_data(data)
        try:
            for frame in self._buffer:
                out.append(_event_of(frame.headers, frame.payload))
        except (ParserError, ValueError, KeyError, TypeError, struct.error):
            self._is_damaged = True
            out.append(_as_event("error", error_body(ANTHROPIC_MESSAGES, 502, _DAMAGED)))
        return b"".join(out)


def _event_of(headers: dict[str, Any], payload: bytes) -> bytes:
    kind = headers.get(":message-type")
    if kind == "event":
        if headers.get(":event-type") != "chunk":
            return b""
        data = base64.b64decode(loads(payload)["bytes"])
        return _as_event(str(loads(data).get("type", "")), data)
    name = str(headers.get(":exception-type") or headers.get(":error-code") or "error")
    message = str(headers.get(":error-message") or _message_in(payload) or name)
    status = _STATUS.get(name.lower(), 500)
    return _as_event("error", error_body(ANTHROPIC_MESSAGES, status, f"{name}: {message}"))


def _message_in(payload: bytes) -> str:
    try:
        body = loads(payload)
    except ValueError:
        return ""
    return str(body.get("message") or "") if isinstance(body, dict) else ""


def _as_event(kind: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)


class UnframedEvents:
    """Stream of a client that speaks Anthropic's format: unframed events stay as they are."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self.losses: list[Loss] = []
        self.started = False

    def feed(self, data: bytes) -> bytes:
        """Return the events."""
        self.started = True
        return data

    def flush(self) -> bytes:
        """Return nothing."""
        return b""

    def fail(self, status: int, message: str) -> bytes:
        """End the client's stream with an error."""
        if self.failure is not None:
            return b""
        self.failure = Failure(message, status)
        return _as_event("error", error_body(ANTHROPIC_MESSAGES, status, message))
