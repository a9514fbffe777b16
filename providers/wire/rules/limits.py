"""Rate-limit and request-id headers under the names that the client's SDK reads.

Sources: Anthropic "Rate limits" (RFC 3339 resets), https://docs.anthropic.com/en/api/rate-limits;
OpenAI "Rate limits in headers" (durations such as `6m0s`),
https://platform.openai.com/docs/guides/rate-limits; Google's `RetryInfo` in an error's details,
https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from providers.base.errors import BadUpstreamStream
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.core.jsonio import loads
from providers.wire.core.sse import SseParser

Pair = tuple[str, str]

_ANTHROPIC: Final = re.compile(
    r"anthropic-ratelimit-(requests|tokens|input-tokens|output-tokens)-(limit|remaining|reset)"
)
_OPENAI: Final = re.compile(r"x-ratelimit-(limit|remaining|reset)-(requests|tokens)")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SENTENCE: Final = re.compile(
    r"(?:try again in|retry in|quota will reset (?:after|in))"
    r" ((?:\d+(?:\.\d+)?(?:ms|s|m|h))+)\b",
    re.IGNORECASE,
)
"""OpenAI's and Groq's "Please try again in 7m12.5s.", Code Assist's "Your quota will reset after
2h5m30s.".
"""
_OPENAI_FAMILY: Final = (OPENAI_CHAT, OPENAI_RESPONSES)


def seconds_of(duration: str) -> float | None:
    """Parse a duration into seconds: `9s`, `500ms`, `1h2m3.5s`, a bare number; else None."""
    text = duration.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    # "1h2m3.5s" → ("1", "h"), ("2", "m"), ("3.5", "s")
    parts = _DURATION.findall(text)
    understood = "".join(number + unit for number, unit in parts)
    if not parts or understood != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def translate_headers(
    headers: Iterable[Pair], src: WireFormatName, dst: WireFormatName, *, now_s: float
) -> list[Pair]:
    """Rename the headers of rate limits and request ids for the client; keep all others.

    `now_s` is Unix time, for resets that one vendor gives as a time and the other as a duration.
    """
    if src == ANTHROPIC_MESSAGES and dst in _OPENAI_FAMILY:
        return [_for_openai(name, value, now_s) for name, value in headers]
    if src in _OPENAI_FAMILY and dst == ANTHROPIC_MESSAGES:
        return [_for_anthropic(name, value, now_s) for name, value in headers]
    return list(headers)


def _for_openai(name: str, value: str, now_s: float) -> Pair:
    """Rename an Anthropic header.

    anthropic-ratelimit-tokens-reset: 2026-01-01T00:00:09Z → x-ratelimit-reset-tokens: 9s
    """
    lower = name.lower()
    if lower == "request-id":
        return "x-request-id", value
    match = _ANTHROPIC.fullmatch(lower)
    # OpenAI has one limit for tokens; Anthropic's for input and output stay under their names.
    if match is None or match[1] not in ("requests", "tokens"):
        return name, value
    kind, field = match.groups()
    if field == "reset":
        value = _to_duration(value, now_s)
    return f"x-ratelimit-{field}-{kind}", value


def _for_anthropic(name: str, value: str, now_s: float) -> Pair:
    """Rename an OpenAI header; the inverse of `_for_openai`."""
    lower = name.lower()
    if lower == "x-request-id":
        return "request-id", value
    match = _OPENAI.fullmatch(lower)
    if match is None:
        return name, value
    field, kind = match.groups()
    if field == "reset":
        value = _to_moment(value, now_s)
    return f"anthropic-ratelimit-{kind}-{field}", value


def _to_duration(moment: str, now_s: float) -> str:
    try:
        left = datetime.fromisoformat(moment).timestamp() - now_s
    except (ValueError, OverflowError):
        return moment
    return f"{max(left, 0):.3f}".rstrip("0").rstrip(".") + "s"


def _to_moment(duration: str, now_s: float) -> str:
    seconds = seconds_of(duration)
    # Beyond 30 years it is no duration, and datetime may overflow.
    if seconds is None or seconds > 10**9:
        return duration
    return datetime.fromtimestamp(now_s + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def retry_after_s(body: bytes) -> float | None:
    """Return the wait in seconds that an error body asks for, or None.

    Google sends no `retry-after` header but `RetryInfo.retryDelay`, from its compatible endpoints
    too; OpenRouter passes its provider's headers on in `metadata`; others write a sentence.
    """
    for data in _error_data(body):
        try:
            parsed: Any = loads(data)
        except (ValueError, RecursionError):
            continue
        for error in _error_objects(parsed):
            wait_s = _wait_of(error)
            if wait_s is not None:
                return wait_s
    return None


def _error_data(body: bytes) -> list[bytes]:
    """Return the JSON texts of a body: itself, or the data of a stream's events."""
    if body.lstrip()[:1] in (b"{", b"["):
        return [body]
    parser = SseParser()
    try:
        events = [*parser.feed(body), *parser.flush()]
    except BadUpstreamStream:
        return []
    return [event.data for event in events]


def _error_objects(body: Any) -> list[dict[str, Any]]:
    """Return the error objects of a body; without `alt=sse` Google's is an array's only entry."""
    bodies = body if isinstance(body, list) else [body]
    found = []
    for entry in bodies:
        error = entry.get("error") if isinstance(entry, dict) else None
        if isinstance(error, dict):
            found.append(error)
    return found


def _wait_of(error: dict[str, Any]) -> float | None:
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith("RetryInfo"):
            delay = detail.get("retryDelay")
            return seconds_of(delay) if isinstance(delay, str) else None
    metadata = error.get("metadata")
    holders = [error, metadata] if isinstance(metadata, dict) else [error]
    if isinstance(metadata, dict) and isinstance(metadata.get("headers"), dict):
        holders.append(metadata["headers"])
    for holder in holders:
        for key, value in holder.items():
            if str(key).lower().replace("-", "_") in ("retry_after", "retry_after_seconds"):
                return _seconds(value)
    message = error.get("message")
    match = _SENTENCE.search(message) if isinstance(message, str) else None
    return seconds_of(match[1]) if match else None


def _seconds(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if 0 <= value < 10**9 else None
    return seconds_of(value) if isinstance(value, str) else None
