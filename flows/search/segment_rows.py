"""Segments in the database: built of flows that have none, dissolved when many of theirs are gone.

A search looks into the texts of flows without a segment one by one, so there are few of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Count, QuerySet

from flows.models import FlowText, SearchSegment, SearchShelf
from flows.search.flow_parts import NAME_FIELDS, names_of
from flows.search.folding import folded, trigrams
from flows.search.postings import SEGMENT_FLOWS, Postings
from flows.search.stored_parts import unpack_parts

COLUMNS: Final = ("flow_id", "parts", "flow__parts__headers", *(f"flow__{n}" for n in NAME_FIELDS))
"""Columns of `FlowText` that `folded_texts` reads."""
MAX_DISSOLVED: Final = 4
_PAUSE_FLOWS: Final = 16
_PAUSE_S: Final = 0.002
_READ_FLOWS: Final = 128


def folded_texts(row: Sequence[Any]) -> list[str]:
    """Return the folded texts of a flow: names, headers, parts."""
    _, parts, headers, *names = row
    texts = [folded(name) for name in names_of(names, headers)]
    texts += [part.text.casefold() for part in unpack_parts(parts)]
    return texts


def build_segment(size: int = SEGMENT_FLOWS) -> bool:
    """Build a segment if there are flows for one; return whether it did.

    The trigrams are found outside of the transaction, with pauses for the writer's thread.
    """
    waiting = without_segment()
    if waiting.count() < size:
        return False
    # Without an order the database returns them as they were indexed, and sorts nothing.
    ids = list(waiting.values_list("pk", flat=True)[:size])
    postings = Postings()
    positions: dict[str, int] = {}
    for start in range(0, size, _READ_FLOWS):
        chunk = FlowText.objects.filter(pk__in=ids[start : start + _READ_FLOWS])
        for row in chunk.values_list(*COLUMNS):
            position = len(positions)
            positions[row[0]] = position
            found: set[str] = set()
            for text in folded_texts(row):
                found |= trigrams(text)
            postings.add(position, found)
            if position % _PAUSE_FLOWS == 0:
                time.sleep(_PAUSE_S)
    _store(postings.shelves(), positions)
    return True


def without_segment() -> QuerySet[FlowText]:
    """Return the texts that no segment has."""
    return FlowText.objects.filter(segment__isnull=True)


def _store(shelves: Sequence[bytes], positions: dict[str, int]) -> None:
    with transaction.atomic():
        segment = SearchSegment.objects.create(flows=len(positions))
        SearchShelf.objects.bulk_create(
            SearchShelf(segment=segment, number=number, postings=postings)
            for number, postings in enumerate(shelves)
        )
        values = [(segment.pk, position, flow_id) for flow_id, position in positions.items()]
        with connection.cursor() as cursor:
            # One that another recorder has put into a segment stays there.
            cursor.executemany(
                "UPDATE flows_flowtext SET segment = %s, position = %s"
                " WHERE flow_id = %s AND segment IS NULL",
                values,
            )


def dissolve_segments(limit: int = MAX_DISSOLVED) -> int:
    """Delete segments with deleted flows; the other flows of theirs wait for a new segment.

    So nothing of a deleted flow stays, not even its trigrams. At most `limit` that have other
    flows, those with the fewest first: until they are rebuilt, a search reads the flows one by one.

    Returns the number of segments.
    """
    indexed = FlowText.objects.filter(segment__isnull=False).values("segment")
    alive = dict(indexed.annotate(flows=Count("pk")).values_list("segment", "flows"))
    stale: list[tuple[int, int]] = []
    for segment, flows in SearchSegment.objects.values_list("pk", "flows"):
        left = alive.get(segment, 0)
        if left < flows:
            stale.append((left, segment))
    empty = [each for each in stale if not each[0]]
    chosen = empty + sorted(each for each in stale if each[0])[:limit]
    for _, segment in chosen:
        with transaction.atomic():
            FlowText.objects.filter(segment=segment).update(segment=None)
            SearchShelf.objects.filter(segment=segment).delete()
            SearchSegment.objects.filter(pk=segment).delete()
    return len(chosen)
