"""Flows as lines of JSON (JSONL), complete: another ccproxy imports the same flows from them. Pure.

The first line names the format. A line with a body comes before the first flow that has it, and
each body stands once: agents repeat their conversation with each request. Bodies are without their
content encoding, and redacted as they are stored.

    {"ccproxy": "flows", "version": 1}
    {"body": "9f2c…", "text": "{\\"model\\": …}"}
    {"flow": {"id": …, "state": "done", …}, "sides": [{"side": "client", "body": "9f2c…", …}], …}
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, Final

import orjson

from flows.bodies.complete_flow import CompleteFlow
from flows.bodies.store import load_bodies
from flows.export.har import redacted_headers
from flows.models import Flow, FlowParts, WebSocketMessage
from flows.sides import FlowSide, HookTrace

CONTENT_TYPE: Final = "application/x-ndjson"
VERSION: Final = 1
RECORD_FIELDS: Final = (
    "id",
    "state",
    "source",
    "method",
    "host",
    "path",
    "client_url",
    "forwarded_url",
    "user_agent",
    "client_format",
    "provider_format",
    "action",
    "provider",
    "provider_type",
    "rule",
    "route",
    "revision",
    "requested_model",
    "sent_model",
    "session_id",
    "conversation_id",
    "credential_injected",
    "shape",
    "shape_problem",
    "run_label",
    "run_command",
    "ja3",
    "ja3_full",
    "ja4",
    "ja4_r",
    "status_code",
    "is_stream",
    "is_websocket",
    "error",
    "connect_ms",
    "first_byte_ms",
    "first_event_ms",
    "duration_ms",
    "event_count",
    "losses",
)
"""Columns that a record has too."""
COLUMNS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
    "price_version",
    "hooks_changed",
    "hooks_ran",
    "bodies_dropped",
    "asked",
    "tool_result",
    "said",
)
"""Columns that the recorder derives; the file's own values count."""
_SIDE_FIELDS: Final = (
    "side",
    "http_version",
    "method",
    "url",
    "status_code",
    "reason",
    "body_size_bytes",
    "body_truncated",
    "chunk_times",
)
_TRACE_FIELDS: Final = (
    "stage",
    "hook",
    "outcome",
    "reason",
    "prepare_ms",
    "apply_ms",
    "started_ms",
    "changed",
    "url_before",
    "url_after",
    "origins",
)


def flow_lines(flows: Iterable[CompleteFlow]) -> Iterator[bytes]:
    """Write the file line by line; one flow's bodies are in memory at a time."""
    yield _line({"ccproxy": "flows", "version": VERSION})
    written: set[str] = set()
    for flow in flows:
        yield from _flow(flow, written)


def _flow(flow: CompleteFlow, written: set[str]) -> Iterator[bytes]:
    row = flow.flow
    # A flow of an older version may have no parts.
    parts: FlowParts = getattr(row, "parts", None) or FlowParts()
    sides = []
    for side in flow.sides.values():
        name = ""
        if flow.stored(side) is not None and side.body_digest:
            # A side's name for its body: two sides may store it in different encodings.
            name = _body_name(side)
            yield from _body(name, flow.plain(side), written)
        sides.append(_side(side, name))
    traces = parts.traces()
    hook_bodies = load_bodies(digest for trace in traces for digest in _digests(trace))
    for digest, data in hook_bodies.items():
        yield from _body(digest, data, written)
    messages = []
    for message in flow.messages:
        if message.body_digest in flow.bodies:
            yield from _body(message.body_digest, flow.bodies[message.body_digest], written)
        messages.append(_message(message))
    yield _line(
        {
            "flow": _columns(row),
            "sides": sides,
            "hooks": [_trace(trace, hook_bodies) for trace in traces],
            "attempts": [asdict(attempt) for attempt in parts.attempts()],
            "messages": messages,
        }
    )


def _columns(row: Flow) -> dict[str, Any]:
    values: dict[str, Any] = {"started_at": row.started_at.timestamp(), "finished_at": None}
    if row.finished_at is not None:
        values["finished_at"] = row.finished_at.timestamp()
    for name in (*RECORD_FIELDS, *COLUMNS):
        values[name] = getattr(row, name)
    # JSON's numbers would round the price.
    values["cost_usd"] = None if row.cost_usd is None else str(row.cost_usd)
    return values


def _body_name(side: FlowSide) -> str:
    return f"{side.body_digest}-plain"


def _body(name: str, data: bytes, written: set[str]) -> Iterator[bytes]:
    if name in written:
        return
    written.add(name)
    try:
        yield _line({"body": name, "text": data.decode()})
    except UnicodeDecodeError:
        yield _line({"body": name, "base64": base64.b64encode(data).decode()})


def _side(side: FlowSide, body: str) -> dict[str, Any]:
    values = {name: getattr(side, name) for name in _SIDE_FIELDS}
    headers = redacted_headers(side.headers)
    return {**values, "headers": headers, "trailers": side.trailers, "body": body}


def _digests(trace: HookTrace) -> tuple[str, str]:
    return trace.body_before, trace.body_after


def _trace(trace: HookTrace, bodies: dict[str, bytes]) -> dict[str, Any]:
    values = {name: getattr(trace, name) for name in _TRACE_FIELDS}
    for name in ("headers_before", "headers_after"):
        lines = getattr(trace, name)
        values[name] = None if lines is None else redacted_headers(lines)
    for name in ("body_before", "body_after"):
        digest = getattr(trace, name)
        values[name] = digest if digest in bodies else ""
    return values


def _message(message: WebSocketMessage) -> dict[str, Any]:
    return {
        "seq": message.seq,
        "at_ms": message.at_ms,
        "from_client": message.from_client,
        "is_text": message.is_text,
        "body": message.body_digest,
    }


def _line(value: Any) -> bytes:
    return orjson.dumps(value, default=_text) + b"\n"


def _text(value: Any) -> str:
    return str(value)
