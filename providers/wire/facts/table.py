"""Table of facts by model and host, compiled from rows."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase, translate
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from providers.wire.facts.model_facts import FIELDS, ModelFacts, fact_value

_ABOUT: Final = frozenset(["models", "hosts", "family", "source", "checked", "confirmed", "label"])
# A model's name may have a gateway's prefix and a date or a size behind it, but no further version:
# "gpt-5" fits "openai/gpt-5-mini" and "gpt-5-2025-08-07", not "gpt-5.1"; "claude-opus-4" not
# "claude-opus-4-5".
_BEFORE: Final = r"(?:^|[^a-z0-9])"
_BEHIND: Final = r"(?![0-9]|\.[0-9]|-[0-9](?![0-9]))"
# A family's name stands before anything: "gpt", "claude".
_BEFORE_FAMILY: Final = r"(?:^|[^a-z0-9])"
MAX_NAMES: Final = 2000


@dataclass(frozen=True, slots=True)
class FactRow:
    """One row of the table: the models it fits, and the facts it states."""

    pattern: re.Pattern[str]
    hosts: tuple[str, ...]
    family: bool
    facts: tuple[tuple[str, Any], ...]
    source: str
    names: tuple[str, ...] = ()
    """The patterns as they were written, for people."""
    confirmed: bool = True
    """The vendor says so itself; False: others report it."""

    def fits(self, model: str, host: str) -> bool:
        """Return whether the row holds for a model, in lower case, at a host."""
        if self.hosts and not any(fnmatchcase(host, glob) for glob in self.hosts):
            return False
        return self.pattern.search(model) is not None


class FactTable:
    """Rows in order, and the merged facts of the models that were asked for."""

    def __init__(self, rows: Iterable[FactRow]) -> None:
        self.rows = tuple(rows)
        self._found: dict[tuple[str, str], ModelFacts] = {}

    def __repr__(self) -> str:
        names = [", ".join(row.names) for row in self.rows]
        return f"FactTable({'; '.join(names)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FactTable) and self.rows == other.rows

    def __hash__(self) -> int:
        return hash(self.rows)

    def of(self, model: str | None, host: str = "") -> ModelFacts:
        """Return the facts about a model at a host."""
        key = (model or "", host)
        found = self._found.get(key)
        if found is None:
            found = self._merged(key[0].lower(), host.lower())
            # Clients may send any name; the memory for them has a bound.
            if len(self._found) >= MAX_NAMES:
                self._found.clear()
            self._found[key] = found
        return found

    def with_rows(self, rows: Iterable[FactRow]) -> FactTable:
        """Return a table with further rows, which override those before them."""
        more = tuple(rows)
        return FactTable((*self.rows, *more)) if more else self

    def rows_of(self, model: str, host: str = "") -> list[FactRow]:
        """Return the rows that hold for a model, in order."""
        name = model.lower()
        return [row for row in self.rows if row.fits(name, host.lower())]

    def _merged(self, model: str, host: str) -> ModelFacts:
        stated: dict[str, Any] = {}
        sources: dict[str, None] = {}
        known = False
        for row in self.rows:
            if not row.fits(model, host):
                continue
            stated.update(row.facts)
            sources[row.source] = None
            known = known or not row.family
        return replace(ModelFacts(), known=known, sources=tuple(sources), **stated)


class OwnFacts(NamedTuple):
    """Facts that the operator states, as plain values. `model` and `host` are globs."""

    model: str
    host: str
    facts: Mapping[str, Any]
    source: str = ""


def own_row(own: OwnFacts) -> FactRow:
    """Compile the operator's row. Raises `ValueError` that names what is wrong."""
    unknown = own.facts.keys() - FIELDS
    if unknown:
        raise ValueError(f"unknown facts: {', '.join(sorted(unknown))}")
    stated = {"vendor": "you", **own.facts}
    facts = tuple((name, fact_value(name, stated[name])) for name in sorted(stated))
    return FactRow(
        pattern=re.compile(translate(own.model.lower())),
        hosts=(own.host.lower(),) if own.host else (),
        family=False,
        facts=facts,
        source=own.source or "own row",
        names=(own.model,),
    )


def row_from(raw: Mapping[str, Any]) -> FactRow:
    """Compile one row of the file. Raises `ValueError` that names what is wrong."""
    unknown = raw.keys() - FIELDS - _ABOUT
    if unknown:
        raise ValueError(f"unknown facts: {', '.join(sorted(unknown))}")
    names = tuple(raw["models"])
    family = bool(raw.get("family"))
    facts: list[tuple[str, Any]] = []
    for name in sorted(raw.keys() & FIELDS):
        facts.append((name, fact_value(name, raw[name])))
    return FactRow(
        pattern=_compiled(names, family),
        hosts=tuple(raw.get("hosts", ())),
        family=family,
        facts=tuple(facts),
        source=_source_text(raw),
        names=names,
        confirmed=raw.get("confirmed", True),
    )


def _source_text(raw: Mapping[str, Any]) -> str:
    doubt = "" if raw.get("confirmed", True) else "; unconfirmed by the vendor"
    return f"{raw['source']} ({raw['checked']}{doubt})"


def _compiled(names: tuple[str, ...], family: bool) -> re.Pattern[str]:
    joined = "|".join(names)
    if family:
        return re.compile(f"{_BEFORE_FAMILY}(?:{joined})")
    return re.compile(f"{_BEFORE}(?:{joined}){_BEHIND}")


@cache
def built_in() -> FactTable:
    """Return the table that this product ships."""
    text = files("providers.wire.facts").joinpath("facts.toml").read_text(encoding="utf-8")
    return FactTable(row_from(raw) for raw in tomllib.loads(text)["row"])
