"""Sentences for Amazon's refusals of a signature: what is wrong here, and what to do.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Final

from providers.wire.core.jsonio import loads

_KEY_WORDS: Final = ("security token included in the request", "unrecognizedclient")
_MIN_OFF_S: Final = 60


def message_of(body: bytes) -> str:
    """Return the message of an error of AWS; "" for another body."""
    try:
        parsed = loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(parsed, dict):
        return ""
    found = parsed.get("message") or parsed.get("Message")
    return found if isinstance(found, str) else ""


def explained(message: str, *, provider: str, region: str, date: str, now_s: float) -> str:
    """Return a refusal with its cause and fix before Amazon's own words.

    Args:
        message: Amazon's words.
        provider: the provider's name.
        region: the one that the request was signed for.
        date: the response's header Date; the clock of Amazon.
        now_s: the clock of this machine, in seconds since the epoch.
    """
    cause = _cause(message.lower(), provider, region, date, now_s)
    return f"{cause} Amazon says: {message}" if cause else message


def _cause(text: str, provider: str, region: str, date: str, now_s: float) -> str:
    if "signature expired" in text or "signature not yet current" in text:
        return f"{_clock(date, now_s)} Set it, for example by NTP."
    if "valid region" in text or "scoped to" in text:
        return (
            f"The request was signed for the region {region}, which is not that of the host of"
            f" provider “{provider}”."
        )
    if any(word in text for word in _KEY_WORDS):
        return f"Amazon does not know the access key of provider “{provider}”, or it has expired."
    if "signature we calculated does not match" in text:
        return f"The secret access key of provider “{provider}” does not belong to its key id."
    return ""


def _clock(date: str, now_s: float) -> str:
    try:
        off_s = now_s - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        off_s = 0.0
    if abs(off_s) < _MIN_OFF_S:
        return "The clock of this machine is wrong."
    word = "ahead" if off_s > 0 else "behind"
    return f"The clock of this machine is {abs(off_s) / 60:.0f} minutes {word}."
