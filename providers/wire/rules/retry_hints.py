"""Wait that a provider asks for before the next request, from headers and body of its response.

Sources: RFC 9110, 10.2.3 (`Retry-After`: seconds or a date); OpenAI's `retry-after-ms` and
`x-ratelimit-reset-requests: 6m0s`; Anthropic's `anthropic-ratelimit-tokens-reset` (RFC 3339);
OpenRouter's `x-ratelimit-reset` (Unix time in milliseconds). `limits.retry_after_s` reads bodies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from providers.wire.rules.limits import retry_after_s, seconds_of

RATE_LIMITED: Final = 429
_RESET: Final = re.compile(r"(anthropic-|x-)?ratelimit-(?:[a-z-]+-)?reset(?:-[a-z-]+)?")
_UNIX_TIME_FROM: Final = 10**9
"""Larger numbers of seconds are points in time, not durations."""
_MILLISECONDS_FROM: Final = 10**11


def wait_hint_s(
    status_code: int, headers: Iterable[tuple[str, str]], body: bytes, *, now_s: float
) -> float | None:
    """Return the seconds to wait, never negative; None when the provider does not say.

    `body` is decoded. `now_s` is Unix time.
    """
    fields = {name.lower(): value.strip() for name, value in headers}
    wait_s = _milliseconds(fields.get("retry-after-ms", ""))
    if wait_s is None:
        wait_s = _moment_or_duration(fields.get("retry-after", ""), now_s)
    if wait_s is None:
        wait_s = retry_after_s(body)
    # On other statuses these headers describe a limit that was not reached.
    if wait_s is None and status_code == RATE_LIMITED:
        wait_s = _reset(fields, now_s)
    return wait_s


def _milliseconds(text: str) -> float | None:
    if not re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text):
        return None
    return float(text) / 1000


def _reset(fields: Mapping[str, str], now_s: float) -> float | None:
    """Return the wait until every limit that was reached is over.

    A limit was reached when nothing remains of it, or when nothing is said about that:
    x-ratelimit-remaining-requests: 0, x-ratelimit-reset-requests: 6m0s → 360
    """
    waits = []
    for name, value in fields.items():
        if not _RESET.fullmatch(name):
            continue
        remaining = fields.get(name.replace("reset", "remaining"), "0")
        wait_s = _moment_or_duration(value, now_s)
        if wait_s is not None and remaining in ("", "0"):
            waits.append(wait_s)
    return max(waits, default=None)


def _moment_or_duration(text: str, now_s: float) -> float | None:
    seconds = seconds_of(text)
    if seconds is None:
        moment = _date(text)
        return None if moment is None else max(0.0, moment - now_s)
    if seconds >= _MILLISECONDS_FROM:
        seconds /= 1000
    if seconds >= _UNIX_TIME_FROM:
        return max(0.0, seconds - now_s)
    return seconds


def _date(text: str) -> float | None:
    """Read an HTTP date or an RFC 3339 time as Unix time."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text)
            # A date without a zone is in UTC (RFC 9110, 5.6.7).
            aware = found if found.tzinfo else found.replace(tzinfo=UTC)
            return aware.timestamp()
        except (ValueError, OverflowError, TypeError):
            continue
    return None
