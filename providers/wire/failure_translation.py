"""Errors of providers in the client's format, from bodies of any form."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, NamedTuple

from providers.base.names import WireFormatName
from providers.wire.answer_form import failure_in_answer, is_events
from providers.wire.core.formats import provider_codec
from providers.wire.core.ir import Failure
from providers.wire.core.jsonio import loads
from providers.wire.errors import error_body
from providers.wire.failures.too_long import for_client

_MAX_ERROR_TEXT: Final = 2000
_WITHOUT_CONTENT: Final = (204, 205)
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_UNFORESEEN: Final = (KeyError, TypeError, ValueError, AttributeError, RecursionError)


def decoded_error(status: int, body: bytes, src: WireFormatName) -> Failure:
    """Decode a provider's error body, in any known form: JSON, a stream, HTML or plain text."""
    failure = _streamed_error(status, body) if is_events(body) else _parsed_error(status, body, src)
    if failure is not None:
        return failure
    text = readable_text(body)
    return Failure(
        text or f"The provider answered with status {status} and no explanation.", status
    )


def carries_response(status: int) -> bool:
    """Return whether a response of this status has the body that a client waits for.

    Redirects have none, nor have 204 and 205 (RFC 9110, 15.3).
    """
    return 200 <= status < 300 and status not in _WITHOUT_CONTENT


def no_response(status: int, body: bytes, src: WireFormatName) -> Failure:
    """Return the failure for a status that carries no response, in the words of the body if any."""
    message = f"The provider answered with status {status} instead of a response"
    text = decoded_error(status, body, src).message if body.strip() else ""
    message += f": {text}" if text else "."
    if status in _REDIRECTS:
        message += " ccproxy follows no redirect: check the provider's scheme, host and path."
    return Failure(message, 502)


def _parsed_error(status: int, body: bytes, src: WireFormatName) -> Failure | None:
    try:
        return provider_codec(src).decode_error(status, loads(body))
    except _UNFORESEEN:
        return None


def _streamed_error(status: int, body: bytes) -> Failure | None:
    failure = failure_in_answer(body, status)
    return None if failure is None else replace(failure, status=status)


def readable_text(body: bytes) -> str:
    """Return the text of a body that is no JSON, without the tags of HTML."""
    text = body[: 4 * _MAX_ERROR_TEXT].decode("utf-8", "replace")
    if "<html" in text.lower() or "<!doctype" in text.lower():
        text = re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>", " ", text)
    return " ".join(text.split())[:_MAX_ERROR_TEXT]


class ClientError(NamedTuple):
    """An error response for the client."""

    status: int
    body: bytes


def translate_error(status: int, body: bytes, src: WireFormatName, dst: WireFormatName) -> bytes:
    """Translate a provider's error body into the client's format, see `translate_failure`."""
    return translate_failure(decoded_error(status, body, src), src, dst).body


def translate_failure(failure: Failure, src: WireFormatName, dst: WireFormatName) -> ClientError:
    """Return a provider's failure as an error response in the client's format.

    A prompt that is too long is reported in the words of the client's vendor, because agents react
    to those words. Its status is a client's fault then, so that it is not tried again.
    """
    if src != dst:
        failure = for_client(failure, dst)
    body = error_body(
        dst,
        failure.status,
        failure.message,
        kind=failure.kind,
        code=failure.code,
        param=failure.param,
    )
    return ClientError(failure.status, body)
