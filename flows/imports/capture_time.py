"""Times of captures, in every form that tools write, and the order of the flows of a file. Pure.

Each of these is 15:41:11 in Paris on January 13, 2026:

    "2026-01-13T14:41:11.000Z"              ISO 8601, as HAR demands
    "2026-01-13T15:41:11.000+01:00"
    "2026-01-13T14:41:11"                   without a zone, which counts as UTC
    "2026-01-13T03:41:11.000 PM+01:00"      a machine with a twelve-hour clock
    "Tue, 13 Jan 2026 14:41:11 GMT"         HTTP's dates
    1768315271, "1768315271000"             seconds or milliseconds since the epoch
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from flows.imports.loose_json import is_number

# The start of the year 2100.
_LATEST: Final = 4_102_444_800.0
# Smaller numbers count something else: seconds of the year 1973, milliseconds since a start.
_EARLIEST_NUMBER: Final = 1e8
_MAX_CHARS: Final = 80
_LARGEST_NUMBER: Final = 1e19
_THOUSAND: Final = 1000.0
_NUMBER: Final = re.compile(r"\d{9,20}(\.\d*)?")
_TWELVE_HOURS: Final = re.compile(
    r"(?P<date>[\d-]+[T ])(?P<hour>\d{1,2})(?P<rest>:[\d:.,]+) ?(?P<half>[AaPp])\.?[Mm]\.?"
    r"(?P<zone>.*)"
)
# JavaScript's Date.toString(): "Tue Jan 13 2026 15:41:11 GMT+0100 (CET)".
_JAVASCRIPT: Final = re.compile(
    r"\w{3} (?P<month>\w{3}) (?P<day>\d{1,2}) (?P<year>\d{4}) (?P<time>[\d:]+)"
    r" GMT(?P<zone>[+-]\d{4})"
)
_SPACE_BEFORE_ZONE: Final = re.compile(r" (?=Z$|[+-]\d{2}:?\d{2}$)")


def moment_of(value: Any) -> float | None:
    """Return a time as seconds since the epoch; None if it cannot be understood."""
    if isinstance(value, str):
        seconds = _of_text(_plain(value[:_MAX_CHARS]))
    elif is_number(value) or (isinstance(value, int) and not isinstance(value, bool)):
        seconds = _of_number(value)
    else:
        return None
    # Tools write the epoch, or the year 1, for a time that they do not know.
    if seconds is None or not 0 < seconds <= _LATEST:
        return None
    return seconds


def in_file_order(moments: Sequence[float | None], now: float) -> list[float]:
    """Return a time for each flow of a file, so that a list by time keeps the file's order.

    A flow without a time comes one microsecond after the one before it. A flow at the same time as
    an earlier one is moved by microseconds too. A file that is not in the order of its times stays
    so. Example, in microseconds: [None, 50, None, 50, 20] → [49, 50, 51, 52, 20].
    """
    known = [moment for moment in moments if moment is not None]
    first = known[0] if known else now
    unknown_before = 0
    while known and moments[unknown_before] is None:
        unknown_before += 1
    last_us = _microseconds(first) - unknown_before - 1
    next_free: dict[int, int] = {}
    times = []
    for moment in moments:
        at_us = last_us + 1 if moment is None else _microseconds(moment)
        last_us = _take_free(at_us, next_free)
        times.append(last_us / 1e6)
    return times


def _take_free(at_us: int, next_free: dict[int, int]) -> int:
    """Take the first free microsecond from `at_us` on, and return it.

    `next_free` leads from each taken one to a later one. Every search shortens its path, so a file
    of equal times takes linear time.
    """
    path = []
    while at_us in next_free:
        path.append(at_us)
        at_us = next_free[at_us]
    for taken_us in (*path, at_us):
        next_free[taken_us] = at_us + 1
    return at_us


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def _plain(text: str) -> str:
    """Return a text with usual spaces and digits: `٢٠٢٦` → `2026`."""
    chars = []
    for char in text:
        digit = unicodedata.decimal(char, None)
        if digit is not None:
            chars.append(str(digit))
        elif char.isspace():
            chars.append(" ")
        # Marks for the direction of text are invisible.
        elif unicodedata.category(char) != "Cf":
            chars.append(char)
    return "".join(chars).strip()


def _of_text(text: str) -> float | None:
    if _NUMBER.fullmatch(text):
        return _of_number(float(text))
    for read in (_iso, _javascript, _of_http):
        try:
            moment = read(text)
            if moment is not None:
                # Without a zone it counts as UTC, so that every machine reads the same.
                aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                return aware.timestamp()
        except (ValueError, TypeError, IndexError, OverflowError, OSError):
            continue
    return None


def _of_number(value: float) -> float | None:
    """Return seconds of a number that counts seconds, or a thousandth (and so on) of them."""
    if not _EARLIEST_NUMBER <= value < _LARGEST_NUMBER:
        return None
    seconds = float(value)
    while seconds > _LATEST:
        seconds /= _THOUSAND
    return seconds


def _iso(text: str) -> datetime | None:
    found = _TWELVE_HOURS.fullmatch(text)
    if found:
        hour = int(found["hour"])
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found["half"] in "Pp" else 0)
        text = f"{found['date']}{hour:02d}{found['rest']}{found['zone']}"
    return datetime.fromisoformat(_SPACE_BEFORE_ZONE.sub("", text))


def _javascript(text: str) -> datetime | None:
    found = _JAVASCRIPT.match(text)
    if found is None:
        return None
    parts = f"{found['day']} {found['month']} {found['year']} {found['time']} {found['zone']}"
    return parsedate_to_datetime(parts)


def _of_http(text: str) -> datetime | None:
    # email.utils reads nearly anything as a date: it must begin with a day's or a month's name.
    if not re.match(r"(\w{3,9}, )?\d{1,2}[ -][A-Za-z]{3}", text):
        return None
    return parsedate_to_datetime(text)
