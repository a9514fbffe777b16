"""Limits of renewals and the proxies in front of providers, from the server settings. No Django."""

from __future__ import annotations

import os
from typing import Protocol

from providers.auth.logins import RefreshLimits
from providers.auth.registry import SECRETS
from providers.base.upstream_proxy import UpstreamProxies, choose_proxies


class RefreshSettings(Protocol):
    """The part `auth` of the server settings."""

    @property
    def refresh_timeout_seconds(self) -> float: ...
    @property
    def refresh_headroom_seconds(self) -> float: ...


class LoginSettings(Protocol):
    """The server settings that logins need."""

    @property
    def auth(self) -> RefreshSettings: ...
    @property
    def upstream_proxy(self) -> str | None: ...


def limits_of(settings: LoginSettings) -> RefreshLimits:
    """Return the limits that `auth` of the server settings names."""
    return RefreshLimits(
        timeout_s=settings.auth.refresh_timeout_seconds,
        headroom_s=settings.auth.refresh_headroom_seconds,
        proxies=proxies_of(settings),
    )


def proxies_of(settings: LoginSettings) -> UpstreamProxies:
    """Return the proxies of the setting and the variables; logs and records hide their secrets."""
    proxies, _ = choose_proxies(settings.upstream_proxy, os.environ)
    for secret in proxies.secrets:
        SECRETS.add(secret)
    return proxies
