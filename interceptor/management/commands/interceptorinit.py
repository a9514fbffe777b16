"""Set up the config directory and the database (`ccproxy init`)."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from interceptor.config.files.directory import CONFIG_FILE_NAME
from interceptor.config.files.template import backup_of, set_aside, write_template
from interceptor.config.transfer.database import ensure_database
from interceptor.config.transfer.database_state import database_name
from interceptor.config.transfer.import_mark import unread_sections
from interceptor.management import parsers
from providers.models import Provider

_NEXT_STEPS = """
Next:
  ccproxy start                        start the proxy and the console
  ccproxy demo                         see it work without any key
  printenv ANTHROPIC_API_KEY | ccproxy setkey anthropic
  ccproxy run -- your-tool             point your tool's SDK at {url},
                                       with sk-ccproxy-anthropic as its API key
"""


class Command(BaseCommand):
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.interceptorinit(parser)

    def handle(self, *_: Any, force: bool, **__: Any) -> None:
        path = Path(settings.CONFIG_DIR) / CONFIG_FILE_NAME
        try:
            if force:
                set_aside(path)
            installed = write_template(path)
        except OSError as exc:
            raise CommandError(f"cannot write {path}: {exc.strerror}") from None
        kept = (
            f"the one before is {backup_of(path).name}"
            if force and backup_of(path).exists()
            else ""
        )
        self._say(
            "installed" if installed else "skipped",
            path,
            kept if installed else "exists; see --force",
        )
        state = ensure_database()
        if state.created:
            self._say("installed", database_name(), f"{Provider.objects.count()} providers")
        else:
            done = "migrated" if state.migrated else "skipped"
            self._say(done, database_name(), "is up to date")
        for note in (*state.notes, *unread_sections()):
            self.stdout.write(f"Note: {note}")
        self.stdout.write(_NEXT_STEPS.format(url=settings.CCPROXY.proxy_url), ending="")

    def _say(self, what: str, name: object, more: str) -> None:
        self.stdout.write(f"{what:10}{name}" + (f" ({more})" if more else ""))
