"""Filter of flows by the words in their texts, over the search index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from django.db.models import Q, QuerySet

from flows.display.units import plural
from flows.models import Flow
from flows.search.finder import SHORT_WORD_FLOWS, find, meeting
from flows.search.hits import Hit, hits_in
from flows.search.id_list import listed
from flows.search.indexer import waiting
from flows.search.wanted_words import wanted

PAGE_HITS: Final = 501
"""One more than the largest page."""
PAGE_TIME_S: Final = 0.06
"""Processor time in which a page of the console reads texts."""


class Matching(NamedTuple):
    """Flows that a search found; `reached` is the last one that was read in the time, or ""."""

    flows: QuerySet[Flow]
    reached: str = ""


def matching(
    flows: QuerySet[Flow],
    text: str,
    limit: int | None = None,
    among: QuerySet[Flow] | None = None,
    time_s: float | None = None,
    condition: Q | None = None,
) -> Matching:
    """Keep flows that contain every word of a text; all flows without words.

    Example: `haiku "rate limit"` finds a flow of model claude-haiku with “Rate limit” in its error.

    Args:
        flows: flows that the other filters left.
        text: words, and phrases in double quotes.
        limit: number of flows that is enough; None for all.
        among: those of `flows` of which the first `limit` are enough, in the order of the list.
        time_s: processor time after which no further texts are read.
        condition: what a flow has to meet besides, and few may.
    """
    words = wanted(text)
    among = flows if among is None else among
    if words.words:
        found = find(words, among, limit, time_s, condition)
    elif condition is not None:
        found = meeting(condition, among, limit, time_s)
    else:
        return Matching(flows)
    return Matching(flows.filter(pk__in=listed(list(dict.fromkeys(found.ids)))), found.reached)


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
