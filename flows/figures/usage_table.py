"""Daily sums as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from flows.models import UsageDaily

COLUMNS: Final = (
    "day",
    "provider",
    "model",
    "session_id",
    "requests",
    "failed",
    "unmetered",
    "unpriced",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cacheable_tokens",
    "cost_usd",
)
_FORMULA_STARTS: Final = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
)


class _Echo:
    """A file that returns what is written to it."""

    def write(self, line: str) -> str:
        return line


def usage_lines(first: date, last: date) -> Iterator[str]:
    """Yield a line of names and a line for each row of these days. Unknown sums are empty."""
    writer: Any = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    rows = UsageDaily.objects.filter(day__gte=first, day__lte=last).order_by(*COLUMNS[:4])
    for row in rows.values_list(*COLUMNS).iterator():
        yield writer.writerow([_cell(value) for value in row])


def _cell(value: object) -> object:
    # A spreadsheet computes a text that begins like a formula; names come from clients.
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
