"""Actions of the auth board on one credential: test it, renew a login.

Each with a row in the audit log before it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.timesince import timeuntil
from django.views.decorators.http import require_POST

from providers.audit.log import audited, caller_of
from providers.auth.base import OAuthAuth
from providers.auth.oauth import Login
from providers.auth.registry import SECRETS
from providers.auth.resolve import Credential, CredentialResolver
from providers.auth.sources import SourceFailed
from providers.base.errors import ConfigError
from providers.credentials.handle import auth_of
from providers.credentials.shared_state import DatabaseLogins
from providers.credentials.stored_logins import refresh_limits, stored_logins
from providers.fields import keyring
from providers.models import Provider


@require_POST
def test_source(request: HttpRequest, pk: int) -> HttpResponse:
    """Resolve one provider's credential now and say what it is; it is sent nowhere but to its own
    token endpoint.
    """
    provider = _provider(request, pk)
    try:
        with audited("test", f"provider {provider.name}", by=caller_of(request)):
            credential = resolve_now(provider)
    except ConfigError as exc:
        messages.error(request, str(exc))
    else:
        messages.success(request, _success(provider, credential))
    return redirect("admin:providers_auth_board")


@require_POST
def renew_login(request: HttpRequest, pk: int) -> HttpResponse:
    """Renew one provider's login now, under the lock that all renewals share."""
    provider = _provider(request, pk)
    try:
        with audited("renew", f"provider {provider.name}", by=caller_of(request)):
            login = renew_now(provider)
    except ConfigError as exc:
        messages.error(request, str(exc))
    else:
        messages.success(
            request, f"The login of {provider.name} was renewed{_good_for(login.expires_at)}."
        )
    return redirect("admin:providers_auth_board")


def resolve_now(provider: Provider) -> Credential | None:
    """Return the credential of a provider, as a request would get it; None when it has none.

    Raises:
        ConfigError: one sentence.
    """
    auth = auth_of(provider)
    if auth is None:
        return None

    async def resolve() -> Credential:
        resolver = CredentialResolver(
            open_keyring=keyring,
            secrets=SECRETS,
            shared=DatabaseLogins(),
            limits=refresh_limits(),
        )
        return await resolver.resolve(provider.name, auth)

    return asyncio.run(resolve())


def renew_now(provider: Provider) -> Login:
    """Renew the provider's login and return it.

    Raises:
        ConfigError: one sentence.
    """
    auth = auth_of(provider)
    if not isinstance(auth, OAuthAuth):
        raise ConfigError(f"{provider.name} has no login that could be renewed.")

    async def renew() -> Login:
        return await stored_logins().renew(auth)

    try:
        return asyncio.run(renew())
    except SourceFailed as exc:
        raise ConfigError(f"The login of {provider.name} {exc}.") from None


def _provider(request: HttpRequest, pk: int) -> Provider:
    if not request.user.has_perm("providers.change_provider"):
        raise PermissionDenied
    found: Provider = get_object_or_404(Provider, pk=pk)
    return found


def _success(provider: Provider, credential: Credential | None) -> str:
    if credential is None:
        return f"{provider.name} needs no credential."
    kind = provider.get_auth_type_display()
    text = (
        f"{provider.name} ({kind}): a credential of {len(credential.token)} characters for"
        f" {credential.header}"
    )
    return f"{text}{_good_for(credential.expires_at)}."


def _good_for(expires_at: float | None) -> str:
    if expires_at is None:
        return ""
    return f", good for {timeuntil(datetime.fromtimestamp(expires_at, UTC), depth=2)}"
