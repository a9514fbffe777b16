"""Translator from any client format to any provider format: requests, responses, streams, errors.

Pure functions and state machines over dicts and bytes. Client faults raise `MalformedBody` or
`UnsupportedByTarget` (status 400), provider faults `BadUpstreamAnswer` (status 502). A stream never
raises; it ends with an error event.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

from providers.base.errors import BadUpstreamAnswer, MalformedBody, TranslationError
from providers.base.names import ANTHROPIC_MESSAGES, WireFormatName
from providers.wire.core.base import AnswerContext, RequestEdit, TargetInfo
from providers.wire.core.formats import client_codec, provider_codec
from providers.wire.core.ir import (
    End,
    Event,
    Failure,
    Finish,
    JsonObject,
    Loss,
    Ping,
    Request,
    Response,
    Start,
    Usage,
    UsageUpdate,
)
from providers.wire.core.jsonio import dumps, loads
from providers.wire.core.sse import SseEvent, SseParser
from providers.wire.errors import error_body
from providers.wire.rules.answers import AnswerFilter, client_tools
from providers.wire.rules.events import Collector, of_response
from providers.wire.rules.portable import make_portable

__all__ = [
    "AnswerContext",
    "StreamTranslator",
    "TargetInfo",
    "translate_error",
    "translate_request",
    "translate_response",
    "translate_response_to_stream",
]

# What Python raises when a body is shaped in a way its decoder did not foresee.
_UNFORESEEN: Final = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    RecursionError,
    OverflowError,
)
_TOO_LONG: Final = re.compile(
    r"prompt is too long|context.length|context window|input token count.*exceeds", re.I
)
_MAX_ERROR_TEXT: Final = 2000


def decoded_request(
    body: Any, src: WireFormatName, *, model: str | None, stream: bool | None
) -> Request:
    """Decode the client's request. Raises `MalformedBody`."""
    if not isinstance(body, dict):
        raise MalformedBody("The request's body must be a JSON object.")
    try:
        return client_codec(src).decode_request(body, model=model, stream=stream)
    except _UNFORESEEN as error:
        raise MalformedBody(
            f"The request's body does not follow its format ({type(error).__name__})."
        ) from error


def translate_request(
    body: Any,
    src: WireFormatName,
    dst: WireFormatName,
    *,
    target: TargetInfo | None = None,
    model: str | None = None,
    edits: Sequence[RequestEdit] = (),
) -> tuple[JsonObject, list[Loss]]:
    """Return the provider's body and the losses.

    `model` is the one in the client's path, for Google; `target` describes the provider. `edits`
    change the neutral request last, whatever the two formats are, which may be the same. The given
    body is not changed. Raises `MalformedBody` and `UnsupportedByTarget`; their texts are for the
    client.
    """
    target = target or TargetInfo()
    request = decoded_request(body, src, model=model, stream=target.stream)
    try:
        if src != dst:
            make_portable(request, dst, drop_server_tools=target.drop_server_tools)
        for edit in edits:
            request = _edited(request, edit)
        return provider_codec(dst).encode_request(request, target), request.losses
    except _UNFORESEEN as error:
        raise MalformedBody(
            f"The request cannot be translated ({type(error).__name__})."
        ) from error


def _edited(request: Request, edit: RequestEdit) -> Request:
    """Return the request after an edit; one that fails is a loss and changes nothing."""
    changed = deepcopy(request)
    try:
        edit(changed)
    except Exception as error:
        request.losses.add("edits", f"A hook's change failed: {type(error).__name__}: {error}")
        return request
    return changed


def decoded_response(body: Any, src: WireFormatName) -> Response:
    """Decode the provider's response. Raises `BadUpstreamAnswer`."""
    if isinstance(body, list):
        return _joined(body, src)
    if not isinstance(body, dict):
        raise BadUpstreamAnswer("The provider's response is no JSON object.")
    try:
        return provider_codec(src).decode_response(body)
    except MalformedBody as error:
        raise BadUpstreamAnswer(
            f"The provider's response does not follow its format: {error}"
        ) from error
    except _UNFORESEEN as error:
        raise BadUpstreamAnswer(
            f"The provider's response does not follow its format ({type(error).__name__})."
        ) from error


def _joined(chunks: list[Any], src: WireFormatName) -> Response:
    """Join the chunks of Google's stream without `alt=sse`, read at once."""
    decoder, collector = provider_codec(src).stream_decoder(), Collector(src)
    try:
        for chunk in chunks:
            collector.feed(decoder.feed(SseEvent(dumps(chunk))))
        collector.feed(decoder.flush())
    except (TranslationError, *_UNFORESEEN) as error:
        raise BadUpstreamAnswer(
            f"The provider's response does not follow its format: {error}"
        ) from error
    if collector.failure is not None:
        raise BadUpstreamAnswer(
            f"The provider's response ended with an error: {collector.failure.message}"
        )
    return collector.response


def translate_response(
    body: Any, src: WireFormatName, dst: WireFormatName, *, context: AnswerContext | None = None
) -> tuple[JsonObject, list[Loss]]:
    """Translate a complete response of the provider (`src`) into the client's format (`dst`).

    Raises `BadUpstreamAnswer`.
    """
    context = context or AnswerContext()
    response = _filtered(decoded_response(body, src), src, dst, context)
    try:
        return client_codec(dst).encode_response(response, context), response.losses
    except _UNFORESEEN as error:
        raise BadUpstreamAnswer(
            f"The provider's response cannot be translated ({type(error).__name__})."
        ) from error


