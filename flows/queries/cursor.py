"""Pages of flows by keyset: newest first, at a cost that does not grow with the flows before.

A cursor is the position of the last flow of a page: microseconds since the epoch and the flow's id.
Example: a flow of 2025-11-29 00:00 UTC → "1764374400000000_0190a1b2-…". The console's list and the
REST API write the same cursors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from django.db.models import Q, QuerySet

from flows.models import Flow

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MAX_DIGITS: Final = 16


class Cursor(NamedTuple):
    """The position of a flow in the list."""

    started_at: datetime
    flow_id: str


@dataclass(frozen=True, slots=True)
class FlowPage:
    """One page of the list, newest first.

    `older` is the cursor of the next page, empty on the last one.
    """

    flows: list[Flow]
    older: str


def make_cursor(flow: Flow) -> str:
    """Write the position of a flow as text."""
    return make_position(flow.started_at, flow.pk)


def make_position(moment: datetime, row_id: str) -> str:
    """Write a time and an id as text, as `parse_cursor` reads it."""
    microseconds = (moment - _EPOCH) // _MICROSECOND
    return f"{microseconds}_{row_id}"


def parse_cursor(text: str) -> Cursor | None:
    """Read a position; None for anything that is not a cursor."""
    digits, _, flow_id = text.partition("_")
    # Longer numbers are beyond the year 2286, and the largest ones no datetime can hold.
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS
    # PostgreSQL refuses NUL in a text.
    if not is_number or not flow_id or "\0" in flow_id:
        return None
    return Cursor(_EPOCH + int(digits) * _MICROSECOND, flow_id)


def older_than[Row](flows: QuerySet[Flow, Row], cursor: Cursor | None) -> QuerySet[Flow, Row]:
    """Keep the flows that follow a position in the list; all of them without one."""
    if cursor is None:
        return flows
    # The first condition alone lets the index find the start; the second breaks ties.
    started_before = Q(started_at__lt=cursor.started_at)
    smaller_id = Q(id__lt=cursor.flow_id)
    return flows.filter(started_at__lte=cursor.started_at).filter(started_before | smaller_id)


def newer_than[Row](flows: QuerySet[Flow, Row], cursor: Cursor) -> QuerySet[Flow, Row]:
    """Keep the flows that come before a position in the list."""
    started_after = Q(started_at__gt=cursor.started_at)
    larger_id = Q(id__gt=cursor.flow_id)
    return flows.filter(started_at__gte=cursor.started_at).filter(started_after | larger_id)
