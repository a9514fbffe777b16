"""Celery tasks."""

from __future__ import annotations

import asyncio

from celery import shared_task

from providers.auth.logins import OAuthLogins
from providers.auth.proactive import renew_due
from providers.auth.registry import SECRETS
from providers.credentials.handle import auth_of
from providers.credentials.shared_state import DatabaseLogins
from providers.fields import keyring
from providers.models import Provider


@shared_task(name="providers.renew_logins", ignore_result=True)  # type: ignore[untyped-decorator]
def renew_logins() -> int:
    """Renew the logins of enabled providers that expire soon; returns how many are good."""
    sources = [auth_of(row) for row in Provider.objects.filter(enabled=True)]

    async def renew() -> int:
        logins = OAuthLogins(
            secrets=SECRETS, decrypt=lambda text: keyring().decrypt(text), shared=DatabaseLogins()
        )
        return await renew_due(logins, sources)

    return asyncio.run(renew())
