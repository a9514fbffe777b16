"""Token usage out of a provider's own answer: a whole body, an event stream, or a websocket's
messages. Pure.

Usage objects are told apart by their shape, because a gateway may answer in another vendor's words
than its path says. Sources: Anthropic `Usage` and `MessageDeltaUsage`, OpenAI `CompletionUsage` and
`ResponseUsage`, Google `UsageMetadata`; their meaning is decoded by `providers.wire`.
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
from providers.wire.anthropic_messages.response import decode_usage as decode_anthropic
from providers.wire.core.ir import Usage
from providers.wire.core.jsonio import loads
from providers.wire.core.sse import SseParser
from providers.wire.google_generate.response import decode_usage as decode_google
from providers.wire.openai_chat.response import decode_usage as decode_chat
from providers.wire.openai_responses.response import decode_usage as decode_responses

HEAD_BYTES: Final = 256 * 1024
TAIL_BYTES: Final = 1024 * 1024
"""Of a longer stream only its head and tail are read: usage comes with its first and its last
events.
"""
MAX_JSON_BYTES: Final = 32 * 1024 * 1024
_TAG: Final = b"sage"
"""In `usage`, `usageMetadata` and `usage_metadata`: events without it are not parsed."""
_DECODERS: Final = {
    ANTHROPIC_MESSAGES: decode_anthropic,
    OPENAI_CHAT: decode_chat,
    OPENAI_RESPONSES: decode_responses,
    GOOGLE_GENERATE: decode_google,
}
_ODD: Final = (ValueError, TypeError, AttributeError, KeyError, RecursionError, BadUpstreamStream)


@dataclass(frozen=True, slots=True)
class Metered:
    """What an answer cost in tokens, and the model that it names ("" when it names none)."""

    usage: Usage
    model: str = ""


def usage_of_body(body: bytes) -> Metered | None:
    """Usage of a decoded body; None when it says nothing about it. Never raises."""
    try:
        if _is_stream(body):
            return _usage_of(_stream_events(body), streamed=True)
        if _TAG not in body or len(body) > MAX_JSON_BYTES:
            return None
        parsed = loads(body)
        # Google's stream without `alt=sse` is an array of chunks.
        return _usage_of(parsed if isinstance(parsed, list) else [parsed], streamed=False)
    except _ODD:
        return None


def usage_of_messages(messages: Iterable[bytes]) -> Metered | None:
    """Usage of the answers that a provider sent over one websocket, added up. Never raises."""
    total: Metered | None = None
    for message in messages:
        found = usage_of_body(message) if _TAG in message else None
        if found is not None:
            total = (
                found
                if total is None
                else Metered(_sum(total.usage, found.usage), found.model or total.model)
            )
    return total


def _is_stream(body: bytes) -> bool:
    return (
        body[:64]
        .lstrip(b"\xef\xbb\xbf\r\n")
        .startswith((b"data:", b"event:", b":", b"id:", b"retry:"))
    )


def _stream_events(body: bytes) -> Iterator[Any]:
    parts = [body]
    if len(body) > HEAD_BYTES + TAIL_BYTES:
        parts = [body[:HEAD_BYTES], body[-TAIL_BYTES:]]
    for part in parts:
        # Nearly always an event's data is one line; searching for those is ten times faster than
        # parsing all events.
        found = [event for line in _lines(part) if (event := _parsed(line)) is not None]
        yield from found or _parsed_events(part)


def _lines(part: bytes) -> Iterator[bytes]:
    """The data of the lines that hold the tag."""
    at = part.find(_TAG)
    while at >= 0:
        start, end = part.rfind(b"\n", 0, at) + 1, part.find(b"\n", at)
        end = len(part) if end < 0 else end
        if part.startswith(b"data:", start):
            yield part[start + 5 : end]
        at = part.find(_TAG, end)


def _parsed_events(part: bytes) -> Iterator[Any]:
    if _TAG in part:
        parser = SseParser()
        for event in [*parser.feed(part), *parser.flush()]:
            if _TAG in event.data and (parsed := _parsed(event.data)) is not None:
                yield parsed


def _parsed(data: bytes) -> Any:
    """JSON, or None for what was cut by the stream's end or by us."""
    try:
        return loads(data)
    except (ValueError, RecursionError):
        return None


def _usage_of(events: Iterable[Any], *, streamed: bool) -> Metered | None:
    raw: dict[str, Any] = {}
    model = ""
    for event in events:
        if not isinstance(event, dict):
            continue
        for holder in (event, event.get("message"), event.get("response")):
            found = _usage_in(holder)
            if found is None or not isinstance(holder, dict):
                continue
            named = holder.get("model") or holder.get("modelVersion")
            model = named if isinstance(named, str) else model
            if streamed and event.get("type") == "message_start":
                # What the first event says of the output is a guess that the last one corrects.
                found = {key: value for key, value in found.items() if key != "output_tokens"}
            raw |= {key: value for key, value in found.items() if value is not None}
    usage = _DECODERS[_shape(raw)](raw) if raw else None
    return None if usage is None or _says_nothing(usage) else Metered(usage, model)


def _usage_in(holder: Any) -> dict[str, Any] | None:
    if not isinstance(holder, dict):
        return None
    for name in ("usage", "usageMetadata", "usage_metadata"):
        if isinstance(found := holder.get(name), dict) and found:
            return found
    return None


def _shape(raw: dict[str, Any]) -> WireFormatName:
    if any(key.startswith(("prompt_tokens", "completion_tokens")) for key in raw):
        return OPENAI_CHAT
    if any(key.endswith(("TokenCount", "_token_count")) for key in raw):
        return GOOGLE_GENERATE
    if "total_tokens" in raw or "input_tokens_details" in raw:
        return OPENAI_RESPONSES
    return ANTHROPIC_MESSAGES


def _says_nothing(usage: Usage) -> bool:
    return usage.input_tokens is None and usage.output_tokens is None


def _sum(one: Usage, other: Usage) -> Usage:
    total = Usage(service_tier=other.service_tier or one.service_tier)
    for column in fields(Usage):
        if column.name != "service_tier":
            known = [
                n for n in (getattr(one, column.name), getattr(other, column.name)) if n is not None
            ]
            setattr(total, column.name, sum(known) if known else None)
    return total
