"""A brake on guessing that all processes share: so many failures in a window, then nothing until it
has passed.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

from django.db.models import F
from django.utils import timezone

from providers.models import FailureCount

MAX_FAILURES = 10
WINDOW = timedelta(seconds=60)


def throttle_key(*parts: str) -> str:
    """The key of an account, an address, a purpose; what it is made of cannot be read from it."""
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def is_braked(key: str) -> bool:
    """Whether there were too many failures of late."""
    since = timezone.now() - WINDOW
    return FailureCount.objects.filter(pk=key, since__gt=since, failures__gte=MAX_FAILURES).exists()


def note_failure(key: str) -> None:
    """Count one. The window begins with the first and does not move."""
    now = timezone.now()
    if FailureCount.objects.filter(pk=key, since__gt=now - WINDOW).update(
        failures=F("failures") + 1
    ):
        return
    FailureCount.objects.filter(since__lte=now - WINDOW).delete()
    _, is_new = FailureCount.objects.get_or_create(pk=key, defaults={"failures": 1, "since": now})
    if not is_new:  # somebody else began the window at the same moment
        FailureCount.objects.filter(pk=key).update(failures=F("failures") + 1)


def forget_failures(key: str) -> None:
    """Begin anew, after a success."""
    FailureCount.objects.filter(pk=key).delete()
