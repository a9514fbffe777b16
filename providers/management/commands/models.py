"""Command that shows what is known of models (`ccproxy models`)."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from providers.management import parsers
from providers.model_listing import current_table, fact_values, row_values, shown
from providers.wire.facts.table import FactTable


class Command(BaseCommand):
    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.models(parser)

    def handle(self, *_: Any, model: str, host: str, **options: Any) -> None:
        table = current_table()
        if model:
            self._one(table, model, host, as_json=options["json"])
        else:
            self._all(table, as_json=options["json"])

    def _one(self, table: FactTable, model: str, host: str, *, as_json: bool) -> None:
        facts = table.of(model, host)
        values = fact_values(facts)
        if as_json:
            report = {
                "model": model,
                "known": facts.known,
                "facts": values,
                "sources": list(facts.sources),
            }
            self.stdout.write(json.dumps(report))
            return
        if not values:
            self.stdout.write(f"Nothing is known of {model}; requests keep all their fields.")
            return
        if not facts.known:
            self.stdout.write(f"No row names {model}; its family's facts are assumed.")
        for name, value in values.items():
            self.stdout.write(f"{name:26}{shown(value)}")
        for source in facts.sources:
            self.stdout.write(f"from {source}")

    def _all(self, table: FactTable, *, as_json: bool) -> None:
        rows = [row_values(row) for row in table.rows]
        if as_json:
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            where = f" at {', '.join(row['hosts'])}" if row["hosts"] else ""
            family = " (family)" if row["family"] else ""
            doubt = "" if row["confirmed"] else " (unconfirmed)"
            self.stdout.write(f"{', '.join(row['models'])}{where}{family}{doubt}")
            for name, value in row["facts"].items():
                self.stdout.write(f"  {name:26}{shown(value)}")
            self.stdout.write(f"  from {row['source']}")
