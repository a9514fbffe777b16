"""Check this installation (`ccproxy doctor`)."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand

from ccproxy_site.doctor import machine_checks, stored_checks
from ccproxy_site.management import parsers
from interceptor.operate.findings import Finding, Level
from providers.listing.shell_table import Text, print_table, print_values

_STYLES: Final = {Level.OK: "green", Level.NOTE: "yellow", Level.FAILURE: "red"}


class Command(BaseCommand):
    """Print the findings; exit code 1 if one of them is a failure."""

    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.doctor(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        found = list(findings())
        if options["json"]:
            print_values([finding._asdict() for finding in found], self.stdout)
        else:
            rows = [
                (Text(each.level, style=_STYLES[each.level]), each.check, each.text, each.fix)
                for each in found
            ]
            headings = ("", "Check", "Found", "What to do")
            print_table(headings, rows, self.stdout, wrapped=headings[2:])
        if any(finding.level is Level.FAILURE for finding in found):
            raise SystemExit(1)


def findings() -> Iterator[Finding]:
    """Yield everything that was looked at."""
    server, directory = settings.CCPROXY, Path(settings.CONFIG_DIR)
    ca_folder = server.cert_dir(directory)
    ready = stored_checks.is_ready()
    yield from machine_checks.versions()
    yield machine_checks.on_path()
    yield from stored_checks.config_directory(directory)
    yield stored_checks.database(ready=ready)
    yield from machine_checks.ports(server)
    yield from stored_checks.recording(server)
    yield machine_checks.authority(ca_folder)
    newest = stored_checks.newest_flow() if ready else None
    yield machine_checks.clock(newest, machine_checks.authority_made(ca_folder))
    yield machine_checks.jail_tools()
    if ready:
        yield from stored_checks.credentials()
