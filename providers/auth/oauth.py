"""Pure functions over a login's file, the request that refreshes it, and the file after that."""

from __future__ import annotations

import base64
import binascii
import copy
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from providers.auth.base import OAuthAuth

Document = dict[str, Any]

MAX_LIFETIME_S = 10 * 366 * 86400.0
"""Longest lifetime that is believed: ten years."""
_SECONDS_TEXT = re.compile(r"[0-9]{1,12}")
_CLAIMS = "https://api.openai.com/auth"
"""Claim of OpenAI's tokens that holds the account; seen in the tokens that Codex stores."""


@dataclass(frozen=True)
class Login:
    """The tokens of a file.

    Missing texts are ""; `expires_at` is in seconds since the epoch, None when unknown.
    """

    access: str = field(default="", repr=False)
    refresh: str = field(default="", repr=False)
    expires_at: float | None = None
    companions: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Headers that travel with the access token."""


def fingerprint(secret: str) -> str:
    """Return a short digest by which a secret can be compared without keeping it; "" for none."""
    return sha256(secret.encode()).hexdigest()[:24] if secret else ""


def read_login(auth: OAuthAuth, document: Document) -> Login:
    """Return the tokens of a credential file's content."""
    access = _text(document, auth.access_path)
    refresh = _text(document, auth.refresh_path)
    # A file without a time of its own holds JWTs, which name theirs.
    if not auth.expiry_path:
        expires_at = jwt_seconds(access, "exp")
    else:
        milliseconds = _number(_at(document, auth.expiry_path))
        expires_at = None if milliseconds is None else milliseconds / 1000
    return Login(access, refresh, expires_at, _companions(auth, document))


def secrets_of(auth: OAuthAuth, document: Document) -> list[str]:
    """Return every secret of a credential file."""
    paths = (auth.access_path, auth.refresh_path, auth.id_token_path)
    texts = [_text(document, path) for path in paths]
    return [text for text in texts if text]


def encode_fields(
    auth: OAuthAuth, fields: Mapping[str, str], client_secret: str
) -> tuple[bytes, str]:
    """Return body and content type of a request to the token endpoint."""
    values = dict(fields)
    if client_secret:
        values["client_secret"] = client_secret
    if auth.body_format == "json":
        return json.dumps(values).encode(), "application/json"
    return urlencode(values).encode(), "application/x-www-form-urlencoded"


def apply_answer(
    auth: OAuthAuth, document: Document, answer: Mapping[str, Any], now_s: float
) -> Document:
    """Return the file's content with the new tokens in it; everything else stays.

    `answer` is the token endpoint's: access_token, and when it likes refresh_token, expires_in (s),
    id_token.
    """
    changed = copy.deepcopy(document)
    _set(changed, auth.access_path, answer["access_token"])
    # Without a new refresh token the old one stays valid (RFC 6749, 6).
    refresh = answer.get("refresh_token")
    if isinstance(refresh, str) and refresh:
        _set(changed, auth.refresh_path, refresh)
    if auth.expiry_path:
        expires_at = now_s + lifetime_s(auth, answer)
        _set(changed, auth.expiry_path, round(expires_at * 1000))
    id_token = answer.get("id_token")
    if auth.id_token_path and isinstance(id_token, str) and id_token:
        _set(changed, auth.id_token_path, id_token)
        account = _claims(id_token).get("chatgpt_account_id")
        if auth.account_id_path and account:
            _set(changed, auth.account_id_path, account)
    if auth.last_refresh_path:
        stamp = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="microseconds")
        _set(changed, auth.last_refresh_path, stamp.replace("+00:00", "Z"))
    return changed


def token_part(auth: OAuthAuth, document: Document) -> Document:
    """Return the values of a file that belong to the login, by their paths."""
    paths = (
        auth.access_path,
        auth.refresh_path,
        auth.expiry_path,
        auth.id_token_path,
        auth.account_id_path,
        auth.last_refresh_path,
    )
    values = {path: _at(document, path) for path in paths}
    return {path: value for path, value in values.items() if value is not None}


def with_tokens(document: Document, part: Document) -> Document:
    """Return a file's content with another one's login in it."""
    changed = copy.deepcopy(document)
    for path, value in part.items():
        _set(changed, path, value)
    return changed


def lifetime_s(auth: OAuthAuth, answer: Mapping[str, Any]) -> float:
    """Return the lifetime of the new access token in seconds, counted from the response.

    It is at most `MAX_LIFETIME_S`: a time that no clock can show must not lose the token.
    """
    value = answer.get("expires_in")
    # Some vendors write the number as a text.
    if isinstance(value, str) and _SECONDS_TEXT.fullmatch(value):
        value = int(value)
    seconds = _number(value)
    if seconds is not None and seconds > 0:
        return min(seconds, MAX_LIFETIME_S)
    # The difference of the token's own times: this machine's clock may be wrong.
    token = str(answer.get("access_token", ""))
    expires_at = jwt_seconds(token, "exp")
    issued_at = jwt_seconds(token, "iat")
    if expires_at is not None and issued_at is not None and expires_at > issued_at:
        return min(expires_at - issued_at, MAX_LIFETIME_S)
    return auth.default_expires_in_seconds


def jwt_seconds(token: str, claim: str) -> float | None:
    """Return a time of a JWT's payload (RFC 7519, 4.1) in seconds since the epoch, or None."""
    return _number(jwt_payload(token).get(claim))


def jwt_payload(token: str) -> Document:
    """Return the payload of a JWT, unverified; {} for anything else."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    # JWTs leave base64's padding out: "eyJhIjoxfQ" → "eyJhIjoxfQ==" → {"a":1}
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        payload = json.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def _claims(token: str) -> Document:
    claims = jwt_payload(token).get(_CLAIMS)
    return claims if isinstance(claims, dict) else {}


def _companions(auth: OAuthAuth, document: Document) -> tuple[tuple[str, str], ...]:
    """Return the account headers of Codex.

    The account is that of the file, else of the id token, else of the access token.
    """
    if auth.type != "codex_oauth":
        return ()
    of_id = _claims(_text(document, auth.id_token_path))
    of_access = _claims(_text(document, auth.access_path))
    account = (
        _text(document, auth.account_id_path)
        or of_id.get("chatgpt_account_id")
        or of_access.get("chatgpt_account_id")
        or ""
    )
    headers: list[tuple[str, str]] = []
    # The account comes from a file that other programs write: a header takes plain text alone.
    if account and str(account).isascii() and str(account).isprintable():
        headers.append(("ChatGPT-Account-ID", str(account)))
    is_fedramp = "chatgpt_account_is_fedramp"
    if of_id.get(is_fedramp) or of_access.get(is_fedramp):
        headers.append(("X-OpenAI-Fedramp", "true"))
    return tuple(headers)


def _number(value: object) -> float | None:
    """Return a finite JSON number, else None.

    Python counts booleans as numbers; JSON does not. `1e400` is infinite in Python.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _at(document: Document, path: str) -> Any:
    """Return the value at a path of keys, or None.

    {"tokens": {"access": "a"}}, "tokens.access" → "a"
    """
    if not path:
        return None
    value: Any = document
    for key in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _text(document: Document, path: str) -> str:
    value = _at(document, path)
    return value.strip() if isinstance(value, str) else ""


def _set(document: Document, path: str, value: Any) -> None:
    """Assign, making the maps on the way."""
    *parents, last = path.split(".")
    for key in parents:
        inner = document.get(key)
        if not isinstance(inner, dict):
            inner = document[key] = {}
        document = inner
    document[last] = value
