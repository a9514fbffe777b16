"""Kernel settings that forbid namespaces, and the command that changes each."""

from __future__ import annotations

import errno
from pathlib import Path

SYSCTLS = {
    "kernel.unprivileged_userns_clone": ("1", "sudo sysctl kernel.unprivileged_userns_clone=1"),
    "user.max_user_namespaces": ("+", "sudo sysctl user.max_user_namespaces=15000"),
    "user.max_net_namespaces": ("+", "sudo sysctl user.max_net_namespaces=15000"),
    "user.max_mnt_namespaces": ("+", "sudo sysctl user.max_mnt_namespaces=15000"),
    "kernel.apparmor_restrict_unprivileged_userns": (
        "0",
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
}
"""Name to the value that is needed ("+": not 0) and how to get it; those that do not exist forbid
nothing.
"""
ROOT = Path("/proc/sys")
_NOT_ALLOWED = (errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EUSERS, errno.ENOSYS, errno.EINVAL)


def sysctl(name: str, root: Path = ROOT) -> str | None:
    """Return a setting's value, None where the kernel has no such setting."""
    try:
        return root.joinpath(*name.split(".")).read_text().strip()
    except OSError:
        return None


def forbidding(root: Path = ROOT) -> list[str]:
    """Return a sentence for each setting that forbids namespaces, with its fix.

    Example: "user.max_user_namespaces is 0: sudo sysctl user.max_user_namespaces=15000"
    """
    found = []
    for name, (needed, help_text) in SYSCTLS.items():
        value = sysctl(name, root)
        # A kernel without the setting forbids nothing.
        if value is None:
            continue
        is_wrong = value == "0" if needed == "+" else value != needed
        if is_wrong:
            found.append(f"{name} is {value}: {help_text}")
    return found


def refusal(error: str, number: int | None, root: Path = ROOT) -> str:
    """Return why the kernel made no namespaces, in one sentence with the fix.

    Args:
        error: the kernel's words, for causes that no setting explains.
        number: its errno.
        root: the folder of the settings.
    """
    begin = "this machine does not allow user namespaces"
    hint = "; see: ccproxy jail --doctor" if number in _NOT_ALLOWED else ""
    if reasons := forbidding(root):
        return f"{begin}: {'; '.join(reasons)}{hint}"
    # The kernel's word for a used-up limit is “No space left on device” (user_namespaces(7)).
    if number == errno.ENOSPC:
        limits = ", ".join(name for name in SYSCTLS if name.startswith("user."))
        return (
            f"{begin}: a limit is used up, here or in the container around it. As root, raise"
            f" {limits}, for example: sudo sysctl user.max_user_namespaces=15000{hint}"
        )
    return f"{begin} ({error}){hint}"
