"""Tabs of a flow's page: functions from a flow and the URL's parameters to a context."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from django.urls import reverse

from flows.compare.compared_request import ComparedRequest
from flows.compare.request_change import RequestChange, compare_requests, rail
from flows.compare.shape_origins import shape_origins
from flows.console.context_tab import context_tab
from flows.console.conversation_tab import chat_tab, is_conversation
from flows.display.timing import timing_bar
from flows.lineage.turn_rows import turns_of
from flows.live.answer_so_far import answer_since
from flows.models import Flow
from flows.queries import selectors
from flows.queries.selectors import FlowDetail
from flows.reading.body_view import BodyView, body_view, side_body
from flows.reading.sse_events import timed_events
from flows.sides import FlowSide, HookTrace, header

Params = Mapping[str, str]
Context = dict[str, Any]
EVENTS_PER_PAGE: Final = 300
MESSAGES_PER_PAGE: Final = 200
_MAX_DIGITS: Final = 9


class Tab(NamedTuple):
    """A tab's name in the URL, and its label."""

    name: str
    label: str


_REQUEST_TABS: Final = (
    Tab("chat", "Conversation"),
    Tab("client", "Client"),
    Tab("forwarded", "Forwarded"),
    Tab("response", "Response"),
    Tab("changes", "Changes"),
    Tab("context", "Context"),
    Tab("timing", "Timing"),
)
_SOCKET_TABS: Final = (Tab("messages", "Messages"), Tab("turns", "Turns"))


def default_tab(flow: Flow) -> str:
    """Return the name of the tab that opens first."""
    if flow.is_websocket:
        return "messages"
    if is_conversation(flow):
        return "chat"
    return "response"


def tab_names(flow: Flow) -> list[Tab]:
    """Return the tabs of this flow in order."""
    if flow.is_websocket:
        return [*_REQUEST_TABS, *_SOCKET_TABS]
    return list(_REQUEST_TABS)


def client_tab(detail: FlowDetail, params: Params) -> Context:
    """Show the request as the client sent it."""
    return _request_side(detail, detail.sides.get("client"), params)


def forwarded_tab(detail: FlowDetail, params: Params) -> Context:
    """Show the request as it left the proxy."""
    client = detail.sides.get("client")
    forwarded = detail.sides.get("forwarded")
    same_body = False
    if client and forwarded and client.body_digest:
        same_body = client.body_digest == forwarded.body_digest
    return {**_request_side(detail, forwarded, params), "same_body": same_body}


def _request_side(detail: FlowDetail, side: FlowSide | None, params: Params) -> Context:
    body = _loaded_body(side)
    return {"side": side, **_body_context(detail, body, params.get("view", ""))}


def _loaded_body(side: FlowSide | None) -> BodyView:
    digests = [side.body_digest] if side else []
    return side_body(side, selectors.load_bodies(digests))


def _body_context(detail: FlowDetail, body: BodyView, view: str) -> Context:
    is_json = body.kind == "json"
    if not is_json or view not in ("tree", "raw"):
        view = "tree" if is_json else "raw"
    tree = ""
    if view == "tree":
        url = reverse("flows:json", args=[detail.flow.pk, body.source]) if body.source else ""
        tree = body.tree(url)
    return {"body": body, "view": view, "tree": tree}


def response_tab(detail: FlowDetail, params: Params) -> Context:
    """Show the response as it came from the provider, or with `side=delivered` as delivered."""
    flow = detail.flow
    upstream = detail.sides.get("upstream")
    delivered = detail.sides.get("delivered")
    differs = False
    if upstream and delivered:
        differs = answers_differ(upstream, delivered)
    side = upstream or delivered
    if differs and params.get("side") == "delivered":
        side = delivered

    context: Context = {"side": side, "differs": differs, "live": flow.state == Flow.State.LIVE}
    if flow.state == Flow.State.LIVE:
        return {**context, **_running_response(flow, side, params)}
    return {**context, **_finished_response(detail, side, params)}


def _running_response(flow: Flow, side: FlowSide | None, params: Params) -> Context:
    """Show the text so far, or with `view=events` the newest events that were recorded."""
    views = ["answer", "events"] if flow.is_stream else ["answer"]
    if params.get("view") != "events" or not flow.is_stream:
        return {"views": views, "view": "answer", "partial": answer_since(flow, 0)}
    body = _loaded_body(side)
    found = timed_events(body.plain, side.chunk_times if side else [], compressed=body.compressed)
    return {
        "views": views,
        "view": "events",
        "events": found.events[-EVENTS_PER_PAGE:],
        "events_note": found.note,
        "events_total": len(found.events),
    }


def _finished_response(detail: FlowDetail, side: FlowSide | None, params: Params) -> Context:
    body = _loaded_body(side)
    answer = body.answer()
    views = _response_views(body, has_text=bool(answer))
    view = params.get("view", "")
    if view not in views:
        view = views[0] if views else ""
    context = _body_context(detail, body, view)
    context["views"] = views
    context["view"] = view
    context["answer"] = answer if view == "answer" else []
    if view == "events":
        context |= _events(side, body, params)
    return context


def _response_views(body: BodyView, *, has_text: bool) -> list[str]:
    views = []
    if has_text:
        views.append("answer")
    if body.kind == "events":
        views.append("events")
    if body.kind == "json":
        views.append("tree")
    if body.plain:
        views.append("raw")
    return views


