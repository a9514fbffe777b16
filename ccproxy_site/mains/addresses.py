"""Addresses and paths of this installation, as heartbeats and the first lines name them."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings as django_settings

from interceptor.config.files.server import ServerSettings
from interceptor.instances.endpoints import Endpoints
from interceptor.operate.stock import Why


def endpoints_of(
    settings: ServerSettings, directory: Path, *, console: bool, stock: frozenset[Why]
) -> Endpoints:
    """Return the addresses that a running installation has."""
    database = django_settings.DATABASES["default"]
    name = str(database["NAME"])
    if not database["ENGINE"].endswith("sqlite3"):
        name = f"{database['HOST'] or 'local'}/{name}"
    return Endpoints(
        proxy_url=settings.proxy_url,
        console_url=settings.console_url if console else "",
        config_dir=str(directory),
        ca_path=str(settings.cert_dir(directory) / "mitmproxy-ca-cert.pem"),
        database=name,
        stock=",".join(sorted(stock)),
    )
