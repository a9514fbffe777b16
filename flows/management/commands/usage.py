"""Show tokens and costs by day, model and session (`ccproxy usage`)."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any, Final

from django.core.management.base import BaseCommand

from flows.display.units import count, percent, plural, usd
from flows.figures.usage_summary import usage_summary
from flows.management import parsers
from providers.listing.shell_table import Cell, print_table, print_values

_FIELDS: Final = (
    "days",
    "first",
    "last",
    "totals",
    "models",
    "sessions",
    "by_day",
)
_SUMS: Final = (
    "Requests",
    "Input",
    "Output",
    "Cache",
    "Cost",
)
_KEYS: Final = {
    "model": (
        "models",
        ("Provider", "Model"),
        ("provider", "model"),
    ),
    "day": (
        "by_day",
        ("Day",),
        ("day",),
    ),
    "session": (
        "sessions",
        ("Session",),
        ("session_id",),
    ),
}


class Command(BaseCommand):
    """Sums of the last days (UTC), from the same figures as the console's page."""

    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.usage(parser)

    def handle(self, *_: Any, days: int, by: str, **options: Any) -> None:
        summary = usage_summary(days, "cost")
        if options["json"]:
            print_values({name: getattr(summary, name) for name in _FIELDS}, self.stdout)
            return
        if not summary.totals["requests"]:
            self.stdout.write(f"No requests between {summary.first} and {summary.last} (UTC).")
            return
        group, headings, keys = _KEYS[by]
        rows = [_cells(row, keys) for row in getattr(summary, group)]
        rows.append(_cells(summary.totals | dict.fromkeys(keys, "") | {keys[0]: "total"}, keys))
        print_table((*headings, *_SUMS), rows, self.stdout, right=_SUMS)
        for note in _notes(summary.totals):
            self.stderr.write(note)


def _cells(row: dict[str, Any], keys: Iterable[str]) -> list[Cell]:
    return [
        *[str(row[key]) or "–" for key in keys],
        str(row["requests"]),
        count(row["input_tokens"]),
        count(row["output_tokens"]),
        percent(row["cache_share"]),
        usd(row["cost_usd"]),
    ]


def _notes(totals: dict[str, Any]) -> list[str]:
    """Return what the sums leave out."""
    notes = []
    if unmetered := totals.get("unmetered"):
        notes.append(f"{plural(unmetered, 'request')} without token counts.")
    if unpriced := totals.get("unpriced"):
        notes.append(f"{plural(unpriced, 'request')} without a known price.")
    return notes
