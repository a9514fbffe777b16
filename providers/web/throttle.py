"""Rate limit on wrong passwords that all processes share.

After too many failures in a window, every try is refused until the window has passed.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

from django.db.models import F
from django.utils import timezone

from providers.models import FailureCount

MAX_FAILURES = 10
MAX_OF_ADDRESS = 50
"""Failures of one address, whatever accounts it names."""
MAX_OF_ALL = 500
"""Failures of all addresses together."""
WINDOW = timedelta(seconds=60)


def throttle_key(*parts: str) -> str:
    """Return a key for an account, an address and a purpose.

    The key is a digest; its parts cannot be read from it.
    """
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def is_braked(key: str, limit: int = MAX_FAILURES) -> bool:
    """Return whether `limit` failures or more happened in the current window."""
    since = timezone.now() - WINDOW
    return FailureCount.objects.filter(pk=key, since__gt=since, failures__gte=limit).exists()


def note_failure(key: str) -> None:
    """Count one failure. The window begins with the first one and does not move."""
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
    """Reset the count after a success."""
    FailureCount.objects.filter(pk=key).delete()
