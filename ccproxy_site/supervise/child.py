"""A child process of the supervisor: started, started again when it dies, ended."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from ccproxy_site.supervise.control import Control
from ccproxy_site.supervise.nursery import Forked, Nursery
from ccproxy_site.supervise.spawn import spawn

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0
CALM_AFTER_S = 60.0
"""A child that ran so long before it died is started again after the first pause."""


class Child:
    """One process of a role, over all its lives.

    Args:
        role: the log's name, such as "the recorder".
        module: what `python -m` runs.
        arguments: its arguments, besides the control socket.
        has_django: it uses Django.
    """

    def __init__(
        self, role: str, module: str, arguments: Sequence[str], *, has_django: bool
    ) -> None:
        self.role = role
        self.control: Control | None = None
        self.is_serving = False
        """It was handed what it works with, in this life."""
        self.was_ready = False
        """It has been ready once, in any of its lives."""
        self.start_at = 0.0
        """Monotonic time from which on a dead child is started again."""
        self._module, self._arguments = module, list(arguments)
        self._has_django = has_django
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._began = 0.0
        self._pause_s = FIRST_PAUSE_S

    @property
    def pid(self) -> int:
        """The process id; 0 while there is no process."""
        return self._process.pid if self._process else 0

    @property
    def is_started(self) -> bool:
        """Tell if there is a process, which may have ended without being buried."""
        return self._process is not None

    def add_arguments(self, *arguments: str) -> None:
        """Give these to every later life too."""
        self._arguments += arguments

    def start(self, nursery: Nursery | None = None) -> socket.socket:
        """Start a process, and return our end of its control socket."""
        ours, theirs = socket.socketpair()
        with theirs:
            if nursery is not None:
                self._process = nursery.fork(
                    self._module, self._arguments, theirs, has_django=self._has_django
                )
            if self._process is None:
                self._process = spawn(self._module, self._arguments, theirs)
        self.control = Control(ours)
        self._began = time.monotonic()
        return ours

    def say(self, descriptors: Sequence[int] = (), **words: Any) -> None:
        """Send the child a message; one that is gone hears nothing."""
        if self.control is not None:
            self.control.say(descriptors, **words)

    def ended(self) -> int | None:
        """Return the exit code of a process that has ended; None while it runs."""
        return self._process.poll() if self._process else None

    def bury(self) -> None:
        """Forget the dead process, and set when the next one may start."""
        if time.monotonic() - self._began > CALM_AFTER_S:
            self._pause_s = FIRST_PAUSE_S
        self.start_at = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self.is_serving = False
        self._process = None

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
