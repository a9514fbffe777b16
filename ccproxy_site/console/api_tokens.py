"""Tokens of the REST API. The database holds a digest alone, so a copy of it opens nothing."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Any

from django.contrib.auth.models import User
from rest_framework.authentication import TokenAuthentication
from rest_framework.authtoken.models import Token

_COLUMN_CHARS = 40


def token_digest(token: str) -> str:
    """Return the digest that the database holds: 160 bits of SHA-256, in hex."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:_COLUMN_CHARS]


def fill_with_new_token(row: Token) -> str:
    """Give an unsaved row a fresh token; return its only clear-text copy."""
    token = secrets.token_hex(20)
    row.key = token_digest(token)
    return token


def create_api_token(user: User) -> str:
    """Replace the user's token by a new one; return its only clear-text copy."""
    # authtoken has one row for each user.
    Token.objects.filter(user=user).delete()
    row = Token(user=user)
    token = fill_with_new_token(row)
    row.save(force_insert=True)
    return token


class HashedTokenAuthentication(TokenAuthentication):
    """`Authorization: Token …`, looked up by its digest.

    Why authtoken and not another library: docs/decisions/007-libraries.md.
    """

    def authenticate_credentials(self, key: str) -> Any:
        return super().authenticate_credentials(token_digest(key))
