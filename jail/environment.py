"""Environment and files of a jailed command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from jail.ca_bundle import VARIABLES, system_bundles

MARKER = "CCPROXY_JAIL"
"""Set inside a jail, to the id of its lease."""
_REMOVED = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_OURS = ("CCPROXY_*", "DATABASE_URL", "REDIS_URL", "DJANGO_*", "CELERY_*", "PGPASSWORD")
_TELEMETRY = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_*_HEADERS")
_CONFIDENTIAL = (*_OURS, *_TELEMETRY)
"""Variables of the proxy and of its database; they hold secrets or lead to them."""
_HARMLESS = ("CCPROXY_CONFIG_DIR",)
BASIC: Final = (
    "HOME", "LANG", "LANGUAGE", "LC_*", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "COLORTERM",
    "TMPDIR", "TZ", "USER", "XDG_*",
)  # fmt: skip
"""Variables that a command gets where `--env` lists the others."""
_KEY_FILES = ("CCPROXY_SECRET_KEY_FILE",)
_SQLITE_SUFFIXES = ("", "-wal", "-shm", "-journal")
_RESOLV_CONF = Path("/etc/resolv.conf")
_NAME_SERVICES = ("/run/systemd/resolve", "/run/nscd", "/var/run/nscd", "/run/avahi-daemon")
"""Where daemons of the host answer look-ups over unix sockets, which no network namespace stops."""


def jail_environment(
    environ: Mapping[str, str], bundle: Path, lease: str, allowed: Sequence[str] | None = None
) -> dict[str, str]:
    """Return the caller's environment, with certificates and without proxies and secrets.

    Args:
        allowed: names or patterns of variables, such as "ANTHROPIC_*"; with them no others pass
            but `BASIC`.
    """
    # Proxy variables are read in both cases; a company's proxy cannot be reached from inside.
    proxies = {*_REMOVED, *(name.upper() for name in _REMOVED)}
    wanted = ("*",) if allowed is None else (*BASIC, *allowed)
    environment = {
        name: value
        for name, value in environ.items()
        if name not in proxies and _matches(name, wanted) and not _is_confidential(name)
    }
    environment.update(dict.fromkeys(VARIABLES, str(bundle)))
    environment[MARKER] = lease
    return environment


def _is_confidential(name: str) -> bool:
    return name not in _HARMLESS and _matches(name, _CONFIDENTIAL)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def shown_files(bundle: Path, resolv_conf: Path) -> list[tuple[str, str]]:
    """Return (source, target) pairs of files that replace others in the jail."""
    # The bundle itself is shown too, because its folder may be hidden.
    targets = [str(bundle), *system_bundles()]
    shown = [(str(bundle), target) for target in targets]
    # With systemd-resolved the file is a link into /run; a bind mount needs the file behind it.
    if _RESOLV_CONF.exists() or _RESOLV_CONF.is_symlink():
        target = _RESOLV_CONF.resolve()
        if target.exists():
            shown.append((str(resolv_conf), str(target)))
    return shown


def covered_folders(directory: Path, cert_dir: Path, working: Path) -> list[str]:
    """Return the folders that the command finds empty.

    They are the host's name services, and the proxy's keys, record and sockets. If the working
    directory lies in the config directory, only its sockets can be hidden.
    """
    folders = [Path(name).resolve() for name in _NAME_SERVICES if Path(name).is_dir()]
    for private in (directory.resolve(), cert_dir.resolve()):
        # The command needs the folder it was started in.
        if working.is_relative_to(private) or not private.is_dir():
            continue
        if not _is_covered(private, folders):
            folders.append(private)
    # Over these sockets the proxy gives out leases, which would lead out of the jail.
    sockets = directory.resolve() / "run"
    if not _is_covered(sockets, folders):
        folders.append(sockets)
    return [str(folder) for folder in dict.fromkeys(folders)]


def emptied_files(environ: Mapping[str, str], covered: Sequence[str]) -> list[str]:
    """Return the proxy's private files outside the covered folders; the command finds them empty.

    They are the secret key's file and an SQLite database, with the files that SQLite puts beside.
    """
    found = [Path(environ[name]) for name in _KEY_FILES if environ.get(name)]
    found += _database_files(environ.get("DATABASE_URL", ""))
    folders = [Path(folder) for folder in covered]
    files = [path.resolve() for path in found if path.is_file()]
    return [str(path) for path in files if not _is_covered(path, folders)]


def _database_files(url: str) -> list[Path]:
    """Return the files of an SQLite database: "sqlite:////d/a.db" → /d/a.db, /d/a.db-wal, …"""
    parts = urlsplit(url)
    if parts.scheme != "sqlite":
        return []
    database = Path(unquote(parts.path.removeprefix("/")))
    return [database.with_name(database.name + suffix) for suffix in _SQLITE_SUFFIXES]


def _is_covered(path: Path, folders: list[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
