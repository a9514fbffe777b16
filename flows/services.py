"""Writes to the record that people ask for, and what a start has to put right."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db.models import QuerySet

from flows.models import Flow
from flows.writer.retention import delete_everything, delete_flows, sweep_chunk

INTERRUPTED = "The proxy stopped while this flow was running."
_CHUNK_ROWS = 500
_CHUNK_BODIES = 2000
_MANY_FLOWS = 5000
_PAUSE_S = 0.01


def clear_flows(flows: QuerySet[Flow], *, keep_pinned: bool = True) -> int:
    """Delete the flows of a queryset with their bodies, in chunks; returns how many went."""
    if keep_pinned and not flows.query.is_sliced:
        flows = flows.filter(pinned=False)
    ids = [
        str(pk) for pk, pinned in flows.values_list("pk", "pinned") if not (keep_pinned and pinned)
    ]
    return sum(clear_steps(ids, keep_pinned=keep_pinned))


def clear_ids(ids: Sequence[str], *, keep_pinned: bool = True) -> int:
    """Delete the flows of these ids with their bodies; returns how many went."""
    return sum(clear_steps(ids, keep_pinned=keep_pinned))


def clear_everything(*, keep_pinned: bool = True) -> int:
    """Delete every flow, also those that come in meanwhile; returns how many went."""
    pinned = Flow.objects.filter(pinned=True)
    return (
        clear_flows(Flow.objects.all()) if keep_pinned and pinned.exists() else delete_everything()
    )


def clear_steps(ids: Sequence[str], *, keep_pinned: bool = True) -> Iterator[int]:
    """The same in short transactions, with a gap for the writer after each; yields how many flows
    each one deleted.

    Of many flows the rows go first, and then the bodies that nothing refers to any more,
    whosesoever they were.
    """
    many = len(ids) > _MANY_FLOWS
    for start in range(0, len(ids), _CHUNK_ROWS):
        yield _delete(ids[start : start + _CHUNK_ROWS], keep_pinned=keep_pinned, bodies=not many)
    after = ""
    while many and (after := sweep_chunk(after, _CHUNK_BODIES)):
        yield 0
        time.sleep(_PAUSE_S)


def expected_steps(flows: int) -> int:
    """About how many steps `clear_steps` takes; there may be more or fewer bodies than two a
    flow.
    """
    bodies = 2 * flows // _CHUNK_BODIES if flows > _MANY_FLOWS else 0
    return -(-flows // _CHUNK_ROWS) + bodies


def _delete(ids: Sequence[str], *, keep_pinned: bool, bodies: bool) -> int:
    there = Flow.objects.filter(pk__in=ids)
    chosen = [
        str(pk)
        for pk in (there.filter(pinned=False) if keep_pinned else there).values_list(
            "pk", flat=True
        )
    ]
    delete_flows(chosen, bodies=bodies)
    time.sleep(
        _PAUSE_S
    )  # SQLite's lock goes to whoever asks at the right moment: leave the writer a gap
    return len(chosen)


def pin(flows: QuerySet[Flow], *, pinned: bool = True) -> int:
    """Exempt flows from retention and clearing, or no longer; returns how many changed."""
    return flows.exclude(pinned=pinned).update(pinned=pinned)


def mark_interrupted(before: datetime, running: Sequence[str] = ()) -> int:
    """End the flows that began before `before` and whose process is gone: it is none of `running`.

    A process that runs on after all hands its flows over again and so takes the mark back.
    """
    return _end(Flow.objects.filter(started_at__lt=before).exclude(instance__in=running))


def mark_interrupted_of(instance: str) -> int:
    """End the flows of a process that is known to be gone."""
    return _end(Flow.objects.filter(instance=instance))


def _end(flows: QuerySet[Flow]) -> int:
    return flows.filter(state=Flow.State.LIVE).update(state=Flow.State.ERROR, error=INTERRUPTED)
