"""Pages of the console: the list of flows and one flow. Each view asks a selector and renders."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    QueryDict,
)
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from flows.console.filter_form import FlowListFilter
from flows.console.tabs import TABS, default_tab, tab_names
from flows.display import json_tree
from flows.display.safe_text import printable
from flows.live.answer_so_far import answer_since
from flows.models import Flow, WebSocketMessage
from flows.queries import selectors
from flows.queries.filters import FlowFilter, pasted_flow_id
from flows.queries.jq_page import jq_page
from flows.queries.resends import resends_of
from flows.queries.saved_filters import FILTER_NAMES, saved_filters
from flows.reading.body_view import body_view, side_body
from flows.reading.sentence import changed_hooks, sentence
from flows.sides import header

View = Callable[..., HttpResponseBase]
MAX_LIVE_ROWS = 60


def console_page(view: View) -> View:
    """A page that is only read: for staff, never kept by a cache."""
    return require_safe(staff_page(view))


def staff_page(view: View) -> View:
    """For staff only (everybody else is sent to the login before), never kept by a cache."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_staff:
            raise PermissionDenied(
                "The console is for staff: ask an administrator to tick “Staff status”."
            )
        response = view(request, *args, **kwargs)
        response["Cache-Control"] = "private, no-store"
        # The same address answers htmx with a part of the page.
        patch_vary_headers(response, ["HX-Request"])
        return response

    return page


@console_page
def flow_list(request: HttpRequest) -> HttpResponse:
    """Newest flows, filtered by the URL."""
    pasted = pasted_flow_id(request.GET.get("q", ""))
    if pasted and Flow.objects.filter(pk=pasted).exists():
        return _go(request, pasted)
    filters = FlowListFilter(request.GET, queryset=Flow.objects.all())
    cursor = request.GET.get("cursor", "")
    errors = [f"{name}: {' '.join(lines)}" for name, lines in filters.form.errors.items()]
    source = request.GET.get("jq", "").strip()
    found = jq_page(filters.qs, source) if source else None
    page = found.page if found else selectors.flow_page(filters.qs, cursor)
    context = {
        "page": page,
        "filters": filters,
        "jq": found,
        "errors": [*errors, found.error] if found and found.error else errors,
        "chips": _chips(request.GET, filters),
        "older": _query(request.GET, cursor=page.older) if page.older else "",
        "newest": _query(request.GET, cursor="") if cursor else "",
        "first_page": not cursor and not source,
        "live_query": _query(request.GET, cursor=""),
        "saved": saved_filters(request.user).select_related("owner"),
    }
    partial = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    return render(request, "flows/_results.html" if partial else "flows/list.html", context)


@console_page
def flow_rows(request: HttpRequest) -> HttpResponse:
    """The rows of the flows in `ids` that match the URL's filters: what a live list adds or
    replaces.
    """
    ids = [flow_id for flow_id in request.GET.get("ids", "").split(",") if flow_id][:MAX_LIVE_ROWS]
    matching = FlowFilter(request.GET, queryset=Flow.objects.filter(pk__in=ids)).qs
    return render(request, "flows/_rows.html", {"flows": list(selectors.rows(matching))})


@console_page
def flow_page(request: HttpRequest, flow_id: str) -> HttpResponse:
    """One flow; the tab and what is selected in it are in the URL."""
    detail = selectors.flow_detail(flow_id)
    if detail is None:
        return render(request, "flows/missing.html", {"flow_id": printable(flow_id)}, status=404)
    flow = detail.flow
    tabs = tab_names(flow)
    tab = request.GET.get("tab", "")
    if tab not in dict(tabs):
        tab = default_tab(flow)
    context = {
        "flow": flow,
        "tabs": tabs,
        "tab": tab,
        "panel": f"flows/_{tab}.html",
        "changed": bool({*changed_hooks(flow)} - {"inject_auth"}),
        "sentence": sentence(flow, detail.traces),
        "resends": lambda: resends_of(flow.pk),  # asked only where the head is shown
        **TABS[tab](detail, request.GET),
    }
    if request.htmx and not request.htmx.history_restore_request:  # type: ignore[attr-defined]
        return render(
            request, "flows/_flow.html" if request.GET.get("whole") else "flows/_tabs.html", context
        )
    newer, older = selectors.neighbours(flow)
    return render(request, "flows/detail.html", {**context, "newer": newer, "older": older})


