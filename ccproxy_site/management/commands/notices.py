"""Notices of failures and other events (`ccproxy notices`)."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ccproxy_site.management import parsers
from ccproxy_site.models import SentNotice
from ccproxy_site.notices.sample import NO_CHANNEL, send_sample
from providers.listing.shell_table import print_table, print_values

MAX_ROWS: Final = 50
TEXT_CHARS: Final = 100


class Command(BaseCommand):
    """Notices are made by the recorder; this shows them, and sends a sample."""

    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.notices(parser)

    def handle(self, *_: Any, action: str, **options: Any) -> None:
        if action == "test":
            self._test(as_json=options["json"])
        else:
            self._list(as_json=options["json"])

    def _test(self, *, as_json: bool) -> None:
        outcomes = send_sample(settings.CCPROXY)
        if not outcomes:
            raise CommandError(NO_CHANNEL)
        rows = list(outcomes.items())
        if as_json:
            values = [
                {"channel": name, "delivered": outcome.is_delivered, "outcome": outcome.text}
                for name, outcome in rows
            ]
            print_values(values, self.stdout)
        else:
            shown = [(name, outcome.text) for name, outcome in rows]
            print_table(("Channel", "Outcome"), shown, self.stdout, wrapped=["Outcome"])
        if not all(outcome.is_delivered for outcome in outcomes.values()):
            raise SystemExit(1)

    def _list(self, *, as_json: bool) -> None:
        rows = list(SentNotice.objects.all()[:MAX_ROWS])
        if as_json:
            print_values([_values(row) for row in rows], self.stdout)
        elif rows:
            shown = [_columns(row) for row in rows]
            headings = ("When", "Kind", "Deliveries", "Notice")
            print_table(headings, shown, self.stdout, wrapped=headings[2:])
        elif settings.CCPROXY.notices.kinds:
            self.stderr.write("There were no notices yet.")
        else:
            self.stderr.write("Notices are off: set notices.kinds in ccproxy.yaml.")


def _values(row: SentNotice) -> dict[str, Any]:
    return {
        "at": row.made_at,
        "kind": row.kind,
        "text": row.text,
        "count": row.count,
        "facts": row.facts,
        "deliveries": row.deliveries,
    }


def _columns(row: SentNotice) -> tuple[str, str, str, str]:
    deliveries = ", ".join(f"{name}: {text}" for name, text in row.deliveries.items())
    return f"{row.made_at:%Y-%m-%d %H:%M:%S} UTC", row.kind, deliveries, _cut(row.text)


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARS else f"{text[: TEXT_CHARS - 1]}…"
