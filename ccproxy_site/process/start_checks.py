"""Checks before `ccproxy start` opens a socket: each raises one sentence for the user."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from django.conf import settings as django_settings
from django.db import DatabaseError

from ccproxy_site.process.database import ensure_database
from ccproxy_site.process.file_modes import secure_files
from ccproxy_site.process.logging import log_as_set
from interceptor.config.files.server import ServerSettings
from interceptor.config.transfer.import_mark import unread_sections
from interceptor.forward.port_setting import FORWARD_SETTING
from interceptor.models import ClientToken
from interceptor.operate.ports import (
    check_bind_address,
    check_forward_listener,
    check_port_free,
)
from interceptor.operate.python_build import python_build
from providers.base.errors import ConfigError
from providers.base.http_client import httpx
from providers.base.upstream_proxy import choose_proxies

logger = logging.getLogger("ccproxy")

PORT_SETTINGS: Final = {
    "proxy": "port (CCPROXY_PORT)",
    "console": "inspector.port (CCPROXY_INSPECTOR__PORT)",
    "MCP": "mcp.http.port (CCPROXY_MCP__HTTP__PORT)",
    "forward proxy": FORWARD_SETTING,
}
"""The setting, and the variable, of each listener's port."""


def check_start(settings: ServerSettings, directory: Path) -> bool:
    """Check files, database and callers; return True if clients must show a client token.

    The log is set up in between: what the database has to say belongs into it.

    Raises:
        CcproxyError: one sentence for the user.
    """
    check_directory(directory)
    log_as_set(settings, directory)
    key_file = Path(django_settings.CCPROXY_KEY_FILE)
    secure_files(directory, key_file, files_elsewhere(settings, directory))
    has_token = open_database()
    require_token = check_bind_address(settings.host, has_client_token=has_token)
    check_forward_listener(settings.inspector.forward_port, has_client_token=has_token)
    return require_token


def check_addresses(settings: ServerSettings, *, console: bool) -> None:
    """Reject ports that are taken and a network that is not there; log how providers are reached.

    Raises:
        CcproxyError: one sentence for the user.
    """
    check_ports(settings, console=console)
    check_network(settings)
    logger.info(python_build())
    note_proxies(settings)


def check_directory(directory: Path) -> None:
    """Reject a config directory that cannot be written; make one that is missing."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = directory / f".write-test-{os.getpid()}"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as exc:
        raise ConfigError(
            f"cannot write to the config directory {directory}: {exc.strerror}"
        ) from None


def open_database() -> bool:
    """Make the database ready; return True when there is a client token to show.

    Raises:
        ConfigError: the database cannot be used.
    """
    try:
        state = ensure_database(check_columns=True)
        for note in (*state.notes, *unread_sections()):
            logger.warning(note)
        return ClientToken.objects.filter(enabled=True).exists()
    except DatabaseError as exc:
        raise ConfigError(f"cannot use the database: {exc}") from None


def check_ports(settings: ServerSettings, *, console: bool) -> None:
    """Reject addresses that are taken already."""
    listeners = [("proxy", settings.host, settings.port)]
    forward_port = settings.inspector.forward_port
    if forward_port is not None:
        listeners.append(("forward proxy", settings.host, forward_port))
    if console:
        listeners.append(("console", settings.console.host, settings.inspector.port))
        server = settings.mcp.http
        if server.enabled:
            listeners.append(("MCP", server.host, server.port))
    for what, host, port in listeners:
        check_port_free(what, host, port, PORT_SETTINGS[what])


def note_proxies(settings: ServerSettings) -> None:
    """Log by which proxies providers are reached, and the variables that cannot be used."""
    proxies, notes = choose_proxies(settings.upstream_proxy, os.environ)
    for note in notes:
        logger.warning(note)
    labels = [proxy.label for proxy in (proxies.https, proxies.http) if proxy is not None]
    for label in dict.fromkeys(labels):
        logger.info("providers are reached by way of %s", label)


def check_network(settings: ServerSettings) -> None:
    """Run the readiness probe.

    It is off unless a URL is set, because a proxy must start offline.
    """
    readiness = settings.inspector.readiness
    if not readiness.url:
        return
    proxies, _ = choose_proxies(settings.upstream_proxy, os.environ)
    url = httpx.URL(readiness.url)
    via = proxies.of(url.scheme, url.host, url.port or (80 if url.scheme == "http" else 443))
    try:
        httpx.head(
            readiness.url,
            timeout=readiness.timeout_seconds,
            follow_redirects=False,
            proxy=httpx.Proxy(via.url, auth=via.auth) if via else None,
            trust_env=False,
        )
    except httpx.HTTPError as exc:
        raise ConfigError(
            f"the readiness probe of {readiness.url} failed: {type(exc).__name__}: {exc}"
        ) from None


def files_elsewhere(settings: ServerSettings, directory: Path) -> list[Path]:
    """Return our files that settings put outside the config directory: CA, log, database."""
    ca = settings.cert_dir(directory)
    found = [ca / name for name in ("mitmproxy-ca.pem", "mitmproxy-ca.p12")]
    log = settings.log_path(directory)
    if log is not None:
        found += [log, *log.parent.glob(f"{log.name}.*")]
    database = django_settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        name = str(database["NAME"])
        found += [Path(name + ending) for ending in ("", "-wal", "-shm")]
    return [path for path in found if path.exists() and directory not in path.parents]
