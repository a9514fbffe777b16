"""Client tokens on the request path: the client's identity and its providers. No Django.

A client shows its token in `x-ccproxy-token`, or, where only an API key can be configured, behind
the sentinel key: `sk-ccproxy-anthropic.cct-…`. docs/decisions/003 says why.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256

from interceptor.config.snapshot.schema import ClientTokenConf
from providers.auth.sentinel import AUTH_HEADERS, SENTINEL_PREFIXES

HEADER = "x-ccproxy-token"
_HEADER = HEADER.encode()
_KEY = "|".join(re.escape(prefix) for prefix in SENTINEL_PREFIXES)
_TOKEN_BEHIND_KEY = re.compile(rf"((?:{_KEY})[^\s&]*?)\.(cct-[\w-]+)", re.ASCII)

Fields = tuple[tuple[bytes, bytes], ...]


def find_token(token: str, known: Iterable[ClientTokenConf]) -> ClientTokenConf | None:
    """Return the known token with this clear text. Takes the same time for all unknown ones."""
    digest = sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    found = None
    for candidate in known:
        if hmac.compare_digest(digest, candidate.sha256):
            found = candidate
    return found


def split_key(value: str) -> tuple[str, str]:
    """Split a key into (value with the plain sentinel key, token).

    The token is "" if there is none behind the key.
    """
    found = _TOKEN_BEHIND_KEY.search(value)
    return (value[: found.end(1)] + value[found.end() :], found[2]) if found else (value, "")


def take_token(fields: Fields) -> tuple[Fields, str]:
    """Return the headers with plain sentinel keys, and the request's token from any of its
    positions.
    """
    # A list is twice as fast as a generator here, for what nearly every request has: no token.
    shown = [value for name, value in fields if b".cct-" in value or name.lower() == _HEADER]
    if not shown:
        return fields, ""
    token, kept = "", []
    for name, value in fields:
        lower = name.lower().decode("latin-1")
        if lower == HEADER:
            token = token or value.decode("utf-8", "surrogateescape").strip()
        if lower in AUTH_HEADERS and b".cct-" in value:
            plain, behind = split_key(value.decode("utf-8", "surrogateescape"))
            token, value = token or behind, plain.encode("utf-8", "surrogateescape")
        kept.append((name, value))
    return tuple(kept), token


def may_use(token: ClientTokenConf | None, provider: str) -> bool:
    """Return whether the token may use this provider."""
    return token is None or not token.providers or provider in token.providers
