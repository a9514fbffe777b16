"""The tabs of a flow's page: each is a function from the flow and the URL's parameters to what its
template shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.urls import reverse

from flows.compare.request_change import compare_requests, rail
from flows.console.context_tab import context_tab
from flows.console.conversation_tab import chat_tab, is_conversation
from flows.display.timing import timing_bar
from flows.live.answer_so_far import answer_since
from flows.models import Flow
from flows.queries import selectors
from flows.queries.selectors import FlowDetail
from flows.reading.body_view import BodyView, body_view, side_body
from flows.reading.sse_events import timed_events
from flows.sides import FlowSide, header

Params = Mapping[str, str]
Context = dict[str, Any]
EVENTS_PER_PAGE: Final = 300
MESSAGES_PER_PAGE: Final = 200


def default_tab(flow: Flow) -> str:
    """What a visitor wants to see first."""
    if flow.is_websocket:
        return "messages"
    return "chat" if is_conversation(flow) else "response"


def tab_names(flow: Flow) -> list[tuple[str, str]]:
    """(name in the URL, label) of the tabs of this flow in order."""
    names = [
        ("chat", "Conversation"),
        ("client", "Client"),
        ("forwarded", "Forwarded"),
        ("response", "Response"),
    ]
    names += [("changes", "Changes"), ("context", "Context"), ("timing", "Timing")]
    return [*names, ("messages", "Messages")] if flow.is_websocket else names


def client_tab(detail: FlowDetail, params: Params) -> Context:
    """What the client sent."""
    return _request_side(detail, detail.sides.get("client"), params)


def forwarded_tab(detail: FlowDetail, params: Params) -> Context:
    """What left the proxy."""
    client, forwarded = detail.sides.get("client"), detail.sides.get("forwarded")
    same = bool(
        client and forwarded and client.body_digest and client.body_digest == forwarded.body_digest
    )
    return {**_request_side(detail, forwarded, params), "same_body": same}


def _request_side(detail: FlowDetail, side: FlowSide | None, params: Params) -> Context:
    bodies = selectors.load_bodies([side.body_digest] if side else [])
    return {"side": side, **_body_context(detail, side_body(side, bodies), params)}


def _body_context(detail: FlowDetail, body: BodyView, params: Params) -> Context:
    view = params.get("view", "")
    if view not in ("tree", "raw") or body.kind != "json":
        view = "tree" if body.kind == "json" else "raw"
    url = reverse("flows:json", args=[detail.flow.pk, body.source]) if body.source else ""
    return {"body": body, "view": view, "tree": body.tree(url) if view == "tree" else ""}


def response_tab(detail: FlowDetail, params: Params) -> Context:
    """The answer as it came from the provider, and as it was delivered where that differs."""
    flow, sides = detail.flow, detail.sides
    upstream, delivered = sides.get("upstream"), sides.get("delivered")
    differs = bool(upstream and delivered and answers_differ(upstream, delivered))
    chosen = delivered if (differs and params.get("side") == "delivered") else upstream or delivered
    context: Context = {"side": chosen, "differs": differs, "live": flow.state == Flow.State.LIVE}
    if flow.state == Flow.State.LIVE:
        return {**context, "partial": answer_since(flow, 0), "view": "answer"}
    body = side_body(chosen, selectors.load_bodies([chosen.body_digest] if chosen else []))
    answer = body.answer()
    views = [
        name for name, there in (("answer", answer), ("events", body.kind == "events")) if there
    ]
    views += ["tree"] if body.kind == "json" else []
    views += ["raw"] if body.plain else []
    view = params.get("view", "")
    view = view if view in views else (views or [""])[0]
    context |= {**_body_context(detail, body, {"view": view}), "views": views, "view": view}
    context["answer"] = answer if view == "answer" else []
    return {**context, **_events(chosen, body, params)} if view == "events" else context


def answers_differ(upstream: FlowSide, delivered: FlowSide) -> bool:
    """Whether the client got something else than the provider sent."""
    if (
        upstream.status_code != delivered.status_code
        or upstream.body_digest != delivered.body_digest
    ):
        return True
    lines = [
        {(line[0].lower(), line[1]) for line in side.headers} for side in (upstream, delivered)
    ]
    return lines[0] != lines[1]


def _events(side: FlowSide | None, body: BodyView, params: Params) -> Context:
    found = timed_events(body.plain, side.chunk_times if side else [], compressed=body.compressed)
    skip = _number(params.get("events", "0"))
    page = found.events[skip : skip + EVENTS_PER_PAGE]
    following = skip + EVENTS_PER_PAGE
    return {
        "events": page,
        "events_note": found.note,
        "events_total": len(found.events),
        "more_events": following if following < len(found.events) else None,
    }


def changes_tab(detail: FlowDetail, params: Params) -> Context:
    """Client against forwarded, or what one hook did."""
    touched = [trace for trace in detail.traces if trace.body_before != trace.body_after]
    bodies = selectors.load_bodies(
        {digest for trace in touched for digest in (trace.body_before, trace.body_after)}
    )
    steps = rail(detail.traces, bodies, _type_of(detail))
    wanted = params.get("hook", "")
    step = next((step for step in steps if str(step.trace.seq) == wanted), None)
    if step is not None:
        trace = step.trace
        digests = (trace.body_before, trace.body_after)
        change = compare_requests(
            urls=(trace.url_before, trace.url_after),
            headers=(trace.headers_before or [], trace.headers_after or []),
            bodies=_plain_pair(digests, _type_of(detail), ("", "")),
        )
        return {"rail": steps, "step": step, "change": change, "traced": bool(detail.traces)}
    client, forwarded = detail.sides.get("client"), detail.sides.get("forwarded")
    if client is None or forwarded is None:
        return {"rail": steps, "step": None, "change": None}
    encodings = tuple(
        "" if s.body_decoded else header(s.headers, "content-encoding") for s in (client, forwarded)
    )
    change = compare_requests(
        urls=(client.url, forwarded.url),
        headers=(client.headers, forwarded.headers),
        bodies=_plain_pair(
            (client.body_digest, forwarded.body_digest),
            _type_of(detail),
            (encodings[0], encodings[1]),
        ),
    )
    return {"rail": steps, "step": None, "change": change}


def _type_of(detail: FlowDetail) -> str:
    side = detail.sides.get("client")
    return header(side.headers, "content-type") if side else ""


def _plain_pair(
    digests: tuple[str, str], content_type: str, encodings: tuple[str, str]
) -> tuple[BodyView | None, BodyView | None]:
    """Both bodies, or two None when they are the same or were not kept."""
    if digests[0] == digests[1]:
        return None, None
    stored = selectors.load_bodies(digests)
    before, after = (
        body_view("", stored.get(digest, b""), content_type, encoding)
        for digest, encoding in zip(digests, encodings, strict=True)
    )
    return before, after


def timing_tab(detail: FlowDetail, params: Params) -> Context:
    """Where the time went."""
    del params
    side = detail.sides.get("upstream") or detail.sides.get("delivered")
    return {
        "bar": timing_bar(detail.flow, side.chunk_times if side else []),
        "traces": detail.traces,
        "attempts": detail.attempts,
    }


def messages_tab(detail: FlowDetail, params: Params) -> Context:
    """A page of the websocket's messages."""
    after = _number(params.get("after", "")) if params.get("after") else -1
    found = selectors.messages(detail.flow.pk, after_seq=after, limit=MESSAGES_PER_PAGE + 1)
    page = found[:MESSAGES_PER_PAGE]
    bodies = selectors.load_bodies(message.body_digest for message in page)
    shown = [
        (message, body_view(f"message-{message.seq}", bodies.get(message.body_digest, b"")))
        for message in page
    ]
    return {
        "passed": shown,
        "more_messages": page[-1].seq if len(found) > MESSAGES_PER_PAGE else None,
    }


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


TABS: Final[dict[str, Callable[[FlowDetail, Params], Context]]] = {
    "chat": chat_tab,
    "client": client_tab,
    "forwarded": forwarded_tab,
    "response": response_tab,
    "changes": changes_tab,
    "context": context_tab,
    "timing": timing_tab,
    "messages": messages_tab,
}
