"""Names of headers and query parameters that carry credentials. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

CREDENTIAL_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "x-amz-security-token",
        "x-goog-iam-authorization-token",
        "x-ccproxy-token",
    }
)
"""Headers that are always redacted.

Others are redacted when a word of their name is in `CREDENTIAL_WORDS` and their value is no
counter.
"""

CREDENTIAL_WORDS = frozenset(
    {
        "authorization",
        "apikey",
        "cookie",
        "credential",
        "credentials",
        "jwt",
        "passphrase",
        "passwd",
        "password",
        "secret",
        "token",
    }
)
COOKIE_HEADERS = frozenset({"cookie", "set-cookie"})
URL_HEADERS = frozenset(
    {":path", "content-location", "link", "location", "origin", "referer", "x-original-url"}
)
CREDENTIAL_PARAMS = frozenset(
    {
        "access_token",
        "api-key",
        "api_key",
        "apikey",
        "assertion",
        "auth",
        "auth_token",
        "client_secret",
        "code",
        "code_verifier",
        "id_token",
        "jwt",
        "key",
        "login_token",
        "passwd",
        "password",
        "refresh_token",
        "secret",
        "session_token",
        "sig",
        "signature",
        "subject_token",
        "token",
        "x-amz-credential",
        "x-amz-security-token",
        "x-amz-signature",
        "x-goog-credential",
        "x-goog-signature",
    }
)
"""Query parameters whose value is redacted, lower case."""


def is_credential_header(name: str, value: str) -> bool:
    """Check whether a header (lower-case name) carries a credential.

    Counters such as those of rate limits (`x-ratelimit-limit-token: 123456789`) do not.
    """
    if name in CREDENTIAL_HEADERS:
        return bool(value)
    return _names_credential(name) and len(value) >= 8 and not value.isdigit()


# New values of known names (request ids, dates) come with every flow.
@lru_cache(maxsize=1024)
def _names_credential(name: str) -> bool:
    words = re.split("[-_]", name)
    if not CREDENTIAL_WORDS.isdisjoint(words):
        return True
    return "api-key" in name.replace("_", "-")
