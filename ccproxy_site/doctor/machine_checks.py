"""Findings about this machine: versions, the command's name, ports, CA, clock, the jail's tools."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from ccproxy_site.process.start_checks import PORT_SETTINGS
from interceptor.config.files.server import ServerSettings
from interceptor.operate.findings import Finding, Level, refused
from interceptor.operate.liveness import is_ccproxy, is_listening
from interceptor.operate.ports import check_port_free, is_ours
from interceptor.operate.python_build import python_build

_PACKAGES: Final = ("ccproxy", "mitmproxy", "Django", "cryptography")
CLOCK_MARGIN: Final = timedelta(minutes=5)


def versions() -> Iterator[Finding]:
    """Yield the versions that a bug report needs."""
    shown = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    yield Finding("versions", Level.OK, f"{shown}, {platform.system()} {platform.release()}")
    build = python_build()
    level = Level.NOTE if "not optimised" in build else Level.OK
    yield Finding("python", level, build)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def on_path() -> Finding:
    """Return if a shell finds the command by its name."""
    own = Path(sys.executable).with_name("ccproxy")
    if shutil.which("ccproxy"):
        return Finding("command", Level.OK, "ccproxy is on PATH")
    folder = own.parent
    fix = f'export PATH="{folder}:$PATH"' if own.exists() else ""
    return Finding("command", Level.NOTE, "ccproxy is not on PATH", fix)


def ports(settings: ServerSettings) -> Iterator[Finding]:
    """Yield if each listener runs, could run, or is kept from its port."""
    listeners = [
        ("proxy", settings.host, settings.port),
        ("console", settings.console.host, settings.inspector.port),
    ]
    if settings.mcp.http.enabled:
        listeners.append(("MCP", settings.mcp.http.host, settings.mcp.http.port))
    for what, host, port in listeners:
        runs = is_listening(host, port) and (is_ours(port) or is_ccproxy(host, port))
        if runs:
            yield Finding(what, Level.OK, f"runs at port {port}")
        else:
            yield _free(what, host, port)


def _free(what: str, host: str, port: int) -> Finding:
    """Return if a listener that does not run could have its port."""
    found = refused(
        what,
        lambda: check_port_free(what, host, port, PORT_SETTINGS[what]),
        f"does not run; port {port} is free",
    )
    if found.level is Level.OK:
        return found._replace(level=Level.NOTE, fix="ccproxy start")
    return found


def authority(folder: Path) -> Finding:
    """Return if the certificate authority can sign."""
    # Imported only here: mitmproxy's certificates take a tenth of a second.
    from interceptor.operate.authority import CA_FILE, check_authority

    if not (folder / CA_FILE).exists():
        return Finding(
            "CA", Level.NOTE, f"none yet in {folder}", "the first ccproxy start makes it"
        )
    return refused("CA", lambda: check_authority(folder), f"{folder / CA_FILE} can sign")


def clock(newest: datetime | None, made: datetime | None) -> Finding:
    """Return if the clock is behind what was recorded, or behind the CA's certificate.

    Args:
        newest: start of the newest recorded flow.
        made: the time from which on the CA's certificate is valid.
    """
    now = datetime.now(UTC)
    for moment, what in ((newest, "the newest recorded flow"), (made, "the CA's certificate")):
        if moment is not None and moment > now + CLOCK_MARGIN:
            behind = f"{now:%Y-%m-%d %H:%M} UTC is before {what}"
            return Finding(
                "clock", Level.FAILURE, behind, "set the clock: timedatectl set-ntp true"
            )
    return Finding("clock", Level.OK, f"{now:%Y-%m-%d %H:%M} UTC, {now.astimezone():%H:%M} here")


def authority_made(folder: Path) -> datetime | None:
    """Return the time from which on the CA's certificate is valid; None where none can be read."""
    from cryptography import x509

    from interceptor.operate.authority import CA_FILE

    try:
        certificate = x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return certificate.not_valid_before_utc


def jail_tools() -> Finding:
    """Return if this machine has what a jail needs; `ccproxy jail --doctor` builds one."""
    if sys.platform != "linux":
        return Finding("jail", Level.NOTE, "needs Linux", "use: ccproxy run -- COMMAND")
    from jail.report import status

    hints = status()["hints"]
    if hints:
        return Finding("jail", Level.NOTE, "cannot be built here", "; ".join(hints))
    return Finding("jail", Level.OK, "its tools are there; ccproxy jail --doctor tries one")
