"""Notices by a command of the user's: JSON on its standard input."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from ccproxy_site.notices.notice import Notice, json_body
from ccproxy_site.notices.notice_channel import Outcome

_VARIABLES: Final = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    # What programs need that show something on the user's screen.
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
)
"""Variables that the command gets: others may hold secrets."""
_REAP_S: Final = 1.0


class NoticeCommand:
    """The command, started without a shell, in a process group of its own.

    Args:
        words: the program and its arguments.
        timeout_s: it is ended after this time.
        environ: the environment, of which it gets a few variables.
    """

    name = "command"

    def __init__(
        self, words: Sequence[str], timeout_s: float, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._words, self._timeout_s = tuple(words), timeout_s
        self._environ = {name: environ[name] for name in _VARIABLES if name in environ}

    def deliver(self, sent: Notice) -> Outcome:
        """Run the command with a notice, and end it when its time is over."""
        limit_s = self._timeout_s
        try:
            process = subprocess.Popen(  # noqa: S603  # the operator's own command
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self._environ,
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            return Outcome(False, f"could not be started ({type(exc).__name__})")
        try:
            process.communicate(json_body(sent), timeout=limit_s)
        except subprocess.TimeoutExpired:
            _end(process)
            return Outcome(False, f"did not finish within {limit_s:g} s, and was ended")
        except OSError:
            # It closed its standard input, and need not read it.
            process.wait(limit_s)
        if process.returncode:
            return Outcome(False, f"exited with status {process.returncode}")
        return Outcome(True, "delivered (status 0)")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the command with everything that it started, and reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_REAP_S)
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
