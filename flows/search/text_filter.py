"""Filter of flows by the words in their texts, over the search index."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from flows.display.units import plural
from flows.models import Flow
from flows.search.finder import SHORT_WORD_FLOWS, find
from flows.search.hits import Hit, hits_in
from flows.search.indexer import waiting
from flows.search.wanted_words import wanted

PAGE_HITS: Final = 501
"""One more than the largest page."""
_PLAIN_IDS: Final = 500


def matching(
    flows: QuerySet[Flow],
    text: str,
    limit: int | None = None,
    among: QuerySet[Flow] | None = None,
) -> QuerySet[Flow]:
    """Keep flows that contain every word of a text; all flows without words.

    Example: `haiku "rate limit"` finds a flow of model claude-haiku with “Rate limit” in its error.

    Args:
        flows: flows that the other filters left.
        text: words, and phrases in double quotes.
        limit: number of flows that is enough; None for all.
        among: those of `flows` of which the first `limit` are enough, in the order of the list.
    """
    words = wanted(text)
    if not words.words:
        return flows
    found = find(words, flows if among is None else among, limit)
    return flows.filter(pk__in=_listed(list(dict.fromkeys(found.ids))))


def search_notes(text: str) -> list[str]:
    """Return sentences about what a search cannot find now; none without words. One query."""
    words = wanted(text)
    if not words.words:
        return []
    notes: list[str] = []
    if count := waiting().count():
        flows = plural(count, "flow")
        notes.append(f"Still indexing {flows}; their texts are searched only in part until then.")
    if not words.long:
        notes.append(
            "Words of one or two characters are looked for in names, and in the texts of the newest"
            f" {SHORT_WORD_FLOWS} flows."
        )
    return notes


def page_hits(text: str, flows: Iterable[Flow]) -> dict[str, Hit]:
    """Return where the words stand in the flows of a page, by id. At most one query."""
    return hits_in([flow.pk for flow in flows], wanted(text))


def _listed(ids: list[str]) -> list[str] | RawSQL:
    """Return many ids as one parameter: databases take a limited number of them."""
    if len(ids) <= _PLAIN_IDS:
        return ids
    if connection.vendor == "postgresql":
        return RawSQL("SELECT jsonb_array_elements_text(%s::jsonb)", [json.dumps(ids)])
    return RawSQL("SELECT value FROM json_each(%s)", [json.dumps(ids)])
