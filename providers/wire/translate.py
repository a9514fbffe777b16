"""Translator from any client format to any provider format: requests, responses, streams, errors.

Pure functions and state machines over dicts and bytes. Client faults raise `MalformedBody` or
`UnsupportedByTarget` (status 400), provider faults `BadUpstreamAnswer` (status 502). A stream never
raises; it ends with an error event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from providers.base.errors import BadUpstreamAnswer, MalformedBody, TranslationError
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.answer_form import BLANK, is_json
from providers.wire.core.base import AnswerContext, RequestEdit, TargetInfo
from providers.wire.core.formats import client_codec, provider_codec
from providers.wire.core.ir import (
    Failure,
    Finish,
    JsonObject,
    Loss,
    Losses,
    Request,
    Response,
    Tool,
    Usage,
)
from providers.wire.core.no_collection import without_collection
from providers.wire.core.sse import MAX_EVENT_BYTES, SseParser
from providers.wire.core.stream_event import Delta, End, Event, Ping, Start, UsageUpdate
from providers.wire.failure_translation import translate_error
from providers.wire.failures.reported_failure import (
    ReportedFailure,
)
from providers.wire.failures.too_long import for_client
from providers.wire.fitting.host_fields import leave_out_refused
from providers.wire.fitting.model_fit import fit_to_model
from providers.wire.losses.silent_losses import list_known_fields
from providers.wire.losses.unknown_answer_fields import AnswerWatch
from providers.wire.losses.unknown_fields import list_unknown_fields
from providers.wire.response_reading import UNFORESEEN, decoded_response, read_response
from providers.wire.rules.answers import AnswerFilter
from providers.wire.rules.events import of_response
from providers.wire.rules.portable import make_portable
from providers.wire.rules.toolnames import by_wire_name
from providers.wire.tools.web_search import is_search

__all__ = [
    "AnswerContext",
    "StreamTranslator",
    "TargetInfo",
    "translate_error",
    "translate_request",
    "translate_response",
    "translate_response_to_stream",
]


def decoded_request(
    body: Any, src: WireFormatName, *, model: str | None, stream: bool | None
) -> Request:
    """Decode the client's request. Raises `MalformedBody`."""
    if not isinstance(body, dict):
        raise MalformedBody("The request's body must be a JSON object.")
    try:
        return client_codec(src).decode_request(body, model=model, stream=stream)
    except UNFORESEEN as error:
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
    with without_collection():
        return _translated(body, src, dst, target, model, edits)


def _translated(
    body: Any,
    src: WireFormatName,
    dst: WireFormatName,
    target: TargetInfo,
    model: str | None,
    edits: Sequence[RequestEdit],
) -> tuple[JsonObject, list[Loss]]:
    request = decoded_request(body, src, model=model, stream=target.stream)
    try:
        if src != dst:
            _prepare(request, body, dst, target)
        for edit in edits:
            request = _edited(request, edit)
        encoded = provider_codec(dst).encode_request(request, target)
        if src != dst and dst == OPENAI_CHAT:
            facts = target.facts(request.model)
            leave_out_refused(encoded, facts, target.host, request.losses)
        return encoded, request.losses
    except UNFORESEEN as error:
        raise MalformedBody(
            f"The request cannot be translated ({type(error).__name__})."
        ) from error


def _prepare(request: Request, body: JsonObject, dst: WireFormatName, target: TargetInfo) -> None:
    """Prepare a decoded request for another format and for the model that will run it."""
    facts = target.facts(request.model)
    list_unknown_fields(body, request.source, request.losses)
    list_known_fields(request, body, dst)
    keep_custom = dst == OPENAI_CHAT and facts.custom_tools
    make_portable(
        request,
        dst,
        server_tools=target.server_tools,
        host=target.host,
        keep_custom=keep_custom,
        id_chars=facts.call_id_chars if dst == OPENAI_CHAT else None,
    )
    fit_to_model(request, dst, facts, target.model or request.model)


def _edited(request: Request, edit: RequestEdit) -> Request:
    """Return the request after an edit; one that fails is a loss and changes nothing."""
    changed = deepcopy(request)
    try:
        edit(changed)
    except Exception as error:
        request.losses.add("edits", f"A hook's change failed: {type(error).__name__}: {error}")
        return request
    return changed


