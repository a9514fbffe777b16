"""Deletion of what the record no longer has to keep.

Works in small transactions, so that the writer never waits long.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Length

from flows.bodies.references import delete_unreferenced
from flows.models import (
    BodyRef,
    Flow,
    FlowBody,
    FlowLink,
    FlowParts,
    FlowText,
    SearchSegment,
    SearchShelf,
    WebSocketMessage,
)
from flows.search.indexer import index_again
from flows.writer.retention_policy import RetentionPolicy

CHUNK_ROWS = 200
_VACUUM_PAGES = 1000
SPARE_PAGES = 2000
"""Most free pages that stay in SQLite's file: the next flows need them anyway."""
_SPARE_SHARE = 4
"""At most one free page stays for this many used ones."""
_LEAST_SPARE_PAGES = 50
_CHECKPOINT_WAIT_MS = 200
"""How long a checkpoint waits for readers of the log, and keeps writers waiting."""
_INCREMENTAL = 2
"""Value of SQLite's `PRAGMA auto_vacuum` that allows giving pages back in steps."""
_REWRITABLE_BYTES = 64 * 1024 * 1024
_BODY_LOCK = 0x63637078
"""Key of PostgreSQL's advisory lock on bodies."""
_BODY_COLUMNS = ((BodyRef, "digest"), (WebSocketMessage, "body_digest"))
_OF_A_FLOW = (FlowParts, FlowLink, FlowText, BodyRef, WebSocketMessage)


def prune_chunk(policy: RetentionPolicy, now: datetime, limit: int = CHUNK_ROWS) -> int:
    """Delete at most `limit` flows, the oldest first; return how many.

    0 means that the policy is met.
    """
    ids = _expired(policy, now, limit)
    delete_flows(ids)
    return len(ids)


def delete_flows(ids: Sequence[str], *, bodies: bool = True) -> None:
    """Delete flows with everything that is theirs, in one transaction.

    Their orphaned bodies go too. Without `bodies` these stay for a sweep, which is faster when
    there are many.
    """
    if not ids:
        return
    with transaction.atomic():
        lock_bodies()
        digests: set[str] = set()
        if bodies:
            digests = _digests_of(ids)
        index_again(ids)
        # Not Flow.delete(), which would read the flows first.
        for table in _OF_A_FLOW:
            _delete_rows(table._default_manager.filter(flow__in=ids))
        _delete_rows(Flow.objects.filter(pk__in=ids))
        delete_unreferenced(digests)


def _digests_of(ids: Sequence[str]) -> set[str]:
    """Return the digests of the bodies that flows refer to."""
    digests: set[str] = set()
    for model, column in _BODY_COLUMNS:
        rows = model._default_manager.filter(flow__in=ids)
        digests.update(rows.values_list(column, flat=True))
    return digests


def delete_everything() -> int:
    """Empty the record in one transaction, with pinned flows; return how many flows it had.

    A table is emptied at once, in a second or two where row by row takes minutes. Writers wait
    meanwhile.
    """
    models = (*_OF_A_FLOW, SearchShelf, SearchSegment, Flow, FlowBody)
    tables = [connection.ops.quote_name(model._meta.db_table) for model in models]
    with (
        connection.constraint_checks_disabled(),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        lock_bodies()
        count = Flow.objects.count()
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(tables)}")
        else:
            for table in tables:
                cursor.execute(f"DELETE FROM {table}")  # noqa: S608  our own names
    return count


def sweep_chunk(after: str, limit: int = CHUNK_ROWS) -> str:
    """Delete orphaned bodies among the next `limit` digests behind `after`.

    Returns the digest to go on behind; "" at the end.
    """
    with transaction.atomic():
        lock_bodies()
        page = FlowBody.objects.filter(digest__gt=after).order_by("digest")
        digests = list(page.values_list("digest", flat=True)[:limit])
        delete_unreferenced(digests)
    return digests[-1] if len(digests) == limit else ""


def make_shrinkable() -> None:
    """Turn on incremental vacuum for a small SQLite file, which rewrites it once.

    A large file that was created without it keeps its size until VACUUM is run by hand; its free
    pages are reused.
    """
    if connection.vendor != "sqlite" or _pragma("auto_vacuum") == _INCREMENTAL:
        return
    # Rewriting 64 MB takes well under a second.
    if used_bytes() > _REWRITABLE_BYTES:
        return
    # Not an `init_command`: that would ask for the write lock at every new connection.
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
        cursor.execute("VACUUM")


