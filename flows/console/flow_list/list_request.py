"""Reading of the list's address: filters, order, grouping, and what it says wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import QueryDict

from flows.console.flow_list.filter_form import FlowListFilter
from flows.console.flow_list.session_groups import BY_SESSION, GROUPINGS
from flows.console.flow_list.session_groups import PARAMETER as GROUP
from flows.models import Flow
from flows.queries.list_order import NEWEST_FIRST, ORDERS, Order, parse_order
from flows.queries.saved_filters import filter_errors, unknown_parameters
from providers.base.nearest import capitalised, no_such

_MAX_NAME_CHARS: Final = 100
"""A name that is unknown is repeated up to this length."""


@dataclass(slots=True)
class ListRequest:
    """The flows that an address asks for, and how they are shown.

    `errors` are sentences for the visitor; what they speak of counts as not asked for.
    """

    params: QueryDict
    filters: FlowListFilter
    order: Order
    is_grouped: bool
    """The rows stand under the headings of their sessions."""
    errors: list[str]

    @property
    def searched(self) -> str:
        """Text that the flows contain."""
        return self.params.get("q", "")

    @property
    def cursor(self) -> str:
        """Position behind which the page begins; "" for the first page."""
        return self.params.get("cursor", "")

    @property
    def jq_source(self) -> str:
        """A jq program that chooses the flows."""
        return self.params.get("jq", "").strip()

    @property
    def is_newest_first(self) -> bool:
        return self.order == NEWEST_FIRST

    @property
    def is_start(self) -> bool:
        """The page begins with the newest flow, so that a new one belongs at its top."""
        return self.is_newest_first and not self.cursor and not self.jq_source


def list_request(params: QueryDict) -> ListRequest:
    """Read an address."""
    filters = FlowListFilter(params, queryset=Flow.objects.all())
    errors = [*filter_errors(filters), *map(capitalised, unknown_parameters(params))]
    sort = params.get("sort", "")
    order = parse_order(sort)
    if order is None:
        errors.append(capitalised(no_such("order", sort[:_MAX_NAME_CHARS], ORDERS)))
        order = NEWEST_FIRST
    grouping = params.get(GROUP, "")
    if grouping and grouping not in GROUPINGS:
        errors.append(capitalised(no_such("grouping", grouping[:_MAX_NAME_CHARS], GROUPINGS)))
    return ListRequest(params, filters, order, grouping == BY_SESSION, errors)
