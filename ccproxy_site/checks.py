"""System checks: settings that would do harm later, each with an id and a remedy."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from providers.base.errors import ConfigError


@register(Tags.security)
def key_file(**_: Any) -> list[CheckMessage]:
    """Reject a key of stored credentials that others than this user can read."""
    from providers.base.keyring import Keyring  # it loads cryptography, which few processes need

    path = Path(settings.CCPROXY_KEY_FILE)
    if not path.exists():
        return []  # it is made when the first secret is stored
    try:
        Keyring.open(path)
    except ConfigError as exc:
        return [Error(str(exc), id="ccproxy.E001")]
    return []


@register(Tags.security)
def config_directory(**_: Any) -> list[CheckMessage]:
    """Warn of a config directory, which holds secrets, that other users can enter."""
    directory = Path(settings.CONFIG_DIR)
    if directory.exists() and stat.S_IMODE(directory.stat().st_mode) & 0o077:
        return [
            Warning(
                f"Other users of this machine can enter {directory}.",
                hint=f"Run: chmod 700 {directory}",
                id="ccproxy.W001",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def code_from_the_browser(**_: Any) -> list[CheckMessage]:
    """Warn when a superuser of the console can run commands on the server."""
    if settings.CCPROXY_ALLOW_CODE_CONFIG:
        return [
            Warning(
                "The console may set commands and hook paths, which run code on this machine.",
                hint="Unset CCPROXY_ALLOW_CODE_CONFIG; set them with “ccproxy importconfig”.",
                id="ccproxy.W002",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def console_hosts(**_: Any) -> list[CheckMessage]:
    """Reject a console that answers to every Host header: DNS rebinding would reach it."""
    if "*" in settings.ALLOWED_HOSTS:
        return [
            Error(
                "The console answers to every host name.",
                hint="List the names it is reached by in CCPROXY_CONSOLE_HOSTS.",
                id="ccproxy.E002",
            )
        ]
    return []
