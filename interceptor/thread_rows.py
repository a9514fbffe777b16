"""Threads of Perplexity in the database: for all processes, and for the next start."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from interceptor.models import RememberedThread
from providers.fields import Ciphertext
from providers.perplexity.threads import ThreadIds


class DatabaseThreads:
    """Rows of remembered threads; implements `RemembersThreads`."""

    async def recall(self, key: str) -> ThreadIds | None:
        """Return and delete a row; of several callers one alone gets it."""
        return await asyncio.to_thread(_recall_and_close, key)

    async def remember(self, key: str, ids: ThreadIds, ttl_s: float) -> None:
        """Write a row, and delete those that have expired."""
        await asyncio.to_thread(_remember_and_close, key, ids, ttl_s)


def _recall_and_close(key: str) -> ThreadIds | None:
    try:
        return recall(key)
    finally:
        # The thread may never be asked again.
        connection.close()


def _remember_and_close(key: str, ids: ThreadIds, ttl_s: float) -> None:
    try:
        remember(key, ids, ttl_s)
    finally:
        connection.close()


def recall(key: str) -> ThreadIds | None:
    """Return and delete a row. Blocks."""
    with transaction.atomic():
        row = RememberedThread.objects.filter(key=key, expires_at__gt=datetime.now(UTC)).first()
        if row is None:
            return None
        ids = Ciphertext(row.ids).decrypt()
        # Two machines may have read it; the one that deletes it has it.
        deleted, _ = RememberedThread.objects.filter(key=key).delete()
    return ThreadIds(**json.loads(ids)) if deleted else None


def remember(key: str, ids: ThreadIds, ttl_s: float) -> None:
    """Write a row, and delete those that have expired. Blocks."""
    now = datetime.now(UTC)
    RememberedThread.objects.filter(expires_at__lte=now).delete()
    RememberedThread.objects.update_or_create(
        key=key,
        defaults={
            "ids": json.dumps(asdict(ids)),
            "expires_at": now + timedelta(seconds=ttl_s),
        },
    )
