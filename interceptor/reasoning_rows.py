"""Reasoning of conversations in the database: for all processes, and for the next start."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection

from interceptor.models import CarriedReasoning
from providers.fields import Ciphertext

LIFETIME: Final = timedelta(days=7)
"""How long a conversation may rest; its newest reasoning counts."""
MAX_ROWS: Final = 50_000


class DatabaseReasoning:
    """Rows of carried reasoning; implements `KeepsReasoning`."""

    async def recall(self, digests: list[str]) -> dict[str, str]:
        """Return the texts of those that are known, by digest."""
        return await asyncio.to_thread(_recall_and_close, digests)

    async def keep(self, texts: dict[str, str]) -> None:
        """Write rows, and delete the oldest."""
        await asyncio.to_thread(_keep_and_close, texts)


def _recall_and_close(digests: list[str]) -> dict[str, str]:
    try:
        return recall(digests)
    finally:
        # The thread may never be asked again.
        connection.close()


def _keep_and_close(texts: dict[str, str]) -> None:
    try:
        keep(texts)
    finally:
        connection.close()


def recall(digests: list[str]) -> dict[str, str]:
    """Return the texts of those that are known and not too old. Blocks."""
    rows = CarriedReasoning.objects.filter(
        digest__in=digests, kept_at__gt=datetime.now(UTC) - LIFETIME
    )
    return {row.digest: Ciphertext(row.text).decrypt() for row in rows}


def keep(texts: dict[str, str], max_rows: int = MAX_ROWS) -> None:
    """Write rows, and delete those that are too old or too many. Blocks."""
    now = datetime.now(UTC)
    rows = [CarriedReasoning(digest=one, text=text, kept_at=now) for one, text in texts.items()]
    CarriedReasoning.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["digest"],
        update_fields=["text", "kept_at"],
    )
    CarriedReasoning.objects.filter(kept_at__lte=now - LIFETIME).delete()
    newest = CarriedReasoning.objects.order_by("-kept_at").values_list("kept_at", flat=True)
    oldest_kept = newest[max_rows - 1 : max_rows].first() if max_rows else None
    if oldest_kept is not None:
        CarriedReasoning.objects.filter(kept_at__lt=oldest_kept).delete()
