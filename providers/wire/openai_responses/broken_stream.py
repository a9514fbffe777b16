"""Last events of a stream of OpenAI Responses that was forwarded unchanged and broke off."""

from __future__ import annotations

import re
from typing import Any, Final

from providers.base.names import OPENAI_RESPONSES
from providers.wire.core.jsonio import dumps, loads
from providers.wire.errors import error_event

START_BYTES: Final = 1024 * 1024
"""`response.created` comes first, and repeats the request's instructions and tools."""
TAIL_BYTES: Final = 16 * 1024
_NUMBER: Final = re.compile(rb'"sequence_number" ?: ?(\d{1,9})')


def failing_end(delivered: bytes, status: int, message: str) -> bytes:
    """Return the events that end the client's stream with an error.

    `error` comes first, then `response.failed` with the response object, if the client has it:
    Codex reads the reason there alone. Numbers go on from the last one.

    Example: …"sequence_number":4} → error with 5, response.failed with 6.
    """
    number = _last_number(delivered) + 1
    error = error_event(OPENAI_RESPONSES, status, message, sequence_number=number)
    response = _response_object(delivered)
    if response is None:
        return error
    reason = {"code": "server_error", "message": message}
    failed = {
        "type": "response.failed",
        "sequence_number": number + 1,
        "response": {**response, "status": "failed", "error": reason},
    }
    return error + b"event: response.failed\ndata: " + dumps(failed) + b"\n\n"


def _last_number(delivered: bytes) -> int:
    """Return the sequence number of the newest event, -1 before the first."""
    found = _NUMBER.findall(delivered, max(0, len(delivered) - TAIL_BYTES))
    return int(found[-1]) if found else -1


def _response_object(delivered: bytes) -> dict[str, Any] | None:
    """Return the response object of the stream's first complete event that has one."""
    for line in delivered[:START_BYTES].splitlines():
        if not line.startswith(b"data:") or b'"response"' not in line:
            continue
        try:
            event = loads(line[5:])
        except (ValueError, RecursionError):
            return None
        response = event.get("response") if isinstance(event, dict) else None
        return response if isinstance(response, dict) else None
    return None
