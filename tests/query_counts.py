"""Baselines of the number of database queries of each page, in query_counts.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
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

    def count(self, client: Client) -> int:
        """Return the queries of a second visit: the first one fills caches of this process."""
        return max(_queries(client, path) for path in self.paths)


@dataclass
class QueryCounts:
    """Compares pages with the file, or writes what it finds there."""

    update: bool

    def check(self, client: Client, pages: Sequence[Page]) -> None:
        """Fail with a line for each page that needs more or fewer queries than its baseline."""
        found = {page.name: page.count(client) for page in pages}
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
    for _ in range(2):
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
