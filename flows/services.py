"""Writes to the record that people ask for, and what a start has to put right."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet

from flows.models import Flow
from flows.retention import delete_flows

INTERRUPTED = "The proxy stopped while this flow was running."
_CHUNK_ROWS = 500
_PAUSE_S = 0.01


def clear_flows(flows: QuerySet[Flow], *, keep_pinned: bool = True) -> int:
    """Delete the flows of a queryset with their bodies, in chunks; returns how many went."""
    if keep_pinned and not flows.query.is_sliced:
        flows = flows.filter(pinned=False)
    ids = [str(pk) for pk, pinned in flows.values_list("pk", "pinned") if not (keep_pinned and pinned)]
    return sum(_delete(ids[start : start + _CHUNK_ROWS]) for start in range(0, len(ids), _CHUNK_ROWS))


def clear_ids(ids: Sequence[str], *, keep_pinned: bool = True) -> int:
    """Delete the flows of these ids (at most a few hundred) with their bodies; returns how many went."""
    there = Flow.objects.filter(pk__in=ids)
    if keep_pinned:
        there = there.filter(pinned=False)
    return _delete([str(pk) for pk in there.values_list("pk", flat=True)])


def _delete(ids: Sequence[str]) -> int:
    delete_flows(ids)
    time.sleep(_PAUSE_S)  # SQLite's lock goes to whoever asks at the right moment: leave the writer a gap
    return len(ids)


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
