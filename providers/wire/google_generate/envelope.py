"""Code Assist's envelope, put on and taken off without decoding what is inside.

Requests: `{"model", "project", "user_prompt_id", "request": {...}}`. Responses: `{"response":
{...}, "traceId": ...}`, also as the data of each event. Keys beside `response` are Code Assist's
own; a client of Google's public API does not know them, so they end here.
"""

from __future__ import annotations

import re
from typing import Any, Final

from providers.base.names import GOOGLE_GENERATE
from providers.wire.answer_form import BLANK, is_json
from providers.wire.core.event_json import lenient_loads
from providers.wire.core.ir import Failure, JsonObject, Loss
from providers.wire.core.jsonio import dumps
from providers.wire.core.sse import MAX_EVENT_BYTES
from providers.wire.errors import error_body
from providers.wire.google_generate.response import unwrapped

CODE_ASSIST_TYPE: Final = "gemini"
"""The provider type that takes the envelope."""

_EVENT_END: Final = re.compile(rb"\r\n\r\n|\n\r?\n|\r\r")
_LONGEST_END: Final = 4
_NOT_INNER: Final = ("metadata", "model")
"""Keys of a client's body that have no position inside of the envelope."""


def is_enveloped(body: JsonObject) -> bool:
    """Return True for a request that is in the envelope already."""
    return isinstance(body.get("request"), dict) and "contents" not in body


def enveloped(body: JsonObject, model: str) -> JsonObject:
    """Return a public request in the envelope; its own fields stay as they are."""
    inner = {key: value for key, value in body.items() if key not in _NOT_INNER}
    return {"model": model, "request": inner}


def enveloped_count(body: JsonObject, model: str) -> JsonObject:
    """Return a public count request as Code Assist takes it: model and contents alone.

    {"generateContentRequest": {"contents": [...]}} → {"request": {"model": ..., "contents": [...]}}
    """
    request = body.get("generateContentRequest") or body.get("generate_content_request")
    inner = request if isinstance(request, dict) else body
    return {"request": {"model": f"models/{model}", "contents": inner.get("contents", [])}}


def without_envelope(plain: bytes) -> bytes | None:
    """Return the response inside of a buffered body.

    A body without an envelope stays, byte for byte. None: the body is no JSON object.
    """
    try:
        body = lenient_loads(plain)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    inner = unwrapped(body)
    return plain if inner is body else dumps(inner)


def is_google_error(plain: bytes) -> bool:
    """Return True for the JSON of an error as Google itself writes it."""
    body = _object_in(plain)
    return body is not None and isinstance(body.get("error"), dict)


class EnvelopeStream:
    """Stream of envelopes → stream of the responses inside.

    Events without an envelope are forwarded byte for byte, such as `[DONE]`, comments and errors.
    A provider that sends JSON instead of events becomes a stream when its body is complete.

    Args:
        json_array: the client asked without `alt=sse`: Google's stream is then one JSON array.
    """

    def __init__(self, *, json_array: bool = False) -> None:
        self.failure: Failure | None = None
        self.losses: list[Loss] = []
        self.started = False
        """True once the client's stream has a part of the response."""
        self._json_array = json_array
        self._is_json: bool | None = None
        self._held = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> bytes:
        """Take the provider's next bytes, in any chunking; return those for the client."""
        if self.failure is not None:
            return b""
        self._held += chunk
        if self._is_json is None:
            self._is_json = is_json(bytes(self._held))
            # A byte order mark and blank lines before the first event say nothing.
            self._held = self._held.lstrip(BLANK)
        if len(self._held) > MAX_EVENT_BYTES:
            return self.fail(502, "The provider's stream has an event that is too large.")
        return b"" if self._is_json is not False else self._complete_events()

    def flush(self) -> bytes:
        """End the stream. The last event may lack its blank line."""
        if self.failure is not None:
            return b""
        rest, self._held = bytes(self._held), bytearray()
        if self._is_json:
            out = self._of_json(rest)
        else:
            out = self._event(rest, b"\r\n\r\n") if rest.strip() else b""
        if not self._json_array or self.failure is not None:
            return out
        return out + (b"]" if self.started else b"[]")

    def fail(self, status: int, message: str) -> bytes:
        """End the client's stream with an error in Google's format."""
        if self.failure is not None:
            return b""
        self.failure = Failure(message, status)
        return self._frame(error_body(GOOGLE_GENERATE, status, message)) + self._closing()

    def _closing(self) -> bytes:
        return b"]" if self._json_array else b""

    def _complete_events(self) -> bytes:
        """Return the events that are complete.

        The search goes on where it stopped, so an event that comes byte by byte costs linear time.
        """
        out: list[bytes] = []
        start = 0
        while end := _EVENT_END.search(self._held, max(start, self._searched)):
            out.append(self._event(bytes(self._held[start : end.start()]), end[0]))
            start = end.end()
            self._searched = start
        del self._held[:start]
        self._searched = max(0, len(self._held) - _LONGEST_END)
        return b"".join(out)

    def _event(self, raw: bytes, end: bytes) -> bytes:
        """Return one event without its envelope.

        b'id: 1\\ndata: {"response": {"a": 1}}' → b'id: 1\\ndata: {"a": 1}', with the same end
        """
        lines = raw.splitlines()
        data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
        body = _object_in(b"\n".join(data))
        if self._json_array:
            return b"" if body is None else self._frame(dumps(unwrapped(body)))
        self.started = True
        inner = None if body is None else unwrapped(body)
        if inner is None or inner is body:
            return raw + end
        kept = [line for line in lines if not line.startswith(b"data:")]
        line_end = b"\r\n" if end.startswith(b"\r\n") else end[:1]
        return line_end.join([*kept, b"data: " + dumps(inner)]) + end

    def _of_json(self, data: bytes) -> bytes:
        try:
            value = lenient_loads(data)
        except (ValueError, RecursionError):
            return self.fail(502, "The provider's response is no JSON.")
        bodies = value if isinstance(value, list) else [value]
        objects = [body for body in bodies if isinstance(body, dict)]
        return b"".join([self._frame(dumps(unwrapped(body))) for body in objects])

    def _frame(self, data: bytes) -> bytes:
        separator = b"," if self.started else b"["
        self.started = True
        return separator + data if self._json_array else b"data: " + data + b"\r\n\r\n"


def _object_in(data: bytes) -> JsonObject | None:
    if not data.lstrip().startswith(b"{"):
        return None
    try:
        value: Any = lenient_loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
