"""Environment and files of a jailed command."""

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
    """Return the caller's environment, with certificates and without proxies and secrets."""
    # Proxy variables are read in both cases; a company's proxy cannot be reached from inside.
    proxies = {*_REMOVED, *(name.upper() for name in _REMOVED)}
    environment = {
        name: value
        for name, value in environ.items()
        if name not in proxies and name not in _SECRETS
    }
    environment.update(dict.fromkeys(VARIABLES, str(bundle)))
    environment[MARKER] = lease
    return environment


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


def _is_covered(path: Path, folders: list[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
