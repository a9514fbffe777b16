"""Commands that read the database without Django, whose import takes half of a second."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

from ccproxy_site.database_url import this_database
from ccproxy_site.roles import Role, apps_of
from interceptor.config.files.directory import config_dir
from interceptor.config.transfer.migration_names import has_all_migrations
from interceptor.operate.command_settings import CommandSettings
from providers.reading.database_reader import Read, UnreadableDatabase, is_sqlite
from providers.reading.plain_reader import reading

_PRIVATE_MODE = 0o600


def show_status(options: Namespace, settings: CommandSettings) -> int:
    """Print what runs, as `ccproxy status` does."""
    from interceptor.operate.status import print_table, status_report

    report = status_report(settings, config_dir(), this_database())
    if options.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        print_table(report, sys.stdout, is_terminal=sys.stdout.isatty())
    return 0


def show_newest_flows(options: Namespace) -> bool:
    """Print the newest flows; False, and nothing printed, where the database needs work first."""
    from flows.export.table import print_newest

    database = this_database()
    if is_sqlite(database) and not _is_private(Path(database["NAME"])):
        return False
    try:
        with reading(database) as read:
            if not _is_ready(read):
                return False
            is_terminal = sys.stdout.isatty()
            print_newest(read, options.number, sys.stdout, sys.stderr, is_terminal=is_terminal)
    except UnreadableDatabase:
        # Django's path says in one sentence what is wrong, or mends it.
        return False
    return True


def _is_private(path: Path) -> bool:
    try:
        return path.stat().st_mode & 0o777 == _PRIVATE_MODE
    except OSError:
        return False


def _is_ready(read: Read) -> bool:
    """Return True for a database with the tables of this version and its first rows."""
    if not has_all_migrations(apps_of(Role.CONSOLE), read):
        return False
    return bool(read("SELECT 1 FROM providers_configrevision LIMIT 1"))
