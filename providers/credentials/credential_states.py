"""State of each provider's credential: whether it works, until when, how it was refused lately."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db.models import Count, Max
from django.utils import timezone

from providers.auth.base import OAuthAuth
from providers.auth.login_files import LoginFiles
from providers.auth.logins import login_key
from providers.auth.oauth import read_login
from providers.auth.oauth_file import BadCredentialFile, read_document
from providers.auth.refresh_lock import login_digest
from providers.auth.registry import SECRETS
from providers.auth.sources import SourceFailed
from providers.base.errors import ConfigError
from providers.credentials.handle import auth_of
from providers.models import CredentialState, Provider

SOON = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One provider. Moments that are unknown are None."""

    provider: Provider
    source: str
    state: str
    is_bad: bool
    expires_at: datetime | None = None
    refreshed_at: datetime | None = None
    machine: str = ""
    error: str = ""
    tried_at: datetime | None = None
    refusals: int = 0
    last_refusal_at: datetime | None = None
    is_renewable: bool = True
    """It may be renewed: false for a login without a refresh token."""

    @property
    def needs_key(self) -> bool:
        return self.provider.auth_type == "key" and not self.provider.secret

    @property
    def unset_variable(self) -> str:
        """The variable that this process lacks; it has those of the interceptor that began it."""
        return unset_variable(self.provider, os.environ)

    @property
    def state_in_words(self) -> str:
        """The state, or the variable that this process lacks: a command reads it when needed."""
        return f"{self.unset_variable} is not set" if self.unset_variable else self.state

    @property
    def can_renew(self) -> bool:
        return self.provider.auth_type.endswith("_oauth")

    @property
    def fix(self) -> str:
        """The command that mends a bad state; "" where none does."""
        name = self.provider.name
        if self.unset_variable and self.provider.enabled:
            return f"set it where ccproxy starts, or: ccproxy setkey {name}"
        if not self.is_bad or not self.provider.enabled:
            return ""
        if self.provider.auth_type == "key":
            return f"ccproxy setkey {name}"
        return f"ccproxy loginprovider {name}" if self.can_renew else ""


def board_rows(now: datetime) -> list[BoardRow]:
    """Return a row for each provider, in three queries and one look at each login's file."""
    refusals = _refusals(now)
    states = {state.pk: state for state in CredentialState.objects.defer("tokens")}
    return [
        _row(provider, states, refusals.get(provider.name, (0, None)), now)
        for provider in Provider.objects.all()
    ]


def _row(
    provider: Provider,
    states: dict[str, CredentialState],
    refusals: tuple[int, datetime | None],
    now: datetime,
) -> BoardRow:
    count, last = refusals
    more: dict[str, Any] = {"refusals": count, "last_refusal_at": last}
    source = provider.get_auth_type_display()
    try:
        auth = auth_of(provider)
    except ConfigError as exc:
        return BoardRow(provider, source, "cannot be used", True, error=str(exc), **more)
    if not isinstance(auth, OAuthAuth):
        missing = _is_missing(provider)
        state = _other_state(provider, is_missing=missing)
        return BoardRow(provider, source, state, missing, **more)
    kept = states.get(login_digest(login_key(auth)))
    state, is_bad, expires_at, error = _login_state(auth, kept, now)
    more["is_renewable"] = _is_renewable(auth)
    if kept is not None:
        more |= {
            "refreshed_at": kept.refreshed_at,
            "machine": kept.machine,
            "tried_at": kept.tried_at,
        }
    return BoardRow(provider, source, state, is_bad, expires_at, error=error, **more)


def _is_missing(provider: Provider) -> bool:
    """Check if the credential is unset. A command is known by running it alone."""
    if provider.auth_type == "file":
        try:
            return not Path(provider.auth_config.get("file", "")).expanduser().exists()
        except (OSError, RuntimeError, ValueError):
            return True
    return provider.auth_type == "key" and not provider.secret


def _other_state(provider: Provider, *, is_missing: bool) -> str:
    """Return the state of a credential that is no login."""
    if provider.secret:
        return "stored"
    if is_missing:
        return "no such file" if provider.auth_type == "file" else "not set"
    return "–" if provider.auth_type == "none" else "read when needed"


def _login_state(
    auth: OAuthAuth, kept: CredentialState | None, now: datetime
) -> tuple[str, bool, datetime | None, str]:
    """State, whether that is bad, expiry, and the last error.

    The file of this machine counts, else the database.
    """
    error = kept.error if kept else ""
    try:
        login = read_login(auth, read_document(LoginFiles(SECRETS).path(auth)) or {})
    except (BadCredentialFile, SourceFailed) as exc:
        return "cannot be read", True, None, str(exc)
    if not login.access and not login.refresh:
        if kept is None or kept.expires_at is None:
            return "not logged in", True, None, error
        return "kept on another machine", False, kept.expires_at, error
    expires_at = (
        datetime.fromtimestamp(login.expires_at, UTC) if login.expires_at is not None else None
    )
    if error:
        return "renewing fails", True, expires_at, error
    if expires_at is None or expires_at <= now:
        return "renewed at the next request", False, expires_at, ""
    return ("expires soon" if expires_at - now < SOON else "good"), False, expires_at, ""


def _is_renewable(auth: OAuthAuth) -> bool:
    """Return False for a login of this machine that has no refresh token."""
    try:
        login = read_login(auth, read_document(LoginFiles(SECRETS).path(auth)) or {})
    except (BadCredentialFile, SourceFailed):
        return True
    return bool(login.refresh) or not login.access


def _refusals(now: datetime) -> dict[str, tuple[int, datetime]]:
    """Count the 401s of the last day that reached clients, by provider, with the newest."""
    # By name: this package is below flows and must not import it.
    flow = apps.get_model("flows", "Flow")
    rows = (
        flow.objects.filter(started_at__gte=now - timedelta(hours=24), status_code=401)
        .order_by()
        .values_list("provider")
        .annotate(count=Count("pk"), last=Max("started_at"))
    )
    return {name: (count, last) for name, count, last in rows}


def missing_credentials(environ: Mapping[str, str]) -> list[str]:
    """Return sentences that name the providers without a credential, and the command to set one.

    "no credential for anthropic, openai: ccproxy setkey NAME"
    """
    keys, logins = [], []
    for row in board_rows(timezone.now()):
        provider = row.provider
        if not provider.enabled:
            continue
        if row.is_bad and row.can_renew:
            logins.append(provider.name)
        elif row.is_bad or unset_variable(provider, environ):
            keys.append(provider.name)
    found = []
    for names, command in ((keys, "setkey"), (logins, "loginprovider")):
        if names:
            what = names[0] if len(names) == 1 else "NAME"
            found.append(f"no credential for {', '.join(names)}: ccproxy {command} {what}")
    return found


def unset_variable(provider: Provider, environ: Mapping[str, str]) -> str:
    """Return NAME of the command `printenv NAME` where `environ` has no such variable, else ""."""
    words = str(provider.auth_config.get("command", "")).split()
    is_printed = provider.auth_type == "command" and words[:1] == ["printenv"] and len(words) == 2
    return words[1] if is_printed and not environ.get(words[1]) else ""
