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
    values = {**OAUTH_KINDS[kind], **config}
    if not values.get("client_id"):
        raise BadOAuthConfig(f"The source “{kind}” needs “client_id”.")
    try:
        auth = OAuthAuth(type=kind, header=header, client_secret=client_secret, **values)
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
        name = ".".join(map(str, problem["loc"]))
        raise BadOAuthConfig(
            f"“{name}” cannot be used: {problem['msg'][:1].lower()}{problem['msg'][1:]}."
        ) from None
    _check_address("endpoint", auth.endpoint)
    if auth.authorize_url:
        _check_address("authorize_url", auth.authorize_url)
    if not auth.redirect_path.startswith("/"):
        raise BadOAuthConfig("“redirect_path” starts with a slash.")
    return auth


def _check_address(name: str, url: str) -> None:
    """Tokens travel over https, or stay on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
        parts = urlsplit("")
    if not host or parts.username or parts.scheme not in ("https", "http"):
        raise BadOAuthConfig(f"“{name}” has to be a web address, like https://host/path.")
    if parts.scheme != "https" and not is_loopback(host):
        raise BadOAuthConfig(f"“{name}” has to begin with https://: tokens are sent there.")
