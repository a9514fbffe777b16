"""Wait for the command as if it were run directly.

Signals are forwarded, a stop stops the launcher too, and the command's end becomes the launcher's.
Ctrl-C and its kin come to the process group from the terminal, so the command has had them already;
a signal to the launcher alone is forwarded.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from pathlib import Path
from typing import NoReturn

_PASSED_ON = {
    signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
}  # fmt: skip
_WATCHED = {*_PASSED_ON, signal.SIGCHLD}
_FROM_KERNEL = 0x80
"""SI_KERNEL of sigaction(2): the terminal sends to the whole group."""


def hold_signals() -> None:
    """Block signals until `wait_for`. Ignored ones stay ignored, as under nohup."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)


def wait_for(pid: int) -> int:
    """Wait for the command's end and return its wait status."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if ended and not os.WIFSTOPPED(status):
            return status
        if ended and _is_stopped(pid):
            # It stopped itself alone, as programs with a Ctrl-Z of their own do: whoever waits for
            # us must see it.
            os.kill(os.getpid(), signal.SIGSTOP)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            continue
        info = signal.sigwaitinfo(_WATCHED)
        if info.si_signo in _PASSED_ON and info.si_code != _FROM_KERNEL:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, info.si_signo)


def _is_stopped(pid: int) -> bool:
    """Return whether the command is stopped. False if it was continued meanwhile."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def end_like(status: int) -> int:
    """Return the exit code of a status.

    If the command died of a signal, this process dies of it too.
    """
    if os.WIFSIGNALED(status):
        _die_of(os.WTERMSIG(status))
    return os.WEXITSTATUS(status)


def _die_of(number: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # One core dump is enough.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    raise SystemExit(128 + number)
