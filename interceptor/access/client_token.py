"""Named keys that clients present in `x-ccproxy-token`. The database holds their SHA-256 alone."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from interceptor.models import ClientToken

TOKEN_PREFIX = "cct-"  # noqa: S105  # a prefix by which people recognise the kind, not a secret


def token_digest(token: str) -> str:
    """Return the SHA-256 of a token in hex, as it is stored and compared."""
    return hashlib.sha256(token.encode()).hexdigest()


def fill_with_new_token(row: ClientToken) -> str:
    """Give an unsaved row a fresh token. Return its only clear-text copy."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row.token_sha256 = token_digest(token)
    return token


def create_client_token(name: str, providers: Sequence[str] = ()) -> str:
    """Store a new client token, for all providers or for some. Return its only clear-text copy.

    Raises:
        ValidationError: for a name that is taken.
    """
    row = ClientToken(name=name, providers=list(providers))
    token = fill_with_new_token(row)
    row.full_clean()
    row.save()
    return token
