"""Reading of a provider's response, whatever form its body has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from providers.base.errors import BadUpstreamAnswer, MalformedBody, TranslationError
from providers.base.names import WireFormatName
from providers.wire.answer_form import is_events
from providers.wire.core.event_json import lenient_loads
from providers.wire.core.formats import provider_codec
from providers.wire.core.ir import Response
from providers.wire.core.jsonio import dumps
from providers.wire.core.sse import SseEvent, SseParser
from providers.wire.failure_translation import readable_text
from providers.wire.failures.reported_failure import (
    ReportedFailure,
    explained_failure,
    reported_failure,
)
from providers.wire.losses.unknown_answer_fields import AnswerWatch
from providers.wire.rules.events import Collector

UNFORESEEN: Final = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    RecursionError,
    OverflowError,
)
"""What Python raises when a body is shaped in a way its decoder did not foresee."""


def decoded_response(body: Any, src: WireFormatName, watch: AnswerWatch | None = None) -> Response:
    """Decode the provider's response; `watch` lists its fields that no decoder reads.

    Raises `ReportedFailure` for an error of the provider's, `BadUpstreamAnswer` for other bodies.
    """
    if (failure := reported_failure(body)) is not None:
        raise ReportedFailure(failure)
    if isinstance(body, list):
        return _joined(body, src, watch)
    if not isinstance(body, dict):
        raise BadUpstreamAnswer("The provider's response is no JSON object.")
    if watch is not None:
        watch.look_at_response(body)
    try:
        return provider_codec(src).decode_response(body)
    except ReportedFailure:
        raise
    except (MalformedBody, *UNFORESEEN) as error:
        # Some servers explain themselves without the word "error": {"message": "no such model"}.
        if (failure := explained_failure(body)) is not None:
            raise ReportedFailure(failure) from error
        detail = f": {error}" if isinstance(error, MalformedBody) else f" ({type(error).__name__})."
        raise BadUpstreamAnswer(
            f"The provider's response does not follow its format{detail}"
        ) from error


def read_response(data: bytes, src: WireFormatName, watch: AnswerWatch | None = None) -> Response:
    """Decode the provider's response from its bytes, which may be a stream as well.

    Raises `ReportedFailure` and `BadUpstreamAnswer`.
    """
    if is_events(data):
        parser = SseParser()
        return _collected(_events_of(parser, data), src, watch)
    try:
        parsed = lenient_loads(data)
    except (ValueError, RecursionError):
        text = readable_text(data)
        said = f": {text}" if text else "."
        raise BadUpstreamAnswer(
            f"The provider answered with something that is not JSON{said}"
        ) from None
    return decoded_response(parsed, src, watch)


def _events_of(parser: SseParser, data: bytes) -> list[SseEvent]:
    try:
        return [*parser.feed(data), *parser.flush()]
    except TranslationError as error:
        raise BadUpstreamAnswer(
            f"The provider's response does not follow its format: {error}"
        ) from error


def _joined(chunks: list[Any], src: WireFormatName, watch: AnswerWatch | None) -> Response:
    """Join the chunks of Google's stream without `alt=sse`, read at once."""
    return _collected([SseEvent(dumps(chunk)) for chunk in chunks], src, watch)


def _collected(
    events: Sequence[SseEvent], src: WireFormatName, watch: AnswerWatch | None
) -> Response:
    decoder, collector = provider_codec(src).stream_decoder(), Collector(src)
    if watch is not None:
        decoder.watch = watch.look_at_event
    try:
        for event in events:
            collector.feed(decoder.feed(event))
        collector.feed(decoder.flush())
    except (TranslationError, *UNFORESEEN) as error:
        raise BadUpstreamAnswer(
            f"The provider's response does not follow its format: {error}"
        ) from error
    for loss in decoder.losses:
        collector.response.losses.add(loss.path, loss.reason)
    if collector.failure is not None:
        raise ReportedFailure(collector.failure)
    return collector.response
