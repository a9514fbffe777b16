"""System calls that the command is refused: a seccomp filter in classic BPF.

Refused is what bubblewrap (as Flatpak uses it) and Docker's default profile refuse to a process
without rights, except what a sandbox of the command's own needs: namespaces and mounts. Numbers are
those of <asm/unistd_64.h> and <asm-generic/unistd.h>; the program's form is that of
<linux/filter.h>, the data's that of <linux/seccomp.h>.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUALS, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_X32_BIT = 0x40000000
"""Set in the numbers of x86-64's calls with 32-bit pointers."""

TIOCSTI, TIOCLINUX = 0x5412, 0x541C
FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
"""Address families that the command may use; a virtual machine's AF_VSOCK leads to its host."""

# Name: (x86-64, the generic table of aarch64, riscv64 and loongarch64); None where there is none.
_GONE: dict[str, tuple[int | None, int | None]] = {
    # It opens sockets, and filters do not see its calls. Programs fall back where it is missing.
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    "_sysctl": (156, None),
    "uselib": (134, None),
    "create_module": (174, None),
    "get_kernel_syms": (177, None),
    "query_module": (178, None),
    "nfsservctl": (180, 42),
}
"""They end as on a kernel that does not have them."""
_FORBIDDEN: dict[str, tuple[int | None, int | None]] = {
    # The keys of the user's session are those of the host's.
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "open_by_handle_at": (304, 265),
    "lookup_dcookie": (212, 18),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
}
_IOCTL, _SOCKET = (16, 29), (41, 198)


class Machine(NamedTuple):
    """A processor: its AUDIT_ARCH_* of <linux/audit.h>, and its column in the tables."""

    arch: int
    column: int


MACHINES = {
    "x86_64": Machine(0xC000003E, 0),
    "aarch64": Machine(0xC00000B7, 1),
    "riscv64": Machine(0xC00000F3, 1),
    "loongarch64": Machine(0xC0000102, 1),
}


class Instruction(NamedTuple):
    """An instruction of the program: `struct sock_filter`. Jumps count from the next one."""

    code: int
    if_true: int
    if_false: int
    value: int


def program(machine: Machine) -> list[Instruction]:
    """Return the filter for a processor.

    Each check is a few instructions that end in an answer or fall through to the next. Example, a
    call that is refused by its number:

        jump to the next one if the number is 250, else over it
        answer EPERM
    """
    made = [
        _load(_ARCH),
        # 32-bit programs have other numbers, which this filter does not know.
        Instruction(_EQUALS, 1, 0, machine.arch),
        _refuse(errno.ENOSYS),
        _load(_NUMBER),
    ]
    if machine.column == 0:
        made += [Instruction(_AT_LEAST, 0, 1, _X32_BIT), _refuse(errno.ENOSYS)]
    for table, error in ((_GONE, errno.ENOSYS), (_FORBIDDEN, errno.EPERM)):
        for number in _numbers(table, machine):
            made += [Instruction(_EQUALS, 0, 1, number), _refuse(error)]
    made += _check_ioctl(_IOCTL[machine.column])
    made += _check_socket(_SOCKET[machine.column])
    return [*made, Instruction(_RETURN, 0, 0, _ALLOW)]


def _numbers(table: dict[str, tuple[int | None, int | None]], machine: Machine) -> Iterator[int]:
    for numbers in table.values():
        number = numbers[machine.column]
        if number is not None:
            yield number


def _check_ioctl(number: int) -> list[Instruction]:
    """Refuse to type into the terminal that the user goes on to use.

    The kernel takes the lower half of the second argument alone, so that half is compared.
    """
    return [
        Instruction(_EQUALS, 0, 5, number),
        _load(_low_half(1)),
        Instruction(_EQUALS, 1, 0, TIOCSTI),
        Instruction(_EQUALS, 0, 1, TIOCLINUX),
        _refuse(errno.EPERM),
        Instruction(_RETURN, 0, 0, _ALLOW),
    ]


def _check_socket(number: int) -> list[Instruction]:
    """Refuse every address family but those of `FAMILIES`."""
    made = [Instruction(_EQUALS, 0, len(FAMILIES) + 2, number), _load(_low_half(0))]
    for index, family in enumerate(FAMILIES):
        # To the end of the program, behind the refusal.
        made.append(Instruction(_EQUALS, len(FAMILIES) - index, 0, family))
    return [*made, _refuse(errno.EAFNOSUPPORT)]


def _load(offset: int) -> Instruction:
    return Instruction(_LOAD, 0, 0, offset)


def _refuse(error: int) -> Instruction:
    return Instruction(_RETURN, 0, 0, _ERRNO | error)


def _low_half(argument: int) -> int:
    """Return the offset of the lower 32 bits of an argument; all machines are little-endian."""
    return _ARGUMENTS + 8 * argument


def apply() -> None:
    """Put the filter over this process and all it starts. "No new privileges" must be set.

    Raises:
        OSError: the kernel has no filters, or there is none for this processor.
    """
    name = os.uname().machine
    if name not in MACHINES:
        raise OSError(errno.ENOSYS, f"there is no system call filter for {name}")
    packed = [struct.pack("=HBBI", *one) for one in program(MACHINES[name])]
    text = ctypes.create_string_buffer(b"".join(packed))
    # struct sock_fprog: a count, padding, and the program's address.
    described = ctypes.create_string_buffer(struct.pack("@HP", len(packed), ctypes.addressof(text)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, described, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"the kernel takes no system call filter: {os.strerror(number)}")
