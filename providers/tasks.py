"""Celery tasks."""

from __future__ import annotations

import asyncio

from celery import shared_task

from providers.auth.proactive import renew_due
from providers.credentials.handle import auth_of
from providers.credentials.stored_logins import stored_logins
from providers.models import Provider


@shared_task(name="providers.renew_logins", ignore_result=True)  # type: ignore[untyped-decorator]
def renew_logins() -> int:
    """Renew the logins of enabled providers that expire soon. Return the number of valid ones."""
    sources = [auth_of(row) for row in Provider.objects.filter(enabled=True)]

    async def renew() -> int:
        return await renew_due(stored_logins(), sources)

    return asyncio.run(renew())