def reclaim_chunk(spare_pages: int | None = None) -> bool:
    """Give some free pages of the SQLite file back to the disk; return whether there are more.

    `spare_pages` stay; None: a share of those in use. The file itself shrinks when the log is
    written back, see `truncate_log`. Within a transaction it does nothing.
    """
    if connection.vendor != "sqlite" or _pragma("auto_vacuum") != _INCREMENTAL:
        return False
    if connection.in_atomic_block:
        # A script would commit it.
        return False
    if spare_pages is None:
        used_pages = _pragma("page_count") - _pragma("freelist_count")
        spare_pages = min(SPARE_PAGES, max(_LEAST_SPARE_PAGES, used_pages // _SPARE_SHARE))
    if _pragma("freelist_count") <= spare_pages:
        return False
    with connection.cursor() as cursor:
        # A script, because execute() takes only the first step of this statement, which frees a
        # single page.
        cursor.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
    return _pragma("freelist_count") > spare_pages


def truncate_log() -> bool:
    """Write SQLite's log back into the file and cut it to nothing; return whether that worked.

    Readers of older states keep it from working; then the next try does it.
    """
    # A checkpoint inside a transaction is an error.
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return False
    wait_ms = _pragma("busy_timeout")
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT_MS}")
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return not cursor.fetchone()[0]
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {wait_ms}")


def file_bytes() -> int | None:
    """Return the size of the SQLite file, free pages included; None for PostgreSQL."""
    if connection.vendor != "sqlite":
        return None
    return _pragma("page_count") * _pragma("page_size")


def used_bytes() -> int:
    """Return the size of the record without what is free for reuse."""
    if connection.vendor == "sqlite":
        used_pages = _pragma("page_count") - _pragma("freelist_count")
        return used_pages * _pragma("page_size")
    return FlowBody.objects.aggregate(total=Sum(Length("blob")))["total"] or 0


def lock_bodies() -> None:
    """Keep other connections from deleting bodies, until the transaction ends.

    One of them may be about to be referred to again.
    """
    # SQLite has one writer at a time anyway.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_BODY_LOCK])


def _expired(policy: RetentionPolicy, now: datetime, limit: int) -> list[str]:
    """Return the oldest flows that break a limit: first of age, then of count, then of size."""
    deletable = Flow.objects.filter(pinned=False).exclude(state=Flow.State.LIVE)
    if policy.max_age_days is not None:
        before = now - timedelta(days=policy.max_age_days)
        ids = _oldest(deletable, limit, before)
        if ids:
            return ids
    if policy.max_flows is not None:
        excess = deletable.count() - policy.max_flows
        if excess > 0:
            return _oldest(deletable, min(excess, limit))
    if policy.max_bytes is not None:
        used = used_bytes()
        if used > policy.max_bytes:
            # The same share of the flows as of the bytes, so that none is deleted without need.
            share = (used - policy.max_bytes) / used
            excess = int(deletable.count() * share)
            return _oldest(deletable, max(1, min(limit, excess)))
    return []


def _oldest(flows: QuerySet[Flow], limit: int, before: datetime | None = None) -> list[str]:
    """Return the ids of the oldest flows, at most `limit`, all older than `before` if it is given.

    A recorded flow is as old as its start. An imported flow is as old as its import, whatever its
    own dates: someone who imports a capture of last year wants to read it now. Example: recorded on
    May 1 and imported on May 3 (from March) → the recorded flow is the older one.
    """
    recorded = flows.filter(imported_at__isnull=True).annotate(kept_since=F("started_at"))
    imported = flows.filter(imported_at__isnull=False).annotate(kept_since=F("imported_at"))
    oldest: list[tuple[datetime, datetime, str]] = []
    # Two queries, because each of them has an index for its order.
    for group in (recorded, imported):
        if before is not None:
            group = group.filter(kept_since__lt=before)
        in_order = group.order_by("kept_since", "started_at", "id")
        oldest += in_order.values_list("kept_since", "started_at", "pk")[:limit]
    return [flow_id for _, _, flow_id in sorted(oldest)[:limit]]


def _delete_rows(rows: QuerySet[Any]) -> None:
    rows._raw_delete(using=rows.db)


def _pragma(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {name}")
        return int(cursor.fetchone()[0])
