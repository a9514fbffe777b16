"""Which interceptor processes run, judged by their heartbeat rows and, on this machine, by their process ids."""

from __future__ import annotations

import os
import socket

from interceptor.health import is_fresh
from interceptor.models import InterceptorStatus


def own_instance() -> str:
    """How this process names itself in its heartbeat row."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_running(status: InterceptorStatus) -> bool:
    """True when the heartbeat is fresh and the process was not killed since."""
    if not is_fresh(status):
        return False
    host, _, pid = status.instance.rpartition(":")
    return host != socket.gethostname() or not pid.isdigit() or _alive(int(pid))


def others_running() -> bool:
    """True when another interceptor works on this database."""
    return any(is_running(row) for row in InterceptorStatus.objects.exclude(instance=own_instance()))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
