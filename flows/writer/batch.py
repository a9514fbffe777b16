"""Writes a batch of rows in one idempotent transaction: the same code stores a flow's first and its
last state.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import InterfaceError, OperationalError, connection, transaction

from flows.bodies.packed_body import PackedBody
from flows.models import BodyRef, Flow, FlowBody, FlowParts
from flows.writer.retention import delete_refs, delete_unreferenced, lock_bodies
from flows.writer.rollup import roll_up
from flows.writer.row_builder import FlowRows
from flows.writer.upsert import put, upsert

logger = logging.getLogger(__name__)
_NOT_OURS = frozenset({"pinned"})
"""Columns of a flow that others fill: a later hand-over leaves them alone."""


def write_batch(batch: Sequence[FlowRows]) -> None:
    """Insert or replace the rows of `batch` (one entry a flow) and drop bodies that only their
    older state needed.
    """
    if not batch:
        return
    bodies = {digest: body for rows in batch for digest, body in rows.bodies.items()}
    with transaction.atomic():
        lock_bodies()
        there = _already_there([rows.flow.pk for rows in batch])
        _store(bodies)
        _roll_up([rows.flow for rows in batch], there)
        upsert([rows.flow for rows in batch], ("id",), _NOT_OURS)
        _put_parts(batch)
        upsert([message for rows in batch for message in rows.messages], ("flow_id", "seq"))
        _refer(batch, there)


def _already_there(ids: list[str]) -> set[str]:
    """Which flows are stored already: short ones mostly are not, and then nothing of theirs is
    looked up.
    """
    places = ", ".join(["%s"] * len(ids))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM flows_flow WHERE id IN ({places})", ids)  # noqa: S608
        return {row[0] for row in cursor.fetchall()}


def _store(bodies: dict[str, PackedBody]) -> None:
    """Insert the bodies that are not there, and those they build on when somebody deleted them
    meanwhile.
    """
    bases = {
        base.digest: base
        for body in bodies.values()
        for base in body.bases()
        if base.digest not in bodies
    }
    there = (
        set(FlowBody.objects.filter(pk__in=bases).values_list("pk", flat=True)) if bases else set()
    )
    gone = [base for digest, base in bases.items() if digest not in there]
    values = [
        (
            body.digest,
            body.encoding,
            body.size_bytes,
            body.blob,
            body.base.digest if body.base else None,
        )
        for body in (*gone, *bodies.values())
    ]
    columns = ("digest", "encoding", "size_bytes", "blob", "base_id")
    put(FlowBody, columns, values, key=("digest",), replace=False)


def _put_parts(batch: Sequence[FlowRows]) -> None:
    columns = ("flow_id", "headers", "sides", "steps")
    values = [
        (rows.flow.pk, rows.parts.headers, rows.parts.sides, rows.parts.steps) for rows in batch
    ]
    put(FlowParts, columns, values, key=("flow_id",), replace=True)


def _refer(batch: Sequence[FlowRows], there: set[str]) -> None:
    """Note which bodies the flows need, and drop those that only an older state of them needed."""
    stored = (
        BodyRef.objects.filter(flow__in=there).values_list("flow_id", "digest") if there else ()
    )
    before = set(stored)
    now = {(rows.flow.pk, digest) for rows in batch for digest in rows.refs}
    put(
        BodyRef, ("flow_id", "digest"), list(now - before), key=("flow_id", "digest"), replace=False
    )
    if superseded := before - now:
        delete_refs(superseded)
        delete_unreferenced(digest for _, digest in superseded)


def _roll_up(flows: Sequence[Flow], there: set[str]) -> None:
    try:
        with transaction.atomic():
            roll_up(flows, there)
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # sums must not cost the flows themselves
        logger.exception("%d flows could not be added to the daily usage", len(flows))
