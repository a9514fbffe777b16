"""Flows that contain the words of a search.

The index leaves candidates, and their texts decide, in the order of the list, until there are
enough. A page does not wait longer than its time: it answers with what was found, and with the flow
that was reached. Flows that wait for the index, and words of one or two characters, are looked for
in the columns, as before there was an index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import thread_time
from typing import Any, Final

from django.db.models import Q, QuerySet

from flows.bytes.database_text import database_json
from flows.models import Flow, FlowText
from flows.search.candidates import candidates, count, ids_at
from flows.search.flow_columns_match import column_condition
from flows.search.folding import WordLook, lowered
from flows.search.id_list import listed
from flows.search.segment_rows import COLUMNS, folded_texts
from flows.search.stored_parts import plain_parts
from flows.search.wanted_words import Wanted

AT_ONCE: Final = 3000
"""Candidates that are sorted by the database; more are met by walking through the list."""
SHORT_WORD_FLOWS: Final = 1000
"""Flows whose texts are read for words that the index does not know."""
FEW_WAITING: Final = 500
_PAGE_FLOWS: Final = 2000
_READ_FLOWS: Final = 200
_ASKED_FLOWS: Final = 1000
"""Flows of a question about their columns or headers."""
_FEW_READ: Final = 64


@dataclass(frozen=True, slots=True)
class Found:
    """Ids of flows that contain the words.

    `reached` is the id of the last flow that was read in the time; "" when all were read, or enough
    found.
    """

    ids: list[str]
    reached: str = ""


def find(
    words: Wanted,
    among: QuerySet[Flow],
    limit: int | None,
    time_s: float | None = None,
    condition: Q | None = None,
) -> Found:
    """Return flows with all of the words, at least all that `among` has.

    Args:
        words: at least one.
        among: flows that other filters left, in the order of the list if there is a limit.
        limit: enough flows, the first ones of `among`; None for all.
        time_s: processor time after which no further texts are read; None for any.
        condition: what a flow has to meet besides; it is asked of flows that have the words.
    """
    if limit is None:
        among = among.order_by("-started_at", "-id")

    def having(ids: Sequence[str]) -> Sequence[str]:
        found = list(_verified(ids, words))
        return found if condition is None else _that_meet(condition, found)

    waiting = _waiting_ids(words, among if condition is None else among.filter(condition), limit)
    if not words.long:
        newest = _first_of(among, {}, SHORT_WORD_FLOWS)
        in_texts = _read(newest, having, limit, None, _READ_FLOWS)
        named = column_condition(words) & (condition or Q())
        in_names = meeting(named, among, limit, time_s)
        return Found([*waiting, *in_texts.ids, *in_names.ids], in_names.reached)
    segments = candidates(words.long)
    ordered = _first_of(among, segments, None)
    if count(segments) <= AT_ONCE:
        possible = _indexed_ids(segments)
        ordered = among.filter(pk__in=listed(possible)).values_list("pk", flat=True).iterator()
    found = _read(ordered, having, limit, time_s, _READ_FLOWS)
    return Found([*waiting, *found.ids], found.reached)


def meeting(condition: Q, among: QuerySet[Flow], limit: int | None, time_s: float | None) -> Found:
    """Return flows that meet a condition, which perhaps few do; the arguments are those of `find`.

    The database alone would look at all flows for a page that few of them fill.
    """
    if time_s is None:
        return Found(list(among.filter(condition).values_list("pk", flat=True)[:limit]))
    ordered = among.values_list("pk", flat=True).iterator(chunk_size=_PAGE_FLOWS)
    return _read(ordered, lambda ids: _that_meet(condition, ids), limit, time_s, _ASKED_FLOWS)


def _that_meet(condition: Q, ids: Sequence[str]) -> list[str]:
    return list(Flow.objects.filter(condition, pk__in=ids).values_list("pk", flat=True))


def possible_ids(words: Sequence[Sequence[str]]) -> list[str] | None:
    """Return the ids of all flows that may contain the words, also of those not indexed yet.

    None if there are too many, so that it is as fast to look at the flows themselves.

    Args:
        words: the folded spellings of each word, each of three characters or more.
    """
    unindexed = Flow.objects.filter(searched__isnull=True).order_by()
    waiting = list(unindexed.values_list("pk", flat=True)[: FEW_WAITING + 1])
    segments = candidates(words) if len(waiting) <= FEW_WAITING else {}
    if len(waiting) > FEW_WAITING or count(segments) > AT_ONCE:
        return None
    return [*waiting, *_indexed_ids(segments)]


def _indexed_ids(segments: dict[int, int]) -> list[str]:
    """Return the ids of candidates, and of flows whose texts are in no segment yet."""
    open_ids = FlowText.objects.filter(segment__isnull=True).values_list("pk", flat=True)
    return [*open_ids, *ids_at(segments)]


def _read(
    ordered: Iterable[str],
    test: Callable[[Sequence[str]], Iterable[str]],
    limit: int | None,
    time_s: float | None,
    most: int,
) -> Found:
    """Test flows in their order until there are enough, or the time is over.

    `test` returns those of some ids that pass; it gets at most `most` of them.
    """
    began_s = thread_time()
    found: list[str] = []
    # The first ones suffice for a frequent word.
    room = most if limit is None else min(most, _FEW_READ)
    batch: list[str] = []
    for flow_id in ordered:
        batch.append(flow_id)
        if len(batch) < room:
            continue
        found += test(batch)
        batch, room = [], most
        if limit is not None and len(found) >= limit:
            return Found(found)
        if time_s is not None and thread_time() - began_s >= time_s:
            return Found(found, reached=flow_id)
    return Found([*found, *test(batch)])


def _waiting_ids(words: Wanted, among: QuerySet[Flow], limit: int | None) -> list[str]:
    """Return the ids of flows that wait for the index, and have the words in their columns."""
    # Asked for in an order, SQLite would walk through all flows in that order.
    unordered = Flow.objects.filter(searched__isnull=True).order_by()
    few = list(unordered.values_list("pk", flat=True)[: FEW_WAITING + 1])
    waiting = among.filter(searched__isnull=True)
    if len(few) <= FEW_WAITING:
        waiting = among.filter(pk__in=few)
    waiting = waiting.filter(column_condition(words))
    return list(waiting.values_list("pk", flat=True)[:limit])


def _first_of(among: QuerySet[Flow], segments: dict[int, int], most: int | None) -> Iterator[str]:
    """Yield the ids of indexed flows in their order: those of candidates, or at most `most`."""
    rows = among.filter(text__isnull=False).values_list("pk", "text__segment", "text__position")
    for flow_id, segment, position in rows[:most].iterator(chunk_size=_PAGE_FLOWS):
        if most is None and segment is not None:
            # A segment's number has a bit for each position: 0b101 are its flows 0 and 2.
            candidates = segments.get(segment, 0)
            if not candidates >> position & 1:
                continue
        yield flow_id


def _verified(ids: Sequence[str], words: Wanted) -> Iterator[str]:
    plain = [spelled for spelled in words.folded if all(map(_is_plain, spelled))]
    looks = [WordLook(spelled) for spelled in plain]
    for start in range(0, len(ids), _READ_FLOWS):
        chunk = FlowText.objects.filter(pk__in=ids[start : start + _READ_FLOWS])
        for row in chunk.values_list(*COLUMNS):
            if _may_have(row, looks) and _has_all(folded_texts(row), words):
                yield row[0]


def _is_plain(word: str) -> bool:
    # JSON writes quotes, backslashes and control characters otherwise.
    return database_json(word)[1:-1] == word.encode()


def _may_have(row: Sequence[Any], looks: Sequence[WordLook]) -> bool:
    """Return False if a word is not even in the JSON of the texts, which is read much faster."""
    _, parts, headers, *names = row
    values = [str(name) for name in names if name]
    beside = "\n".join([headers or "", *values]).encode()
    texts = (lowered(plain_parts(parts)), lowered(beside))
    return all(any(look.is_in(text) for text in texts) for look in looks)


def _has_all(texts: Sequence[str], words: Wanted) -> bool:
    return all(_has_one(texts, spelled) for spelled in words.folded)


def _has_one(texts: Sequence[str], spelled: Sequence[str]) -> bool:
    return any(word in text for text in texts for word in spelled)
