"""Files of our own lines (see `flows.export.flow_lines`) as captured flows. Pure.

The reader takes only values of the right type; what is missing or wrong gets its default.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from flows.export.flow_lines import RECORD_FIELDS, VERSION
from flows.imports.capture_file import CaptureError
from flows.imports.captured_flow import CapturedFlow
from flows.imports.har_reader import SOURCE
from flows.imports.loose_json import count_of, dict_of, is_number, list_of, text_of
from flows.record import (
    SIDES,
    AttemptRecord,
    FlowRecord,
    Headers,
    HookStep,
    SideRecord,
    WebSocketRecord,
)

_MARK: Final = b'{"ccproxy"'
_STATES: Final = ("done", "error")
_OUTCOMES: Final = ("ran", "skipped", "error")
_BOOLEANS: Final = ("credential_injected", "is_stream", "is_websocket")
_DURATIONS: Final = ("connect_ms", "first_byte_ms", "first_event_ms", "duration_ms")
_COUNTS: Final = ("revision", "event_count")
_TOKENS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
_LARGEST_COLUMN: Final = 2**31 - 1
_MAX_LINE_TEXT: Final = 200
_Bodies = dict[str, bytes]


def is_flow_lines(start: bytes) -> bool:
    """Recognise a file by its first line."""
    if not start.startswith(_MARK):
        return False
    head = dict_of(_parsed(start.split(b"\n", 1)[0]))
    return head.get("ccproxy") == "flows"


def records_of_lines(data: bytes) -> Iterator[CapturedFlow | None]:
    """Yield the flows of a file in its order; None for a line that holds no flow.

    Raises:
        CaptureError: a later version wrote the file, or a line is damaged.
    """
    bodies: _Bodies = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        values = _parsed(line)
        if not isinstance(values, dict):
            raise CaptureError(f"Line {number} of this file is not JSON.")
        if "ccproxy" in values:
            if values.get("version") != VERSION:
                raise CaptureError("A later version of ccproxy wrote this file.")
        elif "body" in values:
            bodies[text_of(values["body"])] = _body(values)
        else:
            yield _captured(values, bodies)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _body(values: dict[str, Any]) -> bytes:
    if "text" in values:
        return text_of(values["text"]).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text_of(values.get("base64")), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _captured(values: dict[str, Any], bodies: _Bodies) -> CapturedFlow | None:
    flow = dict_of(values.get("flow"))
    sides = [_side(dict_of(side), bodies) for side in list_of(values.get("sides"))]
    known_sides = tuple(side for side in sides if side is not None)
    started_at = flow.get("started_at")
    has_request = bool(known_sides or text_of(flow.get("method")))
    if not has_request or not is_number(started_at):
        return None
    hooks = [_step(dict_of(step), bodies) for step in list_of(values.get("hooks"))]
    attempts = [_attempt(dict_of(one)) for one in list_of(values.get("attempts"))]
    messages = [_message(dict_of(one), bodies) for one in list_of(values.get("messages"))]
    finished_at = flow.get("finished_at")
    record = FlowRecord(
        started_at=float(started_at),
        finished_at=float(finished_at) if is_number(finished_at) else None,
        sides=known_sides,
        hooks=tuple(hooks),
        attempts=tuple(attempts),
        messages=tuple(messages),
        **_facts(flow),
    )
    return CapturedFlow(record, columns=_columns(flow))


def _facts(flow: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name in RECORD_FIELDS:
        facts[name] = text_of(flow.get(name))
    for name in _BOOLEANS:
        facts[name] = flow.get(name) is True
    for name in _DURATIONS:
        value = flow.get(name)
        facts[name] = float(value) if is_number(value) else None
    for name in _COUNTS:
        facts[name] = _small(flow.get(name)) or 0
    facts["id"] = _id(facts["id"])
    facts["source"] = SOURCE
    facts["status_code"] = _small(flow.get("status_code"))
    # A flow that ran while it was exported does not run here.
    if facts["state"] not in _STATES:
        facts["state"] = "error"
        facts["error"] = facts["error"] or "The flow was still running when it was exported."
    losses = []
    for loss in list_of(flow.get("losses")):
        if isinstance(loss, list) and len(loss) == 2:
            losses.append((text_of(loss[0]), text_of(loss[1])))
    facts["losses"] = tuple(losses)
    return facts


def _id(text: str) -> str:
    """Return the flow's own id; one that is no UUID becomes one that every import gives again."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, text))


