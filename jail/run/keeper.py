"""`python -m jail.run.keeper LOCK`: keeps an interceptor for as long as runs share the lock."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from providers.base.file_lock import FileLock

COMMAND: Final = (sys.executable, "-P", "-m", "ccproxy_site.supervise")
"""What `ccproxy start` becomes."""


def main(lock: Path) -> int:
    """Run an interceptor until no run shares the lock; return its exit code."""
    process = subprocess.Popen(COMMAND, stdin=subprocess.DEVNULL)  # noqa: S603  # our own module
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM))
    threading.Thread(target=_end_with, args=(process,), daemon=True).start()
    return keep(process, lock)


def keep(process: subprocess.Popen[bytes], lock: Path) -> int:
    """Wait until no run shares the lock, end the process, and return its exit code."""
    held = FileLock(lock)
    held.acquire()
    # Held until the ports are free: a run that comes now waits, and starts another one.
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    return process.wait()


def _end_with(process: subprocess.Popen[bytes]) -> None:
    """End this process when the interceptor ends by itself: nothing is left to keep."""
    code = process.wait()
    os._exit(code if code >= 0 else 1)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
