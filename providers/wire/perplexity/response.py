"""Perplexity's responses that are no stream. A successful ask is always answered by one."""

from __future__ import annotations

from providers.base.errors import MalformedBody
from providers.base.names import PERPLEXITY_ASK
from providers.wire.core.ir import JsonObject, Response
from providers.wire.core.jsonio import dumps
from providers.wire.core.sse import SseEvent
from providers.wire.failures.reported_failure import ReportedFailure
from providers.wire.perplexity.stream import PerplexityStreamDecoder
from providers.wire.rules.events import Collector


def decode_response(body: JsonObject) -> Response:
    """Decode one event's body as if it were the entire stream."""
    if "blocks" not in body:
        raise MalformedBody("it is no event of a Perplexity answer")
    decoder, collector = PerplexityStreamDecoder(), Collector(PERPLEXITY_ASK)
    collector.feed(decoder.feed(SseEvent(dumps(body))))
    collector.feed(decoder.flush())
    if collector.failure is not None:
        raise ReportedFailure(collector.failure)
    return collector.response
