"""Baselines of the number of database queries of each page, in query_counts.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.streamed import whole_body

FILE = Path(__file__).with_suffix(".json")
UPDATE_OPTION = "--update-query-counts"
_ANSWERED = (200, 302)


@dataclass(frozen=True)
class Page:
    """Addresses that one row of the file covers: the number is the largest of theirs."""

    name: str
    """The route's name, with a query for a variant: `flows:detail?tab=chat`."""
    paths: Sequence[str]

    @property
    def route(self) -> str:
        return self.name.partition("?")[0]

    also_with_more_rows: Sequence[str] = ()
    """Those to visit again with more rows of other things; all, if none is named."""

    @property
    def with_more_rows(self) -> Page:
        return replace(self, paths=self.also_with_more_rows or self.paths)

    def count(self, client: Client, expected: int | None) -> int:
        """Return the largest number of queries of the addresses.

        A first visit may fill caches of this process, so it needs no fewer queries than the second.
        If it needs as many as expected, there is nothing to look at again. Else the second visit
        counts, and an address is left out whose first visit needed no more than another's second.
        Example: first visits need 9, 7 and 3, the second one to the first address 7 → 7.
        """
        first = {path: _queries(client, path) for path in self.paths}
        if max(first.values()) == expected:
            return max(first.values())
        most = 0
        for path in sorted(first, key=first.__getitem__, reverse=True):
            if first[path] > most:
                most = max(most, _queries(client, path))
        return most


@dataclass
class QueryCounts:
    """Compares pages with the file, or writes what it finds there."""

    update: bool

    def check(self, client: Client, pages: Sequence[Page]) -> None:
        """Fail with a line for each page that needs more or fewer queries than its baseline."""
        # New numbers are those of second visits, whatever the file says.
        baseline = {} if self.update else _baseline()
        found = {page.name: page.count(client, baseline.get(page.name)) for page in pages}
        if self.update:
            _write(_baseline() | found)
        baseline = _baseline()
        changed = [
            f"{name}: baseline {baseline.get(name, 'none')}, now {count}"
            for name, count in found.items()
            if baseline.get(name) != count
        ]
        refresh = f"If that is wanted: pytest tests/test_query_counts.py {UPDATE_OPTION}"
        assert not changed, "\n".join([f"differs from {FILE.name}:", *changed, refresh])

    def check_names(self, pages: Sequence[Page]) -> None:
        """Fail if the file has rows of pages that nobody measures; drop them with the flag."""
        names = {page.name for page in pages}
        if self.update:
            _write({name: count for name, count in _baseline().items() if name in names})
        stale = sorted(_baseline().keys() - names)
        assert not stale, f"{FILE.name} has rows of no page: {stale}; {UPDATE_OPTION} drops them"


def _queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        response = client.get(path)
        assert response.status_code in _ANSWERED, f"{path}: {response.status_code}"
        whole_body(response)
    return len(queries)


def _baseline() -> dict[str, int]:
    counts: dict[str, int] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return counts


def _write(counts: dict[str, int]) -> None:
    FILE.write_text(json.dumps(counts, indent=2, sort_keys=True) + "\n")
