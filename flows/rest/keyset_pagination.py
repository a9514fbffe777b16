"""Pagination of flows for REST, by the cursors of `flows.queries.cursor`."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from flows.models import Flow
from flows.queries.cursor import Cursor, make_cursor, parse_cursor
from flows.queries.list_order import (
    NEWEST_FIRST,
    ORDERS,
    Order,
    is_cursor,
    ordered_page,
    parse_order,
)
from providers.base.nearest import capitalised, no_such

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
_MAX_DIGITS = 6
_NO_CURSOR = "This is not a cursor; take it from the “next” of an earlier response."


class FlowPagination(BasePagination):
    """Pages by keyset, newest first unless `sort` names another order."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        del view
        order = order_of(request)
        cursor = request.query_params.get("cursor", "")
        if cursor and not is_cursor(cursor, order):
            raise ParseError({"cursor": [_NO_CURSOR]})
        page = ordered_page(queryset, order, cursor, _limit(request))
        self.next_url = next_url(request, page.older)
        return page.flows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next_url, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        next_link = {"type": "string", "format": "uri", "nullable": True}
        notes = {
            "type": "array",
            "items": {"type": "string"},
            "description": "With `q` alone: texts that the search cannot find now.",
        }
        return {
            "type": "object",
            "required": ["next", "results"],
            "properties": {"next": next_link, "results": schema, "notes": notes},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        del view
        limit_schema = {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_LIMIT,
            "default": DEFAULT_LIMIT,
        }
        cursor = {
            "name": "cursor",
            "in": "query",
            "schema": {"type": "string"},
            "description": "From “next”.",
        }
        limit = {"name": "limit", "in": "query", "schema": limit_schema}
        sort = {
            "name": "sort",
            "in": "query",
            "schema": {"type": "string", "enum": [*ORDERS], "default": NEWEST_FIRST.text},
            "description": (
                "Order of the flows, by time, duration, input tokens or cost; with “-” from the"
                " largest. Flows without the figure are left out. Not together with `jq`."
            ),
        }
        return [cursor, limit, sort]


def cursor_of(request: Request) -> Cursor | None:
    """Return the position that the request's `cursor` names; None without one.

    Raises:
        ParseError: it is not a cursor.
    """
    text = request.query_params.get("cursor")
    if not text:
        return None
    cursor = parse_cursor(text)
    if cursor is None:
        raise ParseError({"cursor": [_NO_CURSOR]})
    return cursor


def order_of(request: Request) -> Order:
    """Return the order that the request's `sort` names.

    Raises:
        ParseError: there is no such order.
    """
    text = request.query_params.get("sort", "")
    order = parse_order(text)
    if order is None:
        raise ParseError({"sort": [capitalised(no_such("order", text[:100], ORDERS))]})
    return order


def next_url(request: Request, cursor: str) -> str | None:
    """Return this request's address with another cursor; None without one."""
    if not cursor:
        return None
    return str(replace_query_param(request.build_absolute_uri(), "cursor", cursor))


def next_url_after(request: Request, last: Flow | None) -> str | None:
    """Return the address of the flows after `last`; None without such a flow."""
    return next_url(request, "" if last is None else make_cursor(last))


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    limit = 0
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        limit = int(text)
    if not 1 <= limit <= MAX_LIMIT:
        message = f"Give a number from 1 to {MAX_LIMIT}."
        raise ParseError({"limit": [message]})
    return limit
