"""Running interceptor processes, by their heartbeat rows and, on this machine, their pids."""

from __future__ import annotations

import os
import socket

from interceptor.instances.health import is_fresh
from interceptor.models import InterceptorStatus


def own_instance() -> str:
    """Return the name of this process in its heartbeat row."""
    return instance_of(os.getpid())


def instance_of(pid: int) -> str:
    """Return the name of a process of this machine in heartbeat rows."""
    return f"{socket.gethostname()}:{pid}"


def running_instances() -> list[str]:
    """Return the other interceptors that work on this database."""
    others = InterceptorStatus.objects.exclude(instance=own_instance())
    return [row.instance for row in others if is_running(row)]


def is_running(status: InterceptorStatus) -> bool:
    """Return True when the heartbeat is fresh and the process was not killed since."""
    if not is_fresh(status):
        return False
    host, _, pid = status.instance.rpartition(":")
    return host != socket.gethostname() or not pid.isdigit() or _alive(int(pid))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
