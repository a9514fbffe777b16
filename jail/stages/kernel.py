"""System calls that Python has no function for.

Constants are those of <linux/prctl.h>, <sys/mount.h> and <linux/capability.h>.
"""

from __future__ import annotations

import ctypes
import os
import signal

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x1, 0x2, 0x4, 0x8
MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 0x20, 0x1000, 0x4000, 0x80000
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = "/proc/sys/kernel/cap_last_cap"
# ST_* of statvfs(3) and the MS_* of mount(2) that sets it.
_ACCESS_TIMES = (
    (os.ST_NOATIME, 0x400),
    (os.ST_NODIRATIME, 0x800),
    (os.ST_RELATIME, 0x200000),
)

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def die_with_parent(parent_pid: int) -> None:
    """Ask to be killed when the thread that made this process ends.

    Repeat it after every change of credentials.

    Raises:
        ProcessLookupError: the parent is gone already.
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl PDEATHSIG")
    # The parent may have ended before the call; then no signal will come.
    if os.getppid() != parent_pid:
        raise ProcessLookupError("the launcher is gone")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Call mount(2).

    Raises:
        OSError: the kernel refused; the message names the target.
    """
    arguments = (
        os.fsencode(source),
        os.fsencode(target),
        kind.encode(),
        ctypes.c_ulong(flags),
        data.encode(),
    )
    _check(_libc.mount(*arguments), f"mount on {target}")


def bind(source: str, target: str) -> None:
    """Show `source` at `target`, read-only."""
    mount(source, target, flags=MS_BIND)
    # A mount keeps the flags of the one it was made from: a namespace of less rights may not clear
    # them.
    kept = _locked_flags(target)
    mount("", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def _locked_flags(path: str) -> int:
    flags = os.statvfs(path).f_flag
    # ST_* of statvfs(3) have the values of MS_* for these, except for the times of access.
    kept = flags & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for st_flag, ms_flag in _ACCESS_TIMES:
        if flags & st_flag:
            kept |= ms_flag
    return kept


def cover(target: str, *, size: str = "64k") -> None:
    """Hide a folder behind an empty one that lives in memory."""
    mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=0755,size={size}")


def write_maps(inside_uid: int, outside_uid: int, inside_gid: int, outside_gid: int) -> None:
    """Map one user and one group of a user namespace that was just made."""
    # Without privileges, a group may only be mapped after setgroups was given up:
    # user_namespaces(7).
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside_uid} {outside_uid} 1"),
        ("gid_map", f"{inside_gid} {outside_gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def give_up_rights() -> None:
    """Drop all capabilities, and the ways to get any.

    Empty sets, empty bounding set, no new privileges.
    """
    # From here on, no program with set-user-id gives a right back.
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl NO_NEW_PRIVS")
    with open(_LAST_CAPABILITY) as file:
        last = int(file.read())
    for number in range(last + 1):
        _check(_libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), "prctl CAPBSET_DROP")
    _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl CAP_AMBIENT")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def default_interrupt() -> None:
    """Let Ctrl-C end this process without a traceback, unless the launcher ignores it."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def default_pipe() -> None:
    """Restore the signals that Python ignores, because a command would inherit that."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
