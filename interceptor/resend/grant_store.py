"""Grants in the database: issued by the console, redeemed by whichever proxy process the request
reaches.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection

from flows.models import Flow, Resend
from interceptor.access.grant import TOKEN_PREFIX, Grant, is_token, token_digest

LIFETIME: Final = timedelta(seconds=30)
FORGOTTEN_AFTER: Final = timedelta(days=1)
MAX_WAITING: Final = 4
"""Questions to the database at a time: more would only fill the threads that others need."""


def issue(row: Resend) -> str:
    """Save an unsaved row as a grant for the next half minute; returns the token's only copy."""
    now = datetime.now(UTC)
    _forget(now)
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row.ticket, row.token_sha256 = secrets.token_hex(16), token_digest(token)
    row.created_at, row.expires_at = now, now + LIFETIME
    row.save(force_insert=True)
    return token


def _forget(now: datetime) -> None:
    """Grants that came to nothing, and links between flows that are gone."""
    old = Resend.objects.filter(created_at__lt=now - FORGOTTEN_AFTER)
    old.exclude(new_flow_id__in=Flow.objects.values("pk")).delete()


class DatabaseGrants:
    """Redeems grants on threads of its own, a few at a time."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(MAX_WAITING)

    async def redeem(self, token: str, flow_id: str) -> Grant | None:
        """Use the grant up; whichever process comes first gets it."""
        if not is_token(token):
            return None
        async with self._places:
            return await asyncio.to_thread(_redeem_and_close, token, flow_id)


def _redeem_and_close(token: str, flow_id: str) -> Grant | None:
    try:
        return redeem(token, flow_id)
    finally:
        connection.close()  # the thread may never be asked again


def redeem(token: str, flow_id: str) -> Grant | None:
    """Use the grant of a token up. Blocks.

    The flow that used it up gets it again: its proxy asks twice when the first answer was lost.
    """
    of_token = Resend.objects.filter(token_sha256=token_digest(token), problem="")
    unused = of_token.filter(new_flow_id="", expires_at__gt=datetime.now(UTC))
    unused.update(new_flow_id=flow_id)
    row = of_token.filter(new_flow_id=flow_id).exclude(new_flow_id="").first()
    if row is None:
        return None
    return Grant(row.ticket, row.as_forwarded, row.provider, row.origin, row.session_id)
