"""Facts about models as plain values, for a command and a page."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from providers.models import ModelFact
from providers.wire.facts.model_facts import ModelFacts
from providers.wire.facts.table import FactRow, FactTable, OwnFacts, built_in, own_row

_ABOUT = ("sources", "known")


def current_table() -> FactTable:
    """Return the table that ccproxy ships, with the operator's enabled rows."""
    own: list[FactRow] = []
    for row in ModelFact.objects.filter(enabled=True):
        own.append(own_row(OwnFacts(row.model, row.host, row.facts, row.source)))
    return built_in().with_rows(own)


def row_values(row: FactRow) -> dict[str, Any]:
    """Return one row of the table as plain values."""
    return {
        "models": list(row.names),
        "hosts": list(row.hosts),
        "family": row.family,
        "source": row.source,
        "confirmed": row.confirmed,
        "facts": {name: plain(value) for name, value in row.facts},
    }


def fact_values(facts: ModelFacts) -> dict[str, Any]:
    """Return the facts about one model that differ from those of a model without a row."""
    nothing = ModelFacts()
    found: dict[str, Any] = {}
    for item in fields(ModelFacts):
        value = getattr(facts, item.name)
        if item.name not in _ABOUT and value != getattr(nothing, item.name):
            found[item.name] = plain(value)
    return found


def plain(value: Any) -> Any:
    """Return a fact's value as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def shown(value: Any) -> str:
    """Return a fact's value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "none"
    return str(value) or "none"
