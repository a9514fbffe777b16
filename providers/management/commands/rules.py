"""List the transform rules (`ccproxy rules`)."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from providers.listing.rule_listing import conditions_of, destination_of, rule_hits
from providers.listing.shell_table import Cell, print_table, print_values
from providers.management import parsers
from providers.models import TransformRule


class Command(BaseCommand):
    """A table in the order in which rules are tried, or JSON."""

    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.rules(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        rules = list(TransformRule.objects.select_related("dest_provider"))
        hits = rule_hits([rule.pk for rule in rules])
        recent = {rule_id: count for rule_id, (count, _) in hits.items()}
        if options["json"]:
            values = [_values(rule, recent.get(rule.pk, 0)) for rule in rules]
            print_values(values, self.stdout)
            return
        if not rules:
            self.stdout.write("There are no rules: sentinel keys and base paths decide alone.")
            return
        headings = ("Rule", "Action", "When", "Then", "In 24 h", "")
        rows = [_cells(rule, recent.get(rule.pk, 0)) for rule in rules]
        print_table(headings, rows, self.stdout, right=["In 24 h"], wrapped=["When", "Then"])


def _values(rule: TransformRule, recent: int) -> dict[str, Any]:
    return {
        "id": rule.pk,
        "name": str(rule),
        "enabled": rule.enabled,
        "action": rule.action,
        "when": dict(conditions_of(rule)),
        "then": destination_of(rule),
        "matches_24h": recent,
    }


def _cells(rule: TransformRule, recent: int) -> list[Cell]:
    conditions = conditions_of(rule)
    shown = ", ".join(f"{label} {value}" for label, value in conditions) or "every request"
    state = "" if rule.enabled else "disabled"
    return [str(rule), rule.action, shown, destination_of(rule), str(recent), state]
