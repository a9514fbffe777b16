"""`ccproxy start` becomes the supervisor: the same process, without anything it has loaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final, NoReturn

from ccproxy_site.supervise.nursery_start import can_fork, start_nursery
from providers.base.errors import ConfigError

NURSERY: Final = "ccproxy_site.mains.nursery_main"

_PACKAGES = str(Path(__file__).resolve().parents[2])


def become_supervisor(
    *, workers: int, no_console: bool, allow_code_config: bool, flow_lines: bool = False
) -> NoReturn:
    """Replace this process by the supervisor, which lives as long as the installation.

    Raises:
        ConfigError: the number of workers is wrong.
    """
    if workers < 1:
        raise ConfigError("--workers wants a number from 1 on")
    environ = own_packages_first(dict(os.environ))
    if allow_code_config:
        environ["CCPROXY_ALLOW_CODE_CONFIG"] = "1"
    arguments = ["--workers", str(workers)]
    if no_console:
        arguments.append("--no-console")
    if flow_lines:
        arguments.append("--flow-lines")
    if can_fork():
        arguments += ["--nursery", str(start_nursery(NURSERY, environ))]
    command = [sys.executable, "-P", "-m", "ccproxy_site.supervise", *arguments]
    os.execve(sys.executable, command, environ)  # noqa: S606  # no shell is wanted


def own_packages_first(environ: dict[str, str]) -> dict[str, str]:
    """Return the environment in which a child imports our own packages, wherever it starts."""
    paths = [_PACKAGES, environ.get("PYTHONPATH", "")]
    return environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
