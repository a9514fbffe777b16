"""Logins as every process of an installation keeps them: in the database, with its settings."""

from __future__ import annotations

from django.conf import settings

from providers.auth.logins import OAuthLogins, RefreshLimits
from providers.auth.refresh_settings import limits_of, proxies_of
from providers.auth.registry import SECRETS
from providers.base.upstream_proxy import UpstreamProxies
from providers.credentials.shared_state import DatabaseLogins
from providers.fields import keyring


def refresh_limits() -> RefreshLimits:
    """Return the limits that `auth` of the server settings names."""
    return limits_of(settings.CCPROXY)


def upstream_proxies() -> UpstreamProxies:
    """Return the proxies of the setting and the variables; logs and records hide their secrets."""
    return proxies_of(settings.CCPROXY)


def stored_logins() -> OAuthLogins:
    """Return this installation's logins, for use on one event loop."""
    return OAuthLogins(
        secrets=SECRETS,
        decrypt=lambda text: keyring().decrypt(text),
        shared=DatabaseLogins(),
        limits=refresh_limits(),
    )
