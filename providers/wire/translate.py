"""Translator from any client format to any provider format: requests, responses, streams, errors.

Pure functions and state machines over dicts and bytes. Client faults raise `MalformedBody` or
`UnsupportedByTarget` (status 400), provider faults `BadUpstreamAnswer` (status 502). A stream never
raises; it ends with an error event.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from providers.base.errors import BadUpstreamAnswer, MalformedBody
from providers.base.names import OPENAI_CHAT, WireFormatName
from providers.wire.core.base import AnswerContext, RequestEdit, TargetInfo
from providers.wire.core.formats import client_codec, provider_codec
from providers.wire.core.ir import JsonObject, Loss, Losses, Request, Response
from providers.wire.core.no_collection import without_collection
from providers.wire.failure_translation import translate_error
from providers.wire.fitting.host_fields import leave_out_refused
from providers.wire.fitting.model_fit import fit_to_model
from providers.wire.losses.silent_losses import list_known_fields
from providers.wire.losses.unknown_fields import list_unknown_fields
from providers.wire.response_filters import filter_for, watch_for
from providers.wire.response_reading import UNFORESEEN, decoded_response, read_response
from providers.wire.rules.events import of_response
from providers.wire.rules.portable import make_portable
from providers.wire.stream_translation import StreamTranslator

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
    watch = watch_for(src, dst)
    if isinstance(body, bytes):
        response = read_response(body, src, watch)
    else:
        response = decoded_response(body, src, watch)
    if watch is not None:
        _add_losses(response, watch.losses)
    return response


def _filtered(
    response: Response, src: WireFormatName, dst: WireFormatName, context: AnswerContext
) -> Response:
    if src != dst:
        answer = filter_for(src, dst, context)
        answer.response(response)
        _add_losses(response, answer.losses)
    return response


def _add_losses(response: Response, losses: Losses) -> None:
    for loss in losses:
        response.losses.add(loss.path, loss.reason)
