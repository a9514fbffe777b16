"""Running interceptors: their heartbeats, and the revision they run on."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from interceptor.instances.notices import FRESH_S as FRESH_S
from interceptor.instances.notices import Notice as Notice
from interceptor.instances.notices import is_fresh_at
from interceptor.instances.notices import notices as notices
from interceptor.models import InterceptorStatus
from providers.models import ConfigRevision


def is_fresh(status: InterceptorStatus, now: datetime | None = None) -> bool:
    """Return True when the interceptor's heartbeat is at most `FRESH_S` old."""
    return is_fresh_at(status, now or timezone.now())


def running_interceptors() -> list[InterceptorStatus]:
    """Return the interceptors that are alive, oldest first."""
    since = timezone.now() - timedelta(seconds=FRESH_S)
    return list(InterceptorStatus.objects.filter(heartbeat_at__gte=since).order_by("started_at"))


def running_console_url() -> str:
    """Return the address of a running console; "" when none runs."""
    urls = (status.endpoints.get("console_url") for status in running_interceptors())
    return next((str(url) for url in urls if url), "")


def newest_revision() -> int:
    """Return the number of the newest configuration, without writing."""
    return ConfigRevision.objects.filter(pk=1).values_list("number", flat=True).first() or 1


def live_sentence(running: list[InterceptorStatus], newest: int) -> str:
    """Return one sentence that says if the newest configuration runs."""
    if not running:
        return f"Revision {newest} is saved; nothing is running."
    oldest = min(status.revision for status in running)
    if oldest >= newest:
        return f"Revision {newest} is saved and live."
    return f"Revision {newest} is saved; running {oldest}."
