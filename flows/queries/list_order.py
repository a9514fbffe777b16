"""Orders of the list of flows: by time, or by a figure, with pages by keyset.

A figure that a flow does not have orders nothing: such flows are left out, and partial indexes
keep a page as cheap as one by time. A cursor is the figure and the id of the last flow of a page.
Example: `-cost` and a last flow of $0.0125 → the cursor "0.01250000_0190a1b2-…".
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from django.db.models import Q, QuerySet

from flows.models import Flow
from flows.queries.cursor import FlowPage, make_cursor, newer_than, older_than, parse_cursor

_MAX_CHARS: Final = 40
_MAX_VALUE: Final = Decimal(2**31)
FIELDS: Final = {
    "time": "started_at",
    "took": "duration_ms",
    "tokens": "input_tokens",
    "cost": "cost_usd",
}
"""Name of an order in the address → the column that it reads."""
_READ: Final[dict[str, Callable[[str], object]]] = {
    "took": float,
    "tokens": int,
    "cost": Decimal,
}


class Order(NamedTuple):
    """An order of the list, as the address writes it: "cost" from the smallest, "-cost" from the
    largest.
    """

    name: str
    is_descending: bool

    @property
    def text(self) -> str:
        return f"-{self.name}" if self.is_descending else self.name


NEWEST_FIRST: Final = Order("time", is_descending=True)
ORDERS: Final = tuple(sign + name for name in FIELDS for sign in ("-", ""))


def parse_order(text: str) -> Order | None:
    """Read an order; the newest first without a text, and None for an unknown one."""
    if not text:
        return NEWEST_FIRST
    if text not in ORDERS:
        return None
    return Order(text.removeprefix("-"), text.startswith("-"))


def in_order(flows: QuerySet[Flow], order: Order, cursor: str = "") -> QuerySet[Flow]:
    """Return the flows of a list in its order, those behind a cursor alone.

    Text that is not a cursor of this order means the list's start.
    """
    field = FIELDS[order.name]
    if order.name == "time":
        position = parse_cursor(cursor)
        following = older_than if order.is_descending else newer_than
        behind = flows if position is None else following(flows, position)
    else:
        behind = flows.filter(_behind(order, cursor), **{f"{field}__isnull": False})
    if order.is_descending:
        return behind.order_by(f"-{field}", "-id")
    return behind.order_by(field, "id")


def ordered_page(flows: QuerySet[Flow], order: Order, cursor: str, rows: int) -> FlowPage:
    """Return one page of flows in an order; text that is not a cursor means the first page.

    One query. `older` of the page is the cursor of the page that follows.
    """
    # One row more than is shown tells if there is another page, without a count.
    found = list(in_order(flows, order, cursor)[: rows + 1])
    shown = found[:rows]
    return FlowPage(shown, cursor_at(shown[-1], order) if len(found) > rows else "")


def cursor_at(flow: Flow, order: Order) -> str:
    """Write the position of a flow in an order as text."""
    if order.name == "time":
        return make_cursor(flow)
    return f"{getattr(flow, FIELDS[order.name])}_{flow.pk}"


def is_cursor(text: str, order: Order) -> bool:
    """Check whether text is a cursor of this order."""
    if order.name == "time":
        return parse_cursor(text) is not None
    return bool(_behind(order, text))


def _behind(order: Order, cursor: str) -> Q:
    """Return the condition of the flows that follow a cursor; an empty one without a cursor."""
    figure, _, flow_id = cursor.partition("_")
    value = _figure(order, figure)
    if value is None or not flow_id or "\0" in flow_id:
        return Q()
    field = FIELDS[order.name]
    compare = "lt" if order.is_descending else "gt"
    beyond = Q(**{f"{field}__{compare}": value})
    same = Q(**{field: value, f"id__{compare}": flow_id})
    # The first condition alone lets the index find the start; the others break ties.
    return Q(**{f"{field}__{compare}e": value}) & (beyond | same)


def _figure(order: Order, text: str) -> object | None:
    if not text or len(text) > _MAX_CHARS:
        return None
    try:
        number = Decimal(text)
        value = _READ[order.name](text)
    except (InvalidOperation, ValueError):
        return None
    return value if number.is_finite() and 0 <= number < _MAX_VALUE else None
