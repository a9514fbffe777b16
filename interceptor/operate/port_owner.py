"""The program that listens on a TCP port, as Linux tells it. No Django.

`/proc/net/tcp` has a line for each socket, with the inode of the socket and the id of its user;
`/proc/PID/fd` links to the sockets that a process has open (proc(5)).
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
MAX_COMMAND_CHARS = 80
_CREDENTIAL_WORD = re.compile(r"\S*(?:key|token|secret|password|auth)\S*", re.IGNORECASE)
_LISTEN = "0A"


class _Listener(NamedTuple):
    inode: str
    user_id: int


def port_owner(port: int, proc: Path = PROC) -> str:
    """Return who listens on a port, to stand after "is taken by".

    `python manage.py runserver (pid 4711)`, or what can be said when the system does not show it.
    """
    listeners = list(_listeners(port, proc))
    for listener in listeners:
        process = _process_with(listener.inode, proc)
        if process is not None:
            return f"{_command(process)} (pid {process.name})"
    others = [one for one in listeners if one.user_id != os.geteuid()]
    if others:
        user = _user_name(others[0].user_id)
        return f"a program of the user {user}, which only they and root see"
    if listeners:
        # The inode is this user's, the process is not below /proc: another pid namespace.
        return "a program that cannot be seen from here, such as one in a container"
    return "another program"


def _listeners(port: int, proc: Path) -> Iterator[_Listener]:
    """Yield the sockets that listen on the port, at whatever address.

    `  0: 0100007F:0FA0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 46113 …`
    → inode 46113, user 1000, for port 4000 = 0x0FA0.
    """
    for name in ("tcp", "tcp6"):
        for line in _lines(proc / "net" / name)[1:]:
            fields = line.split()
            local_port = int(fields[1].rpartition(":")[2], 16)
            if local_port == port and fields[3] == _LISTEN:
                yield _Listener(inode=fields[9], user_id=int(fields[7]))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:  # no Linux, or no IPv6
        return []


def _process_with(inode: str, proc: Path) -> Path | None:
    """Return the directory of a process that has the socket open; None when none is visible."""
    wanted = f"socket:[{inode}]"
    for process in proc.iterdir():
        if process.name.isdigit() and wanted in _open_files(process):
            return process
    return None


def _open_files(process: Path) -> set[str]:
    found: set[str] = set()
    with suppress(OSError):  # another user's process, or it has just ended
        for link in (process / "fd").iterdir():
            with suppress(OSError):  # a file that was closed meanwhile
                found.add(os.readlink(link))  # noqa: PTH115
    return found


def _command(process: Path) -> str:
    """Return the command line, shortened, up to an argument that may hold a credential.

    The program is named without its folder, which may be longer than all that is shown:
    /home/ada/.local/share/uv/tools/ccproxy/bin/python -m ccproxy_site.… → python -m ccproxy_site.…
    """
    try:
        program, *arguments = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "a program"
    words = [program.rpartition(b"/")[2], *arguments]
    text = b" ".join(words).decode("utf-8", "replace")
    printable = "".join(char for char in text.strip() if char.isprintable())
    shown = _CREDENTIAL_WORD.split(printable, maxsplit=1)[0][:MAX_COMMAND_CHARS].rstrip()
    if not shown:
        return "a program"
    return shown if shown == printable else f"{shown} …"


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)
