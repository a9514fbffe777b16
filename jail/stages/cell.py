"""The command's process: joins the namespaces, hides folders, drops all rights, executes.

It is a child of the launcher, in its session and process group, so that terminal, job control and
exit status are the command's own. Its orders come in one message, `Orders` in jail/cell.py. It
replies `{"ready": true}`. After the launcher's `{"go": true}` either the channel closes, because
the command runs, or an `errno` comes.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from jail.stages import channel, kernel, seccomp


def main(arguments: list[str]) -> None:
    """Run the stage. Arguments: descriptor of the channel, then the command."""
    end = socket.socket(fileno=int(arguments[0]))
    os.set_inheritable(end.fileno(), False)
    kernel.default_interrupt()
    command = arguments[1:]
    try:
        received = channel.receive(end)
        if received is None:
            return
        orders, namespaces = received
        _enter(orders, namespaces)
        channel.send(end, {"ready": True})
        if channel.receive(end) is None:
            return
    except OSError as error:
        _say(end, {"error": str(error)})
        sys.exit(1)
    _become(end, orders, command)


def _enter(orders: dict[str, Any], namespaces: list[int]) -> None:
    """Join the namespaces and give up all rights.

    Steps: 1 the namespaces, 2 an own view of the files, 3 the caller's identity, 4 no rights, 5 a
    lifeline, 6 a filter of system calls.
    """
    uid, gid = os.getuid(), os.getgid()
    user, net = namespaces
    # The user namespace comes first: only its root may join the others.
    os.setns(user, os.CLONE_NEWUSER)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.setns(net, os.CLONE_NEWNET)
    for descriptor in namespaces:
        os.close(descriptor)
    # The command's mounts must not reach the host, but the host's later ones reach the command.
    os.unshare(os.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    _arrange(orders)
    # In a namespace below, the command has its own user id and no right over the mounts above.
    os.unshare(os.CLONE_NEWUSER)
    kernel.write_maps(uid, 0, gid, 0)
    kernel.give_up_rights()
    kernel.die_with_parent(orders["launcher_pid"])
    seccomp.apply()


def _arrange(orders: dict[str, Any]) -> None:
    """Hide folders behind empty ones, then bind single files over others."""
    # Sources may lie in folders that are hidden next.
    shown = [(_open_path(source), target) for source, target in orders["shown"]]
    for folder in orders["covered"]:
        kernel.cover(folder)
    for descriptor, target in shown:
        if not os.path.lexists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        kernel.bind(f"/proc/self/fd/{descriptor}", target)
        os.close(descriptor)
    # Read-only only now: the mount points of shown files had to be made inside.
    flags = kernel.MS_REMOUNT | kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
    for folder in orders["covered"]:
        kernel.mount("", folder, flags=flags)


def _open_path(path: str) -> int:
    """Open a path before anything is hidden."""
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _become(end: socket.socket, orders: dict[str, Any], command: list[str]) -> None:
    kernel.default_pipe()
    try:
        os.execve(orders["program"], command, os.environ)  # noqa: S606  # running the user's command is the purpose
    except OSError as error:
        _say(end, {"errno": error.errno})
        sys.exit(126)


def _say(end: socket.socket, message: dict[str, Any]) -> None:
    try:
        channel.send(end, message)
    except OSError:
        sys.exit(1)
