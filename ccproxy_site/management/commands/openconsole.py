"""`ccproxy open`: open the console in the browser, signed in."""

from __future__ import annotations

import webbrowser
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ccproxy_site.console.login_link import write_login_file
from ccproxy_site.management import parsers
from ccproxy_site.process.browser import link_page
from interceptor.access.login_offer import has_display
from interceptor.instances.health import running_console_url


class Command(BaseCommand):
    """Open a one-time link; where no browser can be opened, print it."""

    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.openconsole(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        url = running_console_url()
        if not url:
            raise CommandError("no console is running; start one with: ccproxy start")
        login_file = write_login_file(Path(settings.CONFIG_DIR), url)
        if not options["print"] and has_display() and webbrowser.open(_address(login_file)):
            self.stdout.write(f"Opened {url} in the browser.")
            return
        self.stdout.write(login_file.read_text().strip())
        self.stderr.write("The link works once, within 15 minutes.")


def _address(login_file: Path) -> str:
    """Return the address of a private page that leads to the link."""
    return link_page(login_file).as_uri()
