"""The settings that short commands need, kept from one command to the next. No Django.

Checking all settings loads pydantic and builds its schemas, which takes longer than everything
else that `status` or `run` does. So a command that has checked them keeps the few values that
commands need in a private file. The next one takes them from there while nothing that settings
are made of has changed: the file, the variables, and the modules that read them. None of the
values is a secret.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from interceptor.config.files.directory import CONFIG_FILE_NAME
from providers.base.loopback import local_url
from providers.base.private_file import write_private

if TYPE_CHECKING:
    from interceptor.config.files.server import ServerSettings

KEPT_NAME: Final = ".command-settings.json"
SETTLED_AFTER_S: Final = 2.0
"""Age from which on a file counts as unchanged while its times are: some systems count seconds."""
_READ_VARIABLES: Final = ("LOG_LEVEL", "HOME")
"""Variables that settings depend on besides `CCPROXY_*`; HOME stands behind `~` in paths."""
_SCHEMA_FOLDER: Final = Path(__file__).resolve().parent.parent / "config" / "files"
_OPEN_TO_OTHERS: Final = 0o077


class CommandSettings(NamedTuple):
    """Settings of commands that ask for the state or run a program."""

    host: str
    port: int
    console_host: str
    console_port: int
    mcp_enabled: bool
    mcp_host: str
    mcp_port: int
    own_credentials: bool
    has_default_filters: bool
    """`flows.default_jq_filters` has some."""
    log_path: str
    """Absolute; "" without a log file."""
    cert_dir: str

    @property
    def proxy_url(self) -> str:
        """The base URL for clients on this machine."""
        return local_url(self.host, self.port)

    @property
    def console_url(self) -> str:
        """The console's URL on this machine."""
        return local_url(self.console_host, self.console_port)

    @property
    def mcp_url(self) -> str:
        """The URL of the MCP server on this machine."""
        return local_url(self.mcp_host, self.mcp_port) + "/mcp"


def settings_for_commands(settings: ServerSettings, directory: Path) -> CommandSettings:
    """Return what commands need of the server settings."""
    mcp = settings.mcp.http
    return CommandSettings(
        host=settings.host,
        port=settings.port,
        console_host=settings.console.host,
        console_port=settings.inspector.port,
        mcp_enabled=mcp.enabled,
        mcp_host=mcp.host,
        mcp_port=mcp.port,
        own_credentials=settings.own_credentials,
        has_default_filters=bool(settings.flows.default_jq_filters),
        log_path=str(settings.log_path(directory) or ""),
        cert_dir=str(settings.cert_dir(directory)),
    )


def load_command_settings(directory: Path, environ: Mapping[str, str]) -> CommandSettings:
    """Return the settings of a config directory and the environment for commands.

    Raises:
        ConfigError: one sentence that names the file, line and key, or the variable.
    """
    origin = _origin(directory, environ)
    if origin and (kept := _kept(directory / KEPT_NAME, origin)):
        return kept
    # Imported only here: it takes longer than the commands.
    from interceptor.config.files.load_settings import load_server_settings

    found = settings_for_commands(load_server_settings(directory, environ), directory)
    # What changed meanwhile is not what was read.
    if origin and origin == _origin(directory, environ):
        _keep(directory / KEPT_NAME, origin, found)
    return found


def _origin(directory: Path, environ: Mapping[str, str]) -> str:
    """Return a digest of all that settings are made of; "" for a file that may still change.

    Of files it has size and times, which change whenever their content does.
    """
    parts = [str(directory)]
    for name, value in sorted(environ.items()):
        if name.upper().startswith("CCPROXY_") or name in _READ_VARIABLES:
            parts.append(f"{name}={value}")
    with os.scandir(_SCHEMA_FOLDER) as entries:
        names = sorted(entry.name for entry in entries if entry.name.endswith(".py"))
    for source in (directory / CONFIG_FILE_NAME, *map(_SCHEMA_FOLDER.joinpath, names)):
        try:
            found = source.stat()
        except FileNotFoundError:
            parts.append(f"{source} is missing")
            continue
        except OSError:
            return ""
        if time.time() - found.st_mtime < SETTLED_AFTER_S:
            return ""
        times = (found.st_mtime_ns, found.st_ctime_ns)
        parts.append(f"{source} {found.st_ino} {found.st_size} {times}")
    return blake2b("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _kept(path: Path, origin: str) -> CommandSettings | None:
    """Return the settings in a file of ours if they come from this origin."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not _is_private(status):
                return None
            found = json.load(file)
        if found.pop("origin") != origin:
            return None
        return CommandSettings(**found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _is_private(status: os.stat_result) -> bool:
    if os.name != "posix":
        return True
    is_ours = status.st_uid == os.geteuid() and not status.st_mode & _OPEN_TO_OTHERS
    return is_ours and stat.S_ISREG(status.st_mode)


def _keep(path: Path, origin: str, settings: CommandSettings) -> None:
    """Write the settings for later commands, if the directory exists and can be written."""
    content: dict[str, Any] = {"origin": origin, **settings._asdict()}
    with suppress(OSError):
        write_private(path, json.dumps(content))
