"""Texts of one flow that a search finds: parts of its bodies, and its names and headers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from flows.bodies.store import load_bodies
from flows.models import Flow, WebSocketMessage
from flows.reading.body_view import BodyView
from flows.search.body_parts import Part, message_parts, request_parts, response_parts
from flows.sides import FlowSide

MAX_MESSAGES: Final = 2000
_DELTA: Final = b".delta"
NAME_FIELDS: Final = (
    "id", "method", "host", "path", "requested_model", "sent_model", "provider", "rule", "error",
    "session_id", "run_label", "run_command", "user_agent", "conversation_id",
)  # fmt: skip
"""Columns of a flow that are indexed, and stored nowhere else."""
_COMMON_HEADERS: Final = frozenset(
    {
        "accept", "accept-encoding", "accept-language", "alt-svc", "cache-control", "connection",
        "content-encoding", "content-length", "content-type", "date", "host", "keep-alive",
        "server", "strict-transport-security", "transfer-encoding", "user-agent", "vary", "via",
    }
)  # fmt: skip
"""Headers that nearly every flow has alike: the filter by header finds them."""


def parts_of_flow(
    flow: Flow, sides: Mapping[str, FlowSide], view: Callable[[FlowSide], BodyView]
) -> Iterator[Part]:
    """Yield the parts of a flow's bodies: client and provider first, then what differs of them.

    `view` returns the body of a side.
    """
    if flow.is_websocket:
        yield from _messages(flow)
    read: set[str] = set()
    for name in ("client", "forwarded", "upstream", "delivered"):
        side = sides.get(name)
        if side is None or not side.body_digest or side.body_digest in read:
            continue
        read.add(side.body_digest)
        body = view(side)
        is_request = name in ("client", "forwarded")
        found = request_parts(body) if is_request else response_parts(body)
        yield from found
    if flow.search_text and not read:
        # The bodies were not kept, or there were none.
        yield Part("text", flow.search_text)


def _messages(flow: Flow) -> Iterator[Part]:
    newest = WebSocketMessage.objects.filter(flow_id=flow.pk, is_text=True).order_by("-seq")
    messages = list(reversed(newest[:MAX_MESSAGES]))
    bodies = load_bodies(message.body_digest for message in messages)
    for message in messages:
        data = bodies.get(message.body_digest, b"")
        # What deltas say stands in the message that completes them.
        if data and _DELTA not in data[:80]:
            sender = "client" if message.from_client else "provider"
            yield from message_parts(data, f"message {message.seq + 1} of the {sender}")


def names_of(values: Sequence[Any], headers: str) -> list[str]:
    """Return the names of a flow and its headers, one a line: "x-request-id: 7".

    Args:
        values: the columns of `NAME_FIELDS`.
        headers: the text of `FlowParts.headers`.
    """
    names = [str(value) for value in values if value]
    return [*names, *header_lines(headers)]


def header_lines(headers: str) -> list[str]:
    """Return the headers of all sides that are indexed, each once."""
    lines: dict[str, None] = {}
    for headers_of_side in orjson.loads(headers or "[]"):
        for name, value, *_ in headers_of_side:
            if name.lower() not in _COMMON_HEADERS:
                lines[f"{name}: {value}"] = None
    return list(lines)
