"""Logins as every process of an installation keeps them: in the database, with its settings."""

from __future__ import annotations

from django.conf import settings

from providers.auth.logins import OAuthLogins, RefreshLimits
from providers.auth.refresh_settings import limits_of
from providers.auth.registry import SECRETS
from providers.credentials.shared_state import DatabaseLogins
from providers.fields import keyring


def refresh_limits() -> RefreshLimits:
    """Return the limits that `auth` of the server settings names."""
    return limits_of(settings.CCPROXY)


def stored_logins() -> OAuthLogins:
    """Return this installation's logins, for use on one event loop."""
    return OAuthLogins(
        secrets=SECRETS,
        decrypt=lambda text: keyring().decrypt(text),
        shared=DatabaseLogins(),
        limits=refresh_limits(),
    )
