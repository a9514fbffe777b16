"""Store a provider's API key, encrypted, from standard input."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from interceptor.config.transfer.database import ensure_database
from interceptor.management import parsers
from providers.audit.log import audit_credential, shell_caller
from providers.auth.sentinel import provider_of
from providers.base.header_key import MAX_KEY_CHARS, BadKey, check_key, decode_key, trimmed_key
from providers.base.nearest import no_such
from providers.models import Provider


class Command(BaseCommand):
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.setkey(parser)

    def handle(self, *_: Any, provider: str, header: str | None, **__: Any) -> None:
        ensure_database()
        row = self._provider(provider)
        key = self._read(provider)
        row.auth_type, row.auth_config, row.secret = "key", {}, key
        if header is not None:
            row.auth_header = header.lower()
        try:
            row.full_clean()
        except ValidationError as exc:
            raise CommandError(f"provider {provider}: {exc.messages[0]}") from None
        audit_credential(Provider.objects.get(pk=row.pk), row, by=shell_caller())
        row.save()
        self.stdout.write(f"Stored the key of {provider} ({len(key)} characters), encrypted.")

    def _provider(self, name: str) -> Provider:
        names: dict[str, Provider] = {row.name: row for row in Provider.objects.all()}
        if name not in names:
            raise CommandError(no_such("provider", name, names))
        return names[name]

    def _read(self, name: str) -> str:
        """Return the key, stripped; a terminal asks for it without echo."""
        if sys.stdin.isatty():
            key = trimmed_key(getpass.getpass(f"API key of {name}: "))
        else:
            key = self._from_stdin()
        if not key:
            raise CommandError(
                "no key on standard input, e.g.: printenv MY_KEY | ccproxy setkey " + name
            )
        try:
            check_key(key)
        except BadKey as exc:
            raise CommandError(f"that is no API key: it {exc}") from None
        if provider_of(key) is not None:
            raise CommandError(
                "that is a sentinel key, which clients send to ccproxy; store the provider's own"
                f" key of {name}"
            )
        if " " in key:
            raise CommandError("that is no API key: it has spaces")
        return key

    @staticmethod
    def _from_stdin() -> str:
        """Return what was piped in; a byte order mark says how to decode it."""
        if not hasattr(sys.stdin, "buffer"):
            return trimmed_key(sys.stdin.read(MAX_KEY_CHARS * 2))
        data = sys.stdin.buffer.read(MAX_KEY_CHARS * 4)
        try:
            return trimmed_key(decode_key(data))
        except BadKey as exc:
            raise CommandError(f"that is no API key: it {exc}") from None
