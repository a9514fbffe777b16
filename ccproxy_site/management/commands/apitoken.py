"""Tokens of the REST API (`ccproxy apitoken`)."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from rest_framework.authtoken.models import Token

from ccproxy_site.console.api_tokens import create_api_token
from ccproxy_site.console.login_link import local_superuser
from ccproxy_site.management import parsers
from providers.audit.log import audited, shell_caller
from providers.base.nearest import no_such
from providers.listing.shell_table import print_table, print_values


class Command(BaseCommand):
    """Each user has one token at most; it has the user's rights."""

    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.apitoken(parser)

    def handle(self, *_: Any, action: str, user: str = "", **options: Any) -> None:
        if action == "new":
            self._make(_user(user))
        elif action == "remove":
            self._remove(_user(user))
        else:
            self._list(as_json=options["json"])

    def _make(self, user: User) -> None:
        with audited("api-token-add", f"token of {user.get_username()}", by=shell_caller()):
            token = create_api_token(user)
        self.stdout.write(token)
        self.stderr.write(
            f"It is shown this once, has the rights of {user.get_username()}, and replaces an"
            " earlier one. Send it as: Authorization: Token ..."
        )

    def _remove(self, user: User) -> None:
        with audited("api-token-remove", f"token of {user.get_username()}", by=shell_caller()):
            deleted, _ = Token.objects.filter(user=user).delete()
        if not deleted:
            raise CommandError(f"{user.get_username()} has no API token")
        self.stderr.write(f"Removed the token of {user.get_username()}.")

    def _list(self, *, as_json: bool) -> None:
        tokens = Token.objects.select_related("user").order_by("user__username")
        rows = [(token.user.get_username(), token.created) for token in tokens]
        if as_json:
            print_values([{"user": user, "created": made} for user, made in rows], self.stdout)
        elif rows:
            shown = [(user, f"{made:%Y-%m-%d %H:%M} UTC") for user, made in rows]
            print_table(("User", "Made"), shown, self.stdout)
        else:
            self.stderr.write("There are no API tokens; make one with: ccproxy apitoken new")


def _user(name: str) -> User:
    """Return a user by name; without one, the console's local superuser.

    Raises:
        CommandError: there is no such user.
    """
    if not name:
        return local_superuser()
    found = User.objects.filter(username=name).first()
    if found is None:
        known = User.objects.values_list("username", flat=True)
        raise CommandError(no_such("user", name, known))
    return found
