"""Quantities for people: sizes, durations, counts, prices. An unknown one is "–", never 0."""

from __future__ import annotations

from decimal import Decimal

UNKNOWN = "–"


def size(size_bytes: int | None) -> str:
    """Write bytes as "512 B", "12.4 KB", "3.1 MB" (1 KB is 1,000 bytes)."""
    if size_bytes is None:
        return UNKNOWN
    if size_bytes < 1_000:
        return f"{size_bytes} B"
    for factor, unit in ((1e3, "KB"), (1e6, "MB")):
        if size_bytes < factor * 999.5:
            return f"{_three_digits(size_bytes / factor)} {unit}"
    return f"{size_bytes / 1e9:.1f} GB"


def duration(duration_ms: float | None) -> str:
    """Write milliseconds as "0.04 ms", "3.1 ms", "612 ms", "4.1 s", "2 m 05 s"."""
    if duration_ms is None:
        return UNKNOWN
    if duration_ms < 0.995:
        return "0 ms" if duration_ms == 0 else f"{duration_ms:.2f} ms"
    if duration_ms < 10:
        return f"{duration_ms:.1f} ms"
    if duration_ms < 999.5:
        return f"{duration_ms:.0f} ms"
    seconds = duration_ms / 1000
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} m"


def count(number: int | None) -> str:
    """Write a count as "342", "12.9 k", "1.2 M"."""
    if number is None:
        return UNKNOWN
    if number < 1_000:
        return str(number)
    if number < 999_500:
        return f"{_three_digits(number / 1e3)} k"
    return f"{number / 1e6:.1f} M"


def usd(amount: Decimal | float | None) -> str:
    """Write US dollars as "$0.00031", "$0.042", "$1.27", "$1,204", "$0"."""
    if amount is None:
        return UNKNOWN
    value = float(amount)
    if value == 0:
        return "$0"
    if value >= 1_000:
        return f"${value:,.0f}"
    if value >= 1:
        return f"${value:.2f}"
    if value >= 0.01:
        return f"${value:.3f}"
    if value >= 0.00001:
        return f"${value:.5f}"
    return "<$0.00001"


def percent(share: float | None) -> str:
    """Write a share of 1 as "83 %"."""
    if share is None:
        return UNKNOWN
    return f"{share * 100:.0f} %"


def plural(number: int, noun: str, many: str = "") -> str:
    """Write a number with its noun: "1 hook", "3 hooks", "2 entries" where `many` is given."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {many or noun + 's'}"


def _three_digits(value: float) -> str:
    # 99.95 rounds to 100.0, which would have four digits.
    if value < 99.95:
        return f"{value:.1f}"
    return f"{value:.0f}"


def status_words(code: int | None, *, failed: bool) -> str:
    """Write a status code; one that hides a failure says so.

    Examples: (200, failed) → "200 failed"; (502, failed) → "502"; (None, failed) → "failed".
    """
    if code is None:
        return "failed" if failed else UNKNOWN
    return f"{code} failed" if failed and code < 400 else str(code)
