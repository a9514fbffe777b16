"""The list of flows: the page, and single rows for a list that is live."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from flows.console.flow_list.filter_form import LiveRowFilter
from flows.console.flow_list.list_columns import columns_of, keep_columns
from flows.console.flow_list.list_links import filter_chips, kept_parameters, page_links
from flows.console.flow_list.list_request import ListRequest, list_request
from flows.console.flow_list.peek_view import peek_of
from flows.console.flow_list.row_table import RowTable
from flows.console.flow_list.session_groups import grouped
from flows.console.page_access import console_page, wants_part
from flows.models import Flow
from flows.queries import selectors
from flows.queries.filters import pasted_flow_id
from flows.queries.jq_page import jq_page
from flows.queries.list_order import ordered_page
from flows.queries.rights import VIEW_FLOWS
from flows.queries.saved_filters import saved_filters
from flows.search.text_filter import page_hits, search_notes

MAX_LIVE_ROWS: Final = 60


@console_page(VIEW_FLOWS)
def flow_list(request: HttpRequest) -> HttpResponse:
    """Show flows, filtered and sorted by the URL; the newest first without an order."""
    pasted = pasted_flow_id(request.GET.get("q", ""))
    if pasted and Flow.objects.filter(pk=pasted).exists():
        return _go(request, pasted)
    context = _list_context(request, list_request(request.GET))
    template = "flows/_results.html" if wants_part(request) else "flows/list.html"
    response = render(request, template, context)
    keep_columns(request, response)
    return response


def _list_context(request: HttpRequest, asked: ListRequest) -> dict[str, Any]:
    filters = asked.filters
    jq = jq_page(filters.qs, asked.jq_source) if asked.jq_source else None
    if jq is not None:
        page = jq.page
        asked.errors += [jq.error] if jq.error else []
    else:
        rows = selectors.rows(filters.qs)
        page = ordered_page(rows, asked.order, asked.cursor, selectors.PAGE_ROWS)
    columns = columns_of(request)
    return {
        "page": page,
        "table": RowTable(request, columns.names, page_hits(asked.searched, page.flows)),
        "search_notes": search_notes(asked.searched),
        "filters": filters,
        "jq": jq,
        "errors": asked.errors,
        "chips": filter_chips(asked.params, filters),
        "columns": columns,
        "headings": columns.headings(asked.order),
        "order": asked.order,
        "newest_first": asked.is_newest_first,
        "groups": grouped(page.flows) if asked.is_grouped else None,
        "is_grouped": asked.is_grouped,
        "first_page": asked.is_start,
        # A new row of a grouped list may open a group: the list is asked for again.
        "takes_rows": asked.is_start and not asked.is_grouped,
        "kept": kept_parameters(asked.params),
        "saved": saved_filters(request.user).select_related("owner"),
        "peek": peek_of(asked.params.get("peek", "")),
        **page_links(asked, page),
    }


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
