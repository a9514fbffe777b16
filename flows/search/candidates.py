"""Flows that may contain words: those whose trigrams the index has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched
from typing import Final

from django.db import connection

from flows.models import SearchSegment
from flows.search.folding import trigrams
from flows.search.postings import Shelf, positions_in, shelf_of

_ROUND: Final = 2
"""Trigrams of a round; the first one alone, which is probably rare, leaves little to read."""
_MAX_TRIGRAMS: Final = 24
"""More of a long text hardly leave out further flows."""
_CHUNK_POSITIONS: Final = 1000


def candidates(words: Sequence[Sequence[str]]) -> dict[int, int]:
    """Return the positions of flows that may contain all of the words, as bits, by segment.

    Args:
        words: the folded spellings of each word, of which a flow needs one.
    """
    alive = dict.fromkeys(SearchSegment.objects.values_list("pk", flat=True), -1)
    # What all spellings of a word share has to be there, whichever it is.
    shared = [set.intersection(*map(trigrams, spelled)) for spelled in words]
    alive = _with_all(alive, set().union(*shared))
    for spelled, common in zip(words, shared, strict=True):
        if len(spelled) > 1:
            alive = _with_one(alive, [trigrams(word) - common for word in spelled])
    return alive


def _with_one(alive: dict[int, int], spelled: Sequence[set[str]]) -> dict[int, int]:
    """Keep flows that have all trigrams of one of the spellings."""
    found: dict[int, int] = {}
    for wanted in spelled:
        for segment, bits in _with_all(alive, wanted).items():
            found[segment] = found.get(segment, 0) | bits
    return found


def _with_all(alive: dict[int, int], wanted: Iterable[str]) -> dict[int, int]:
    """Keep flows that have all of the trigrams.

    Asks for a few trigrams at a time: of a text that is nowhere, the first ones leave nothing.
    """
    chosen = sorted(wanted, key=_commonness)[:_MAX_TRIGRAMS]
    if not chosen:
        return alive
    rounds = [chosen[:1], *batched(chosen[1:], _ROUND, strict=False)]
    for trigrams_of_round in rounds:
        if not alive:
            break
        alive = _narrowed(alive, trigrams_of_round)
    return alive


def _narrowed(alive: Mapping[int, int], wanted: Sequence[str]) -> dict[int, int]:
    by_shelf: dict[int, list[str]] = {}
    for trigram in wanted:
        by_shelf.setdefault(shelf_of(trigram), []).append(trigram)
    found = dict(alive)
    for segment, number, stored in _shelves(list(by_shelf), list(alive)):
        if not found.get(segment):
            continue
        shelf = Shelf(stored)
        for trigram in by_shelf[number]:
            found[segment] &= shelf.flows_with(trigram)
    return {segment: bits for segment, bits in found.items() if bits}


def _shelves(numbers: Sequence[int], segments: Sequence[int]) -> Iterator[tuple[int, int, bytes]]:
    """Yield segment, number and postings of shelves."""
    # Our own numbers, so that no limit of parameters counts.
    query = (
        "SELECT segment_id, number, postings FROM flows_searchshelf"  # noqa: S608
        f" WHERE number IN ({_joined(numbers)}) AND segment_id IN ({_joined(segments)})"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        for segment, number, postings in cursor.fetchall():
            yield segment, number, bytes(postings)


def _joined(numbers: Sequence[int]) -> str:
    return ", ".join(str(int(number)) for number in numbers)


def _commonness(trigram: str) -> tuple[int, str]:
    """Order trigrams: those that are probably rare first."""
    # Letters that English text and code have most.
    return sum(char in " etaoinsrl" for char in trigram), trigram


def count(found: Mapping[int, int]) -> int:
    """Return the number of candidates."""
    return sum(bits.bit_count() for bits in found.values())


def ids_at(found: Mapping[int, int]) -> list[str]:
    """Return the ids of the flows at these positions."""
    pairs: list[str] = []
    for segment, bits in found.items():
        pairs += [f"({segment}, {position})" for position in positions_in(bits)]
    ids: list[str] = []
    with connection.cursor() as cursor:
        for start in range(0, len(pairs), _CHUNK_POSITIONS):
            values = ", ".join(pairs[start : start + _CHUNK_POSITIONS])
            # In this order, so that SQLite looks up each position. With IN it reads all texts.
            cursor.execute(
                f"WITH wanted (segment, position) AS (VALUES {values})"  # noqa: S608  numbers of ours
                " SELECT flow_id FROM wanted CROSS JOIN flows_flowtext AS stored"
                " WHERE stored.segment = wanted.segment AND stored.position = wanted.position"
            )
            ids += [row[0] for row in cursor.fetchall()]
    return ids
