"""The peek pane beside the list: one flow at a glance, without leaving the list."""

from __future__ import annotations

from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from flows.console.context_tab import finding
from flows.console.conversation_tab import chat_tab
from flows.console.page_access import console_page
from flows.queries import selectors
from flows.queries.rights import VIEW_FLOWS
from flows.queries.sessions import flows_of, totals_of
from flows.reading.sentence import CREDENTIAL_HOOK, changed_hooks, sentence

Context = dict[str, Any]
_LAST_TURNS: Final = 3


@console_page(VIEW_FLOWS)
def flow_peek(request: HttpRequest, flow_id: str) -> HttpResponse:
    """Show the headline of a flow, the last words of both sides, and what went wrong."""
    peek = peek_of(flow_id)
    if peek is None:
        raise Http404("There is no such flow.")
    return render(request, "flows/_peek.html", {"peek": peek})


def peek_of(flow_id: str) -> Context | None:
    """Return what the pane shows of a flow; None when there is no such flow."""
    detail = selectors.flow_detail(flow_id) if flow_id else None
    if detail is None:
        return None
    flow = detail.flow
    chat = chat_tab(detail, {})
    shown = chat["chat"]
    return {
        **chat,
        "flow": flow,
        "sentence": sentence(flow, detail.traces, detail.attempts),
        "turns": shown.turns[-_LAST_TURNS:] if shown else [],
        "hooks": [name for name in changed_hooks(flow) if name != CREDENTIAL_HOOK],
        "cache": finding(flow),
        "session": totals_of(flows_of(flow.session_id)) if flow.session_id else None,
    }