def _columns(flow: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that the recorder derived; here they would be derived anew."""
    columns: dict[str, Any] = {}
    for name in _TOKENS:
        columns[name] = _small(flow.get(name))
    for name in ("price_version", "asked", "tool_result", "said"):
        columns[name] = text_of(flow.get(name))[:_MAX_LINE_TEXT]
    columns["price_version"] = columns["price_version"][:64]
    columns["bodies_dropped"] = flow.get("bodies_dropped") is True
    columns["cost_usd"] = _cost(flow.get("cost_usd"))
    names = [name for name in list_of(flow.get("hooks_changed")) if isinstance(name, str)]
    columns["hooks_changed"] = names
    columns["hooks_ran"] = _names(flow.get("hooks_ran"))
    return columns


def _names(value: Any) -> str | None:
    """Return a JSON text of names as the column holds it; None for anything else."""
    names = _parsed(text_of(value).encode("utf-8", "replace"))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return text_of(value)


def _cost(value: Any) -> Decimal | None:
    try:
        cost = Decimal(text_of(value))
    except InvalidOperation:
        return None
    return cost if cost.is_finite() and 0 <= cost < 1_000_000 else None


def _side(values: dict[str, Any], bodies: _Bodies) -> SideRecord | None:
    name = next((side for side in SIDES if side == values.get("side")), None)
    if name is None:
        return None
    body = bodies.get(text_of(values.get("body")))
    times = []
    for pair in list_of(values.get("chunk_times")):
        if isinstance(pair, list) and len(pair) == 2 and all(is_number(one) for one in pair):
            times.append((int(pair[0]), float(pair[1])))
    size_bytes = count_of(values.get("body_size_bytes")) or 0
    return SideRecord(
        side=name,
        http_version=text_of(values.get("http_version")),
        method=text_of(values.get("method")),
        url=text_of(values.get("url")),
        status_code=_small(values.get("status_code")),
        reason=text_of(values.get("reason")),
        headers=_headers(values.get("headers")),
        trailers=_headers(values.get("trailers")),
        body=body,
        body_size_bytes=size_bytes,
        body_truncated=values.get("body_truncated") is True,
        chunk_times=tuple(times),
    )


def _step(values: dict[str, Any], bodies: _Bodies) -> HookStep:
    outcome = next((one for one in _OUTCOMES if one == values.get("outcome")), "ran")
    before = values.get("headers_before")
    after = values.get("headers_after")
    origins = [pair for pair in _headers(values.get("origins")) if all(pair)]
    return HookStep(
        stage=text_of(values.get("stage")),
        hook=text_of(values.get("hook")),
        outcome=outcome,  # type: ignore[arg-type]
        reason=text_of(values.get("reason")),
        prepare_ms=_ms(values.get("prepare_ms")),
        apply_ms=_ms(values.get("apply_ms")),
        started_ms=_ms(values.get("started_ms")),
        changed=tuple(text_of(part) for part in list_of(values.get("changed"))),
        headers_before=None if before is None else _headers(before),
        headers_after=None if after is None else _headers(after),
        url_before=text_of(values.get("url_before")),
        url_after=text_of(values.get("url_after")),
        body_before=bodies.get(text_of(values.get("body_before"))),
        body_after=bodies.get(text_of(values.get("body_after"))),
        origins=tuple(origins),
    )


def _attempt(values: dict[str, Any]) -> AttemptRecord:
    duration_ms = values.get("duration_ms")
    return AttemptRecord(
        number=_small(values.get("number")) or 1,
        reason=text_of(values.get("reason")),
        started_at_ms=_ms(values.get("started_at_ms")),
        duration_ms=float(duration_ms) if is_number(duration_ms) else None,
        status_code=_small(values.get("status_code")),
        host=text_of(values.get("host")),
        wait_ms=_ms(values.get("wait_ms")),
        provider=text_of(values.get("provider")),
        model=text_of(values.get("model")),
        failure=text_of(values.get("failure")),
        sent_bytes=count_of(values.get("sent_bytes")) or 0,
        received_bytes=count_of(values.get("received_bytes")) or 0,
    )


def _message(values: dict[str, Any], bodies: _Bodies) -> WebSocketRecord:
    return WebSocketRecord(
        seq=_small(values.get("seq")) or 0,
        at_ms=_ms(values.get("at_ms")),
        from_client=values.get("from_client") is True,
        is_text=values.get("is_text") is True,
        content=bodies.get(text_of(values.get("body")), b""),
    )


def _headers(value: Any) -> Headers:
    lines = []
    for line in list_of(value):
        if isinstance(line, list) and len(line) == 2:
            lines.append((text_of(line[0]), text_of(line[1])))
    return tuple(lines)


def _ms(value: Any) -> float:
    return float(value) if is_number(value) else 0.0


def _small(value: Any) -> int | None:
    count = count_of(value)
    return count if count is not None and count <= _LARGEST_COLUMN else None
