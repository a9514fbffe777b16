"""Settings of the notices: what is worth one, and where they go. No Django."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from interceptor.config.files.groups import Group, Seconds, SecretSource, Texts
from providers.base.loopback import is_loopback

NoticeKind = Literal["failure", "cache_break", "spend", "login", "cooldown", "recording"]


def checked_destination(url: str) -> str:
    """Return a webhook's URL without white space around it.

    Raises:
        ValueError: it is neither https:// nor http:// to this machine, or has a password in it.
    """
    shown = url.strip()
    try:
        parts = urlsplit(shown)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("the URL is malformed") from None
    if not host:
        raise ValueError("the URL names no host")
    if parts.username is not None:
        raise ValueError("the URL has a user name in it: set notices.webhook.auth")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return shown
    raise ValueError("the URL must begin with https://, or with http:// for this machine")


class NoticeWebhookSettings(Group):
    """Notices by HTTP."""

    url: str | SecretSource | None = Field(
        None,
        description=(
            "Where each notice is sent by POST, or where to read the address: https://, or http://"
            " on this machine; null: nowhere."
        ),
        repr=False,
    )
    format: Literal["json", "slack"] = Field(
        "json",
        description=(
            "Body: json, as [notices.md](notices.md) describes it, or slack: the field `text`"
            " alone, which Mattermost and others understand too."
        ),
    )
    auth: str | SecretSource | None = Field(
        None,
        description=(
            "Secret that the receiver asks for, or where to read it: sent as `Authorization:"
            " Bearer`, or as it is in the header that `auth.header` names."
        ),
        repr=False,
    )
    timeout_seconds: Seconds = Field(10, description="Limit of one POST.")

    @field_validator("url")
    @classmethod
    def _usable_url(cls, value: str | SecretSource | None) -> str | SecretSource | None:
        return checked_destination(value) if isinstance(value, str) else value


class NoticeCommandSettings(Group):
    """Notices by a command of the user's."""

    run: Texts = Field(
        (),
        description=(
            "Command and arguments, started for each notice without a shell, with the notice as"
            " JSON on standard input; empty: none."
        ),
    )
    timeout_seconds: Seconds = Field(10, description="It is ended after this time.")


class NoticesSettings(Group):
    """Notices of failures and other events; see docs/notices.md."""

    kinds: tuple[NoticeKind, ...] = Field(
        (),
        description=(
            "Events worth a notice, of failure, cache_break, spend, login, cooldown and recording;"
            " see [notices.md](notices.md). Empty: none."
        ),
    )
    interval_seconds: Seconds = Field(
        60,
        description=(
            "At most one notice of a kind in this time; further events are counted in the next one."
        ),
    )
    spend_day_usd: float | None = Field(
        None, gt=0, description="A notice once a day (UTC) costs more than this; null: none."
    )
    spend_session_usd: float | None = Field(
        None, gt=0, description="A notice once a session costs more than this; null: none."
    )
    login_hours: float = Field(
        24,
        gt=0,
        description=(
            "A notice when a login that cannot be renewed expires within this time. One that fails"
            " to be renewed is worth a notice at once."
        ),
    )
    content: bool = Field(
        False,
        description=(
            "Put the beginning of the user's text and of the response into notices, without"
            " secrets. Every reader of the notices then reads them."
        ),
    )
    webhook: NoticeWebhookSettings = NoticeWebhookSettings()
    command: NoticeCommandSettings = NoticeCommandSettings()
