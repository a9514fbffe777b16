"""Store a provider's API key, encrypted, from standard input."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from interceptor.config.files.document import nearest
from interceptor.config.transfer.database import ensure_database
from providers.audit.log import audit_credential, shell_caller
from providers.models import Provider

_LONGEST_KEY_CHARS = 16_384


class Command(BaseCommand):
    help = "Read a provider's API key from standard input and store it encrypted."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("provider")
        parser.add_argument(
            "--header", help="header that carries the key; default: as it is set now"
        )

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
            match = nearest(name, names)
            hint = f"did you mean {match}?" if match else f"there are: {', '.join(names) or 'none'}"
            raise CommandError(f"there is no provider “{name}”; {hint}")
        return names[name]

    def _read(self, name: str) -> str:
        """Return the key, stripped; a terminal asks for it without echo."""
        if sys.stdin.isatty():
            key = getpass.getpass(f"API key of {name}: ").strip()
        else:
            key = sys.stdin.read(_LONGEST_KEY_CHARS + 1).strip()
        if not key:
            raise CommandError(
                "no key on standard input, e.g.: printenv MY_KEY | ccproxy setkey " + name
            )
        if len(key) > _LONGEST_KEY_CHARS or any(not c.isprintable() or c.isspace() for c in key):
            raise CommandError(
                "that is no API key: it has spaces, line breaks or control characters, or is too"
                " long"
            )
        return key