def answers_differ(upstream: FlowSide, delivered: FlowSide) -> bool:
    """Compare the provider's response with the delivered one: status, body and headers."""
    if upstream.status_code != delivered.status_code:
        return True
    if upstream.body_digest != delivered.body_digest:
        return True
    # Neither the order of headers nor the case of their names means anything.
    return _header_set(upstream) != _header_set(delivered)


def _header_set(side: FlowSide) -> set[tuple[str, str]]:
    lines = set()
    for name, value in side.headers:
        lines.add((name.lower(), value))
    return lines


def _events(side: FlowSide | None, body: BodyView, params: Params) -> Context:
    chunk_times = side.chunk_times if side else []
    found = timed_events(body.plain, chunk_times, compressed=body.compressed)
    start = _number(params.get("events", ""), default=0)
    end = start + EVENTS_PER_PAGE
    return {
        "events": found.events[start:end],
        "events_note": found.note,
        "events_total": len(found.events),
        "more_events": end if end < len(found.events) else None,
    }


def changes_tab(detail: FlowDetail, params: Params) -> Context:
    """Compare the client's request with the forwarded one, or with `hook` one hook's work."""
    bodies = _hook_bodies(detail)
    content_type = _request_type(detail)
    steps = rail(detail.traces, bodies, content_type)
    context: Context = {"rail": steps, "step": None}
    wanted = params.get("hook", "")
    for step in steps:
        if str(step.trace.seq) == wanted:
            change = _hook_change(step.trace, bodies, content_type)
            origins = shape_origins(step.trace.origins)
            return context | {"step": step, "change": change, "traced": True, "origins": origins}
    return context | {"change": _request_change(detail)}


def _hook_bodies(detail: FlowDetail) -> dict[str, bytes]:
    digests: set[str] = set()
    for trace in detail.traces:
        if trace.body_before != trace.body_after:
            digests.update((trace.body_before, trace.body_after))
    return selectors.load_bodies(digests)


def _hook_change(trace: HookTrace, bodies: dict[str, bytes], content_type: str) -> RequestChange:
    before = after = None
    if trace.body_before != trace.body_after:
        before = body_view("", bodies.get(trace.body_before, b""), content_type)
        after = body_view("", bodies.get(trace.body_after, b""), content_type)
    return compare_requests(
        ComparedRequest(trace.url_before, trace.headers_before or [], before),
        ComparedRequest(trace.url_after, trace.headers_after or [], after),
    )


def _request_change(detail: FlowDetail) -> RequestChange | None:
    client = detail.sides.get("client")
    forwarded = detail.sides.get("forwarded")
    if client is None or forwarded is None:
        return None
    before = after = None
    if client.body_digest != forwarded.body_digest:
        bodies = selectors.load_bodies([client.body_digest, forwarded.body_digest])
        content_type = _request_type(detail)
        before = _compared_body(client, bodies, content_type)
        after = _compared_body(forwarded, bodies, content_type)
    return compare_requests(
        ComparedRequest(client.url, client.headers, before),
        ComparedRequest(forwarded.url, forwarded.headers, after),
    )


def _compared_body(side: FlowSide, bodies: dict[str, bytes], content_type: str) -> BodyView:
    stored = bodies.get(side.body_digest, b"")
    encoding = header(side.headers, "content-encoding")
    # The stored bytes lost their encoding when a credential was cut out of them.
    if side.body_decoded:
        encoding = ""
    return body_view("", stored, content_type, encoding)


def _request_type(detail: FlowDetail) -> str:
    side = detail.sides.get("client")
    if side is None:
        return ""
    return header(side.headers, "content-type")


def timing_tab(detail: FlowDetail, params: Params) -> Context:
    """Show the times of the request, the response and each hook."""
    del params
    side = detail.sides.get("upstream") or detail.sides.get("delivered")
    chunk_times = side.chunk_times if side else []
    return {
        "bar": timing_bar(detail.flow, chunk_times),
        "traces": detail.traces,
        "attempts": detail.attempts,
    }


def messages_tab(detail: FlowDetail, params: Params) -> Context:
    """Show a page of the websocket's messages."""
    after = _number(params.get("after", ""), default=-1)
    # One message more than is shown tells if there is another page.
    found = selectors.messages(detail.flow.pk, after_seq=after, limit=MESSAGES_PER_PAGE + 1)
    page = found[:MESSAGES_PER_PAGE]
    bodies = selectors.load_bodies(message.body_digest for message in page)
    passed = []
    for message in page:
        body = bodies.get(message.body_digest, b"")
        view = body_view(f"message-{message.seq}", body)
        passed.append((message, view))
    more = None
    if len(found) > len(page):
        more = page[-1].seq
    return {"passed": passed, "more_messages": more}


def turns_tab(detail: FlowDetail, params: Params) -> Context:
    """Show the turns of a websocket: each request to a model with its response."""
    del params
    return {"turns": turns_of(detail.flow)}


def _number(text: str, *, default: int) -> int:
    if not text:
        return default
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        return int(text)
    return 0


TABS: Final[dict[str, Callable[[FlowDetail, Params], Context]]] = {
    "chat": chat_tab,
    "client": client_tab,
    "forwarded": forwarded_tab,
    "response": response_tab,
    "changes": changes_tab,
    "context": context_tab,
    "timing": timing_tab,
    "messages": messages_tab,
    "turns": turns_tab,
}
