"""Ids of traces and spans, and the W3C header that carries them (Trace Context, level 1). Pure.

The ids of a flow's spans follow from the flow's id. So a record that is read twice gives the same
spans, and the proxy can name a span before the recorder makes it.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final, NamedTuple

from flows.record import FlowRecord, Headers

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
UPSTREAM, STEPS, ATTEMPTS = 1, 0x100, 0x10000
"""Numbers of a flow's parts: the provider's, the first step's, the first attempt's."""
_SPREAD: Final = 0x9E3779B97F4A7C15
_MASK: Final = 2**64 - 1
MAX_STATE_CHARS: Final = 512
_SAMPLED: Final = 0x01
# version, trace id, parent's span id, flags; later versions may append fields.
_HEADER: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACE_ID_BYTES: Final = 16


class TraceContext(NamedTuple):
    """Trace that a flow belongs to.

    `parent_id` is empty where the flow begins the trace. Ids are bytes, 16 and 8 of them.
    """

    trace_id: bytes
    parent_id: bytes = b""
    state: str = ""
    is_sampled: bool = True


def context_of(record: FlowRecord) -> TraceContext:
    """Return the context that the client sent, or a trace of the flow's own."""
    headers = record.sides[0].headers if record.sides else ()
    return incoming_context(headers) or TraceContext(trace_id_of(record.id))


def incoming_context(headers: Headers) -> TraceContext | None:
    """Return the context in a request's headers; None without a valid one.

    Several `traceparent` headers are as good as none.
    """
    parents: list[str] = []
    states: list[str] = []
    for name, value in headers:
        # The length spares most names their lower().
        if len(name) not in (len(TRACEPARENT), len(TRACESTATE)):
            continue
        lower = name.lower()
        if lower == TRACEPARENT:
            parents.append(value)
        elif lower == TRACESTATE:
            states.append(value)
    if len(parents) != 1:
        return None
    return _parse(parents[0].strip(), ",".join(states))


def _parse(header: str, state: str) -> TraceContext | None:
    found = _HEADER.fullmatch(header)
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more):
        return None
    if not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    if len(state) > MAX_STATE_CHARS or not state.isascii():
        state = ""
    is_sampled = bool(int(flags, 16) & _SAMPLED)
    return TraceContext(bytes.fromhex(trace_id), bytes.fromhex(parent_id), state, is_sampled)


def trace_id_of(flow_id: str) -> bytes:
    """Return the id of the trace that a flow begins.

    A UUID is its own trace id (the same 32 digits), so that people find one by the other.
    """
    digits = flow_id.replace("-", "")
    if len(digits) == 2 * _TRACE_ID_BYTES:
        try:
            found = bytes.fromhex(digits)
        except ValueError:
            found = b""
        # fromhex() skips white space, and zero is no id.
        if len(found) == _TRACE_ID_BYTES and any(found):
            return found
    return blake2b(flow_id.encode("utf-8", "replace"), digest_size=16).digest()


def span_id_of(flow_id: str) -> bytes:
    """Return the id of a flow's span."""
    return blake2b(flow_id.encode("utf-8", "replace"), digest_size=8).digest()


def part_id_of(span_id: bytes, part: int) -> bytes:
    """Return the id of the span of a flow's part: the flow's own, and a step for each number."""
    number = int.from_bytes(span_id) + part * _SPREAD & _MASK
    # Zero is no id.
    return (number or 1).to_bytes(8)


def part_ids_of(span_id: bytes, first_part: int, number: int) -> list[bytes]:
    """Return the ids of the spans of several parts, numbered one after the other."""
    base = int.from_bytes(span_id) + first_part * _SPREAD
    return [(base + part * _SPREAD & _MASK or 1).to_bytes(8) for part in range(number)]


def traceparent(trace_id: bytes, span_id: bytes, *, is_sampled: bool = True) -> str:
    """Return the header that names a span as the parent of what the receiver does."""
    return f"00-{trace_id.hex()}-{span_id.hex()}-{int(is_sampled):02x}"
