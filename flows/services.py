"""Changes to the record that users ask for, and repairs at start."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from flows.models import INTERRUPTED, Flow
from flows.writer.retention import (
    delete_everything,
    delete_flows,
    file_bytes,
    make_shrinkable,
    reclaim_chunk,
    sweep_chunk,
    truncate_log,
)

_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """Rows a transaction; `many_flows`: from how many on bodies are left to a sweep."""

    rows: int = 500
    bodies: int = 2000
    many_flows: int = 5000


def clear_flows(flows: QuerySet[Flow], *, keep_pinned: bool = True) -> int:
    """Delete the flows of a queryset with their bodies, in chunks; return how many."""
    # A sliced queryset cannot be filtered any more.
    if keep_pinned and not flows.query.is_sliced:
        flows = flows.filter(pinned=False)
    ids: list[str] = []
    for pk, pinned in flows.values_list("pk", "pinned"):
        if not (keep_pinned and pinned):
            ids.append(str(pk))
    return sum(clear_steps(ids, keep_pinned=keep_pinned))


def clear_ids(ids: Sequence[str], *, keep_pinned: bool = True) -> int:
    """Delete the flows with these ids with their bodies; return how many."""
    return sum(clear_steps(ids, keep_pinned=keep_pinned))


def clear_everything(*, keep_pinned: bool = True) -> int:
    """Delete every flow, also those recorded meanwhile; return how many."""
    if keep_pinned and Flow.objects.filter(pinned=True).exists():
        return clear_flows(Flow.objects.all())
    return delete_everything()


def clear_steps(
    ids: Sequence[str], *, keep_pinned: bool = True, sizes: ChunkSizes | None = None
) -> Iterator[int]:
    """Delete flows in short transactions, each followed by a pause for the writer.

    Yields how many flows each one deleted. Of many flows the rows go first, then all orphaned
    bodies in one sweep.
    """
    sizes = sizes or ChunkSizes()
    are_many = len(ids) > sizes.many_flows
    for start in range(0, len(ids), sizes.rows):
        chunk = ids[start : start + sizes.rows]
        yield _delete(chunk, keep_pinned=keep_pinned, bodies=not are_many)
    if not are_many:
        return
    after = sweep_chunk("", sizes.bodies)
    while after:
        yield 0
        time.sleep(_PAUSE_S)
        after = sweep_chunk(after, sizes.bodies)


def give_space_back() -> int | None:
    """Give the pages that deleted flows freed back to the disk, with pauses for the writer.

    Returns how many bytes the SQLite file lost; None for PostgreSQL, which keeps them.

    Raises:
        OperationalError: another process keeps the database locked.
    """
    before = file_bytes()
    if before is None:
        return None
    make_shrinkable()
    while reclaim_chunk():
        time.sleep(_PAUSE_S)
    truncate_log()
    return max(0, before - (file_bytes() or 0))


def expected_steps(flows: int, sizes: ChunkSizes | None = None) -> int:
    """Estimate how many steps `clear_steps` takes, with two bodies a flow."""
    sizes = sizes or ChunkSizes()
    row_steps = math.ceil(flows / sizes.rows)
    if flows <= sizes.many_flows:
        return row_steps
    body_steps = 2 * flows // sizes.bodies
    return row_steps + body_steps


def _delete(ids: Sequence[str], *, keep_pinned: bool, bodies: bool) -> int:
    flows = Flow.objects.filter(pk__in=ids)
    if keep_pinned:
        flows = flows.filter(pinned=False)
    chosen = [str(pk) for pk in flows.values_list("pk", flat=True)]
    delete_flows(chosen, bodies=bodies)
    # SQLite's lock is not fair: without a pause the writer may never get it.
    time.sleep(_PAUSE_S)
    return len(chosen)


def pin(flows: QuerySet[Flow], *, pinned: bool = True) -> int:
    """Exempt flows from retention and clearing, or end that; return how many changed."""
    return flows.exclude(pinned=pinned).update(pinned=pinned)


def mark_interrupted(before: datetime, running: Sequence[str] = ()) -> int:
    """Close the flows that began before `before` and whose process is none of `running`.

    A process that runs on after all records its flows again and so undoes it.
    """
    older = Flow.objects.filter(started_at__lt=before)
    return _close(older.exclude(instance__in=running))


def mark_interrupted_of(instance: str) -> int:
    """Close the flows of a process that is known to be gone."""
    return _close(Flow.objects.filter(instance=instance))


def _close(flows: QuerySet[Flow]) -> int:
    running = flows.filter(state=Flow.State.LIVE)
    return running.update(state=Flow.State.ERROR, error=INTERRUPTED)
