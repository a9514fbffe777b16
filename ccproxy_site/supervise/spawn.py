"""Start of a program of ours, with one end of a control socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ccproxy_site.supervise.become import own_packages_first
from ccproxy_site.supervise.nursery_start import TERMINAL_SIGNALS


def spawn(module: str, arguments: Sequence[str], end: socket.socket) -> subprocess.Popen[bytes]:
    """Start `python -m module`, which gets `end` as its control; return the process."""
    command = [sys.executable, "-P", "-m", module, *control_arguments(end.fileno(), arguments)]
    with signals_held():
        return subprocess.Popen(  # noqa: S603  # our own modules
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=[end.fileno()],
            env=own_packages_first(dict(os.environ)),
        )


def control_arguments(descriptor: int, arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a main: its control socket and its own."""
    return ["--control", str(descriptor), *arguments]


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold the signals of a terminal back, also in a process that is started meanwhile.

    Ctrl-C reaches the whole group: a child that has no handler yet must not die of it.
    """
    held = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
