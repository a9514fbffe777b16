"""Writing of a batch of rows in one idempotent transaction.

The same code stores a flow's first and its last state.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from django.db import InterfaceError, OperationalError, connection, transaction

from flows.bodies.packed_body import PackedBody
from flows.bodies.references import delete_refs, delete_unreferenced, refs_of, stored_of
from flows.lineage.fresh_flows import Addition
from flows.models import INTERRUPTED, BodyRef, Flow, FlowBody, FlowParts
from flows.upsert import insert_values, new_row, upsert
from flows.writer.retention import lock_bodies
from flows.writer.rollup import roll_up
from flows.writer.rows.flow_rows import FlowRows

logger = logging.getLogger(__name__)
_NO_ADDITIONS: Final[Mapping[str, Addition]] = MappingProxyType({})
_FILLED_BY_OTHERS = frozenset({"pinned"})
"""Columns of a flow that a later record leaves as they are."""


def write_batch(
    batch: Sequence[FlowRows], additions: Mapping[str, Addition] = _NO_ADDITIONS
) -> None:
    """Insert or replace the rows of `batch` (one entry a flow).

    `additions`: links and texts of the batch's flows that are known already.


    Deletes the bodies that only the older state of these flows needed. A record of a running flow
    never replaces the last one of that flow: after a recorder was killed, records come again.
    """
    if not batch:
        return
    with transaction.atomic():
        lock_bodies()
        ended = _stored_flows([rows.flow.pk for rows in batch])
        stored_ids = set(ended)
        ended_ids = {flow_id for flow_id, has_ended in ended.items() if has_ended}
        batch = [
            rows
            for rows in batch
            if rows.flow.state != Flow.State.LIVE or not ended.get(rows.flow.pk)
        ]
        if not batch:
            return
        additions = _without_lost_bases(batch, additions)
        flows = [_completed(rows.flow, additions.get(rows.flow.pk)) for rows in batch]
        messages = [message for rows in batch for message in rows.messages]
        bodies: dict[str, PackedBody] = {}
        for rows in batch:
            bodies |= rows.bodies
        _store_bodies(bodies)
        # Before the flows: it takes away what their older state had counted.
        _roll_up(flows, ended_ids)
        upsert(flows, ("id",), _FILLED_BY_OTHERS)
        _write_parts(batch)
        upsert(messages, ("flow_id", "seq"))
        _write_refs(batch, stored_ids)
        links = [addition.link for addition in additions.values()]
        texts = [addition.text for addition in additions.values()]
        upsert(list(filter(None, links)), ("flow_id",))
        upsert(list(filter(None, texts)), ("flow_id",))


def _completed(flow: Flow, addition: Addition | None) -> Flow:
    """Return the row of a flow whose link, and mostly its text too, are written with it.

    The row itself stays as it is: if the database refuses it now, it may go into a file.
    """
    if addition is None:
        return flow
    changed: dict[str, Any] = {"indexed": True}
    if addition.text is not None:
        changed |= {"searched": True, "search_text": ""}
    return new_row(Flow, flow.__dict__ | changed)


def _without_lost_bases(
    batch: Sequence[FlowRows], additions: Mapping[str, Addition]
) -> Mapping[str, Addition]:
    """Leave out the texts of flows that continue one which retention has deleted meanwhile."""
    texts = [addition.text for addition in additions.values() if addition.text is not None]
    bases = {text.base for text in texts} - {rows.flow.pk for rows in batch} - {""}
    if not bases:
        return additions
    lost = bases.difference(_locked_flows(sorted(bases)))
    kept: dict[str, Addition] = {}
    for flow_id, addition in additions.items():
        is_lost = addition.text is not None and addition.text.base in lost
        kept[flow_id] = addition._replace(text=None) if is_lost else addition
    return kept


def _locked_flows(ids: list[str]) -> list[str]:
    """Return those of `ids` that are stored, locked, so that retention waits with the others.

    Making the query with the ORM takes as long as storing the flow.
    """
    placeholders = ", ".join(["%s"] * len(ids))
    query = f"SELECT id FROM flows_flow WHERE id IN ({placeholders})"  # noqa: S608
    # SQLite has one writer, and nothing to lock.
    if connection.features.has_select_for_update:
        query += " FOR UPDATE"
    with connection.cursor() as cursor:
        cursor.execute(query, ids)
        return [flow_id for (flow_id,) in cursor.fetchall()]


def _stored_flows(ids: list[str]) -> dict[str, bool]:
    """Return those of `ids` that are stored already, and if their last state is.

    Short flows mostly are not, and then nothing of theirs is looked up. A flow that was marked as
    interrupted may go on.
    """
    placeholders = ", ".join(["%s"] * len(ids))
    query = (
        "SELECT id, state <> %s AND error <> %s "  # noqa: S608
        f"FROM flows_flow WHERE id IN ({placeholders})"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [Flow.State.LIVE.value, INTERRUPTED, *ids])
        return {flow_id: bool(has_ended) for flow_id, has_ended in cursor.fetchall()}


def _store_bodies(bodies: dict[str, PackedBody]) -> None:
    """Insert the bodies that are not stored, and their bases if they were deleted meanwhile."""
    bases: dict[str, PackedBody] = {}
    for body in bodies.values():
        for base in body.bases():
            if base.digest not in bodies:
                bases[base.digest] = base
    for digest in stored_of(bases):
        bases.pop(digest, None)
    # Bases first: a foreign key names them.
    values = [_body_values(body) for body in (*bases.values(), *bodies.values())]
    columns = ("digest", "encoding", "size_bytes", "blob", "base_id")
    insert_values(FlowBody, columns, values, key=("digest",), replace=False)


def _body_values(body: PackedBody) -> tuple[object, ...]:
    base = body.base.digest if body.base else None
    return body.digest, body.encoding, body.size_bytes, body.blob, base


def _write_parts(batch: Sequence[FlowRows]) -> None:
    columns = ("flow_id", "headers", "sides", "steps")
    values = []
    for rows in batch:
        parts = rows.parts
        values.append((rows.flow.pk, parts.headers, parts.sides, parts.steps))
    insert_values(FlowParts, columns, values, key=("flow_id",), replace=True)


def _write_refs(batch: Sequence[FlowRows], stored_ids: set[str]) -> None:
    """Store which bodies the flows need, and delete those that only an older state needed."""
    before = refs_of(stored_ids)
    now = {(rows.flow.pk, digest) for rows in batch for digest in rows.refs}
    columns = ("flow_id", "digest")
    insert_values(BodyRef, columns, list(now - before), key=columns, replace=False)
    superseded = before - now
    if superseded:
        delete_refs(superseded)
        delete_unreferenced(digest for _, digest in superseded)


def _roll_up(flows: Sequence[Flow], ended_ids: set[str]) -> None:
    try:
        with transaction.atomic():
            roll_up(flows, ended_ids)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        # Sums must not cost the flows themselves.
        logger.exception("%d flows could not be added to the daily usage", len(flows))
