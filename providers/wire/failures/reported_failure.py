"""Errors of providers in every known spelling: in error bodies, in responses with status 200, in
streams.

Sources: the vendors' error references; google.rpc.Status; llama.cpp's `error:` field lines;
OpenRouter's `finish_reason: "error"`; FastAPI's `detail`; Bedrock's `__type`; Cloudflare's
`errors`.
"""

from __future__ import annotations

from typing import Any, Final

from providers.base.errors import BadUpstreamAnswer
from providers.wire.core.event_json import event_bodies, lenient_loads
from providers.wire.core.ir import Failure, JsonObject
from providers.wire.core.shape import count
from providers.wire.core.sse import SseEvent

NO_EXPLANATION: Final = "The provider reported an error without an explanation."
UNKNOWN: Final = "unknown error"
_MAX_MESSAGE_CHARS: Final = 2000
_STATUS_KEYS: Final = ("status_code", "code", "status", "http_code", "statusCode")
_KIND_KEYS: Final = ("type", "status", "__type", "kind")
_MESSAGE_KEYS: Final = ("message", "detail", "error", "msg", "error_message", "reason", "title")
_SAYS_NOTHING: Final = "provider returned error"
_FAILED_TYPES: Final = ("response.failed", "response.cancelled")
_GENERIC_KINDS: Final = frozenset({"error", *_FAILED_TYPES})
_TAG: Final = b'"error'
_ENDED_BADLY: Final = (b'"failed"', b'"response.failed"', b'"response.cancelled"')
# Words of the vendors, lower case; https://docs.anthropic.com/en/api/errors,
# https://platform.openai.com/docs/guides/error-codes, google/rpc/code.proto, Bedrock's exceptions.
_STATUS_OF_WORD: Final = {
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "invalid_prompt": 400,
    "bad_request": 400,
    "context_length_exceeded": 400,
    "exceed_context_size_error": 400,
    "validationexception": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "unauthenticated": 401,
    "unauthorized": 401,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "accessdeniedexception": 403,
    "not_found_error": 404,
    "not_found": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "insufficient_quota": 429,
    "too_many_requests": 429,
    "throttlingexception": 429,
    "api_error": 500,
    "server_error": 500,
    "internal_server_error": 500,
    "internal": 500,
    "unavailable": 503,
    "service_unavailable": 503,
    "server_overloaded": 503,
    "serviceunavailableexception": 503,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "overloaded_error": 529,
}


