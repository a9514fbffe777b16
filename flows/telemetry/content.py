"""Prompts and responses as attributes of the GenAI conventions: the setting `otel.capture_content`.

Made from the redacted bodies, as JSON texts, and bounded: the oldest messages give way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast, get_args

import orjson

from flows.bytes.database_text import storable_text
from flows.failure import is_error_status
from flows.reading.json_text import parse_json
from flows.telemetry import conventions as names
from flows.telemetry.finished_flow import FinishedFlow
from flows.telemetry.otlp_span import Value
from flows.telemetry.response_summary import summary_of_body
from providers.base.errors import CcproxyError
from providers.base.names import WireFormatName
from providers.wire.core.ir import Block, Text, Thinking, ToolCall, ToolResult
from providers.wire.response_reading import read_response
from providers.wire.translate import decoded_request

MAX_BYTES: Final = 32 * 1024
"""Size of one attribute."""
MAX_TEXT_CHARS: Final = 8 * 1024
"""Longer texts within it are cut."""
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
_ODD: Final = (CcproxyError, ValueError, TypeError, AttributeError, KeyError, RecursionError)
Json = dict[str, Any]


def content_of(flow: FinishedFlow) -> dict[str, Value | None]:
    """Return the messages of a call of a model; nothing of a body that cannot be read."""
    return {**_asked(flow), **_answered(flow)}


def _asked(flow: FinishedFlow) -> dict[str, Value | None]:
    wire_format = _known_format(flow.row.client_format)
    body = flow.readable("client")
    if wire_format is None or not body or len(body) > MAX_BODY_BYTES:
        return {}
    try:
        parsed = parse_json(body).value
        model, stream = flow.row.requested_model or None, flow.row.is_stream
        request = decoded_request(parsed, wire_format, model=model, stream=stream)
        messages = [{"role": turn.role, "parts": [*_parts(turn.blocks)]} for turn in request.turns]
        system = [*_parts(request.system)]
    except _ODD:
        return {}
    return {names.INPUT_MESSAGES: _bounded(messages), names.SYSTEM_INSTRUCTIONS: _bounded(system)}


def _answered(flow: FinishedFlow) -> dict[str, Value | None]:
    wire_format = _known_format(flow.row.provider_format or flow.row.client_format)
    body = flow.readable("upstream")
    is_failed = is_error_status(flow.row.status_code)
    if wire_format is None or not body or len(body) > MAX_BODY_BYTES or is_failed:
        return {}
    try:
        response = read_response(body, wire_format)
        message: Json = {"role": "assistant", "parts": [*_parts(response.blocks)]}
    except _ODD:
        return {}
    for reason in summary_of_body(body).finish_reasons[:1]:
        message["finish_reason"] = reason
    return {names.OUTPUT_MESSAGES: _bounded([message])}


def _known_format(name: str) -> WireFormatName | None:
    return cast("WireFormatName", name) if name in get_args(WireFormatName) else None


def _parts(blocks: Iterable[Block]) -> Iterator[Json]:
    """Yield the parts of a message. Images and other media are named, not shown."""
    for block in blocks:
        if isinstance(block, Text):
            yield {"type": "text", "content": _cut(block.text)}
        elif isinstance(block, Thinking):
            yield {"type": "reasoning", "content": _cut(block.text)}
        elif isinstance(block, ToolCall):
            arguments = block.arguments
            if isinstance(arguments, str):
                arguments = _cut(arguments)
            yield {"type": "tool_call", "id": block.id, "name": block.name, "arguments": arguments}
        elif isinstance(block, ToolResult):
            texts = [part.text for part in block.content if isinstance(part, Text)]
            result = _cut("\n".join(texts))
            yield {"type": "tool_call_response", "id": block.call_id, "result": result}
        else:
            yield {"type": getattr(block, "kind", "other")}


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARS else f"{text[:MAX_TEXT_CHARS]}…"


def _bounded(items: Sequence[Json]) -> str | None:
    """Return the newest items as JSON of at most `MAX_BYTES`; None when there is none."""
    kept: list[str] = []
    size_bytes = 2
    for item in reversed(items):
        text = orjson.dumps(_storable(item)).decode()
        size_bytes += len(text.encode()) + 1
        if size_bytes > MAX_BYTES:
            break
        kept.append(text)
    return f"[{','.join(reversed(kept))}]" if kept else None


def _storable(value: Any) -> Any:
    """Return the value with texts that are valid UTF-8."""
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, dict):
        return {storable_text(str(key)): _storable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    return value
