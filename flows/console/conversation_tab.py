"""The Conversation tab: messages as chat, as JSON or raw, as sent by the client or as forwarded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from django.urls import reverse

from flows.lineage.turn_rows import TurnRow, frames_of, turns_of
from flows.live.answer_so_far import answer_since
from flows.models import Flow
from flows.queries import selectors
from flows.queries.selectors import FlowDetail, Previous
from flows.reading.body_view import BodyView, side_body
from flows.reading.conversation.conversation_view import Conversation, conversation
from flows.reading.conversation.images import ImageFile, image_bytes, images
from flows.reading.decoded import Answer, ReadRequest, format_of, read_answer, read_request
from flows.reading.websocket_chat import socket_exchange
from flows.sides import FlowSide
from providers.base.names import OPENAI_RESPONSES as RESPONSES
from providers.base.names import WIRE_FORMATS, WireFormatName
from providers.wire.core.ir import Request

Context = dict[str, Any]
VIEWS: Final = ("chat", "json", "raw")
MAX_IMAGES: Final = 10_000
_RESPONSE_SIDE: Final = {"client": "delivered", "forwarded": "upstream"}
_NOT_A_CONVERSATION: Final = (
    "This is not a conversation with a model; the other tabs show what was sent."
)


def is_conversation(flow: Flow) -> bool:
    """Check whether the Conversation tab can show a flow: a request to a model."""
    if flow.is_websocket:
        return False
    return format_of(flow.client_format, flow.client_url or flow.path) is not None


def chat_tab(detail: FlowDetail, params: Mapping[str, str]) -> Context:
    """Show the messages of the request and the response.

    `part=forwarded` shows them as they left the proxy.
    """
    flow = detail.flow
    if flow.is_websocket:
        return _socket_tab(flow, params)
    shown = _load_part(detail, params)
    view = params.get("view", "")
    context: Context = {
        "part": shown.part,
        "view": view if view in VIEWS else "chat",
        "parts": [name for name in ("client", "forwarded") if name in detail.sides],
        "wire": WIRE_FORMATS.get(shown.wire) if shown.wire else "",
        "live": shown.is_live,
        "every": params.get("all") == "1",
        "previous": shown.previous.flow if shown.previous else None,
        "bodies": [
            _shown(flow, shown.request_body, "Request"),
            _shown(flow, shown.response_body, "Response"),
        ],
    }
    if shown.is_live:
        context["partial"] = answer_since(flow, 0)
    if shown.wire is None:
        return context | {"chat": None, "notes": [_NOT_A_CONVERSATION]}
    if context["view"] != "chat":
        return context | {"chat": None, "notes": []}
    return context | _messages(shown, shown.wire, every=context["every"])


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a flow as the tab shows it: both sides, their bodies, the previous request.

    `part`: client or forwarded. `wire` is None if it is not a conversation.
    """

    flow: Flow
    part: str
    wire: WireFormatName | None
    request_side: FlowSide | None
    response_side: FlowSide | None
    request_body: BodyView
    response_body: BodyView
    previous: Previous | None
    bodies: dict[str, bytes]
    """All of them by digest, the previous request's too."""

    @property
    def is_live(self) -> bool:
        return self.flow.state == Flow.State.LIVE


def _load_part(detail: FlowDetail, params: Mapping[str, str]) -> _Part:
    flow, sides = detail.flow, detail.sides
    part = "client"
    if params.get("part") == "forwarded" and "forwarded" in sides:
        part = "forwarded"
    request_side = sides.get(part)
    response_side = sides.get(_RESPONSE_SIDE[part]) or sides.get("upstream")
    wire = side_format(flow, request_side, part)
    previous = selectors.previous_flow(flow, (part,)) if wire else None
    bodies = _load_bodies(request_side, response_side, previous)
    return _Part(
        flow=flow,
        part=part,
        wire=wire,
        request_side=request_side,
        response_side=response_side,
        request_body=side_body(request_side, bodies),
        response_body=side_body(response_side, bodies),
        previous=previous,
        bodies=bodies,
    )


def _messages(shown: _Part, wire: WireFormatName, *, every: bool) -> Context:
    # A response that is still arriving is shown by the live view.
    answer = None
    if not shown.is_live:
        status_code = shown.response_side.status_code if shown.response_side else None
        answer = read_answer(wire, shown.response_body.plain, status_code)
    request, note = request_of(shown.flow, shown.request_side, shown.request_body, shown.part)
    chat = conversation(
        # The response can be shown even if the request cannot be read.
        request or Request(wire),
        answer,
        lambda number: reverse("flows:image", args=[shown.flow.pk, shown.part, number]),
        previous=_previous_request(shown.previous, shown.part, shown.bodies),
        every=every,
    )
    return _chat_context(chat, answer, [note])