class ReportedFailure(BadUpstreamAnswer):
    """The provider reports an error of its own where a response was due."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"The provider reported an error: {failure.message}")
        self.failure = failure


def decode_error(status: int, body: Any) -> Failure | None:
    """Decode an error body of any vendor, or return None if it explains nothing.

    The HTTP status is the failure's, unless it is one of success: then the body's own.

    Example: (200, {"error": {"code": 429, "message": "slow"}}) → Failure("slow", 429).
    """
    error = _error_in(body)
    if error is None:
        return None
    failure = _failure_of(error, status)
    if failure is None and isinstance(body, dict) and error is not body:
        failure = _failure_of(body, status)
    return failure


def reported_failure(body: Any, status: int = 500) -> Failure | None:
    """Return the failure that a parsed response or event reports, or None for a response.

    Only marks that no vendor's response has count: a filled `error`, `type: "error"`, a failed
    response of OpenAI, a choice that ended with an error. `status` is for bodies that name none.
    """
    if isinstance(body, list):
        found = (reported_failure(entry, status) for entry in body if isinstance(entry, dict))
        return next((failure for failure in found if failure is not None), None)
    if not isinstance(body, dict):
        return None
    inner = body.get("response")
    if body.get("error") or body.get("type") == "error":
        return decode_error(0, body) or Failure(UNKNOWN, status)
    if body.get("errors") and not body.get("choices"):
        return decode_error(0, body)
    if body.get("status") == "failed" and "output" in body:
        return Failure(NO_EXPLANATION, status)
    if isinstance(inner, dict):
        return _failed_response(body, inner, status)
    if body.get("type") in _FAILED_TYPES:
        return decode_error(0, body) or Failure(UNKNOWN, status)
    return _failed_choice(body, status)


def explained_failure(body: JsonObject) -> Failure | None:
    """Return the failure of a body that is no response and has a sentence, or None.

    Example: {"code": 404, "message": "no such model"} → Failure("no such model", 404).
    """
    return decode_error(0, body) if _message_of(body) is not None else None


def failure_of_event(event: SseEvent) -> Failure | None:
    """Return the failure that an SSE event of any vendor reports, or None."""
    if event.event == "error":
        return _failure_of_data(event.data)
    # Nearly every event ends here; reading each one twice would be felt.
    if not mentions_failure(event.data):
        return None
    try:
        bodies = event_bodies(event)
    except (ValueError, RecursionError):
        return None
    return reported_failure(bodies)


def mentions_failure(data: bytes) -> bool:
    r"""Check for a word that stands in every failure; most responses lack it.

    Quotes inside of a JSON string are escaped, so texts about errors do not count. Neither does
    `"error": null`, which OpenAI sends with every response.
    """
    position = data.find(_TAG)
    if position < 0 and b'led"' not in data:
        return False
    while position >= 0:
        after = position + len(_TAG)
        if not data[after : after + 9].lstrip(b'" :').startswith(b"null"):
            return True
        position = data.find(_TAG, after)
    return any(mark in data for mark in _ENDED_BADLY)


def _failure_of_data(data: bytes) -> Failure:
    """Return the failure of an event that is named `error`, whatever its data are."""
    try:
        body = lenient_loads(data)
    except (ValueError, RecursionError):
        text = " ".join(data.decode("utf-8", "replace").split())
        return Failure(text[:_MAX_MESSAGE_CHARS] or NO_EXPLANATION, 500)
    return decode_error(0, body) or Failure(UNKNOWN, 500)


def _error_in(body: Any) -> Any:
    """Return the error object or text of a body.

    Google's endpoints answer with an array of one body.
    """
    if isinstance(body, list):
        errors = (_error_in(entry) for entry in body)
        return next((error for error in errors if error), None)
    if not isinstance(body, dict):
        return body if isinstance(body, str) and body.strip() else None
    for key in ("error", "errors"):
        error = body.get(key)
        if isinstance(error, list) and error:
            error = error[0]
        described = body.get("error_description")
        if isinstance(error, str) and error and isinstance(described, str) and described:
            return f"{error}: {described}"  # OAuth's (RFC 6749, 5.2)
        if isinstance(error, dict | str) and error:
            return error
    # Fields of the error stand in the body itself: {"type": "error", "message": "…"}
    return body


def _failure_of(error: JsonObject | str, status: int) -> Failure | None:
    if isinstance(error, str):
        return _failure_of_text(error, status)
    kind = _word(error, _KIND_KEYS)
    code = _word(error, ("code",))
    message = _message_of(error) or kind or code
    if message is None:
        return None
    message = _with_cause(message, error)
    if not 400 <= status <= 599:
        status = _status_of(error, kind, code)
    param = error.get("param")
    return Failure(
        message[:_MAX_MESSAGE_CHARS],
        status,
        kind,
        code,
        param if isinstance(param, str) else None,
    )


def _with_cause(message: str, error: JsonObject) -> str:
    """Return a gateway's sentence that says nothing with the words of the provider behind it.

    OpenRouter: {"message": "Provider returned error", "metadata": {"raw": "too long"}}
    → "Provider returned error: too long"
    """
    if _SAYS_NOTHING not in message.lower():
        return message
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    cause = _failure_of_text(raw, 0) if isinstance(raw, str) and raw.strip() else None
    if cause is None or cause.message in message:
        return message
    return f"{message.rstrip('.')}: {cause.message}"


def _failure_of_text(text: str, status: int) -> Failure | None:
    """Read an error that is a string; some gateways put a JSON object into it."""
    if text.lstrip().startswith("{"):
        try:
            inner = lenient_loads(text.encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            inner = None
        if isinstance(inner, dict) and (failure := decode_error(status, inner)) is not None:
            return failure
    if not 400 <= status <= 599:
        status = 500
    return Failure(text[:_MAX_MESSAGE_CHARS], status)


def _message_of(error: JsonObject) -> str | None:
    for key in _MESSAGE_KEYS:
        value = error.get(key)
        if isinstance(value, str) and value.strip():
            return value
        # FastAPI: {"detail": [{"loc": […], "msg": "field required"}]}
        if isinstance(value, list):
            value = next((entry for entry in value if isinstance(entry, dict)), None)
        if isinstance(value, dict) and (message := _message_of(value)) is not None:
            return message
    return None


def _word(error: JsonObject, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = error.get(key)
        if isinstance(value, str) and value and value not in _GENERIC_KINDS:
            return value
    return None


def _status_of(error: JsonObject, kind: str | None, code: str | None) -> int:
    """Return the HTTP status that an error names, or that its words correspond to."""
    for key in _STATUS_KEYS:
        value = error.get(key)
        number = count(value)
        # `code` may be another number as well, such as gRPC's.
        if number is not None and 400 <= number <= 599:
            return number
    for word in (code, kind):
        known = _STATUS_OF_WORD.get((word or "").lower().rpartition("#")[2])
        if known is not None:
            return known
    return 500


def _failed_response(body: JsonObject, response: JsonObject, status: int) -> Failure | None:
    """Read `response.failed`, and the response object inside of it.

    OpenAI's realtime API says it in `response.done`, with the error in `status_details`.
    """
    is_failed = body.get("type") in _FAILED_TYPES or response.get("status") == "failed"
    details = response.get("status_details")
    for holder in (response, details):
        if isinstance(holder, dict) and holder.get("error"):
            return decode_error(0, holder) or Failure(UNKNOWN, status)
    return Failure(UNKNOWN, status) if is_failed else None


def _failed_choice(body: JsonObject, status: int) -> Failure | None:
    """Read OpenRouter's choice that ended with an error; its `error` is optional."""
    choices = body.get("choices")
    if not isinstance(choices, list):
        return None
    for choice in choices:
        if not isinstance(choice, dict):
            continue
        if choice.get("error"):
            return decode_error(0, choice) or Failure(UNKNOWN, status)
        if choice.get("finish_reason") == "error":
            return Failure(NO_EXPLANATION, status)
    return None
