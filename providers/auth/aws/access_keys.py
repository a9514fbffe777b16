"""Access keys of AWS, from the text that a credential source yields.

`ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]`, or the JSON of `aws configure
export-credentials`, which any program for `credential_process` prints too.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from providers.auth.sources import SourceFailed
from providers.base.header_key import BadKey, check_key

_FORMS: Final = (
    "ACCESS_KEY_ID:SECRET_ACCESS_KEY, the same with :SESSION_TOKEN, or the JSON that"
    " `aws configure export-credentials` prints"
)


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """An access key. `region` is one that the source names; "" leaves it to the provider's host."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    region: str = ""
    expires_at: float | None = None
    """Seconds since the epoch, None for a key that stays."""


def read_aws_keys(text: str) -> AwsKeys:
    """Return the access key in a text.

    Raises:
        SourceFailed: it is none; the message completes a sentence and quotes nothing of it.
    """
    keys = _of_json(text) if text.startswith("{") else _of_line(text)
    parts = [keys.access_key_id, keys.secret_access_key]
    if not all(parts):
        raise SourceFailed(f"holds no access key of AWS; it has to be {_FORMS}")
    try:
        for part in (*parts, keys.session_token, keys.region):
            check_key(part)
    except BadKey as exc:
        raise SourceFailed(str(exc)) from None
    return keys


def _of_line(text: str) -> AwsKeys:
    # Secrets and session tokens are base64, which has no colon.
    key_id, _, rest = text.partition(":")
    secret, _, token = rest.partition(":")
    return AwsKeys(key_id.strip(), secret.strip(), token.strip())


def _of_json(text: str) -> AwsKeys:
    try:
        body: Any = json.loads(text)
    except ValueError:
        raise SourceFailed(f"begins like JSON and is none; it has to be {_FORMS}") from None
    return AwsKeys(
        _text_in(body, "AccessKeyId"),
        _text_in(body, "SecretAccessKey"),
        _text_in(body, "SessionToken"),
        _text_in(body, "Region"),
        _time_in(body, "Expiration"),
    )


def _text_in(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    return value.strip() if isinstance(value, str) else ""


def _time_in(body: dict[str, Any], name: str) -> float | None:
    """Return a time as seconds: "2026-11-29T22:00:00Z" → 1796076000.0."""
    try:
        found = datetime.fromisoformat(_text_in(body, name))
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()