@console_page
def flow_partial(request: HttpRequest, flow_id: str) -> HttpResponse:
    """The readable part of a running answer from byte `from` on, as JSON."""
    flow = selectors.find_flow(flow_id)
    if flow is None:
        raise Http404("There is no such flow.")
    wanted = request.GET.get("from", "0")
    partial = answer_since(flow, int(wanted) if re.fullmatch(r"[0-9]{1,15}", wanted) else 0)
    pieces = [(kind, printable(text)) for kind, text in partial.pieces]
    return JsonResponse({"state": partial.state, "next": partial.next, "pieces": pieces})


@console_page
def flow_json(request: HttpRequest, flow_id: str, source: str) -> HttpResponse:
    """One folded branch of a JSON body, when somebody opens it."""
    side = selectors.sides_of(flow_id).get(source)
    if side is None:
        raise Http404("There is no such body.")
    body = side_body(side, selectors.load_bodies([side.body_digest]))
    pointer = request.GET.get("path", "")
    try:
        branch = json_tree.resolve(body.json.value, pointer)
    except LookupError:
        raise Http404("There is no such branch.") from None
    return HttpResponse(json_tree.branch(branch, request.path, pointer))


@console_page
def flow_body(request: HttpRequest, flow_id: str, source: str) -> HttpResponse:
    """A body as a download: without its content-encoding, or with `?wire=1` exactly as it was on
    the wire.
    """
    found = _stored_body(flow_id, source)
    if found is None:
        raise Http404("There is no such body: it was empty, dropped, or pruned.")
    data, encoding, extension = found
    if encoding and not request.GET.get("wire"):
        data = body_view("", data, encoding=encoding).plain
    response = HttpResponse(data, content_type="application/octet-stream")
    response["Content-Disposition"] = (
        f'attachment; filename="{_safe(flow_id)[:36]}-{_safe(source)}.{extension}"'
    )
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _stored_body(flow_id: str, source: str) -> tuple[bytes, str, str] | None:
    """(stored bytes, content-encoding, file extension) of `client`, ..., `hook-3-before` or
    `message-5`.
    """
    digest = encoding = content_type = ""
    match = re.fullmatch(r"hook-([0-9]{1,5})-(before|after)|message-([0-9]{1,9})", source)
    if match and match[1]:
        traces = (trace for trace in selectors.traces_of(flow_id) if trace.seq == int(match[1]))
        digest = getattr(next(traces, None), f"body_{match[2]}", "")
    elif match:
        message = WebSocketMessage.objects.filter(flow_id=flow_id, seq=int(match[3])).first()
        digest = message.body_digest if message else ""
    else:
        side = selectors.sides_of(flow_id).get(source)
        if side is not None:
            digest = side.body_digest
            encoding = "" if side.body_decoded else header(side.headers, "content-encoding")
            content_type = header(side.headers, "content-type")
    data = selectors.load_bodies([digest]).get(digest)
    return None if data is None else (data, encoding, _extension(content_type, data))


def _extension(content_type: str, data: bytes) -> str:
    if "json" in content_type or data[:1] in (b"{", b"["):
        return "json"
    return "txt" if content_type.startswith("text/") else "bin"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "_", name)


def _go(request: HttpRequest, flow_id: str) -> HttpResponse:
    response = redirect("flows:detail", flow_id)
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponse(headers={"HX-Redirect": response["Location"]})
    return response


def _query(params: QueryDict, **changes: str) -> str:
    """The URL's query with some parameters changed; empty ones are left out."""
    query = QueryDict(mutable=True)
    for name in (*FILTER_NAMES, "cursor"):
        value = changes.get(name, params.get(name, ""))
        if value:
            query[name] = value
    return f"?{query.urlencode()}" if query else "?"


def _chips(params: QueryDict, filters: FlowFilter) -> list[dict[str, str]]:
    """The filters in force, each with the address of the list without it."""
    chips = []
    for name in FILTER_NAMES:
        value = params.get(name, "")
        if value:
            label = str(filters.filters[name].label) if name in filters.filters else name
            words = {"true": "yes", "false": "no"}.get(value, value[:200])
            chips.append(
                {
                    "label": label,
                    "value": words,
                    "without": _query(params, **{name: "", "cursor": ""}),
                }
            )
    return chips
