"""Columns of the list of flows: names in the address, headings, and the choice of one browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from flows.queries.list_order import NEWEST_FIRST, Order

COOKIE: Final = "ccproxy-columns"
PARAMETER: Final = "columns"
SEPARATOR: Final = "."
"""Between names in one text; neither addresses nor cookies have to escape it."""
_DAYS: Final = 365
_SECONDS_A_DAY: Final = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the list. `name` is its class in the table and its word in the address."""

    name: str
    label: str
    title: str = ""
    sort: str = ""
    """Name of the order that its heading sets, "" without one."""
    is_number: bool = False
    is_default: bool = True


COLUMNS: Final = (
    Column("time", "Time", sort="time"),
    Column("request", "Request"),
    Column(
        "said",
        "Asked → answered",
        "The user's last text, and the response's text, tools or error",
    ),
    Column("model", "Model"),
    Column("provider", "Provider"),
    Column("client", "Client", "The client's User-Agent", is_default=False),
    Column("status", "Status"),
    Column("tokens", "Tokens in / out", "Input and output tokens", "tokens", is_number=True),
    Column(
        "cost",
        "Cost",
        "By the price list; – where tokens or prices are not known",
        "cost",
        is_number=True,
    ),
    Column(
        "took",
        "Time / first",
        "Total time, and time to the first event",
        "took",
        is_number=True,
    ),
    Column(
        "speed",
        "Tok/s",
        "Output tokens a second, behind the first event",
        is_number=True,
        is_default=False,
    ),
    Column("bytes", "Size up / down", "Request and response", is_number=True),
    Column("session", "Session"),
)
ALWAYS: Final = "request"
"""The column that leads to the flow; it cannot be left out."""
HIDDEN_WHEN_NARROW: Final = {"bytes", "provider", "cost", "session", "tokens", "took"}
"""Columns that the style sheet of the list hides in narrow windows, unless a person chose them."""
NAMES: Final = tuple(column.name for column in COLUMNS)
DEFAULTS: Final = tuple(column.name for column in COLUMNS if column.is_default)


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's heading as one page shows it."""

    column: Column
    sort: str = ""
    """The order that a click sets; "" where the column sorts nothing."""
    direction: str = ""
    """For screen readers: "ascending", "descending", or "" when another column sorts."""


@dataclass(frozen=True, slots=True)
class ListColumns:
    """The columns of one page, in their order."""

    names: tuple[str, ...]

    @property
    def is_chosen(self) -> bool:
        """True when a person chose them: narrow windows then hide none of them."""
        return self.names != DEFAULTS

    @property
    def shown(self) -> tuple[Column, ...]:
        return tuple(column for column in COLUMNS if column.name in self.names)

    @property
    def passing(self) -> tuple[Column, ...]:
        """The columns that narrow windows hide."""
        if self.is_chosen:
            return ()
        return tuple(column for column in self.shown if column.name in HIDDEN_WHEN_NARROW)

    @property
    def lasting_count(self) -> int:
        """Number of the other columns; a heading over more would add some in a narrow window."""
        return len(self.names) - len(self.passing)

    @property
    def choices(self) -> list[tuple[Column, bool]]:
        """Every column that can be left out, with True where it is shown."""
        return [(each, each.name in self.names) for each in COLUMNS if each.name != ALWAYS]

    def headings(self, order: Order) -> list[Heading]:
        """Return the headings of a list in this order."""
        return [_heading(column, order) for column in self.shown]


def _heading(column: Column, order: Order) -> Heading:
    if not column.sort:
        return Heading(column)
    if column.sort != order.name:
        return Heading(column, f"-{column.sort}")
    if order.is_descending:
        return Heading(column, column.sort, "descending")
    # The third click leads back to the newest first.
    return Heading(column, NEWEST_FIRST.text, "ascending")


def parse_columns(words: Sequence[str]) -> ListColumns | None:
    """Read a choice of columns: ["time.cost"] or ["time", "cost"]; None without a known one."""
    given = {name for word in words for name in word.split(SEPARATOR)}
    names = tuple(name for name in NAMES if name in given)
    if not names:
        return None
    return ListColumns(tuple(name for name in NAMES if name in given or name == ALWAYS))


def columns_of(request: HttpRequest) -> ListColumns:
    """Return the columns that the address names, else those that this browser chose last."""
    named = parse_columns(request.GET.getlist(PARAMETER))
    kept = parse_columns([request.COOKIES.get(COOKIE, "")])
    return named or kept or ListColumns(DEFAULTS)


def keep_columns(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let the browser remember the columns that the address names."""
    named = parse_columns(request.GET.getlist(PARAMETER))
    if named is None:
        return
    response.set_cookie(
        COOKIE,
        SEPARATOR.join(named.names),
        max_age=_DAYS * _SECONDS_A_DAY,
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
