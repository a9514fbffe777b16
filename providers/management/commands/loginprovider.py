"""Command that logs in to a provider with the browser, without a program of the vendor."""

from __future__ import annotations

import asyncio
import webbrowser
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from providers.audit.log import audited, shell_caller
from providers.auth import token_endpoint
from providers.auth.base import OAuthAuth
from providers.auth.browser_login import CallbackServer, LoginAttempt, LoginFailed
from providers.auth.oauth_kinds import NEEDS_CLIENT_SECRET
from providers.auth.sources import SourceFailed
from providers.auth.token_endpoint import EndpointFailed
from providers.base.errors import ConfigError
from providers.base.nearest import no_such
from providers.credentials.handle import auth_of
from providers.credentials.stored_logins import stored_logins
from providers.fields import keyring
from providers.management import parsers
from providers.models import Provider


class Command(BaseCommand):
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.loginprovider(parser)

    def handle(self, *_: Any, provider: str, no_browser: bool, timeout: float, **__: Any) -> None:
        try:
            auth, attempt = self._auth(provider), LoginAttempt()
        except DatabaseError:
            raise CommandError("there is no database yet; run: ccproxy init") from None
        try:
            secret = keyring().decrypt(auth.client_secret) if auth.client_secret else ""
            with CallbackServer(auth, attempt) as server:
                url = attempt.url(auth, server.redirect_uri)
                self.stdout.write(f"Log in to {provider} in your browser:\n\n  {url}\n")
                self.stdout.flush()
                if not no_browser:
                    webbrowser.open(url)
                code = server.wait(timeout)
            with audited("login", f"provider {provider}", by=shell_caller()):
                asyncio.run(_finish(auth, attempt.fields(auth, code, server.redirect_uri), secret))
        except (LoginFailed, ConfigError) as exc:
            raise CommandError(str(exc)) from None
        except (EndpointFailed, SourceFailed) as exc:
            raise CommandError(f"the login of {provider} {exc}") from None
        self.stdout.write(f"Logged in. The login of {provider} is kept in {auth.file_path}.")

    def _auth(self, name: str) -> OAuthAuth:
        row = Provider.objects.filter(name=name).first()
        if row is None:
            known = Provider.objects.values_list("name", flat=True)
            raise CommandError(no_such("provider", name, known))
        try:
            auth = auth_of(row)
        except ConfigError as exc:
            raise CommandError(str(exc)) from None
        if not isinstance(auth, OAuthAuth):
            raise CommandError(
                f"{name} has no login: its credential is “{row.get_auth_type_display()}”"
            )
        if not auth.authorize_url:
            raise CommandError(
                f"{name} has no authorize_url; set it beside its endpoint, or log in with its own"
                " program"
            )
        if auth.type in NEEDS_CLIENT_SECRET and not auth.client_secret:
            raise CommandError(f"{name} needs its client secret; set it in the provider's settings")
        return auth


async def _finish(auth: OAuthAuth, fields: dict[str, str], secret: str) -> None:
    """Exchange the code for tokens and store them."""
    logins = stored_logins()
    limits = logins.limits
    answer = await token_endpoint.ask(auth, fields, secret, limits.timeout_s, limits.proxies)
    if not answer.get("refresh_token"):
        raise SourceFailed(
            "came without a refresh token, so it could not be renewed; ask for one, with a scope"
            " like offline_access or by adding ?access_type=offline to authorize_url"
        )
    await logins.store(auth, answer)
