"""Become an ordinary user for a test, when the suite runs as root.

The interpreter and the tree may lie in folders that only root may enter (/root); in a mount
namespace of its own the user sees them at their places, and nothing of the machine is changed.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.environment import ROOT

UID = 61234 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""One for each worker: tests count the processes of theirs."""
_SCRIPT = """
set -e
umask 022
uid=$1; closed=$2; shift 2
if [ -n "$closed" ]; then
  mount -t tmpfs -o mode=755 tmpfs /mnt
  for path in $PLACES; do mkdir -p "/mnt/held$path"; mount --bind "$path" "/mnt/held$path"; done
  mount -t tmpfs -o mode=755 tmpfs "$closed"
  for path in $PLACES; do mkdir -p "$path"; mount --bind "/mnt/held$path" "$path"; done
fi
exec setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"
"""


def prefix() -> tuple[str, ...]:
    """Words before a command that make it a user's; none when the suite is a user's already."""
    if os.getuid() != 0:
        return ()
    places = {path: _closed(path) for path in (Path(sys.base_prefix).resolve(), ROOT)}
    closed = {str(folder) for folder in places.values() if folder}
    assert len(closed) < 2, f"several folders are closed to users: {closed}"
    inside = " ".join(str(path) for path, folder in places.items() if folder)
    words = [
        str(shutil.which("env")),
        f"PLACES={inside}",
        "sh",
        "-c",
        _SCRIPT,
        "sh",
        str(UID),
        "".join(closed),
    ]
    return (str(shutil.which("unshare")), "--mount", "--propagation", "private", *words)


def _closed(path: Path) -> Path | None:
    """The uppermost folder on the way to `path` that users may not enter."""
    return next(
        (folder for folder in reversed([path, *path.parents]) if not folder.stat().st_mode & 0o001),
        None,
    )


def give(folder: Path) -> None:
    """Make a folder the user's."""
    if os.getuid() == 0:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, UID, UID)
