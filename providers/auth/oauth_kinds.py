"""Three kinds of login: where the vendors' programs keep them and how they are refreshed.

Client ids are public identifiers of the vendors' programs; every value can be set to another. No
secret is shipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from providers.auth.base import OAuthAuth
from providers.base.loopback import is_loopback
from providers.base.nearest import name_hint

OAUTH_KINDS: dict[str, dict[str, Any]] = {
    "anthropic_oauth": {
        "file_path": "~/.config/ccproxy/oauth/anthropic.json",
        "endpoint": "https://claude.ai/v1/oauth/token",
        "client_id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        "access_path": "access_token",
        "refresh_path": "refresh_token",
        "expiry_path": "expires_at",
        "default_expires_in_seconds": 36000.0,
        "body_format": "form",
    },
    "google_oauth": {
        "file_path": "~/.gemini/oauth_creds.json",
        "endpoint": "https://oauth2.googleapis.com/token",
        "access_path": "access_token",
        "refresh_path": "refresh_token",
        "expiry_path": "expiry_date",
        "default_expires_in_seconds": 3600.0,
        "body_format": "form",
    },
    "codex_oauth": {
        "file_path": "~/.codex/auth.json",
        "endpoint": "https://auth.openai.com/oauth/token",
        "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
        "access_path": "tokens.access_token",
        "refresh_path": "tokens.refresh_token",
        "id_token_path": "tokens.id_token",
        "account_id_path": "tokens.account_id",
        "last_refresh_path": "last_refresh",
        "default_expires_in_seconds": 3600.0,
        "body_format": "json",
    },
}

NEEDS_CLIENT_SECRET = ("google_oauth",)

OAUTH_KEYS = frozenset(OAuthAuth.model_fields) - {"type", "header", "client_secret", "prefix"}
"""What a provider's `auth_config` may hold for these kinds; the client secret is stored encrypted
beside it.
"""


_ADDRESSES = ("endpoint", "authorize_url")


class BadOAuthConfig(ValueError):
    """A login's settings cannot be used; the text is one sentence for people."""


def oauth_auth(
    kind: str, config: Mapping[str, Any], *, header: str = "", client_secret: str = ""
) -> OAuthAuth:
    """Return the complete handle of a login.

    Args:
        kind: anthropic_oauth, google_oauth or codex_oauth.
        config: what the user set; the rest has the kind's defaults.
        header: lower case, "" for authorization.
        client_secret: ciphertext.

    Raises:
        BadOAuthConfig: a setting is unknown, missing or of the wrong form.
    """
    if unknown := set(config) - OAUTH_KEYS:
        hint = name_hint(min(unknown), OAUTH_KEYS)
        raise BadOAuthConfig(f"The source “{kind}” has no “{min(unknown)}”; {hint}")
    for name, problem in login_problems(kind, config).items():
        raise BadOAuthConfig(f"“{name}” {problem}")
    values = {**OAUTH_KINDS[kind], **config}
    return OAuthAuth(type=kind, header=header, client_secret=client_secret, **values)


def login_problems(kind: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with a login's settings, by setting: the rest of a sentence about it.

    `{"endpoint": "http://h/"}` → `{"endpoint": "has to begin with https://: tokens are sent
    there."}`. The names of the settings are not checked.
    """
    values = {**OAUTH_KINDS[kind], **config}
    known = {name: value for name, value in values.items() if name in OAUTH_KEYS}
    problems = {name: _address_problem(str(known.get(name, ""))) for name in _ADDRESSES}
    if not str(known.get("redirect_path", "/")).startswith("/"):
        problems["redirect_path"] = "has to start with a slash."
    try:
        OAuthAuth(type=kind, **known)
    except ValidationError as exc:
        faults = exc.errors(include_url=False)
        problems |= {str(fault["loc"][0]): _in_words(fault["msg"]) for fault in faults}
    if not known.get("client_id"):
        problems["client_id"] = f"is needed: the source “{kind}” has none of its own."
    return {name: problem for name, problem in problems.items() if problem}


def _in_words(message: str) -> str:
    return f"cannot be used: {message[:1].lower()}{message[1:]}."


def _address_problem(url: str) -> str:
    """Return why tokens may not be sent to an address, "" if they may.

    Tokens travel over https, or stay on this machine.
    """
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
        parts = urlsplit("")
    if not host or parts.username or parts.scheme not in ("https", "http"):
        return "has to be a web address, like https://host/path."
    if parts.scheme != "https" and not is_loopback(host):
        return "has to begin with https://: tokens are sent there."
    return ""
