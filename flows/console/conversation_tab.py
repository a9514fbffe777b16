"""The Conversation tab: what was said, as chat, as JSON or raw, from the client's side or as it
left the proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from django.urls import reverse

from flows.live.answer_so_far import answer_since
from flows.models import Flow
from flows.queries import selectors
from flows.queries.selectors import FlowDetail, Previous
from flows.reading.body_view import BodyView, side_body
from flows.reading.conversation import Conversation, conversation, image_bytes, images
from flows.reading.decoded import Answer, format_of, read_answer, read_request
from flows.reading.websocket_chat import socket_exchange
from flows.sides import FlowSide
from providers.base.names import OPENAI_RESPONSES as RESPONSES
from providers.base.names import WIRE_FORMATS, WireFormatName
from providers.wire.core.ir import Request

Context = dict[str, Any]
VIEWS: Final = ("chat", "json", "raw")
MAX_IMAGES: Final = 10_000
_ANSWER_OF: Final = {"client": "delivered", "forwarded": "upstream"}


def is_conversation(flow: Flow) -> bool:
    """Whether a flow is a question to a model that the Conversation tab can show."""
    return (
        not flow.is_websocket
        and format_of(flow.client_format, flow.client_url or flow.path) is not None
    )


def chat_tab(detail: FlowDetail, params: Mapping[str, str]) -> Context:
    """Turns of the request and the answer; `part=forwarded` shows them as they left the proxy."""
    if detail.flow.is_websocket:
        return _socket_tab(detail.flow, params)
    flow, sides = detail.flow, detail.sides
    part = "forwarded" if params.get("part") == "forwarded" and "forwarded" in sides else "client"
    view = params.get("view", "")
    request_side, answer_side = (
        sides.get(part),
        sides.get(_ANSWER_OF[part]) or sides.get("upstream"),
    )
    wire = side_format(flow, request_side, part)
    previous = selectors.previous_flow(flow, (part,)) if wire else None
    bodies = selectors.load_bodies(
        [side.body_digest for side in (request_side, answer_side, *_sides_of(previous)) if side]
    )
    asked, answered = side_body(request_side, bodies), side_body(answer_side, bodies)
    context: Context = {
        "part": part,
        "view": view if view in VIEWS else "chat",
        "parts": [name for name in ("client", "forwarded") if name in sides],
        "wire": WIRE_FORMATS.get(wire) if wire else "",
        "live": flow.state == Flow.State.LIVE,
        "every": params.get("all") == "1",
        "previous": previous.flow if previous else None,
        "bodies": [
            _shown(flow, body, heading)
            for body, heading in ((asked, "Request"), (answered, "Answer"))
        ],
    }
    if context["live"]:
        context["partial"] = answer_since(flow, 0)
    if context["view"] != "chat" or wire is None:
        return context | {"chat": None, "notes": _no_chat(wire)}
    answer = (
        None
        if context["live"]
        else read_answer(wire, answered.plain, answer_side.status_code if answer_side else None)
    )
    chat, notes = _chat(
        flow, wire, part, (request_side, asked), answer, _before(previous, part, bodies), params
    )
    return context | {
        "chat": chat,
        "folds": (chat.system, chat.tools),
        "answer": answer,
        "notes": notes,
    }


def _socket_tab(flow: Flow, params: Mapping[str, str]) -> Context:
    """The conversation of a websocket, put together from its messages."""
    every = params.get("all") == "1"
    messages = selectors.telling_messages(flow.pk)
    bodies = selectors.load_bodies(message.body_digest for message in messages)
    frames = [(message.from_client, bodies.get(message.body_digest, b"")) for message in messages]
    request, answer = socket_exchange(frames)
    context: Context = {
        "part": "client",
        "view": "chat",
        "parts": [],
        "every": every,
        "live": False,
        "bodies": [],
    }
    if request is None:
        return context | {
            "chat": None,
            "notes": ["No question to a model passed here; the messages have their own tab."],
        }
    chat = conversation(request, answer, lambda number: "", every=every)
    notes = ["Put together from the websocket's messages."] + (
        [answer.note] if answer and answer.note else []
    )
    folds = (chat.system, chat.tools)
    return context | {
        "chat": chat,
        "folds": folds,
        "answer": answer,
        "notes": notes,
        "wire": WIRE_FORMATS[RESPONSES],
    }


def side_format(flow: Flow, side: FlowSide | None, part: str) -> WireFormatName | None:
    """The format that one side speaks, or None when that is no conversation."""
    if flow.is_websocket or not is_conversation(flow):
        return None
    named = flow.provider_format if part == "forwarded" else flow.client_format
    fallback = flow.forwarded_url if part == "forwarded" else flow.client_url
    return format_of(named, (side.url if side else "") or fallback or flow.path)


def request_of(
    flow: Flow, side: FlowSide | None, body: BodyView, part: str
) -> tuple[Request | None, str]:
    """The request of one side, or why it cannot be read."""
    wire = side_format(flow, side, part)
    if wire is None or side is None:
        return None, "The request was not recorded."
    if body.kind == "lost":
        return None, "The request's body is not stored any more."
    return read_request(wire, side.url or flow.path, body.plain)


def chat_image(detail: FlowDetail | None, part: str, number: int) -> tuple[bytes, str] | None:
    """Bytes and media type of a request's image by its number in the conversation."""
    side = detail.sides.get(part) if detail else None
    if detail is None or side is None or part not in _ANSWER_OF:
        return None
    request, _ = request_of(
        detail.flow, side, side_body(side, selectors.load_bodies([side.body_digest])), part
    )
    media = (
        next(islice(images(request), number, None), None)
        if request and number < MAX_IMAGES
        else None
    )
    return None if media is None else image_bytes(media)


def _chat(
    flow: Flow,
    wire: WireFormatName,
    part: str,
    asked: tuple[FlowSide | None, BodyView],
    answer: Answer | None,
    before: Request | None,
    params: Mapping[str, str],
) -> tuple[Conversation, list[str]]:
    request, note = request_of(flow, *asked, part)
    notes = [text for text in (note, answer.note if answer else "") if text]
    if request is None:
        request = Request(wire)

    def image_url(number: int) -> str:
        return reverse("flows:image", args=[flow.pk, part, number])

    return conversation(
        request, answer, image_url, previous=before, every=params.get("all") == "1"
    ), notes


def _before(previous: Previous | None, part: str, bodies: dict[str, bytes]) -> Request | None:
    side = previous.sides.get(part) if previous else None
    if previous is None or side is None:
        return None
    return request_of(previous.flow, side, side_body(side, bodies), part)[0]


def _sides_of(previous: Previous | None) -> list[FlowSide]:
    return list(previous.sides.values()) if previous else []


def _shown(flow: Flow, body: BodyView, heading: str) -> Context:
    url = reverse("flows:json", args=[flow.pk, body.source]) if body.source else ""
    return {"heading": heading, "body": body, "tree": body.tree(url) if body.kind == "json" else ""}


def _no_chat(wire: WireFormatName | None) -> list[str]:
    if wire is not None:
        return []
    return ["This is no conversation with a model; the other tabs show what was sent."]
