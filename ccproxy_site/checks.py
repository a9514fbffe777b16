"""System checks: settings that would hurt later, each with an id and the way out."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from providers.base.errors import ConfigError
from providers.base.keyring import Keyring


@register(Tags.security)
def key_file(**_: Any) -> list[CheckMessage]:
    """The key that encrypts stored credentials must be readable by us, and by nobody else."""
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
    """The config directory holds secrets: only its owner may enter it."""
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
    """Whoever signs in as superuser can run commands on the server."""
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
    """A console open to every Host header can be reached through DNS rebinding."""
    if "*" in settings.ALLOWED_HOSTS:
        return [
            Error(
                "The console answers to every host name.",
                hint="List the names it is reached by in CCPROXY_CONSOLE_HOSTS.",
                id="ccproxy.E002",
            )
        ]
    return []
