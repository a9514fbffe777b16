"""Links from one page of the list to others: further pages, a filter less, another grouping."""

from __future__ import annotations

from typing import Final

from django.http import QueryDict

from flows.console.flow_list.filter_form import FlowListFilter
from flows.console.flow_list.list_columns import PARAMETER, SEPARATOR, parse_columns
from flows.console.flow_list.list_request import ListRequest
from flows.console.flow_list.session_groups import BY_SESSION
from flows.console.flow_list.session_groups import PARAMETER as GROUP
from flows.queries.cursor import FlowPage
from flows.queries.saved_filters import FILTER_NAMES

_MAX_CHIP_CHARS: Final = 200
_LOOK: Final = (PARAMETER, "sort", GROUP, "peek")
"""Parameters that say how the list is shown."""


def page_links(asked: ListRequest, page: FlowPage) -> dict[str, str]:
    """Return the queries of the addresses that a page leads to; "" where there is none."""
    params = asked.params
    # The search has read for long enough, and the page has room.
    searches_on = bool(asked.filters.reached) and not page.older
    other_group = "" if asked.is_grouped else BY_SESSION
    return {
        "older": _query(params, cursor=page.older) if page.older else "",
        "further": _query(params, cursor=asked.filters.reached) if searches_on else "",
        "newest": _query(params, cursor="") if asked.cursor else "",
        "other_grouping": _query(params, cursor=asked.cursor, group=other_group),
        "live_query": _query(params, cursor="", peek=""),
    }


def filter_chips(params: QueryDict, filters: FlowListFilter) -> list[dict[str, str]]:
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


def kept_parameters(params: QueryDict) -> list[tuple[str, str]]:
    """Return what the form of the columns keeps: filters, the order, the grouping."""
    values = [(name, params.get(name, "")) for name in (*FILTER_NAMES, "sort", GROUP)]
    return [(name, value) for name, value in values if value]


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
