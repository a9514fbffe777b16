"""Writes a batch of rows in one idempotent transaction: the same code stores a flow's first and its last state."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from django.db import InterfaceError, OperationalError, transaction

from flows.models import Flow, FlowBody
from flows.packed import PackedBody
from flows.retention import delete_unreferenced, lock_bodies
from flows.rollup import roll_up
from flows.rows import FlowRows, body_row
from flows.upsert import insert_missing, upsert

logger = logging.getLogger(__name__)
_NOT_OURS = frozenset({"pinned"})
"""Columns of a flow that others fill: a later hand-over leaves them alone."""


def write_batch(batch: Sequence[FlowRows], superseded: Iterable[str] = ()) -> None:
    """Insert or replace the rows of `batch` (one entry a flow) and drop bodies that only their older state needed."""
    bodies = {digest: body for rows in batch for digest, body in rows.bodies.items()}
    with transaction.atomic():
        lock_bodies()
        _store(bodies)
        _roll_up([rows.flow for rows in batch])
        upsert([rows.flow for rows in batch], ("id",), _NOT_OURS)
        upsert([side for rows in batch for side in rows.sides], ("flow_id", "side"))
        upsert([hook for rows in batch for hook in rows.hooks], ("flow_id", "seq"))
        upsert([message for rows in batch for message in rows.messages], ("flow_id", "seq"))
        delete_unreferenced(superseded)


def _store(bodies: dict[str, PackedBody]) -> None:
    """Insert the bodies that are not there, and those they build on when somebody deleted them meanwhile."""
    bases = {base.digest: base for body in bodies.values() for base in body.bases() if base.digest not in bodies}
    there = set(FlowBody.objects.filter(pk__in=bases).values_list("pk", flat=True)) if bases else set()
    gone = [base for digest, base in bases.items() if digest not in there]
    insert_missing([body_row(body) for body in (*gone, *bodies.values())], ("digest",))


def _roll_up(flows: Sequence[Flow]) -> None:
    try:
        with transaction.atomic():
            roll_up(flows)
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # sums must not cost the flows themselves
        logger.exception("%d flows could not be added to the daily usage", len(flows))
