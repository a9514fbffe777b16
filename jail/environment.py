"""The environment and the files that a jailed command sees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jail.ca_bundle import VARIABLES, system_bundles

MARKER = "CCPROXY_JAIL"
"""Set inside a jail, to the id of its lease."""
_REMOVED = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_SECRETS = ("CCPROXY_SECRET_KEY", "CCPROXY_SECRET_KEY_FILE", "DATABASE_URL", "REDIS_URL")
_RESOLV_CONF = Path("/etc/resolv.conf")
_NAME_SERVICES = ("/run/systemd/resolve", "/run/nscd", "/var/run/nscd", "/run/avahi-daemon")
"""Where daemons of the host answer look-ups over unix sockets, which no network namespace stops."""


def jail_environment(environ: Mapping[str, str], bundle: Path, lease: str) -> dict[str, str]:
    """The caller's environment with the certificates, without proxies and without the proxy's own
    secrets.
    """
    removed = {*_REMOVED, *(name.upper() for name in _REMOVED), *_SECRETS}
    kept = {name: value for name, value in environ.items() if name not in removed}
    return {**kept, **dict.fromkeys(VARIABLES, str(bundle)), MARKER: lease}


def shown_files(bundle: Path, resolv_conf: Path) -> list[tuple[str, str]]:
    """(source, target) of files that the command sees in place of others."""
    shown = [(str(bundle), str(bundle)), *((str(bundle), path) for path in system_bundles())]
    if _RESOLV_CONF.exists() or _RESOLV_CONF.is_symlink():
        target = _RESOLV_CONF.resolve()
        if target.exists():
            shown.append((str(resolv_conf), str(target)))
    return shown


def covered_folders(directory: Path, cert_dir: Path, working: Path) -> list[str]:
    """Folders that the command finds empty: name services of the host, and the proxy's keys, record
    and sockets.

    Where the working directory lies in the config directory only its sockets can be hidden.
    """
    folders = [Path(name).resolve() for name in _NAME_SERVICES if Path(name).is_dir()]
    for private in (directory.resolve(), cert_dir.resolve()):
        is_outside = not working.is_relative_to(private)
        if (
            is_outside
            and private.is_dir()
            and not any(private.is_relative_to(folder) for folder in folders)
        ):
            folders.append(private)
    sockets = directory.resolve() / "run"
    if not any(sockets.is_relative_to(folder) for folder in folders):
        folders.append(sockets)
    return [str(folder) for folder in dict.fromkeys(folders)]
