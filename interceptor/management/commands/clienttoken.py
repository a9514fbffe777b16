"""Tokens that clients present in `x-ccproxy-token`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from flows.display.safe_text import printable
from interceptor.access.client_token import create_client_token
from interceptor.config.transfer.database import ensure_database
from interceptor.management import parsers
from interceptor.models import ClientToken
from providers.audit.log import audited, shell_caller
from providers.base.nearest import no_such
from providers.models import Provider


class Command(BaseCommand):
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.clienttoken(parser)

    def handle(
        self, *_: Any, action: str, name: str = "", provider: Sequence[str] = (), **__: Any
    ) -> None:
        ensure_database()
        if action == "add":
            self._add(name, provider)
        elif action == "remove":
            self._remove(name)
        else:
            self._list()

    def _add(self, name: str, providers: Sequence[str]) -> None:
        try:
            with audited("client-token-add", f"token {printable(name)}", by=shell_caller()):
                token = create_client_token(name, providers)
        except ValidationError as exc:
            raise CommandError(f"client token “{printable(name)}”: {exc.messages[0]}") from None
        known = Provider.objects.values_list("name", flat=True)
        for wanted in set(providers) - set(known):
            # A token may be made before its provider.
            self.stderr.write(f"Note: {no_such('provider', wanted, known)}")
        self.stdout.write(token)
        self.stderr.write(
            "It is shown this once. Clients send it in the header x-ccproxy-token, or behind their"
            " key: sk-ccproxy-PROVIDER.TOKEN"
        )

    def _remove(self, name: str) -> None:
        row = ClientToken.objects.filter(name=name).first()
        if row is None:
            known = ClientToken.objects.values_list("name", flat=True)
            raise CommandError(no_such("client token", name, known))
        with audited("client-token-remove", f"token {printable(name)}", by=shell_caller()):
            row.delete()
        self.stderr.write(f"Removed {printable(name)}.")

    def _list(self) -> None:
        rows = list(ClientToken.objects.order_by("name"))
        for row in rows:
            state = "" if row.enabled else "  (disabled)"
            scope = f"  for {', '.join(map(printable, row.providers))}" if row.providers else ""
            self.stdout.write(
                f"{printable(row.name)}  since {row.created_at:%Y-%m-%d}{scope}{state}"
            )
        if not rows:
            self.stderr.write(
                "There are no client tokens; add one with: ccproxy clienttoken add NAME"
            )
