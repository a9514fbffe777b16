"""The list of flows: the page, and single rows for a list that is live."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render

from flows.console.flow_list.filter_form import FlowListFilter, LiveRowFilter
from flows.console.flow_list.list_columns import (
    PARAMETER,
    SEPARATOR,
    columns_of,
    keep_columns,
    parse_columns,
)
from flows.console.flow_list.peek_view import peek_of
from flows.console.flow_list.row_table import RowTable
from flows.console.flow_list.session_groups import BY_SESSION, GROUPINGS, grouped
from flows.console.flow_list.session_groups import PARAMETER as GROUP
from flows.console.page_access import console_page, wants_part
from flows.models import Flow
from flows.queries import selectors
from flows.queries.filters import pasted_flow_id
from flows.queries.jq_page import jq_page
from flows.queries.list_order import NEWEST_FIRST, ORDERS, ordered_page, parse_order
from flows.queries.rights import VIEW_FLOWS
from flows.queries.saved_filters import (
    FILTER_NAMES,
    filter_errors,
    saved_filters,
    unknown_parameters,
)
from flows.search.text_filter import page_hits, search_notes
from providers.base.nearest import capitalised, no_such

MAX_LIVE_ROWS = 60
_MAX_CHIP_CHARS = 200
_LOOK = (PARAMETER, "sort", GROUP, "peek")
"""Parameters that say how the list is shown."""


@console_page(VIEW_FLOWS)
def flow_list(request: HttpRequest) -> HttpResponse:
    """Show flows, filtered and sorted by the URL; the newest first without an order."""
    params = request.GET
    pasted = pasted_flow_id(params.get("q", ""))
    if pasted and Flow.objects.filter(pk=pasted).exists():
        return _go(request, pasted)
    filters = FlowListFilter(params, queryset=Flow.objects.all())
    cursor = params.get("cursor", "")
    source = params.get("jq", "").strip()
    errors = [*filter_errors(filters), *map(capitalised, unknown_parameters(params))]
    order = parse_order(params.get("sort", ""))
    if order is None:
        errors.append(capitalised(no_such("order", params["sort"][:100], ORDERS)))
        order = NEWEST_FIRST
    grouping = params.get(GROUP, "")
    if grouping and grouping not in GROUPINGS:
        errors.append(capitalised(no_such("grouping", grouping[:100], GROUPINGS)))
    is_grouped = grouping == BY_SESSION
    jq = jq_page(filters.qs, source) if source else None
    if jq and jq.error:
        errors.append(jq.error)
    rows = selectors.rows(filters.qs)
    page = jq.page if jq else ordered_page(rows, order, cursor, selectors.PAGE_ROWS)
    # The search has read for long enough, and the page has room.
    searches_on = bool(filters.reached) and not page.older
    is_start = not cursor and not source and order == NEWEST_FIRST
    columns = columns_of(request)
    searched = params.get("q", "")
    context = {
        "page": page,
        "table": RowTable(request, columns.names, page_hits(searched, page.flows)),
        "search_notes": search_notes(searched),
        "filters": filters,
        "jq": jq,
        "errors": errors,
        "chips": _chips(params, filters),
        "columns": columns,
        "headings": columns.headings(order),
        "order": order,
        "groups": grouped(page.flows) if is_grouped else None,
        "is_grouped": is_grouped,
        "other_grouping": _query(params, cursor=cursor, group="" if is_grouped else BY_SESSION),
        "newest_first": order == NEWEST_FIRST,
        "older": _query(params, cursor=page.older) if page.older else "",
        "further": _query(params, cursor=filters.reached) if searches_on else "",
        "newest": _query(params, cursor="") if cursor else "",
        "first_page": is_start,
        # A new row of a grouped list may open a group: the list is asked for again.
        "takes_rows": is_start and not is_grouped,
        "live_query": _query(params, cursor="", peek=""),
        "kept": _kept(params),
        "saved": saved_filters(request.user).select_related("owner"),
        "peek": peek_of(params.get("peek", "")),
    }
    template = "flows/_results.html" if wants_part(request) else "flows/list.html"
    response = render(request, template, context)
    keep_columns(request, response)
    return response


@console_page(VIEW_FLOWS)
def flow_rows(request: HttpRequest) -> HttpResponse:
    """Show the rows of the flows in `ids` that match the URL's filters, for a live list."""
    parts = request.GET.get("ids", "").split(",")
    ids = [flow_id for flow_id in parts if flow_id]
    named = Flow.objects.filter(pk__in=ids[:MAX_LIVE_ROWS])
    # With a limit, a search reads the texts of these alone.
    matching = LiveRowFilter(request.GET, queryset=named).qs
    rows = list(selectors.rows(matching))
    hits = page_hits(request.GET.get("q", ""), rows)
    return HttpResponse(RowTable(request, columns_of(request).names, hits).html(rows))


def _go(request: HttpRequest, flow_id: str) -> HttpResponse:
    response = redirect("flows:detail", flow_id)
    # htmx would put the page that a redirect leads to into the list.
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponse(headers={"HX-Redirect": response["Location"]})
    return response


def _query(params: QueryDict, **changes: str) -> str:
    """Return the URL's query with some parameters changed; empty ones are left out."""
    query = QueryDict(mutable=True)
    for name in (*FILTER_NAMES, *_LOOK, "cursor"):
        value = changes.get(name, _value(params, name))
        if value:
            query[name] = value
    return f"?{query.urlencode()}"


def _value(params: QueryDict, name: str) -> str:
    """Return a parameter's text; columns, of which a form sends one each, become one."""
    if name != PARAMETER:
        return params.get(name, "")
    columns = parse_columns(params.getlist(PARAMETER))
    return SEPARATOR.join(columns.names) if columns else ""


def _kept(params: QueryDict) -> list[tuple[str, str]]:
    """Return what the form of the columns keeps: filters, the order, the grouping."""
    values = [(name, params.get(name, "")) for name in (*FILTER_NAMES, "sort", GROUP)]
    return [(name, value) for name, value in values if value]


def _chips(params: QueryDict, filters: FlowListFilter) -> list[dict[str, str]]:
    """Return the filters in force, each with the address of the list without it."""
    chips = []
    for name in FILTER_NAMES:
        value = params.get(name, "")
        if not value:
            continue
        # jq is no filter of the set, and has no label.
        label = str(filters.filters[name].label) if name in filters.filters else name
        words = {"true": "yes", "false": "no"}.get(value, value[:_MAX_CHIP_CHARS])
        without = _query(params, **{name: "", "cursor": "", "peek": ""})
        chips.append({"label": label, "value": words, "without": without})
    return chips