def translate_response(
    body: Any, src: WireFormatName, dst: WireFormatName, *, context: AnswerContext | None = None
) -> tuple[JsonObject, list[Loss]]:
    """Translate a complete response of the provider (`src`) into the client's format (`dst`).

    `body` is parsed JSON, or the bytes of a response in any form. Raises `ReportedFailure` and
    `BadUpstreamAnswer`.
    """
    context = context or AnswerContext()
    response = _filtered(_response_of(body, src, dst), src, dst, context)
    try:
        encoded = client_codec(dst).encode_response(response, context)
        return encoded | response.notes, response.losses
    except UNFORESEEN as error:
        raise _untranslatable(error) from error


def _untranslatable(error: Exception) -> BadUpstreamAnswer:
    return BadUpstreamAnswer(
        f"The provider's response cannot be translated ({type(error).__name__})."
    )


def translate_response_to_stream(
    body: Any,
    src: WireFormatName,
    dst: WireFormatName,
    *,
    context: AnswerContext | None = None,
    losses: Losses | None = None,
) -> bytes:
    """Translate a complete response into a stream, for providers that do not stream.

    `losses` gets what was lost. See `translate_response`.
    """
    context = context or AnswerContext()
    response = _filtered(_response_of(body, src, dst), src, dst, context)
    encoder = client_codec(dst).stream_encoder(context)
    try:
        stream = encoder.feed(of_response(response))
    except UNFORESEEN as error:
        raise _untranslatable(error) from error
    _add_losses(response, encoder.losses)
    if losses is not None:
        losses += response.losses
    return stream


def _response_of(body: Any, src: WireFormatName, dst: WireFormatName) -> Response:
    watch = _watch_for(src, dst)
    if isinstance(body, bytes):
        response = read_response(body, src, watch)
    else:
        response = decoded_response(body, src, watch)
    if watch is not None:
        _add_losses(response, watch.losses)
    return response


def _watch_for(src: WireFormatName, dst: WireFormatName) -> AnswerWatch | None:
    """Return what lists the fields that no decoder reads; None where a body stays as it is."""
    return AnswerWatch(src) if src != dst and AnswerWatch.knows(src) else None


def _client_tools(dst: WireFormatName, client_body: Mapping[str, Any]) -> dict[str, Tool]:
    """Return the client's tools that have another name or kind at the provider."""
    if not client_body.get("tools"):
        return {}
    try:
        return by_wire_name(client_codec(dst).decode_tools(client_body))
    except TranslationError:
        return {}


def _wants_searches(dst: WireFormatName, client_body: Mapping[str, Any]) -> bool:
    """Return whether the client declared a web search, and reads reports of it."""
    if dst not in (ANTHROPIC_MESSAGES, OPENAI_RESPONSES) or not client_body.get("tools"):
        return False
    try:
        return any(is_search(tool) for tool in client_codec(dst).decode_tools(client_body))
    except TranslationError:
        return False


def _wants_thinking(dst: WireFormatName, client_body: Mapping[str, Any]) -> bool:
    """Return whether the client expects reasoning among the blocks of a response.

    A simple Anthropic client reads `content[0].text`. Its own vendor sends thinking only if the
    request enabled it. With tools the reasoning has to return, so it is sent in any case.
    """
    if dst != ANTHROPIC_MESSAGES or "messages" not in client_body:
        return True
    thinking = client_body.get("thinking")
    enabled = isinstance(thinking, dict) and thinking.get("type") != "disabled"
    return enabled or bool(client_body.get("tools"))


def _filter_for(src: WireFormatName, dst: WireFormatName, context: AnswerContext) -> AnswerFilter:
    if src == dst:
        return AnswerFilter(src, dst, {})
    asked = context.client_body
    tools = _client_tools(dst, asked)
    with_thinking = _wants_thinking(dst, asked)
    return AnswerFilter(
        src,
        dst,
        tools,
        with_thinking=with_thinking,
        host=context.host,
        with_searches=_wants_searches(dst, asked),
    )


def _filtered(
    response: Response, src: WireFormatName, dst: WireFormatName, context: AnswerContext
) -> Response:
    if src != dst:
        answer = _filter_for(src, dst, context)
        answer.response(response)
        _add_losses(response, answer.losses)
    return response


def _add_losses(response: Response, losses: Losses) -> None:
    for loss in losses:
        response.losses.add(loss.path, loss.reason)


