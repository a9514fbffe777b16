"""Texts of one flow that a search finds: parts of its bodies, and its names and headers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from flows.bodies.store import load_bodies
from flows.models import Flow, WebSocketMessage
from flows.reading.body_view import BodyView
from flows.search.body_parts import (
    Part,
    added_parts,
    message_parts,
    request_parts,
    response_parts,
)
from flows.sides import FlowSide

MAX_MESSAGES: Final = 2000
_DELTA: Final = b".delta"
_REQUESTS: Final = ("client", "forwarded")
_RESPONSES: Final = ("upstream", "delivered")
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


class FlowTexts(NamedTuple):
    """Parts of a flow: of websocket messages, of its request, and of its response."""

    messages: list[Part]
    request: list[Part]
    response: list[Part]

    @property
    def parts(self) -> list[Part]:
        """All of them."""
        return [*self.messages, *self.request, *self.response]


def texts_of_flow(
    flow: Flow, sides: Mapping[str, FlowSide], view: Callable[[FlowSide], BodyView]
) -> FlowTexts:
    """Return the parts of a flow's bodies: client and provider first, then what differs of them.

    `view` returns the body of a side.
    """
    messages = list(_messages(flow)) if flow.is_websocket else []
    requests = distinct_sides(sides, _REQUESTS)
    request = [part for side in requests for part in request_parts(view(side))]
    responses = distinct_sides(sides, _RESPONSES)
    response = [part for side in responses for part in response_parts(view(side))]
    if flow.search_text and not requests and not responses:
        # The bodies were not kept, or there were none.
        response.append(Part("text", flow.search_text))
    return FlowTexts(messages, request, response)


class NextRequest(NamedTuple):
    """A request without its first messages, which an earlier one has too."""

    body: dict[str, Any]
    left_out: int


def texts_of_next(
    request: NextRequest, sides: Mapping[str, FlowSide], view: Callable[[FlowSide], BodyView]
) -> FlowTexts | None:
    """Return the parts of a flow, those messages aside that it repeats; None where it has to be
    read completely: its client sent another body than the provider got.
    """
    if len(distinct_sides(sides, _REQUESTS)) != 1:
        return None
    added = list(added_parts(*request))
    responses = distinct_sides(sides, _RESPONSES)
    response = [part for side in responses for part in response_parts(view(side))]
    return FlowTexts([], added, response)


def distinct_sides(sides: Mapping[str, FlowSide], names: Sequence[str]) -> list[FlowSide]:
    """Return those of these sides that have a body, each body once."""
    found: dict[str, FlowSide] = {}
    for name in names:
        side = sides.get(name)
        if side is not None and side.body_digest:
            found.setdefault(side.body_digest, side)
    return list(found.values())


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


def has_header_line(name: str) -> bool:
    """Return whether headers of this name are indexed, each as `header_line` writes it."""
    return name.lower() not in _COMMON_HEADERS


def header_line(name: str, value: str) -> str:
    """Write a header as it is indexed: "x-request-id: 7"."""
    return f"{name}: {value}"


def header_lines(headers: str) -> list[str]:
    """Return the headers of all sides that are indexed, each once."""
    lines: dict[str, None] = {}
    for headers_of_side in orjson.loads(headers or "[]"):
        for name, value, *_ in headers_of_side:
            if has_header_line(name):
                lines[header_line(name, value)] = None
    return list(lines)
