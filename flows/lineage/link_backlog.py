"""Numbers of ended flows that are not linked, or not indexed yet."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from django.db.models import QuerySet

from flows.lineage.linker import pending
from flows.search.indexer import waiting

MAX_COUNTED: Final = 10_000
"""Flows that are counted at most: an upgraded record has many, and counting reads each of them."""


class Backlog(NamedTuple):
    """Flows that wait, each number up to `MAX_COUNTED`."""

    links: int
    """For their links: session, predecessor, cache break."""
    search: int
    """For the search index."""


def count_backlog() -> Backlog:
    """Return how many ended flows wait; two queries of partial indexes."""
    return Backlog(links=_count(pending()), search=_count(waiting()))


def _count(flows: QuerySet[Any]) -> int:
    return flows.order_by().values("pk")[:MAX_COUNTED].count()
