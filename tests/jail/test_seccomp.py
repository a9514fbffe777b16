"""The filter of system calls, run by an interpreter of its program, and by the kernel."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jail.stages import seccomp
from jail.stages.seccomp import FAMILIES, MACHINES, TIOCLINUX, TIOCSTI, Instruction, program
from tests.environment import ROOT, need
from tests.patience import PATIENCE_S

ALLOWED = 0
X86, ARM = MACHINES["x86_64"], MACHINES["aarch64"]
numbers = st.integers(0, 600) | st.integers(0, 2**32 - 1)
halves = st.integers(0, 2**64 - 1)


def run(instructions: list[Instruction], arch: int, number: int, arguments: list[int]) -> int:
    """Return the errno with which a program ends, 0 for an allowed call (seccomp(2))."""
    data = number.to_bytes(4, "little") + arch.to_bytes(4, "little") + bytes(8)
    data += b"".join(argument.to_bytes(8, "little") for argument in arguments)
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == 0x20:
            accumulator = int.from_bytes(data[value : value + 4], "little")
        elif code == 0x15:
            at += if_true if accumulator == value else if_false
        elif code == 0x35:
            at += if_true if accumulator >= value else if_false
        else:
            assert code == 0x06
            return ALLOWED if value == 0x7FFF0000 else value & 0xFFFF


def expected(column: int, number: int, arguments: list[int]) -> int:
    """What the tables say, without any program."""
    if column == 0 and number >= 0x40000000:
        return errno.ENOSYS
    if number in [pair[column] for pair in seccomp._GONE.values()]:
        return errno.ENOSYS
    if number in [pair[column] for pair in seccomp._FORBIDDEN.values()]:
        return errno.EPERM
    low = [argument & 0xFFFFFFFF for argument in arguments]
    if number == (16, 29)[column] and low[1] in (TIOCSTI, TIOCLINUX):
        return errno.EPERM
    if number == (41, 198)[column] and low[0] not in FAMILIES:
        return errno.EAFNOSUPPORT
    return ALLOWED


@given(
    st.sampled_from([X86, ARM]),
    numbers | st.sampled_from([16, 29, 41, 198]),
    halves | st.sampled_from([*FAMILIES, 40, 2**32 + 40, 2**32 + 2]),
    halves | st.sampled_from([TIOCSTI, TIOCLINUX, TIOCSTI + 2**40, TIOCSTI - 1]),
)
def test_the_program_does_what_the_tables_say(
    machine: seccomp.Machine, number: int, first: int, second: int
) -> None:
    arguments = [first, second, 0, 0, 0, 0]
    found = run(program(machine), machine.arch, number, arguments)
    assert found == expected(machine.column, number, arguments)


@given(st.integers(0, 2**32 - 1), numbers)
def test_calls_of_another_processor_are_unknown(arch: int, number: int) -> None:
    result = run(program(X86), arch, number, [0] * 6)
    assert result == errno.ENOSYS or arch == X86.arch


@pytest.mark.parametrize("name", list(MACHINES))
def test_every_jump_stays_in_the_program(name: str) -> None:
    instructions = program(MACHINES[name])
    for at, instruction in enumerate(instructions):
        assert at + 1 + max(instruction.if_true, instruction.if_false) < len(instructions) + (
            instruction.code == 0x06
        )


def test_another_processor_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    uname = os.uname_result(("Linux", "here", "6.1", "1", "vax"))
    monkeypatch.setattr(os, "uname", lambda: uname)
    with pytest.raises(OSError, match="no system call filter for vax"):
        seccomp.apply()


FILTERED = """
import errno, os, socket, sys
sys.path.append(sys.argv[1])
from jail.stages import kernel, seccomp
import ctypes
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
seccomp.apply()
socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
try:
    socket.socket(40, socket.SOCK_STREAM)
except OSError as error:
    print(errno.errorcode[error.errno])
print(os.popen("echo a child runs").read().strip())
"""


def test_the_kernel_takes_the_program() -> None:
    need("a processor with a filter", os.uname().machine in MACHINES)
    done = subprocess.run(
        [sys.executable, "-c", FILTERED, str(ROOT)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.stdout.splitlines() == ["EAFNOSUPPORT", "a child runs"], done.stderr
    assert socket.AF_VSOCK not in FAMILIES