def _chat_context(chat: Conversation, answer: Answer | None, notes: list[str]) -> Context:
    if answer is not None:
        notes.append(answer.note)
    return {
        "chat": chat,
        "folds": (chat.system, chat.tools),
        "answer": answer,
        "notes": [note for note in notes if note],
    }


def _socket_tab(flow: Flow, params: Mapping[str, str]) -> Context:
    """Show the conversation of a websocket, derived from its messages."""
    turn = chosen_turn(flow, params) if params.get("turn") else None
    if turn is None:
        request, answer = socket_exchange(_telling_frames(flow))
    else:
        upto = [frame for frame in frames_of(flow) if frame.seq <= turn.turn.last_seq]
        request, answer = socket_exchange((frame.from_client, frame.data) for frame in upto)
    every = params.get("all") == "1"
    context: Context = {
        "part": "client",
        "view": "chat",
        "parts": [],
        "every": every,
        "live": False,
        "bodies": [],
    }
    if request is None:
        note = "No request to a model passed here; the messages have their own tab."
        return context | {"chat": None, "notes": [note]}
    # Images of a websocket have no address of their own.
    chat = conversation(request, answer, lambda number: "", every=every)
    of = f"Turn {turn.turn.number}, put" if turn else "Put"
    note = f"{of} together from the websocket's messages."
    context["wire"] = WIRE_FORMATS[RESPONSES]
    return context | _chat_context(chat, answer, [note])


def _telling_frames(flow: Flow) -> list[tuple[bool, bytes]]:
    messages = selectors.telling_messages(flow.pk)
    bodies = selectors.load_bodies(message.body_digest for message in messages)
    return [(message.from_client, bodies.get(message.body_digest, b"")) for message in messages]


def chosen_turn(flow: Flow, params: Mapping[str, str]) -> TurnRow | None:
    """Return the turn of a websocket that the parameter `turn` names, else the last one."""
    turns = turns_of(flow)
    wanted = params.get("turn", "")
    for row in turns:
        if str(row.turn.number) == wanted:
            return row
    return turns[-1] if turns else None


def side_format(flow: Flow, side: FlowSide | None, part: str) -> WireFormatName | None:
    """Return the wire format of one side; None when it is not a conversation."""
    if not is_conversation(flow):
        return None
    recorded = flow.client_format
    fallback_url = flow.client_url
    if part == "forwarded":
        recorded = flow.provider_format
        fallback_url = flow.forwarded_url
    side_url = side.url if side else ""
    return format_of(recorded, side_url or fallback_url or flow.path)


def request_of(flow: Flow, side: FlowSide | None, body: BodyView, part: str) -> ReadRequest:
    """Read the request of one side."""
    wire = side_format(flow, side, part)
    if wire is None or side is None:
        return ReadRequest(None, "The request was not recorded.")
    if body.kind == "lost":
        return ReadRequest(None, "The request's body is not stored any more.")
    return read_request(wire, side.url or flow.path, body.plain)


def chat_image(detail: FlowDetail | None, part: str, number: int) -> ImageFile | None:
    """Return a request's image by its number in the conversation."""
    if detail is None or part not in _RESPONSE_SIDE or number >= MAX_IMAGES:
        return None
    side = detail.sides.get(part)
    if side is None:
        return None
    body = side_body(side, selectors.load_bodies([side.body_digest]))
    request = request_of(detail.flow, side, body, part).request
    if request is None:
        return None
    media = next(islice(images(request), number, None), None)
    return None if media is None else image_bytes(media)


def _load_bodies(
    request_side: FlowSide | None, response_side: FlowSide | None, previous: Previous | None
) -> dict[str, bytes]:
    # All bodies of the page in one query.
    sides = [request_side, response_side]
    if previous is not None:
        sides += previous.sides.values()
    return selectors.load_bodies(side.body_digest for side in sides if side)


def _previous_request(
    previous: Previous | None, part: str, bodies: dict[str, bytes]
) -> Request | None:
    if previous is None:
        return None
    side = previous.sides.get(part)
    if side is None:
        return None
    return request_of(previous.flow, side, side_body(side, bodies), part).request


def _shown(flow: Flow, body: BodyView, heading: str) -> Context:
    tree = ""
    if body.kind == "json":
        url = reverse("flows:json", args=[flow.pk, body.source]) if body.source else ""
        tree = body.tree(url)
    return {"heading": heading, "body": body, "tree": tree}
