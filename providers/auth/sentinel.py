"""Sentinel keys: stand-ins for a credential, which name the provider that shall serve a request.

A sentinel is a prefix followed by a provider's name. Some clients change their behaviour on
`sk-ant-oat` (they take it for an OAuth token), so two neutral prefixes mean the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SENTINEL_PREFIXES = ("sk-ant-oat-ccproxy-", "sk-ant-api03-ccproxy-", "sk-ccproxy-")

AUTH_HEADERS = ("x-api-key", "x-goog-api-key", "authorization", "api-key")
"""Headers in which clients carry a credential, in the order they are examined."""

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A sentinel key found in a request."""

    header: str
    """The header that carried it, lower case."""
    provider: str
    """What follows the prefix, verbatim; "" when nothing does."""


def provider_of(value: str) -> str | None:
    """Return the provider's name in a sentinel key, or None when the value is no sentinel."""
    for prefix in SENTINEL_PREFIXES:
        if value.startswith(prefix):
            return value[len(prefix) :]
    return None


def find_sentinel(get: Callable[[str], str | None]) -> Sentinel | None:
    """Return the first sentinel among the credential headers, or None.

    `get` returns a header's value by its lower-case name.

    authorization: Bearer sk-ccproxy-openai → Sentinel("authorization", "openai")
    """
    for header in AUTH_HEADERS:
        value = get(header) or ""
        # OpenAI's SDKs send their key as a bearer token.
        if header == "authorization" and value[: len(_BEARER)].lower() == _BEARER:
            value = value[len(_BEARER) :]
        if (provider := provider_of(value.strip())) is not None:
            return Sentinel(header, provider)
    return None
