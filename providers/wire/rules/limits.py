"""Rate-limit and request-id headers under the names that the client's SDK reads.

Sources: Anthropic "Rate limits" (RFC 3339 resets), OpenAI "Rate limits in headers" (durations such
as `6m0s`), Google's `RetryInfo` in an error's details.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.core.jsonio import loads

Pair = tuple[str, str]

_ANTHROPIC: Final = re.compile(
    r"anthropic-ratelimit-(requests|tokens|input-tokens|output-tokens)-(limit|remaining|reset)"
)
_OPENAI: Final = re.compile(r"x-ratelimit-(limit|remaining|reset)-(requests|tokens)")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_OPENAI_FAMILY: Final = (OPENAI_CHAT, OPENAI_RESPONSES)


def seconds_of(duration: str) -> float | None:
    """Parse a duration into seconds: `9s`, `500ms`, `1h2m3.5s`, a bare number; else None."""
    text = duration.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    pieces = _DURATION.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in pieces)


def translate_headers(
    headers: Iterable[Pair], src: WireFormatName, dst: WireFormatName, *, now_s: float
) -> list[Pair]:
    """Rename the headers of rate limits and request ids for the client; keep all others.

    `now_s` is Unix time, for resets that one vendor gives as a time and the other as a duration.
    """
    found: list[Pair] = []
    for name, value in headers:
        found.extend(_renamed(name.lower(), name, value, src, dst, now_s))
    return found


def _renamed(
    lower: str, name: str, value: str, src: WireFormatName, dst: WireFormatName, now_s: float
) -> list[Pair]:
    if src == ANTHROPIC_MESSAGES and dst in _OPENAI_FAMILY:
        if match := _ANTHROPIC.fullmatch(lower):
            kind, field = match.groups()
            if kind in ("requests", "tokens"):
                return [
                    (
                        f"x-ratelimit-{field}-{kind}",
                        _to_duration(value, now_s) if field == "reset" else value,
                    )
                ]
        if lower == "request-id":
            return [("x-request-id", value)]
    if src in _OPENAI_FAMILY and dst == ANTHROPIC_MESSAGES:
        if match := _OPENAI.fullmatch(lower):
            field, kind = match.groups()
            return [
                (
                    f"anthropic-ratelimit-{kind}-{field}",
                    _to_moment(value, now_s) if field == "reset" else value,
                )
            ]
        if lower == "x-request-id":
            return [("request-id", value)]
    return [(name, value)]


def _to_duration(moment: str, now_s: float) -> str:
    try:
        left = datetime.fromisoformat(moment).timestamp() - now_s
    except (ValueError, OverflowError):
        return moment
    return f"{max(left, 0):.3f}".rstrip("0").rstrip(".") + "s"


def _to_moment(duration: str, now_s: float) -> str:
    seconds = seconds_of(duration)
    if seconds is None or seconds > 10**9:
        return duration
    return datetime.fromtimestamp(now_s + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def retry_after_s(body: bytes, src: WireFormatName) -> float | None:
    """Return the wait in seconds from Google's error body (`RetryInfo.retryDelay`).

    Google sends no `retry-after` header.
    """
    if src != GOOGLE_GENERATE:
        return None
    try:
        parsed: Any = loads(body)
    except (ValueError, RecursionError):
        return None
    parsed = parsed[0] if isinstance(parsed, list) and parsed else parsed
    error = parsed.get("error") if isinstance(parsed, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith("RetryInfo"):
            delay = detail.get("retryDelay")
            return seconds_of(delay) if isinstance(delay, str) else None
    return None