def translate_response_to_stream(
    body: Any, src: WireFormatName, dst: WireFormatName, *, context: AnswerContext | None = None
) -> bytes:
    """Translate a complete response into a stream, for providers that do not stream."""
    context = context or AnswerContext()
    response = _filtered(decoded_response(body, src), src, dst, context)
    return client_codec(dst).stream_encoder(context).feed(of_response(response))


def _filtered(
    response: Response, src: WireFormatName, dst: WireFormatName, context: AnswerContext
) -> Response:
    if src != dst:
        answer = AnswerFilter(src, dst, client_tools(dst, context.client_body))
        answer.response(response)
        for loss in answer.losses:
            response.losses.add(loss.path, loss.reason)
    return response


class StreamTranslator:
    """Translator of a provider's SSE bytes, in any chunking, into the client's stream.

    `feed` and `flush` never raise. A stream that breaks its grammar, fails or ends early becomes
    the client's error event, without a success terminator; later bytes are ignored. `usage`,
    `finish` and `failure` are for the record.
    """

    def __init__(
        self, src: WireFormatName, dst: WireFormatName, *, context: AnswerContext | None = None
    ) -> None:
        context = context or AnswerContext()
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.failure: Failure | None = None
        self._started = False
        self._parser = SseParser()
        self._decoder = provider_codec(src).stream_decoder()
        self._encoder = client_codec(dst).stream_encoder(context)
        self._filter = AnswerFilter(
            src, dst, client_tools(dst, context.client_body) if src != dst else {}
        )

    @property
    def done(self) -> bool:
        """True once the client's stream has ended, successfully or not."""
        return self.finish is not None or self.failure is not None

    @property
    def losses(self) -> list[Loss]:
        """Losses of the response, so far."""
        return [*self._decoder.losses, *self._filter.losses, *self._encoder.losses]

    def feed(self, chunk: bytes) -> bytes:
        """Translate the provider's next bytes."""
        if self.done:
            return b""
        out = b""
        try:
            for event in self._parser.feed(chunk):
                out += self._encode(self._decoder.feed(event))
        except (TranslationError, *_UNFORESEEN) as error:
            out += self._broken(error)
        return out

    def flush(self) -> bytes:
        """End the stream. Return what is still due, or an error event for a stream that was cut."""
        if self.done:
            return b""
        out = b""
        try:
            for event in self._parser.flush():
                out += self._encode(self._decoder.feed(event))
            if not self.done:
                out += self._encode(self._decoder.flush())
        except (TranslationError, *_UNFORESEEN):
            out += self.fail(502, "The provider's stream was cut.")
        return out

    def fail(self, status: int, message: str) -> bytes:
        """End the client's stream with an error because the connection to the provider broke."""
        if self.done:
            return b""
        self.failure = Failure(message, status)
        return self._encoder.feed([self.failure])

    def _broken(self, error: Exception) -> bytes:
        detail = str(error) if isinstance(error, TranslationError) else "it cannot be read."
        return self.fail(502, f"The provider's stream does not follow its format: {detail}")

    def _encode(self, events: Sequence[Event]) -> bytes:
        if not events:
            return b""
        if not self._started and not isinstance(events[0], Failure | Ping):
            self._started = True
            if not isinstance(events[0], Start):  # a provider that skips its own beginning
                events = [Start(), *events]
        filtered = self._filter.feed(events)
        last = filtered[-1] if filtered else None
        for event in filtered:
            if isinstance(event, UsageUpdate):
                self.usage = event.usage
        if isinstance(last, End):
            self.finish = last.finish
        elif isinstance(last, Failure):
            self.failure = last
        return self._encoder.feed(filtered)


def decoded_error(status: int, body: bytes, src: WireFormatName) -> Failure:
    """Decode a provider's error body, in any known form."""
    try:
        parsed = loads(body)
    except (ValueError, RecursionError):
        parsed = None
    try:
        failure = (
            provider_codec(src).decode_error(status, parsed)
            if isinstance(parsed, dict | list)
            else None
        )
    except _UNFORESEEN:
        failure = None
    if failure is not None:
        return failure
    text = body[: 4 * _MAX_ERROR_TEXT].decode("utf-8", "replace")
    if "<html" in text.lower() or "<!doctype" in text.lower():
        text = re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>", " ", text)
    text = " ".join(text.split())[:_MAX_ERROR_TEXT]
    return Failure(
        text or f"The provider answered with status {status} and no explanation.", status
    )


def translate_error(status: int, body: bytes, src: WireFormatName, dst: WireFormatName) -> bytes:
    """Translate a provider's error body into the client's format; the status stays.

    A prompt that is too long is reported in the words of the client's vendor, because agents react
    to those words.
    """
    failure = decoded_error(status, body, src)
    message, code = failure.message, failure.code
    if src != dst and (code == "context_length_exceeded" or _TOO_LONG.search(message)):
        code = "context_length_exceeded"
        if dst == ANTHROPIC_MESSAGES and "prompt is too long" not in message:
            message = f"prompt is too long: {message}"
    return error_body(
        dst,
        status,
        message,
        kind=failure.kind if src == dst else None,
        code=code,
        param=failure.param,
    )
