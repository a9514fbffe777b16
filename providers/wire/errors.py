"""Errors in each vendor's own form, buffered and as the last event of a broken stream.

Sources: Anthropic "Errors", OpenAI "Error codes" and the `error` object of its OpenAPI file,
google.rpc.Status as Google's REST endpoints print it.
"""

from __future__ import annotations

import json
from typing import Any

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_RESPONSES,
    WireFormatName,
)

_ANTHROPIC_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OPENAI_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_OPENAI_CODES = {
    401: "invalid_api_key",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    500: "server_error",
    503: "server_overloaded",
    529: "server_overloaded",
}
_GOOGLE_KINDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}


def error_kind(wire_format: WireFormatName | None, status: int) -> str:
    """Return the vendor's word for an HTTP status (`authentication_error`, `UNAUTHENTICATED`)."""
    if wire_format == ANTHROPIC_MESSAGES:
        return _ANTHROPIC_KINDS.get(status) or (
            "invalid_request_error" if status < 500 else "api_error"
        )
    if wire_format == GOOGLE_GENERATE:
        return _GOOGLE_KINDS.get(status) or ("INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return _OPENAI_KINDS.get(status) or (
        "invalid_request_error" if status < 500 else "server_error"
    )


def error_object(
    wire_format: WireFormatName | None,
    status: int,
    message: str,
    *,
    kind: str | None = None,
    code: str | None = None,
    param: str | None = None,
) -> dict[str, Any]:
    """Build the error object of a vendor. `kind` replaces the word derived from the status."""
    kind = kind or error_kind(wire_format, status)
    if wire_format == ANTHROPIC_MESSAGES:
        return {"type": "error", "error": {"type": kind, "message": message}}
    if wire_format == GOOGLE_GENERATE:
        return {"error": {"code": status, "message": message, "status": kind}}
    return {
        "error": {
            "message": message,
            "type": kind,
            "param": param,
            "code": code or _OPENAI_CODES.get(status),
        }
    }


def error_body(
    wire_format: WireFormatName | None,
    status: int,
    message: str,
    *,
    kind: str | None = None,
    code: str | None = None,
    param: str | None = None,
) -> bytes:
    """Build an error body in the client's format, or in OpenAI's if it is unknown."""
    return _dumps(error_object(wire_format, status, message, kind=kind, code=code, param=param))


def error_event(
    wire_format: WireFormatName | None,
    status: int,
    message: str,
    *,
    kind: str | None = None,
    code: str | None = None,
    sequence_number: int = 0,
) -> bytes:
    """Build the SSE event that ends a broken stream. No success terminator follows it.

    Anthropic names the event `error`. OpenAI Chat sends a nameless chunk with an `error` object,
    Responses an `error` event with a `sequence_number`, Google a chunk with an `error` object.
    """
    if wire_format == OPENAI_RESPONSES:
        code = code or _OPENAI_CODES.get(status) or kind or "server_error"
        event = {
            "type": "error",
            "code": code,
            "message": message,
            "param": None,
            "sequence_number": sequence_number,
        }
        return b"event: error\ndata: " + _dumps(event) + b"\n\n"
    body = error_body(wire_format, status, message, kind=kind, code=code)
    name = b"event: error\n" if wire_format == ANTHROPIC_MESSAGES else b""
    return name + b"data: " + body + b"\n\n"


def _dumps(value: Any) -> bytes:
    # A message may quote what a client sent, lone surrogates included; escapes keep it valid UTF-8.
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")
