"""Token usage from a provider's response: a body, a stream, or websocket messages. Pure.

The shape of a usage object decides its format, because a gateway may send another vendor's format
than its path names. Sources: Anthropic `Usage` and `MessageDeltaUsage`, OpenAI `CompletionUsage`
and `ResponseUsage`, Google `UsageMetadata`; `providers.wire` decodes their meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

from providers.base.errors import BadUpstreamStream
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.answer_form import is_events
from providers.wire.anthropic_messages.response import decode_usage as decode_anthropic
from providers.wire.core.event_json import lenient_loads
from providers.wire.core.ir import Usage
from providers.wire.core.sse import SseParser
from providers.wire.google_generate.response import decode_usage as decode_google
from providers.wire.openai_chat.response import decode_usage as decode_chat
from providers.wire.openai_responses.response import decode_usage as decode_responses
from providers.wire.rules.usage_search import USAGE_KEYS, usage_in

HEAD_BYTES: Final = 256 * 1024
TAIL_BYTES: Final = 1024 * 1024
"""Bytes read at the start and at the end of a longer stream: its first and its last events carry
the usage.
"""
MAX_JSON_BYTES: Final = 32 * 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_TAG: Final = b"sage"
"""Part of `usage`, `usageMetadata` and `usage_metadata`: events without it are not parsed."""
_DECODERS: Final = {
    ANTHROPIC_MESSAGES: decode_anthropic,
    OPENAI_CHAT: decode_chat,
    OPENAI_RESPONSES: decode_responses,
    GOOGLE_GENERATE: decode_google,
}
_ODD: Final = (ValueError, TypeError, AttributeError, KeyError, RecursionError, BadUpstreamStream)


@dataclass(frozen=True, slots=True)
class Metered:
    """A response's cost in tokens, and the model that it names ("" when it names none)."""

    usage: Usage
    model: str = ""


def usage_of_body(body: bytes) -> Metered | None:
    """Return the usage of a decoded body; None when it has none. Never raises."""
    try:
        if is_events(body):
            return _usage_of(_stream_events(body), streamed=True)
        if _TAG not in body or len(body) > MAX_JSON_BYTES:
            return None
        parsed = lenient_loads(body)
        # Google's stream without `alt=sse` is an array of chunks.
        events = parsed if isinstance(parsed, list) else [parsed]
        return _usage_of(events, streamed=False)
    except _ODD:
        return None


def usage_of_messages(messages: Iterable[bytes]) -> Metered | None:
    """Add up the usage of the responses that a provider sent on one websocket. Never raises."""
    total: Metered | None = None
    for message in messages:
        if _TAG not in message:
            continue
        metered = usage_of_body(message)
        if metered is None:
            continue
        if total is None:
            total = metered
        else:
            total = Metered(_sum(total.usage, metered.usage), metered.model or total.model)
    return total


def _stream_events(body: bytes) -> Iterator[Any]:
    body = body.removeprefix(_BOM)
    parts = [body]
    if len(body) > HEAD_BYTES + TAIL_BYTES:
        # The last event may be longer than the tail: it repeats the complete response.
        tail_start = body.rfind(b"\n", 0, len(body) - TAIL_BYTES) + 1
        parts = [body[:HEAD_BYTES], body[max(tail_start, HEAD_BYTES) :]]
    for part in parts:
        # Nearly always an event's data is one line; a search for those is ten times faster than
        # parsing all events.
        parsed = [_parsed(line) for line in _tagged_lines(part)]
        events = [event for event in parsed if event is not None]
        yield from events or _parsed_events(part)


def _tagged_lines(part: bytes) -> Iterator[bytes]:
    """Yield the data of the lines that hold the tag.

    Example: `data: {"a": 1}\\n\\ndata: {"usage": 2}\\n` → ` {"usage": 2}`.
    """
    position = part.find(_TAG)
    while position >= 0:
        start = part.rfind(b"\n", 0, position) + 1
        end = part.find(b"\n", position)
        if end < 0:
            end = len(part)
        if part.startswith(b"data:", start):
            yield part[start + len(b"data:") : end]
        position = part.find(_TAG, end)


def _parsed_events(part: bytes) -> Iterator[Any]:
    if _TAG not in part:
        return
    parser = SseParser()
    for event in [*parser.feed(part), *parser.flush()]:
        if _TAG not in event.data:
            continue
        parsed = _parsed(event.data)
        if parsed is not None:
            yield parsed


def _parsed(data: bytes) -> Any:
    """Return the JSON value, or None where the stream's end or our own cut divided it."""
    try:
        return lenient_loads(data)
    except (ValueError, RecursionError):
        return None


def _usage_of(events: Iterable[Any], *, streamed: bool) -> Metered | None:
    """Merge the usage objects of all events; a later field replaces an earlier one.

    Example: `message_start` with `{"input_tokens": 9, "output_tokens": 1}` and `message_delta` with
    `{"output_tokens": 40}` → 9 input and 40 output tokens.
    """
    raw: dict[str, Any] = {}
    model = ""
    for event in events:
        if not isinstance(event, dict):
            continue
        is_start = streamed and event.get("type") == "message_start"
        for holder in (event, event.get("message"), event.get("response")):
            usage = _usage_in(holder)
            if usage is None:
                continue
            model = _model_in(holder) or model
            for key, value in usage.items():
                # The first event's output is a guess that the last one corrects.
                is_guess = is_start and key == "output_tokens"
                if value is not None and not is_guess:
                    raw[key] = value
    if not raw:
        return None
    decoded = _DECODERS[_shape(raw)](raw)
    if decoded is None or _is_empty(decoded):
        return None
    return Metered(decoded, model)


def _usage_in(holder: Any) -> dict[str, Any] | None:
    if not isinstance(holder, dict):
        return None
    for name in USAGE_KEYS:
        usage = holder.get(name)
        if isinstance(usage, dict) and usage:
            return usage
    return usage_in(holder)


def _model_in(holder: Any) -> str:
    model = holder.get("model") or holder.get("modelVersion")
    return model if isinstance(model, str) else ""


def _shape(raw: dict[str, Any]) -> WireFormatName:
    if any(key.startswith(("prompt_tokens", "completion_tokens")) for key in raw):
        return OPENAI_CHAT
    if any(key.endswith(("TokenCount", "_token_count")) for key in raw):
        return GOOGLE_GENERATE
    # Both other formats have input_tokens and output_tokens; only OpenAI adds them up.
    if "total_tokens" in raw or "input_tokens_details" in raw:
        return OPENAI_RESPONSES
    return ANTHROPIC_MESSAGES


def _is_empty(usage: Usage) -> bool:
    return usage.input_tokens is None and usage.output_tokens is None


def _sum(one: Usage, other: Usage) -> Usage:
    total = Usage(service_tier=other.service_tier or one.service_tier)
    for column in fields(Usage):
        if column.name == "service_tier":
            continue
        values = [getattr(one, column.name), getattr(other, column.name)]
        known = [value for value in values if value is not None]
        # Unknown stays None: 0 would claim that the provider reported it.
        setattr(total, column.name, sum(known) if known else None)
    return total
