"""`ccproxy open`: open the console in the browser, signed in."""

from __future__ import annotations

import os
import sys
import webbrowser
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ccproxy_site.console.login_link import write_login_file
from ccproxy_site.management import parsers
from ccproxy_site.process.browser import link_page
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
        if not options["print"] and _has_display() and webbrowser.open(_address(login_file)):
            self.stdout.write(f"Opened {url} in the browser.")
            return
        self.stdout.write(login_file.read_text().strip())
        self.stderr.write("The link works once, within 15 minutes.")


def _address(login_file: Path) -> str:
    """Return the address of a private page that leads to the link."""
    return link_page(login_file).as_uri()


def _has_display() -> bool:
    """Return True where a browser can have a window; one in the terminal would take it over."""
    if sys.platform == "darwin" or os.name == "nt":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
