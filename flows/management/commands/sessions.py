"""List the sessions (`ccproxy sessions`)."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import BaseCommand
from django.utils import timezone

from flows.display.units import count, duration, percent, usd
from flows.export.table import ago
from flows.management import parsers
from flows.sessions.session_list import SessionRow, session_page
from providers.listing.shell_table import Cell, Text, print_table, print_values

_TITLE_CHARS: Final = 48
_ID_CHARS: Final = 12
_FIGURES: Final = (
    "Requests",
    "Input",
    "Output",
    "Cache",
    "Cost",
    "Lasted",
)


class Command(BaseCommand):
    """A table, the session with the newest request first, or JSON."""

    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.sessions(parser)

    def handle(self, *_: Any, number: int, **options: Any) -> None:
        found = session_page(rows=number).sessions
        if options["json"]:
            values = [
                asdict(row) | {"duration_ms": row.duration_ms, "guessed": row.is_guessed}
                for row in found
            ]
            print_values(values, self.stdout)
            return
        if not found:
            self.stdout.write("No session is recorded yet.")
            return
        now = timezone.now()
        headings = ("Session", "Title", "Client", *_FIGURES, "Last")
        rows = [[*_cells(row), ago(now - row.ended)] for row in found]
        print_table(
            headings,
            rows,
            self.stdout,
            right=_FIGURES,
            optional=["Client", "Lasted", "Output", "Input"],
        )


def _cells(row: SessionRow) -> list[Cell]:
    failed = f" ({row.failed} failed)" if row.failed else ""
    requests = Text(f"{row.requests}{failed}", style="red" if row.failed else "")
    title = row.title or "–"
    return [
        row.id[:_ID_CHARS],
        title if len(title) <= _TITLE_CHARS else f"{title[: _TITLE_CHARS - 1]}…",
        row.run or row.client or "–",
        requests,
        count(row.input_tokens),
        count(row.output_tokens),
        percent(row.cache_share),
        usd(row.cost_usd),
        duration(row.duration_ms),
    ]
