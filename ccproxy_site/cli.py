"""`ccproxy`: the management commands under the product's names."""

from __future__ import annotations

import os
import sys

from providers.errors import ConfigError


def manage(argv: list[str] | None = None) -> None:
    """Run a management command; a bad configuration is one line on stderr and exit 1."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(argv or sys.argv)
    except ConfigError as exc:
        sys.stderr.write(f"ccproxy: {exc}\n")
        raise SystemExit(1) from None


def main() -> None:
    """Entry point of the console script."""
    manage()
