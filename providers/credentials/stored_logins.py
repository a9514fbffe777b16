"""Logins as every process of an installation keeps them: in the database, with its settings."""

from __future__ import annotations

import os

from django.conf import settings

from providers.auth.logins import OAuthLogins, RefreshLimits
from providers.auth.registry import SECRETS
from providers.base.upstream_proxy import UpstreamProxies, choose_proxies
from providers.credentials.shared_state import DatabaseLogins
from providers.fields import keyring


def refresh_limits() -> RefreshLimits:
    """Return the limits that `auth` of the server settings names."""
    auth = settings.CCPROXY.auth
    return RefreshLimits(
        timeout_s=auth.refresh_timeout_seconds,
        headroom_s=auth.refresh_headroom_seconds,
        proxies=upstream_proxies(),
    )


def upstream_proxies() -> UpstreamProxies:
    """Return the proxies of the setting and the variables; logs and records hide their secrets."""
    proxies, _ = choose_proxies(settings.CCPROXY.upstream_proxy, os.environ)
    for secret in proxies.secrets:
        SECRETS.add(secret)
    return proxies


def stored_logins() -> OAuthLogins:
    """Return this installation's logins, for use on one event loop."""
    return OAuthLogins(
        secrets=SECRETS,
        decrypt=lambda text: keyring().decrypt(text),
        shared=DatabaseLogins(),
        limits=refresh_limits(),
    )
