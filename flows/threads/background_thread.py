"""A thread whose work can wait: it leaves the processor cores to the traffic.

On Linux each thread has a nice value of its own. Everybody may raise it, and only root may lower it
again. So a thread that has to catch up is replaced by a new one, which has the priority of the
thread that starts it. Source: setpriority(2), "C library/kernel differences".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread, current_thread, get_native_id
from typing import Final

NICE: Final = 10
"""With it a thread gets about a tenth of a core that others want, and all of a free one."""


def leave_cores_to_others() -> None:
    """Lower the priority of the calling thread, where that is not the priority of its process."""
    if sys.platform != "linux":
        return
    thread_id = get_native_id()
    with suppress(OSError):
        now = os.getpriority(os.PRIO_PROCESS, thread_id)
        os.setpriority(os.PRIO_PROCESS, thread_id, max(now, NICE))


class BackgroundThread:
    """A thread of low priority that catches up when it is asked to.

    Args:
        run: the work. It returns when nothing is left, and soon after `is_replaced` has become
            true; then it is called again in another thread.
    """

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self._name, self._run = name, run
        self._changing = Lock()
        self._thread: Thread | None = None
        self._is_hurried = False

    def start(self) -> None:
        """Start the work, with a low priority."""
        with self._changing:
            self._go_on(self._work_politely)

    def hurry(self) -> None:
        """Go on with the caller's priority, until the work calls `relax`; returns at once."""
        with self._changing:
            if self._thread is None or self._is_hurried or not self._thread.is_alive():
                return
            self._is_hurried = True
            older = self._thread

            def work() -> None:
                older.join()
                self._run()

            self._go_on(work)

    def relax(self) -> None:
        """Lower the priority again. To be called by the work, when nothing waits."""
        if not self._is_hurried:
            return
        with self._changing:
            if not self.is_replaced:
                leave_cores_to_others()
                self._is_hurried = False

    @property
    def is_replaced(self) -> bool:
        """The calling thread does the work no longer."""
        return self._thread is not current_thread()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the work."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _work_politely(self) -> None:
        leave_cores_to_others()
        self._run()

    def _go_on(self, work: Callable[[], None]) -> None:
        self._thread = Thread(target=work, name=self._name, daemon=True)
        self._thread.start()
