"""List the providers with the state of their credentials (`ccproxy providers`)."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from providers.credentials.credential_states import BoardRow, board_rows
from providers.listing.shell_table import Text, print_table, print_values
from providers.management import parsers


class Command(BaseCommand):
    """A table, or JSON. No secret is shown."""

    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.providers(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        rows = board_rows(timezone.now())
        if options["json"]:
            print_values([_values(row) for row in rows], self.stdout)
            return
        if not rows:
            self.stdout.write("There are no providers.")
            return
        headings = ("Name", "Type", "Address", "Credential", "State", "Until", "What to do")
        print_table(
            headings,
            [_cells(row) for row in rows],
            self.stdout,
            wrapped=["State", "What to do"],
            optional=["Credential", "Type", "Address"],
        )


def _values(row: BoardRow) -> dict[str, Any]:
    provider = row.provider
    return {
        "name": provider.name,
        "type": provider.type,
        "address": _address(row),
        "enabled": provider.enabled,
        "credential": row.source,
        "state": row.state_in_words,
        "is_bad": row.is_bad,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "refusals": row.refusals,
        "error": row.error,
        "fix": row.fix,
    }


def _cells(row: BoardRow) -> list[str | Text]:
    is_enabled = row.provider.enabled
    state = row.state_in_words if is_enabled else f"{row.state_in_words} (disabled)"
    style = "red" if is_enabled and (row.is_bad or row.unset_variable) else ""
    until = f"{row.expires_at:%Y-%m-%d %H:%M} UTC" if row.expires_at else ""
    return [
        row.provider.name,
        row.provider.type,
        _address(row),
        row.source,
        Text(state, style=style),
        until,
        row.fix or row.error,
    ]


def _address(row: BoardRow) -> str:
    provider = row.provider
    port = f":{provider.port}" if provider.port else ""
    return f"{provider.scheme}://{provider.host}{port}{provider.path}"