class StreamTranslator:
    """Translator of a provider's SSE bytes, in any chunking, into the client's stream.

    A provider that answers with JSON instead becomes a stream when its body is complete. `feed` and
    `flush` never raise. A stream that breaks its grammar, fails or ends early becomes
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
        self._src = src
        self._dst = dst
        self._started = False
        self._is_json: bool | None = None
        self._held = bytearray()
        self._parser = SseParser()
        self.decoder = provider_codec(src).stream_decoder()
        self._watch = _watch_for(src, dst)
        if self._watch is not None:
            self.decoder.watch = self._watch.look_at_event
        self._response_losses = Losses()
        self._encoder = client_codec(dst).stream_encoder(context)
        self._filter = _filter_for(src, dst, context)

    @property
    def done(self) -> bool:
        """True once the client's stream has ended, successfully or not."""
        return self.finish is not None or self.failure is not None

    @property
    def started(self) -> bool:
        """True once the client's stream has a part of the response."""
        return self._started

    @property
    def losses(self) -> list[Loss]:
        """Losses of the response, so far."""
        unread = self._watch.losses if self._watch is not None else []
        decoded = [*self._response_losses, *self.decoder.losses, *unread]
        return [*decoded, *self._filter.losses, *self._encoder.losses]

    def feed(self, chunk: bytes) -> bytes:
        """Translate the provider's next bytes."""
        if self.done:
            return b""
        if self._is_json is not False:
            chunk = self._seen(chunk)
        out = b""
        try:
            for event in self._parser.feed(chunk):
                out += self._encode(self.decoder.feed(event))
                if self.done:
                    break
        except (TranslationError, *UNFORESEEN) as error:
            out += self._broken(error)
        return out

    def flush(self) -> bytes:
        """End the stream. Return what is still due, or an error event for a stream that was cut."""
        if self.done:
            return b""
        if self._is_json:
            return self._json_as_stream()
        out = b""
        try:
            for event in self._parser.flush():
                out += self._encode(self.decoder.feed(event))
            if not self.done:
                out += self._encode(self.decoder.flush())
        except (TranslationError, *UNFORESEEN):
            self.finish = None
            out += self.fail(502, "The provider's stream was cut.")
        return out

    def fail(self, status: int, message: str) -> bytes:
        """End the client's stream with an error because the connection to the provider broke."""
        if self.done:
            return b""
        self.failure = Failure(message, status)
        return self._encoder.feed([self.failure])

    def _seen(self, chunk: bytes) -> bytes:
        """Keep a body that is JSON, or whose form is not yet known; return other bytes."""
        self._held += chunk
        if self._is_json is None:
            self._is_json = is_json(bytes(self._held))
            # Blank lines keep the connection alive and say nothing, nor does a byte order mark.
            self._held = self._held.lstrip(BLANK)
        # The parser refuses a body that is too large.
        if len(self._held) > MAX_EVENT_BYTES:
            self._is_json = False
        if self._is_json is False:
            chunk, self._held = bytes(self._held), bytearray()
            return chunk
        return b""

    def _json_as_stream(self) -> bytes:
        data, self._held = bytes(self._held), bytearray()
        try:
            response = read_response(data, self._src, self._watch)
            self._response_losses = response.losses
            return self._encode(of_response(response))
        except ReportedFailure as error:
            return self._encode([error.failure])
        except (TranslationError, *UNFORESEEN) as error:
            return self._broken(error)

    def _broken(self, error: Exception) -> bytes:
        # An end that could not be written has not reached the client.
        self.finish = None
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
        # Nearly all events are the next part of a text, of which nothing is to be noted.
        if len(filtered) != 1 or type(filtered[0]) is not Delta:
            filtered = self._noted(filtered)
        return self._encoder.feed(filtered)

    def _noted(self, events: Sequence[Event]) -> Sequence[Event]:
        """Note usage and end for the record; return the events for the client."""
        for event in events:
            if isinstance(event, UsageUpdate):
                self.usage = event.usage
        last = events[-1] if events else None
        if isinstance(last, End):
            self.finish = last.finish
        elif isinstance(last, Failure):
            self.failure = last
            # The record keeps the provider's words, the client gets those of its own vendor.
            if self._src != self._dst:
                return [*events[:-1], for_client(last, self._dst)]
        return events
