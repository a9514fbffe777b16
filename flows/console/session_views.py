"""Pages of sessions: the list, one session."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from flows.console.conversation_tab import request_of
from flows.console.page_access import console_page
from flows.display.safe_text import printable
from flows.export.session_kinds import SESSION_KINDS
from flows.export.session_response import session_response
from flows.models import Flow
from flows.queries import selectors
from flows.queries.rights import VIEW_FLOWS
from flows.queries.sessions import session, session_of
from flows.reading.body_view import side_body
from flows.reading.context_size import ContextSize, context_size
from flows.sessions.context_areas import context_areas
from flows.sessions.session_list import session_page as page_of_sessions
from flows.sessions.session_list import titles_of
from flows.sessions.session_overview import overview
from flows.sessions.session_story import story
from flows.sessions.time_axis import time_axis
from providers.audit.log import caller_of
from providers.wire.core.ir import Media

_TABS: Final = (
    ("conversation", "Conversation"),
    ("timeline", "Requests"),
    ("context", "Context"),
)
_NEWEST_REQUESTS: Final = {"conversation": 60, "timeline": 160}
"""Requests that a tab shows until more are asked for: each takes two milliseconds."""
_SHOWN_ENTRIES: Final = 120
"""Messages of the main conversation that the page shows until all are asked for."""


@console_page(VIEW_FLOWS)
def session_list(request: HttpRequest) -> HttpResponse:
    """Show the sessions, the one with the newest request first."""
    cursor = request.GET.get("cursor", "")
    page = page_of_sessions(cursor)
    return render(request, "flows/sessions.html", {"page": page, "first_page": not cursor})


@console_page(VIEW_FLOWS)
def session_page(request: HttpRequest, session_id: str) -> HttpResponse:
    """Show a session: its conversation, its requests in time, or its context."""
    wanted = request.GET.get("tab", "")
    tab = next((name for name, _ in _TABS if name == wanted), _TABS[0][0])
    most = None if request.GET.get("all") == "1" else _NEWEST_REQUESTS.get(tab)
    found = session(session_id, most)
    if found is None:
        shown_id = printable(session_id)
        return render(request, "flows/no_session.html", {"session_id": shown_id}, status=404)
    title = titles_of([session_id]).get(session_id, "") if found.left_out else ""
    context = {
        "session": found,
        "overview": overview(found, title),
        "has_more": found.left_out > 0 and most is not None,
        "tabs": _TABS,
        "tab": tab,
        "kinds": SESSION_KINDS,
        "panel": f"flows/_session_{tab}.html",
    }
    if tab == "conversation":
        told = story(found, _image_address, newest=_SHOWN_ENTRIES if most else None)
        context |= {"story": told, "entries": told.entries, "hidden": told.hidden}
    elif tab == "timeline":
        context["axis"] = time_axis(found)
    else:
        context["areas"] = context_areas(story(found, _image_address))
        context["context"] = _breakdown(found.newest) if found.newest else None
    return render(request, "flows/session.html", context)


@console_page(VIEW_FLOWS)
def session_export(request: HttpRequest, session_id: str, kind: str) -> HttpResponseBase:
    """Return a session as one file to share."""
    found = session(session_id)
    if found is None or kind not in SESSION_KINDS:
        raise Http404("There is no such session, or no such kind of file.")
    return session_response(found, kind, by=caller_of(request))


@console_page(VIEW_FLOWS)
def flow_export(request: HttpRequest, flow_id: str, kind: str) -> HttpResponseBase:
    """Return one flow as a file to share, in the form of a session with one request."""
    found = None
    if "\0" not in flow_id:
        found = session_of(Flow.objects.filter(pk=flow_id), flow_id)
    if found is None or kind not in SESSION_KINDS:
        raise Http404("There is no such flow, or no such kind of file.")
    return session_response(found, kind, by=caller_of(request))


def _image_address(flow_id: str, number: int, media: Media) -> str:
    del media
    return reverse("flows:image", args=[flow_id, "client", number])


def _breakdown(flow: Flow) -> ContextSize | None:
    detail = selectors.flow_detail(flow.pk)
    if detail is None:
        return None
    side = detail.sides.get("forwarded")
    if side is None:
        return None
    body = side_body(side, selectors.load_bodies([side.body_digest]))
    request = request_of(detail.flow, side, body, "forwarded").request
    return context_size(request) if request else None
